import type { Scrubber } from '../scrub.ts'

export type LogFields = {
  room?: string
  traceId?: string
  spanId?: string
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
  /** Of several processes of one node. */
  process?: string
  /** The one-time set-up token: the contract prints it once in the start-up log, and nowhere else. */
  setupToken?: string
}

/**
 * What may be written, and what it is called on a line: as in the bodies of the control API, so that what a caller was
 * told can be looked for. `satisfies` refuses a name missing here as well as one too many.
 */
const listed = {
  room: 'module',
  traceId: 'trace_id',
  spanId: 'span_id',
  requestId: 'request_id',
  method: 'method',
  path: 'path',
  status: 'status',
  durationMs: 'duration_ms',
  code: 'code',
  cause: 'cause',
  remedy: 'remedy',
  error: 'err',
  model: 'model',
  provider: 'provider',
  keyId: 'key_id',
  userId: 'user_id',
  tenantId: 'tenant_id',
  attempt: 'attempt',
  migration: 'migration',
  address: 'address',
  file: 'file',
  version: 'version',
  engine: 'engine',
  count: 'count',
  waitMs: 'wait_ms',
  check: 'check',
  from: 'from',
  to: 'to',
  setting: 'setting',
  signal: 'signal',
  process: 'process',
  setupToken: 'setup_token',
} as const satisfies Record<keyof LogFields, string>

/** What every line begins with; nobody can say it again. */
const reserved = new Set(['time', 'level', 'module', 'msg'])

/** Longer texts are cut: a megabyte of provider error page is no log line. */
const longestText = 8192
const deepestCause = 5
/** Texts that come again and again, such as names of clients, are looked through once. */
const mostKnown = 2000
const longestKnown = 256

export type Cleaner = {
  text(value: string): string
  /** `text` as JSON, remembered where it is short: for lines that are written once a request. */
  quote(value: string): string
  /** The fields under the names they are written by, without `room`. */
  fields(given: LogFields): Record<string, unknown>
  /** A secret has become known: what was clean may not be any more. */
  forget(): void
}

export function createCleaner(scrubber: Scrubber, isJson: boolean): Cleaner {
  // JSON escapes most control characters; in text they could forge lines or drive the terminal.
  const control = isJson ? /[\x7f-\x9f\u2028\u2029]/g : /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g
  const visible = (value: string) =>
    value.replace(control, (c) => (isJson ? `\\u${hex(c)}` : JSON.stringify(c).slice(1, -1)))
  // Scrubbed with a margin before the cut: half a secret at the edge would no longer be recognised.
  const bounded = (value: string) => scrubber.scrub(value.slice(0, 2 * longestText)).slice(0, longestText)
  const text = (value: string) => visible(bounded(value))
  const known = new Map<string, string>()

  function quote(value: string): string {
    const before = known.get(value)
    if (before !== undefined) return before
    const quoted = JSON.stringify(text(value))
    if (value.length > longestKnown) return quoted
    if (known.size >= mostKnown) known.clear()
    known.set(value, quoted)
    return quoted
  }

  function error(thrown: unknown, depth: number): Record<string, unknown> {
    if (!(thrown instanceof Error)) return { name: typeof thrown, message: text(String(thrown)) }
    const { code, detail } = thrown as { code?: unknown; detail?: unknown }
    const told: Record<string, unknown> = { name: text(thrown.name), message: text(thrown.message) }
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

  return {
    text,
    quote,
    forget: () => known.clear(),
    fields(given) {
      const written: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(given)) {
        if (value === undefined || name === 'room' || reserved.has(name)) continue
        written[Object.hasOwn(listed, name) ? listed[name as keyof LogFields] : text(name)] = field(name, value)
      }
      return written
    },
  }
}

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(4, '0')
}
