import { type NanoUsd, priceTokens } from '../kernel/money.ts'
import type { PriceRow } from './rows.ts'
import type { UsageEntry } from './schema.ts'

/** What one request cost. `nanoUsd` is null when tokens were used and their price is unknown: never 0 for that. */
export type Cost = { nanoUsd: NanoUsd | null; priceId: string }

/** The fields of an entry that its cost depends on. */
export type Consumed = Pick<
  UsageEntry,
  | 'startedAt'
  | 'providerType'
  | 'modelAsked'
  | 'modelServed'
  | 'outcome'
  | 'tokensIn'
  | 'tokensOut'
  | 'tokensCachedRead'
  | 'tokensCachedWrite'
  | 'usageSource'
>

export type PriceList = { cost(entry: Consumed): Cost }

const knownModels = 2000

/**
 * Prices held in memory. Of the prices whose pattern fits and that were in force when the request arrived, the first
 * in this order is taken: one for that provider type before one for any; an exact name before a prefix, a longer prefix
 * before a shorter; the operator's before the built-in book's; the latest `effective_from`; the highest step of
 * `above_tokens_in`; the one entered last.
 */
export function createPriceList(rows: readonly PriceRow[]): PriceList {
  const sorted = [...rows].sort(bySpecificity)
  // Names come from callers: what is remembered of them is bounded.
  const fitting = new Map<string, readonly PriceRow[]>()

  const candidates = (providerType: string, model: string): readonly PriceRow[] => {
    const key = `${providerType}\n${model}`
    const known = fitting.get(key)
    if (known !== undefined) return known
    if (fitting.size >= knownModels) fitting.clear()
    const found = sorted.filter((row) => fits(row, providerType, model))
    fitting.set(key, found)
    return found
  }

  return {
    cost(entry) {
      if (isNothingUsed(entry)) {
        // An answer whose usage nobody told was not free: its cost is unknown.
        const isUnknown = entry.usageSource === 'none' && entry.outcome === 'success'
        return { nanoUsd: isUnknown ? null : 0, priceId: '' }
      }
      const model = entry.modelServed || entry.modelAsked
      const price = candidates(entry.providerType, model).find(
        (row) =>
          row.effective_from <= entry.startedAt && (row.above_tokens_in === 0 || entry.tokensIn > row.above_tokens_in),
      )
      return price === undefined ? { nanoUsd: null, priceId: '' } : { nanoUsd: costAt(price, entry), priceId: price.id }
    },
  }
}

/** `tokensIn` contains the cached tokens, each is charged once; `tokensOut` contains the reasoning tokens. */
function costAt(price: PriceRow, entry: Consumed): NanoUsd {
  const fresh = Math.max(0, entry.tokensIn - entry.tokensCachedRead - entry.tokensCachedWrite)
  return (
    priceTokens(fresh, price.input) +
    priceTokens(entry.tokensCachedRead, price.cached_read ?? price.input) +
    priceTokens(entry.tokensCachedWrite, price.cached_write ?? price.input) +
    priceTokens(entry.tokensOut, price.output)
  )
}

function isNothingUsed(entry: Consumed): boolean {
  return entry.tokensIn + entry.tokensOut + entry.tokensCachedRead + entry.tokensCachedWrite === 0
}

function fits(row: PriceRow, providerType: string, model: string): boolean {
  if (row.provider_type !== '' && row.provider_type !== providerType) return false
  return row.model.endsWith('*') ? model.startsWith(row.model.slice(0, -1)) : row.model === model
}

function bySpecificity(a: PriceRow, b: PriceRow): number {
  return (
    Number(b.provider_type !== '') - Number(a.provider_type !== '') ||
    Number(a.model.endsWith('*')) - Number(b.model.endsWith('*')) ||
    b.model.length - a.model.length ||
    Number(b.origin === 'operator') - Number(a.origin === 'operator') ||
    b.effective_from - a.effective_from ||
    b.above_tokens_in - a.above_tokens_in ||
    b.created_at - a.created_at ||
    (a.id < b.id ? 1 : -1)
  )
}
