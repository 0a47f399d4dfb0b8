import type { Cost } from './price-list.ts'
import type { RequestLogRow } from './rows.ts'
import { type Outcome, outcomes, type UsageEntry, usageSources } from './schema.ts'

/**
 * An entry as the journal holds it: a JSON array whose first element is the version of its layout. A journal outlives
 * the program that wrote it, so a layout is never changed: a new one gets a new number, and old ones stay readable.
 *
 * Whatever an entry holds, its row can be stored: texts are cut, well formed and free of NUL (PostgreSQL refuses it),
 * numbers are finite integers.
 */
export function writeEntry(entry: UsageEntry, cost: Cost): string {
  return JSON.stringify([
    1,
    entry.id,
    entry.startedAt,
    entry.tenantId,
    entry.userId,
    entry.keyId,
    entry.keyName,
    entry.endpoint,
    entry.protocol,
    entry.modelAsked,
    entry.modelServed,
    entry.providerId,
    entry.providerName,
    entry.providerType,
    entry.status,
    entry.outcome,
    entry.errorCode,
    entry.errorMessage,
    entry.stream ? 1 : 0,
    entry.tokensIn,
    entry.tokensOut,
    entry.tokensCachedRead,
    entry.tokensCachedWrite,
    entry.tokensReasoning,
    entry.usageSource,
    cost.nanoUsd,
    cost.priceId,
    entry.firstTokenMs,
    entry.latencyMs,
    entry.attempts.map((a) => [a.provider, a.model, a.status, a.code, a.durationMs]),
    entry.traceId,
    entry.clientIp,
    entry.userAgent,
    entry.finishReason,
    entry.isSynthetic ? 1 : 0,
  ])
}

/** The row of a journal text. Throws an Error that says why when the text is none of ours. */
export function readEntry(text: string): RequestLogRow {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) throw new Error('not an array')
  const version: unknown = value[0]
  if (version !== 1) throw new Error(`layout ${String(version)} is not known to this version of the hub`)
  return readLayout1(value)
}

function readLayout1(v: readonly unknown[]): RequestLogRow {
  if (v.length !== 35) throw new Error(`layout 1 has 35 elements, this has ${v.length}`)
  const id = text(v[1], 100)
  if (id === '') throw new Error('the request id is missing')
  if (typeof v[2] !== 'number' || !(v[2] > 0)) throw new Error('the time of the request is missing')
  const attempts = Array.isArray(v[29]) ? (v[29] as unknown[][]) : []
  return {
    id,
    started_at: count(v[2]),
    tenant_id: text(v[3], 100),
    user_id: text(v[4], 100),
    key_id: text(v[5], 100),
    key_name: text(v[6], 200),
    endpoint: text(v[7], 200),
    protocol: text(v[8], 100),
    model_asked: text(v[9], 200),
    model_served: text(v[10], 200),
    provider_id: text(v[11], 100),
    provider_name: text(v[12], 200),
    provider_type: text(v[13], 100),
    status: Math.min(count(v[14]), 999),
    outcome: oneOf(outcomes, v[15], 'outcome') satisfies Outcome,
    error_code: text(v[16], 100),
    error_message: text(v[17], 2000),
    stream: v[18] === 1 ? 1 : 0,
    tokens_in: count(v[19]),
    tokens_out: count(v[20]),
    tokens_cached_read: count(v[21]),
    tokens_cached_write: count(v[22]),
    tokens_reasoning: count(v[23]),
    usage_source: oneOf(usageSources, v[24], 'usage source'),
    cost_nano_usd: v[25] === null ? null : count(v[25]),
    price_id: text(v[26], 200),
    first_token_ms: v[27] === null ? null : count(v[27]),
    latency_ms: count(v[28]),
    attempts: attempts.length,
    attempt_log: JSON.stringify(attempts.slice(0, 50).map(readAttempt)),
    trace_id: text(v[30], 100),
    client_ip: text(v[31], 100),
    user_agent: text(v[32], 500),
    finish_reason: text(v[33], 100),
    is_synthetic: v[34] === 1 ? 1 : 0,
  }
}

function readAttempt(a: readonly unknown[]) {
  return {
    provider: text(a[0], 200),
    model: text(a[1], 200),
    status: count(a[2]),
    code: text(a[3], 100),
    duration_ms: count(a[4]),
  }
}

function text(value: unknown, limit: number): string {
  if (typeof value !== 'string') return ''
  const cut = value.length > limit ? value.slice(0, limit) : value
  return (cut.includes('\0') ? cut.replaceAll('\0', '') : cut).toWellFormed()
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !(value > 0)) return 0
  return Math.min(Math.round(value), Number.MAX_SAFE_INTEGER)
}

function oneOf<T extends string>(known: readonly T[], value: unknown, what: string): T {
  const found = known.find((each) => each === value)
  if (found === undefined) throw new Error(`unknown ${what} ${JSON.stringify(value)?.slice(0, 50)}`)
  return found
}
