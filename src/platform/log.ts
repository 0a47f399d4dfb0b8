import { pino } from 'pino'
import pretty from 'pino-pretty'
import { createScrubber, type Scrubber } from './scrub.ts'

export { type Scrubber, scrub } from './scrub.ts'

/**
 * One line of JSON for each thing worth telling (or of text, for a person at a terminal).
 *
 * Redaction is by allow-list: `LogFields` names every field that may be written, and a name not on it is replaced at
 * run time too. Bodies, headers and URLs with a query are not on the list. Strings are scrubbed of anything that looks
 * like a credential before they are written.
 */
export type Log = {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A log that writes `room` (and other fields) on every line. */
  child(fields: LogFields): Log
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type LogFields = {
  room?: string
  traceId?: string
  requestId?: string
  method?: string
  /** Path without query. */
  path?: string
  status?: number
  durationMs?: number
  /** Our own error code. */
  code?: string
  cause?: string
  remedy?: string
  /** The error itself: its name, message and stack are written, scrubbed. */
  error?: unknown
  model?: string
  provider?: string
  keyId?: string
  userId?: string
  tenantId?: string
  attempt?: number
  migration?: string
  address?: string
  file?: string
  version?: string
  engine?: string
  count?: number
  waitMs?: number
  check?: string
  from?: string
  to?: string
  setting?: string
  signal?: string
  /** The one-time set-up token: the contract prints it once in the start-up log, and nowhere else. */
  setupToken?: string
}

/** The same names at run time. `satisfies` refuses a name missing here as well as one too many. */
const listed = {
  room: true,
  traceId: true,
  requestId: true,
  method: true,
  path: true,
  status: true,
  durationMs: true,
  code: true,
  cause: true,
  remedy: true,
  error: true,
  model: true,
  provider: true,
  keyId: true,
  userId: true,
  tenantId: true,
  attempt: true,
  migration: true,
  address: true,
  file: true,
  version: true,
  engine: true,
  count: true,
  waitMs: true,
  check: true,
  from: true,
  to: true,
  setting: true,
  signal: true,
  setupToken: true,
} satisfies Record<keyof LogFields, true>

const ranks = { debug: 20, info: 30, warn: 40, error: 50 } as const satisfies Record<LogLevel, number>

/** Longer texts are cut: a megabyte of provider error page is no log line. */
const longestText = 8192
const deepestCause = 5

export type LogControl = Log & {
  /** Masks in every line; tell it each secret this process comes to know. */
  scrubber: Scrubber
  level(): LogLevel
  /** Takes effect at once, also for children made before. */
  setLevel(level: LogLevel): void
  /** Returns when everything told so far has been handed to the operating system. */
  flush(): void
}

export type LogOptions = {
  level: LogLevel
  /** `json` for collectors, one object a line; `text` for a person at a terminal. */
  format: 'json' | 'text'
  /** Where lines go; standard output unless given. */
  stream?: { write(line: string): unknown }
  scrubber?: Scrubber
}

/** Opens the log. Lines to standard output are written in the background and flushed when the process exits. */
export function createLog({ level, format, stream, scrubber = createScrubber() }: LogOptions): LogControl {
  let threshold: number = ranks[level]
  let current = level
  // Bounded: when nobody reads standard output, lines are dropped rather than the memory filled.
  const stdout = stream === undefined ? pino.destination({ dest: 1, sync: false, maxLength: 8 << 20 }) : null
  const target = stream ?? stdout!
  const writer = pino(
    {
      level: 'debug',
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    format === 'text' ? prettyTo(target) : target,
  )
  const clean = createCleaner(scrubber, format)

  function logOver(bound: pino.Logger<never>): Log {
    const tell = (at: LogLevel) => (message: string, fields?: LogFields) => {
      if (ranks[at] < threshold) return
      if (fields === undefined) bound[at](clean.text(message))
      else bound[at](clean.fields(fields), clean.text(message))
    }
    return {
      debug: tell('debug'),
      info: tell('info'),
      warn: tell('warn'),
      error: tell('error'),
      child: (fields) => logOver(bound.child(clean.fields(fields))),
    }
  }

  return {
    ...logOver(writer),
    scrubber,
    level: () => current,
    setLevel(next) {
      current = next
      threshold = ranks[next]
    },
    flush: () => stdout?.flushSync(),
  }
}

function prettyTo(target: { write(line: string): unknown }) {
  const toText = pretty.prettyFactory({
    colorize: process.stdout.isTTY === true,
    messageKey: 'message',
    errorLikeObjectKeys: ['error'],
    translateTime: "UTC:yyyy-mm-dd HH:MM:ss.l'Z'",
    singleLine: true,
  })
  return { write: (line: string) => target.write(toText(line)) }
}

function createCleaner(scrubber: Scrubber, format: LogOptions['format']) {
  // JSON escapes control characters itself; in text they could forge lines or drive the terminal.
  const visible = (value: string) =>
    format === 'json' ? value : value.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => JSON.stringify(c).slice(1, -1))
  // Scrubbed with a margin before the cut: half a secret at the edge would no longer be recognised.
  const bounded = (value: string) => scrubber.scrub(value.slice(0, 2 * longestText)).slice(0, longestText)
  const text = (value: string) => visible(bounded(value))

  function error(thrown: unknown, depth: number): Record<string, unknown> {
    if (!(thrown instanceof Error)) return { name: typeof thrown, message: text(String(thrown)) }
    const { code, detail } = thrown as { code?: unknown; detail?: unknown }
    const told: Record<string, unknown> = { name: thrown.name, message: text(thrown.message) }
    if (code !== undefined) told.code = text(String(code))
    if (typeof detail === 'string') told.detail = text(detail)
    if (thrown.stack !== undefined) told.stack = stack(thrown.stack)
    if (depth >= deepestCause) return told
    if (thrown.cause !== undefined) told.cause = error(thrown.cause, depth + 1)
    if (thrown instanceof AggregateError) {
      told.errors = thrown.errors.slice(0, deepestCause).map((each) => error(each, depth + 1))
    }
    return told
  }
  const stack = (value: string) => bounded(value).split('\n').map(visible).join('\n')

  function field(name: string, value: unknown): unknown {
    if (!Object.hasOwn(listed, name)) return '[not listed]'
    if (name === 'error') return error(value, 0)
    if (typeof value === 'number' || typeof value === 'boolean') return value
    if (typeof value !== 'string') return '[not text]'
    if (name === 'setupToken') return value
    // A query can hold a key (`?key=`), so it never gets here even when a caller forgets to cut it off.
    return text(name === 'path' ? value.split('?', 1)[0]! : value)
  }

  function fields(given: LogFields): Record<string, unknown> {
    const written: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined || name === 'time' || name === 'level' || name === 'message') continue
      written[text(name)] = field(name, value)
    }
    return written
  }
  return { text, fields }
}
