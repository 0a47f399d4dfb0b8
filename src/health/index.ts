/**
 * Health: what is in order in this hub and what is not. Checks are asked in the background, each with a time limit;
 * what they came to is served under `/health`, told to the bus when it changes, and counted in metrics. It mends
 * nothing and decides nothing: other rooms keep serving as they can.
 */
export type { HealthConfig } from './config.ts'
export { type Checks, createChecks, importChecks } from './monitors/index.ts'
export type { ChecksTables } from './monitors/store.ts'
export { createHealth, type Health, type HealthParts } from './own.ts'
