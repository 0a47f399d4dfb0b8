import { currentLanguage } from './i18n.ts'

/** The zone that times are shown in: the browser's. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

const none = '–'

const numbers = new Map<string, Intl.NumberFormat>()
const moments = new Map<string, Intl.DateTimeFormat>()

/** Making a formatter takes longer than to write a hundred numbers with it; a table has thousands. */
function toNumber(options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  const name = `${currentLanguage()} ${JSON.stringify(options)}`
  const made = numbers.get(name) ?? new Intl.NumberFormat(currentLanguage(), options)
  numbers.set(name, made)
  return made
}

/** The same for times. */
export function toMoment(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = `${currentLanguage()} ${JSON.stringify(options)}`
  const made = moments.get(name) ?? new Intl.DateTimeFormat(currentLanguage(), options)
  moments.set(name, made)
  return made
}

/** A count, whole; `null` is not zero. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? none : toNumber().format(value)
}

/** A count in few characters: 1.2 M, 120万. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined) return none
  // Below ten one digit would call neighbours on an axis the same.
  const digits = Math.abs(value) < 10 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 1 }
  return toNumber({ notation: 'compact', ...digits }).format(value)
}

/** Money is integer nano-dollars. Small amounts keep the digits that tell them from nothing. */
export function money(nanoUsd: number | null | undefined): string {
  if (nanoUsd === null || nanoUsd === undefined) return none
  const dollars = nanoUsd / 1e9
  // Nothing but nothing is $0.00.
  if (dollars !== 0 && Math.abs(dollars) < 0.0001)
    return `$${toNumber({ maximumSignificantDigits: 2 }).format(dollars)}`
  const digits = dollars !== 0 && Math.abs(dollars) < 1 ? 4 : 2
  return `$${toNumber({ minimumFractionDigits: 2, maximumFractionDigits: digits }).format(dollars)}`
}

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes, in powers of 1024. */
export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return none
  const power = bytes < 1024 ? 0 : Math.min(sizes.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${toNumber({ maximumFractionDigits: power === 0 ? 0 : 1 }).format(bytes / 1024 ** power)} ${sizes[power]}`
}

/** A share of one, as per cent. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return none
  return toNumber({ style: 'percent', maximumFractionDigits: 2 }).format(share)
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return none
  const number = (value: number, digits: number) => toNumber({ maximumFractionDigits: digits }).format(value)
  if (ms < 1000) return `${number(ms, ms < 10 ? 1 : 0)} ms`
  if (ms < 120_000) return `${number(ms / 1000, 1)} s`
  if (ms < 7_200_000) return `${number(ms / 60_000, 0)} min`
  if (ms < 172_800_000) return `${number(ms / 3_600_000, 1)} h`
  return `${number(ms / 86_400_000, 1)} d`
}

/** A moment in the browser's zone; epoch ms or ISO 8601. */
export function moment(at: number | string | null | undefined): string {
  if (at === null || at === undefined || at === '') return none
  return toMoment({ dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at))
}
