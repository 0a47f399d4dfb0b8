import type { NanoUsd } from '../kernel/money.ts'

/** An amount of dollars as people write it: digits, perhaps a point and up to nine more. */
export const usdPattern = /^\d{1,6}(\.\d{1,9})?$/

/** `"1.25"` as nano-USD, exactly. Throws when `text` is not of `usdPattern`. */
export function nanoFromUsd(text: string): NanoUsd {
  if (!usdPattern.test(text)) throw new Error(`Not an amount in USD: ${text}`)
  const [whole = '', fraction = ''] = text.split('.')
  return Number(whole) * 1_000_000_000 + Number(fraction.padEnd(9, '0'))
}
