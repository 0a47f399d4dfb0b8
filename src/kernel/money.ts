/** Money is integer nano-USD (1 USD = 1_000_000_000). 2^53 nano-USD are nine million dollars: enough for one row. */
export type NanoUsd = number

/** Nano-USD of `tokens` at `perMillion` nano-USD per million tokens, rounded half up. Exact far beyond any real call. */
export function priceTokens(tokens: number, perMillion: NanoUsd): NanoUsd {
  return Math.round((tokens * perMillion) / 1_000_000)
}

/** `1234500000` as `"1.2345"` USD, without trailing zeros. For display only; never parse it back. */
export function formatUsd(nanoUsd: NanoUsd): string {
  const sign = nanoUsd < 0 ? '-' : ''
  const whole = Math.abs(nanoUsd)
  const fraction = String(whole % 1_000_000_000)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${sign}${Math.floor(whole / 1_000_000_000)}${fraction ? `.${fraction}` : ''}`
}
