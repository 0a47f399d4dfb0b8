import type { LineWriter } from '../platform/log.ts'
import type { Cost } from './price-list.ts'
import type { UsageEntry } from './schema.ts'

/**
 * A line for each call to a model: who asked whom for what, what came of it, what it used and cost. Nothing of what was said
 * stands on it. Numbers are as in the ledger: `cost_nano_usd` is null where no price is known.
 */
export function createCallLog(lines: LineWriter): (entry: UsageEntry, cost: Cost) => void {
  const { quote } = lines
  const named = (name: string, value: string) => (value === '' ? '' : `,"${name}":${quote(value)}`)
  const counted = (name: string, value: number) => (value === 0 ? '' : `,"${name}":${value}`)

  return (entry, cost) => {
    const isBad = entry.outcome === 'failure' || entry.outcome === 'truncated'
    const level = isBad ? 'warn' : 'info'
    if (!lines.isOn(level)) return
    lines.write(
      level,
      'model call',
      `,"request_id":"${entry.id}","trace_id":"${entry.traceId}"` +
        // Ours and another one each time: it is neither looked through nor remembered.
        (entry.spanId ? `,"span_id":"${entry.spanId}"` : '') +
        named('key_id', entry.keyId) +
        named('user_id', entry.userId) +
        named('tenant_id', entry.tenantId) +
        named('agent', entry.agent) +
        named('service', entry.service) +
        `,"endpoint":${quote(entry.endpoint)},"model":${quote(entry.modelAsked)}` +
        named('model_served', entry.modelServed) +
        named('provider', entry.providerName) +
        named('provider_key_id', entry.providerKeyId) +
        `,"outcome":"${entry.outcome}","status":${entry.status}` +
        named('code', entry.errorCode) +
        named('finish', entry.finishReason) +
        named('cache', entry.cacheHit) +
        named('mirror_of', entry.mirrorOf) +
        `,"stream":${entry.stream},"attempts":${entry.attempts.length}` +
        `,"tokens_in":${entry.tokensIn},"tokens_out":${entry.tokensOut}` +
        counted('tokens_cached_read', entry.tokensCachedRead) +
        counted('tokens_cached_write', entry.tokensCachedWrite) +
        counted('tokens_reasoning', entry.tokensReasoning) +
        `,"cost_nano_usd":${cost.nanoUsd}` +
        (entry.firstTokenMs === null ? '' : `,"first_token_ms":${Math.round(entry.firstTokenMs)}`) +
        // The space is for runbooks: `awk '{print $NF}'` finds the duration.
        `,"duration_ms": ${Math.round(entry.latencyMs)}`,
    )
  }
}
