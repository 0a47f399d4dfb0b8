import type { NanoUsd } from '../kernel/money.ts'
import { writeDetails } from './details.ts'
import type { Cost } from './price-list.ts'
import { logColumns, type RequestLogRow, type SettledRow } from './rows.ts'
import type { AttemptRecord, UsageDetails, UsageEntry } from './schema.ts'

/**
 * An entry as the journal holds it: a JSON array of the version of its layout and then the row's values in the order of
 * its columns, so that moving it to the store means passing the text on. A journal outlives the program that wrote it:
 * a layout is never changed, a new one gets a new number, and old ones stay readable.
 *
 * Whatever callers and providers say, the row can be stored: their texts are cut, well formed and free of NUL (PostgreSQL
 * refuses it), numbers are finite integers. Ids and names of our own making are taken as they are.
 */
export function writeEntry(entry: UsageEntry, cost: Cost, wastedNanoUsd: NanoUsd | null): string {
  return JSON.stringify([
    layout,
    entry.id,
    count(entry.startedAt),
    entry.tenantId,
    entry.userId,
    entry.keyId,
    storableText(entry.keyName, 200),
    entry.endpoint,
    entry.protocol,
    storableText(entry.modelAsked, 200),
    storableText(entry.modelServed, 200),
    entry.providerId,
    storableText(entry.providerName, 200),
    entry.providerType,
    Math.min(count(entry.status), 999),
    entry.outcome,
    storableText(entry.errorCode, 100),
    storableText(entry.errorMessage, 2000),
    entry.stream ? 1 : 0,
    count(entry.tokensIn),
    count(entry.tokensOut),
    count(entry.tokensCachedRead),
    count(entry.tokensCachedWrite),
    count(entry.tokensReasoning),
    entry.usageSource,
    cost.nanoUsd === null ? null : count(cost.nanoUsd),
    storableText(cost.priceId, 200),
    entry.firstTokenMs === null ? null : count(entry.firstTokenMs),
    count(entry.latencyMs),
    entry.attempts.length,
    JSON.stringify(entry.attempts.slice(0, 50).map(writeAttempt)),
    entry.traceId,
    storableText(entry.clientIp, 100),
    storableText(entry.userAgent, 500),
    storableText(entry.finishReason, 100),
    entry.isSynthetic ? 1 : 0,
    entry.serviceTier,
    detailsText(entry.details),
    entry.providerKeyId,
    storableText(entry.sessionId, 200),
    tagsText(entry.tags),
    entry.routeLog.length > longestRouteLog ? tooLong : storableText(entry.routeLog, longestRouteLog),
    entry.cacheHit,
    entry.mirrorOf,
    wastedNanoUsd === null ? null : count(wastedNanoUsd),
    entry.abortPolicy,
    storableText(entry.agent, longestAgent),
    storableText(entry.service, 200),
  ])
}

/** What the hourly sums need of an entry, as it will stand in its row: spares reading the text back. */
export function summedRow(entry: UsageEntry, cost: Cost, wastedNanoUsd: NanoUsd | null): SettledRow {
  return {
    id: entry.id,
    started_at: count(entry.startedAt),
    tenant_id: entry.tenantId,
    user_id: entry.userId,
    key_id: entry.keyId,
    provider_id: entry.providerId,
    model_asked: storableText(entry.modelAsked, 200),
    model_served: storableText(entry.modelServed, 200),
    endpoint: entry.endpoint,
    outcome: entry.outcome,
    is_synthetic: entry.isSynthetic ? 1 : 0,
    attempts: entry.attempts.length,
    tokens_in: count(entry.tokensIn),
    tokens_out: count(entry.tokensOut),
    tokens_cached_read: count(entry.tokensCachedRead),
    tokens_cached_write: count(entry.tokensCachedWrite),
    tokens_reasoning: count(entry.tokensReasoning),
    cost_nano_usd: cost.nanoUsd === null ? null : count(cost.nanoUsd),
    usage_source: entry.usageSource,
    latency_ms: count(entry.latencyMs),
    first_token_ms: entry.firstTokenMs === null ? null : count(entry.firstTokenMs),
    usage_details: detailsText(entry.details),
    cache_hit: entry.cacheHit,
    wasted_nano_usd: wastedNanoUsd === null ? null : count(wastedNanoUsd),
    provider_key_id: entry.providerKeyId,
    status: Math.min(count(entry.status), 999),
    error_code: storableText(entry.errorCode, 100),
    stream: entry.stream ? 1 : 0,
    tags: tagsText(entry.tags),
    agent: storableText(entry.agent, longestAgent),
    service: storableText(entry.service, 200),
    session_id: storableText(entry.sessionId, 200),
  }
}

function tagsText(tags: readonly string[]): string {
  return tags.length === 0 ? '' : JSON.stringify(tags.slice(0, 50).map((tag) => storableText(tag, 100)))
}

const layout = 3
/** As much of an agent's name as a tag has room for. */
const longestAgent = 100

/** What older layouts lack, as the end of their arrays: service tier to abort policy; agent and service. */
const addedByLayout2 = ['', '', '', '', '', '', '', '', 0, ''] as const
const addedByLayout3 = ['', ''] as const
const lackedBy: ReadonlyMap<unknown, readonly (string | number)[]> = new Map<unknown, readonly (string | number)[]>([
  [1, [...addedByLayout2, ...addedByLayout3]],
  [2, addedByLayout3],
])

/** Cut in the middle it would be no JSON any more, so a longer one is not kept. */
const longestRouteLog = 32_768
const tooLong = '{"omitted":"too long"}'

/** The values of a journal text as a JSON array in the order of `logColumns`, without taking it apart. */
export function valuesOf(entryText: string): string {
  const values = `[${entryText.slice(entryText.indexOf(',') + 1)}`
  const lacks = lackedBy.get(Number(entryText.slice(1, entryText.indexOf(','))))
  return lacks === undefined ? values : `${values.slice(0, -1)},${JSON.stringify(lacks).slice(1)}`
}

/** The row of a journal text. Throws an Error that says why when the text is none of ours. */
export function readEntry(entryText: string): RequestLogRow {
  const value: unknown = JSON.parse(entryText)
  if (!Array.isArray(value)) throw new Error('not an array')
  const version: unknown = value[0]
  const lacks = lackedBy.get(version)
  if (lacks !== undefined) value.push(...lacks)
  else if (version !== layout) throw new Error(`layout ${String(version)} is not known to this version of the hub`)
  if (value.length !== logColumns.length + 1) {
    const [wanted, has] = [logColumns.length + 1, value.length]
    throw new Error(`a layout ${String(version)} comes to ${wanted} elements, this to ${has}`)
  }
  if (typeof value[1] !== 'string' || value[1] === '') throw new Error('the request id is missing')
  if (typeof value[2] !== 'number' || !(value[2] > 0)) throw new Error('the time of the request is missing')
  return toRow(value)
}

// Written out: a loop over the columns would make an object that V8 keeps as a dictionary.
// biome-ignore lint/suspicious/noExplicitAny: what a layout holds was written by this file
function toRow(v: any[]): RequestLogRow {
  return {
    id: v[1],
    started_at: v[2],
    tenant_id: v[3],
    user_id: v[4],
    key_id: v[5],
    key_name: v[6],
    endpoint: v[7],
    protocol: v[8],
    model_asked: v[9],
    model_served: v[10],
    provider_id: v[11],
    provider_name: v[12],
    provider_type: v[13],
    status: v[14],
    outcome: v[15],
    error_code: v[16],
    error_message: v[17],
    stream: v[18],
    tokens_in: v[19],
    tokens_out: v[20],
    tokens_cached_read: v[21],
    tokens_cached_write: v[22],
    tokens_reasoning: v[23],
    usage_source: v[24],
    cost_nano_usd: v[25],
    price_id: v[26],
    first_token_ms: v[27],
    latency_ms: v[28],
    attempts: v[29],
    attempt_log: v[30],
    trace_id: v[31],
    client_ip: v[32],
    user_agent: v[33],
    finish_reason: v[34],
    is_synthetic: v[35],
    service_tier: v[36],
    usage_details: v[37],
    provider_key_id: v[38],
    session_id: v[39],
    tags: v[40],
    route_log: v[41],
    cache_hit: v[42],
    mirror_of: v[43],
    wasted_nano_usd: v[44],
    abort_policy: v[45],
    agent: v[46],
    service: v[47],
  }
}

function writeAttempt(attempt: AttemptRecord) {
  const { keyId, wasted } = attempt
  const written = {
    provider: storableText(attempt.provider, 200),
    model: storableText(attempt.model, 200),
    status: count(attempt.status),
    code: storableText(attempt.code, 100),
    duration_ms: count(attempt.durationMs),
  }
  if (keyId === undefined && wasted === undefined) return written
  return {
    ...written,
    ...(keyId === undefined ? {} : { key_id: keyId }),
    ...(wasted === undefined
      ? {}
      : {
          provider_type: wasted.providerType,
          wasted_in: count(wasted.tokensIn),
          wasted_out: count(wasted.tokensOut),
          wasted_cached_read: count(wasted.tokensCachedRead),
        }),
  }
}

function detailsText(details: UsageDetails | null): string {
  return details === null ? '' : writeDetails(details)
}

/** Cut, well formed, and without NUL, which PostgreSQL refuses. */
export function storableText(value: unknown, limit: number): string {
  if (typeof value !== 'string') return ''
  const cut = value.length > limit ? value.slice(0, limit) : value
  return (cut.includes('\0') ? cut.replaceAll('\0', '') : cut).toWellFormed()
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !(value > 0) || value === Number.POSITIVE_INFINITY) return 0
  return Math.min(Math.round(value), Number.MAX_SAFE_INTEGER)
}
