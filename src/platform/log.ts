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
