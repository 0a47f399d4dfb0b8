import type { LogLevel } from './levels.ts'

/** `app`: what happened; `access`: a line for each request; `ai`: a line for each call to a model. */
export type LineKind = 'app' | 'access' | 'ai'

/** For lines that are written once a request: whoever has them encodes them, and pays for nothing that is not written. */
export type LineWriter = {
  isOn(level: LogLevel): boolean
  /**
   * `members` is JSON: `,"name":value` for each, encoded by `quote` where it comes from outside. What is `alsoApp` stands in
   * api.log too.
   */
  write(level: LogLevel, message: string, members: string, alsoApp?: boolean): void
  /** A text as JSON, without secrets, cut where it is too long. */
  quote(text: string): string
}

/** A line as it is written, for whoever follows the log. Must be quick and must not throw. */
export type LineListener = (line: string, kind: LineKind, rank: number, module: string) => void
