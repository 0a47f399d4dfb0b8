import { readDetails } from '../details.ts'
import type { Consumed, PriceList } from '../price-list.ts'
import type { AttemptRecord } from '../schema.ts'
import type { LogPosition } from '../store.ts'
import type { AuditStore, NewCost, RatedFilter, RatedRow } from './store.ts'

const batchRows = 500

export type RerateParts = { store: Pick<AuditStore, 'listRated' | 'recost'>; prices: PriceList }

export type Rerated = {
  looked: number
  changed: number
  /** Rows whose cost is unknown afterwards. */
  unpriced: number
  /** Sums over the changed rows; what is unknown adds nothing. */
  costBefore: number
  costAfter: number
  wastedBefore: number
  wastedAfter: number
  /** Time of the last row that was looked at: an interrupted run may go on from here. */
  reached: number | null
}

/**
 * Values stored requests anew, each with the price that was in force when it arrived, and corrects the sums of their
 * hours by the difference, one transaction a batch. A run that was interrupted is simply repeated: rows that have their
 * cost already are read and left alone. A dry run changes nothing and tells what it would change.
 */
export async function rerate(
  { store, prices }: RerateParts,
  filter: RatedFilter,
  { isDryRun, onBatch }: { isDryRun: boolean; onBatch?: (sofar: Rerated) => void },
): Promise<Rerated> {
  const told: Rerated = {
    ...{ looked: 0, changed: 0, unpriced: 0, costBefore: 0, costAfter: 0, wastedBefore: 0, wastedAfter: 0 },
    reached: null,
  }
  let after: LogPosition | null = null
  for (;;) {
    const rows: RatedRow[] = await store.listRated(filter, after, batchRows)
    const last = rows.at(-1)
    if (last === undefined) return told
    const rated = rows.map((row) => ({ row, cost: costOf(row, prices) }))
    const changes = rated.filter(isChanged)
    const changed = isDryRun || changes.length === 0 ? changes.length : await store.recost(changes)
    told.looked += rows.length
    told.changed += changed
    told.unpriced += rated.filter(({ cost }) => cost.cost_nano_usd === null).length
    for (const { row, cost } of changes) {
      told.costBefore += row.cost_nano_usd ?? 0
      told.costAfter += cost.cost_nano_usd ?? 0
      told.wastedBefore += row.wasted_nano_usd ?? 0
      told.wastedAfter += cost.wasted_nano_usd ?? 0
    }
    told.reached = last.started_at
    onBatch?.(told)
    if (rows.length < batchRows) return told
    after = { startedAt: last.started_at, id: last.id }
  }
}

function costOf(row: RatedRow, prices: PriceList): NewCost {
  const consumed: Consumed = {
    startedAt: row.started_at,
    providerType: row.provider_type,
    modelAsked: row.model_asked,
    modelServed: row.model_served,
    outcome: row.outcome,
    tokensIn: row.tokens_in,
    tokensOut: row.tokens_out,
    tokensCachedRead: row.tokens_cached_read,
    tokensCachedWrite: row.tokens_cached_write,
    usageSource: row.usage_source,
    serviceTier: row.service_tier,
    details: readDetails(row.usage_details),
    cacheHit: row.cache_hit,
  }
  const { nanoUsd, priceId } = prices.cost(consumed)
  const wasted = prices.wasted({ startedAt: row.started_at, attempts: readWasted(row.attempt_log) })
  return { cost_nano_usd: nanoUsd, price_id: priceId, wasted_nano_usd: wasted }
}

/** The attempts as far as their waste is priced; most logs have none and are not taken apart. */
function readWasted(attemptLog: string): AttemptRecord[] {
  if (!attemptLog.includes('"wasted_in"')) return []
  const attempts = JSON.parse(attemptLog) as Record<string, unknown>[]
  return attempts
    .filter((attempt) => attempt.wasted_in !== undefined)
    .map((attempt) => ({
      ...{ provider: '', status: 0, code: '', durationMs: 0, model: String(attempt.model) },
      wasted: {
        providerType: String(attempt.provider_type),
        tokensIn: Number(attempt.wasted_in),
        tokensOut: Number(attempt.wasted_out),
        tokensCachedRead: Number(attempt.wasted_cached_read),
      },
    }))
}

function isChanged({ row, cost }: { row: RatedRow; cost: NewCost }): boolean {
  return (
    row.cost_nano_usd !== cost.cost_nano_usd ||
    row.wasted_nano_usd !== cost.wasted_nano_usd ||
    row.price_id !== cost.price_id
  )
}
