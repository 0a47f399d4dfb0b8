import type { UsageDetails } from './schema.ts'

/** Each detail by the name it has in rows, sums and replies. */
export const detailColumns = {
  tokens_cached_write_1h: 'tokensCachedWrite1h',
  tokens_audio_in: 'tokensAudioIn',
  tokens_audio_out: 'tokensAudioOut',
  tokens_image_in: 'tokensImageIn',
  tokens_image_out: 'tokensImageOut',
  images: 'images',
  audio_ms: 'audioMs',
  characters: 'characters',
  searches: 'searches',
} as const satisfies Record<string, keyof UsageDetails>

export type DetailColumn = keyof typeof detailColumns

/** As a row shows them: every one, 0 for what was not used. */
export type DetailCounts = Record<DetailColumn, number>

export const noDetails: Readonly<DetailCounts> = {
  tokens_cached_write_1h: 0,
  tokens_audio_in: 0,
  tokens_audio_out: 0,
  tokens_image_in: 0,
  tokens_image_out: 0,
  images: 0,
  audio_ms: 0,
  characters: 0,
  searches: 0,
}

/** JSON of what was used, '' when nothing was: nine columns that are nearly always 0 would cost every row. */
export function writeDetails(details: UsageDetails): string {
  const used: Partial<DetailCounts> = {}
  for (const column of Object.keys(detailColumns) as DetailColumn[]) {
    const amount = details[detailColumns[column]]
    if (amount !== undefined && amount > 0 && amount !== Number.POSITIVE_INFINITY) {
      used[column] = Math.min(Math.round(amount), Number.MAX_SAFE_INTEGER)
    }
  }
  const json = JSON.stringify(used)
  return json === '{}' ? '' : json
}

export function countDetails(text: string): Readonly<DetailCounts> {
  return text === '' ? noDetails : { ...noDetails, ...(JSON.parse(text) as Partial<DetailCounts>) }
}

/** The details as an entry has them, null when there are none. */
export function readDetails(text: string): UsageDetails | null {
  if (text === '') return null
  const used = JSON.parse(text) as Partial<DetailCounts>
  const details: UsageDetails = {}
  for (const column of Object.keys(detailColumns) as DetailColumn[]) {
    const amount = used[column]
    if (amount !== undefined) details[detailColumns[column]] = amount
  }
  return details
}
