type Headers = Record<string, string | string[] | undefined>

const longestWaitMs = 10 * 60 * 1000

/**
 * How long a provider asks us to stay away, in milliseconds between 0 and ten minutes; null when it does not say.
 * Reads `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after` (seconds or HTTP-date) and, on 429 only, the resets of
 * exhausted limits (`x-ratelimit-reset-requests: 1m30s`), which healthy answers carry too.
 */
export function readRetryAfter(headers: Headers, status: number, nowMs: number = Date.now()): number | null {
  const waitMs =
    readMilliseconds(one(headers, 'retry-after-ms')) ??
    readMilliseconds(one(headers, 'x-ms-retry-after-ms')) ??
    readSecondsOrDate(one(headers, 'retry-after'), nowMs) ??
    (status === 429 ? readLimitResets(headers, nowMs) : null)
  return waitMs === null ? null : clampWait(waitMs)
}

/** Keeps a wait within what is sane to obey. */
export function clampWait(waitMs: number): number {
  return Math.min(Math.max(Math.ceil(waitMs), 0), longestWaitMs)
}

const unitMs: Record<string, number> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 1e-6,
}

/** `1m30s`, `20ms`, `1h2m3.5s`, or `39s` of Google's RetryInfo, in milliseconds; null when it is no such duration. */
export function parseDuration(text: string): number | null {
  if (!/^(\d+(\.\d+)?(d|h|ms|m|s|us|µs|ns))+$/.test(text)) return null
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(d|h|ms|m|s|us|µs|ns)/g)) {
    sum += Number(amount) * (unitMs[unit ?? ''] ?? 0)
  }
  return sum
}

function readMilliseconds(text: string | undefined): number | null {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text) ? Number(text) : null
}

function readSecondsOrDate(text: string | undefined, nowMs: number): number | null {
  if (text === undefined) return null
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  // Date.parse reads far more than HTTP-dates ("-5", "soon 3"): only what starts with a weekday is one.
  const at = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? null : at - nowMs
}

function readLimitResets(headers: Headers, nowMs: number): number | null {
  let longest: number | null = null
  for (const kind of ['', '-requests', '-tokens']) {
    const reset = one(headers, `x-ratelimit-reset${kind}`)
    if (reset === undefined || one(headers, `x-ratelimit-remaining${kind}`) !== '0') continue
    const waitMs = readReset(reset, nowMs)
    if (waitMs !== null && (longest === null || waitMs > longest)) longest = waitMs
  }
  return longest
}

// Some say how long, some say when: numbers of that size are epoch seconds or milliseconds.
function readReset(text: string, nowMs: number): number | null {
  const duration = parseDuration(text)
  if (duration !== null) return duration
  if (!/^\d+(\.\d+)?$/.test(text)) return null
  const number = Number(text)
  if (number > 1e11) return number - nowMs
  return number > 1e8 ? number * 1000 - nowMs : number * 1000
}

function one(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value)?.trim()
}
