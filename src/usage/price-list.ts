import { type NanoUsd, priceTokens } from '../kernel/money.ts'
import type { PriceRow } from './rows.ts'
import type { ServiceTier, UsageDetails, UsageEntry } from './schema.ts'

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
> &
  Partial<Pick<UsageEntry, 'serviceTier' | 'details' | 'cacheHit'>>

export type PriceList = {
  cost(entry: Consumed): Cost
  /** Spend of attempts that came to nothing, apart from the cost; null when one of them has no known price. */
  wasted(entry: Pick<UsageEntry, 'startedAt' | 'attempts'>): NanoUsd | null
}

/** What the built-in stand-in for a provider is called here. Nobody is paid for it, so no list price fits it. */
export const demoType = 'demo'

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

  function inForce(entry: Consumed, tier: ServiceTier): PriceRow | undefined {
    const model = entry.modelServed || entry.modelAsked
    return candidates(entry.providerType, model).find(
      (row) =>
        row.service_tier === tier &&
        row.effective_from <= entry.startedAt &&
        (row.above_tokens_in === 0 || entry.tokensIn > row.above_tokens_in),
    )
  }

  function cost(entry: Consumed): Cost {
    if ((entry.cacheHit ?? '') !== '') return nothing
    if (isNothingUsed(entry)) {
      // An answer whose usage nobody told was not free: its cost is unknown.
      if (entry.usageSource === 'none') return entry.outcome === 'success' ? unknown : nothing
      const price = inForce(entry, '')
      return price?.per_request ? { nanoUsd: price.per_request, priceId: price.id } : nothing
    }
    const tier = inForce(entry, entry.serviceTier ?? '')
    if (tier === undefined) return unknown
    if (tier.percent === null) return { nanoUsd: costAt(tier, entry, 100), priceId: tier.id }
    const usual = inForce(entry, '')
    if (usual === undefined) return unknown
    return { nanoUsd: costAt(usual, entry, tier.percent), priceId: `${usual.id} ${tier.id}` }
  }

  return {
    cost,
    wasted({ startedAt, attempts }) {
      let sum = 0
      for (const { model, wasted } of attempts) {
        if (wasted === undefined) continue
        const { nanoUsd } = cost({
          ...wasted,
          ...{ startedAt, modelAsked: '', modelServed: model, outcome: 'failure', usageSource: 'upstream' },
          tokensCachedWrite: 0,
        })
        if (nanoUsd === null) return null
        sum += nanoUsd
      }
      return sum
    },
  }
}

const nothing: Cost = { nanoUsd: 0, priceId: '' }
const unknown: Cost = { nanoUsd: null, priceId: '' }

/**
 * `tokensIn` contains what was cached, heard and seen, `tokensOut` what was thought, spoken and drawn: each token is
 * charged once. Vendors do not all say which of the cached tokens were audio or images; they count as text first.
 * `percent` is of the tokens' price: a cheaper tier of service makes searches and requests no cheaper.
 */
function costAt(price: PriceRow, entry: Consumed, percent: number): NanoUsd | null {
  const details = entry.details ?? none
  const units = costOfUnits(price, entry, details)
  if (units === null) return null
  const writtenHour = Math.min(details.tokensCachedWrite1h ?? 0, entry.tokensCachedWrite)
  const fresh = Math.max(0, entry.tokensIn - entry.tokensCachedRead - entry.tokensCachedWrite)
  const audioIn = Math.min(details.tokensAudioIn ?? 0, fresh)
  const imageIn = Math.min(details.tokensImageIn ?? 0, fresh - audioIn)
  const audioOut = Math.min(details.tokensAudioOut ?? 0, entry.tokensOut)
  const imageOut = Math.min(details.tokensImageOut ?? 0, entry.tokensOut - audioOut)
  const cachedWrite = price.cached_write ?? price.input
  const tokens =
    priceTokens(fresh - audioIn - imageIn, price.input) +
    priceTokens(audioIn, price.audio_in ?? price.input) +
    priceTokens(imageIn, price.image_in ?? price.input) +
    priceTokens(entry.tokensCachedRead, price.cached_read ?? price.input) +
    priceTokens(entry.tokensCachedWrite - writtenHour, cachedWrite) +
    priceTokens(writtenHour, price.cached_write_hour ?? cachedWrite) +
    priceTokens(entry.tokensOut - audioOut - imageOut, price.output) +
    priceTokens(audioOut, price.audio_out ?? price.output) +
    priceTokens(imageOut, price.image_out ?? price.output)
  return (percent === 100 ? tokens : Math.round((tokens * percent) / 100)) + units
}

/**
 * Images, minutes and characters whose tokens are billed have no price of their own; where no tokens are, a missing
 * price makes the cost unknown. Searches always come on top.
 */
function costOfUnits(price: PriceRow, entry: Consumed, details: UsageDetails): NanoUsd | null {
  const perRequest = price.per_request ?? 0
  if (details === none) return perRequest
  const hasTokens = entry.tokensIn + entry.tokensOut > 0
  let sum = perRequest
  for (const [amount, unitPrice, unit, mayBeTokens] of [
    [details.images ?? 0, price.per_image, 1, hasTokens],
    [details.audioMs ?? 0, price.per_audio_minute, 60_000, hasTokens],
    [details.characters ?? 0, price.per_million_characters, 1_000_000, hasTokens],
    [details.searches ?? 0, price.per_search, 1, false],
  ] as const) {
    if (amount === 0) continue
    if (unitPrice !== null) sum += Math.round((amount * unitPrice) / unit)
    else if (!mayBeTokens) return null
  }
  return sum
}

const none: UsageDetails = {}

function isNothingUsed(entry: Consumed): boolean {
  if (entry.tokensIn + entry.tokensOut + entry.tokensCachedRead + entry.tokensCachedWrite > 0) return false
  const { images, audioMs, characters, searches } = entry.details ?? none
  return (images ?? 0) + (audioMs ?? 0) + (characters ?? 0) + (searches ?? 0) === 0
}

function fits(row: PriceRow, providerType: string, model: string): boolean {
  if (row.provider_type !== '' && row.provider_type !== providerType) return false
  if (row.origin === 'book' && providerType === demoType) return false
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
