import type { Candidate, ServedModel } from '../models.ts'
import type { Exclusion, Plan, RouteAsk } from './plan.ts'

/** One attempt as it is told; `skipped` when the candidate was not asked after all. */
export type ToldAttempt = {
  provider: string
  key: string
  model: string
  status: number
  code: string
  waited_ms: number
  duration_ms: number
  skipped?: true
}

/** How a call was routed, as JSON. The usual call, one way and answered, is told shorter: see `RouteRun.close`. */
export function describeRoute(
  model: ServedModel,
  { wish, affinity }: RouteAsk,
  { order, excluded, policy, refusal }: Plan,
  attempts: readonly ToldAttempt[],
  served: Candidate | null,
): string {
  return JSON.stringify({
    model: model.name,
    alias_of: model.aliasOf,
    policy: policy.name,
    asked: {
      provider: wish.provider,
      fallback_providers: wish.fallbackProviders,
      tags: wish.tags,
      has_affinity: affinity !== '',
    },
    candidates: order.map(describe),
    excluded: excluded.map(describeExclusion),
    attempts,
    served: served === null ? null : describe(served),
    refused: refusal?.code ?? '',
  })
}

export function describe({ provider, providerModel, priority, key }: Candidate) {
  return { provider: provider.name, key: key.name, model: providerModel, tier: priority }
}

export function describeExclusion({ candidate, reason }: Exclusion) {
  const { provider, model, tier } = describe(candidate)
  return { provider, model, tier, reason }
}

const mostKept = 10_000

/** The last decisions of this node by request id. */
export type DecisionLog = { keep(requestId: string, text: string): void; find(requestId: string): string | null }

/** Two rings, not a map: what comes and goes with calls must leave no former tables behind (docs/adr/0012). */
export function createDecisionLog(most = mostKept): DecisionLog {
  const ids: string[] = []
  const texts: string[] = []
  let next = 0
  return {
    keep(requestId, text) {
      ids[next] = requestId
      texts[next] = text
      next = (next + 1) % most
    },
    find: (requestId) => texts[ids.indexOf(requestId)] ?? null,
  }
}
