import { noOtherRates, type PriceRow } from '../rows.ts'
import { nanoFromUsd } from '../usd.ts'

/**
 * Public list prices of well-known models: US dollars per million tokens at the vendor's standard tier, without partner
 * clouds and regional surcharges; other tiers of service are percentages of it. A date is the day the vendor's price
 * took effect, or for older models the day the model came out. A later change is a new line with its own date; a line
 * that was released is never edited.
 *
 * Every name applies to any provider type, so that a model bought through a compatible endpoint is valued at its list
 * price until the operator enters what is really paid.
 */
export type Line = {
  models: string
  from: string
  input: string
  read?: string
  write?: string
  output: string
  /** Where text, audio and images are priced apart. */
  audioIn?: string
  audioOut?: string
  imageIn?: string
  imageOut?: string
  /** Dollars for one image, one minute, a million characters. */
  perImage?: string
  perMinute?: string
  perMillionCharacters?: string
  /** A dearer step that applies to the whole call when its input is longer than `above` tokens. */
  long?: { above: number; input: string; read?: string; write?: string; output: string }
}

/** A tier of service as a percentage of the standard tier's tokens. */
export type Tier = { models: string; tier: 'batch' | 'flex' | 'priority'; from: string; percent: number }

/** What one vendor's price list says. */
export type Page = {
  source: string
  lines: readonly Line[]
  tiers: readonly Tier[]
  /** Where its tiers are told, when not in `source`. */
  tierSource?: string
  /** What all its models have beside tokens. */
  extras?(row: PriceRow): PriceRow
}

/** A page as rows for the table `prices`. Ids depend on the line alone, so entering it again changes nothing. */
export function rowsOfPage({ source, lines, tiers, tierSource = source, extras }: Page, createdAt: number): PriceRow[] {
  const rows = lines.flatMap((line) => rowsOf(line, source, createdAt))
  const more = tiers.flatMap((tier) => tierRowsOf(tier, tierSource, createdAt))
  return [...(extras === undefined ? rows : rows.map(extras)), ...more]
}

function rowsOf(line: Line, source: string, createdAt: number): PriceRow[] {
  const steps = [{ above: 0, ...line }, ...(line.long ? [line.long] : [])]
  return line.models.split(' ').flatMap((model) =>
    steps.map((step) => ({
      ...noOtherRates,
      id: `book:${model}@${line.from}${step.above > 0 ? `>${step.above}` : ''}`,
      provider_type: '',
      model,
      above_tokens_in: step.above,
      input: nanoFromUsd(step.input),
      output: nanoFromUsd(step.output),
      cached_read: nanoOrNull(step.read),
      cached_write: nanoOrNull(step.write),
      audio_in: nanoOrNull(line.audioIn),
      audio_out: nanoOrNull(line.audioOut),
      image_in: nanoOrNull(line.imageIn),
      image_out: nanoOrNull(line.imageOut),
      per_image: nanoOrNull(line.perImage),
      per_audio_minute: nanoOrNull(line.perMinute),
      per_million_characters: nanoOrNull(line.perMillionCharacters),
      effective_from: startOf(line.from),
      origin: 'book' as const,
      source,
      created_at: createdAt,
    })),
  )
}

function tierRowsOf({ models, tier, from, percent }: Tier, source: string, createdAt: number): PriceRow[] {
  return models.split(' ').map((model) => ({
    ...noOtherRates,
    ...{ id: `book:${model}@${from}/${tier}`, provider_type: '', model, above_tokens_in: 0 },
    ...{ input: 0, output: 0, cached_read: null, cached_write: null, service_tier: tier, percent },
    ...{ effective_from: startOf(from), origin: 'book' as const, source, created_at: createdAt },
  }))
}

function nanoOrNull(usd: string | undefined): number | null {
  return usd === undefined ? null : nanoFromUsd(usd)
}

function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}
