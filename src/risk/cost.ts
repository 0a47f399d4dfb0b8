import type { RiskRow } from './schema.ts'

/** Nano-USD for a token where no price is known: a dollar a million, so that a rise shows all the same. */
const assumedNanoUsd = 1000

export function costOf(rows: readonly RiskRow[]): number {
  let sum = 0
  for (const row of rows) sum += row.costNanoUsd ?? (row.tokensIn + row.tokensOut) * assumedNanoUsd
  return sum
}
