const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
}

/** Milliseconds of `1h30m`, or of a number of seconds; null when it is neither. */
export function readDuration(text: string): number | null {
  if (/^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$/.test(text) && text !== '') {
    let total = 0
    for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(count) * unitMs[unit!]!
    return total
  }
  const seconds = readNumber(text)
  return seconds === null || !Number.isFinite(seconds) ? null : Math.round(seconds * 1000)
}

/** A number as Go reads it, without a sign: decimal, hexadecimal, octal with a leading 0, Inf, NaN. */
export function readNumber(text: string): number | null {
  const plain = text.toLowerCase().replaceAll('_', '')
  if (plain === 'inf' || plain === '+inf') return Number.POSITIVE_INFINITY
  if (plain === 'nan') return Number.NaN
  if (/^0x[0-9a-f]+$/.test(plain)) return Number.parseInt(plain, 16)
  if (/^0[0-7]+$/.test(plain)) return Number.parseInt(plain, 8)
  return /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(plain) ? Number(plain) : null
}
