import { currentLanguage } from './i18n.ts'

/** The zone that times are shown in: the browser's. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

const none = '–'

/** A count, whole; `null` is not zero. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? none : new Intl.NumberFormat(currentLanguage()).format(value)
}

/** A count in few characters: 1.2 M, 120万. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined) return none
  // Below ten one digit would call neighbours on an axis the same.
  const digits = Math.abs(value) < 10 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 1 }
  return new Intl.NumberFormat(currentLanguage(), { notation: 'compact', ...digits }).format(value)
}

/** Money is integer nano-dollars. Small amounts keep the digits that tell them from nothing. */
export function money(nanoUsd: number | null | undefined): string {
  if (nanoUsd === null || nanoUsd === undefined) return none
  const dollars = nanoUsd / 1e9
  const digits = dollars !== 0 && Math.abs(dollars) < 1 ? 4 : 2
  return `$${new Intl.NumberFormat(currentLanguage(), { minimumFractionDigits: 2, maximumFractionDigits: digits }).format(dollars)}`
}

/** A share of one, as per cent. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return none
  return new Intl.NumberFormat(currentLanguage(), { style: 'percent', maximumFractionDigits: 2 }).format(share)
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return none
  const number = (value: number, digits: number) =>
    new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: digits }).format(value)
  if (ms < 1000) return `${number(ms, ms < 10 ? 1 : 0)} ms`
  if (ms < 120_000) return `${number(ms / 1000, 1)} s`
  if (ms < 7_200_000) return `${number(ms / 60_000, 0)} min`
  if (ms < 172_800_000) return `${number(ms / 3_600_000, 1)} h`
  return `${number(ms / 86_400_000, 1)} d`
}

/** A moment in the browser's zone; epoch ms or ISO 8601. */
export function moment(at: number | string | null | undefined): string {
  if (at === null || at === undefined || at === '') return none
  return new Intl.DateTimeFormat(currentLanguage(), { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at))
}
