import { readDuration } from '../kernel/duration.ts'
import { QueryError } from './promql/syntax.ts'

/** Fields of a query string and a form together; a list where a name was given several times. */
export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>

export type QueryLimits = { timeoutMs: number; maxSamples: number }

/** Names are looked for among series that had a sample in the last day, unless asked otherwise. */
const namesBackMs = 86_400_000
const mostNames = 100_000

/** All of these throw QueryError `bad_data` in Prometheus' words. */
export function readInstant(fields: Fields, nowMs: number, limits: QueryLimits) {
  const atMs = readTime(fields, 'time') ?? nowMs
  return { text: required(fields, 'query'), atMs, limit: readLimit(fields), ...bounds(fields, limits) }
}

export function readRange(fields: Fields, limits: QueryLimits) {
  const startMs = readTime(fields, 'start') ?? missing('start')
  const endMs = readTime(fields, 'end') ?? missing('end')
  const step = required(fields, 'step')
  const stepMs = readDuration(step)
  if (stepMs === null) throw invalid('step', `cannot parse ${JSON.stringify(step)} to a valid duration`)
  const text = required(fields, 'query')
  return { text, startMs, endMs, stepMs, limit: readLimit(fields), ...bounds(fields, limits) }
}

/** `end` is taken and not used: what had a sample since `start` is named. */
export function readNames(fields: Fields, nowMs: number, { needsMatch }: { needsMatch: boolean }) {
  const given = fields['match[]']
  const matches = given === undefined ? [] : typeof given === 'string' ? [given] : given
  if (needsMatch && matches.length === 0) throw new QueryError('bad_data', 'no match[] parameter provided')
  readTime(fields, 'end')
  const limit = Math.min(readLimit(fields), mostNames)
  return { matches, fromMs: readTime(fields, 'start') ?? nowMs - namesBackMs, limit }
}

export function toSearchParams(fields: Fields): URLSearchParams {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    for (const each of typeof value === 'string' ? [value] : (value ?? [])) params.append(name, each)
  }
  return params
}

/** How many series or names to give at most; none or 0 for all. */
function readLimit(fields: Fields): number {
  const limit = Number(first(fields, 'limit') ?? 0)
  if (!Number.isInteger(limit) || limit < 0) throw invalid('limit', 'it must be a whole number')
  return limit === 0 ? Number.MAX_SAFE_INTEGER : limit
}

function bounds(fields: Fields, limits: QueryLimits) {
  const timeout = first(fields, 'timeout')
  const asked = timeout === undefined ? limits.timeoutMs : readDuration(timeout)
  if (asked === null) throw invalid('timeout', `cannot parse ${JSON.stringify(timeout)} to a valid duration`)
  return { timeoutMs: Math.min(asked, limits.timeoutMs), maxSamples: limits.maxSamples }
}

/** Seconds since the epoch, or RFC 3339; undefined when it was not given. */
function readTime(fields: Fields, name: string): number | undefined {
  const text = first(fields, name)
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (text.trim() !== '' && Number.isFinite(seconds) && Math.abs(seconds) < 1e12) return Math.round(seconds * 1000)
  const isDate = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text)
  const ms = isDate ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw invalid(name, `cannot parse ${JSON.stringify(text)} to a valid timestamp`)
  return ms
}

function required(fields: Fields, name: string): string {
  return first(fields, name) ?? missing(name)
}

function first(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' ? value : value?.[0]
}

function missing(name: string): never {
  throw invalid(name, 'it is missing')
}

function invalid(name: string, why: string): QueryError {
  return new QueryError('bad_data', `invalid parameter ${JSON.stringify(name)}: ${why}`)
}
