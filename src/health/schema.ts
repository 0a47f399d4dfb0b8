import { z } from 'zod'

/**
 * What a check can come to. `failed` is known to be broken; `inconclusive` is not known, because the check did not
 * answer or could not look; `disabled` is not there and not missed.
 */
export const checkStates = ['ok', 'degraded', 'failed', 'inconclusive', 'disabled'] as const
export type CheckState = (typeof checkStates)[number]

export type CheckResult = {
  state: CheckState
  /** One sentence: what is so. Shown to people who are signed in, so it holds no secret. */
  message: string
  /** One sentence: what to do; '' when there is nothing to do. */
  remedy: string
  /** The numbers the state was decided by, with units in their names. */
  observed: Readonly<Record<string, number | string | boolean>>
}

export type Verdict = CheckResult & {
  check: string
  isCritical: boolean
  /** Epoch ms UTC; 0 before the first run. */
  checkedAt: number
  latencyMs: number
}

export const overallStates = ['healthy', 'degraded', 'unhealthy'] as const
export type OverallState = (typeof overallStates)[number]

/** A critical check that failed makes the hub unhealthy; anything else that is not in order makes it degraded. */
export function judge(verdicts: readonly Pick<Verdict, 'state' | 'isCritical'>[]): OverallState {
  if (verdicts.some(({ state, isCritical }) => isCritical && state === 'failed')) return 'unhealthy'
  return verdicts.every(({ state }) => state === 'ok' || state === 'disabled') ? 'healthy' : 'degraded'
}

const checkState = z.enum(checkStates)
const timestamp = z.string().describe('ISO 8601, UTC')

export const healthReply = z.object({
  status: z.enum(overallStates),
  timestamp,
  service: z.literal('gatehouse'),
  version: z.string(),
  checks: z.record(z.string(), checkState),
  details: z
    .record(
      z.string(),
      z.object({
        state: checkState,
        message: z.string(),
        remedy: z.string(),
        observed: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
        checked_at: timestamp,
        latency_ms: z.number(),
      }),
    )
    .optional()
    .describe('For signed-in callers only.'),
})

export const checkReply = z.object({
  status: checkState,
  timestamp: timestamp.describe('When it was last checked.'),
  message: z.string().optional().describe('For signed-in callers only.'),
  latency_ms: z.number(),
})

export const liveReply = z.object({
  status: z.enum(['alive', 'stalled']),
  stalled: z
    .array(z.object({ worker: z.string(), age_seconds: z.number(), allowed_seconds: z.number() }))
    .optional()
    .describe('Workers that stand still.'),
})

export const readyReply = z.object({ status: z.enum(['ready', 'not_ready']), degraded: z.boolean() })

export const versionReply = z.object({
  version: z.string(),
  api_version: z.literal('v1'),
  node: z.string(),
  environment: z.string().optional(),
})
