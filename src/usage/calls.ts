/** The door for a process that only answers calls: the ledger, prices and limits, without reports and their routes. */
export { createCallUsage } from './counting.ts'
export { estimateTokens, estimateTokensOfBytes } from './estimate.ts'
export { demoType } from './price-list.ts'
export type { Prices } from './prices.ts'
export type { CallSize } from './quota/demands.ts'
export type { AbortPolicy, AttemptRecord, Outcome, UsageDetails, UsageEntry, WastedUsage } from './schema.ts'
export { openSyntheticUsage } from './synthetic.ts'
