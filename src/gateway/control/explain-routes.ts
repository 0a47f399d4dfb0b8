import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import type { Candidate, RoutingTable } from '../models.ts'
import type { CanaryNote } from '../own-calls/canaries.ts'
import { describe, describeExclusion } from '../routing/decision.ts'
import { anyTenant, policyAsk, type RouteAsk } from '../routing/plan.ts'
import type { Router } from '../routing/router.ts'
import { noWish } from '../routing/wish.ts'

export type ExplainSource = {
  router: Router
  table(): RoutingTable
  /** A decision that this node no longer remembers, as the ledger has it; '' where nobody was asked, null: no such request. */
  storedRoute(requestId: string): Promise<string | null>
  /** What came of the last canary at a candidate; null when there was none. */
  canaryOf(candidate: Candidate): CanaryNote | null
  /** The tenant of an API key; null when there is no such key. */
  tenantOfKey(keyId: string): Promise<string | null>
}

const attempt = z.looseObject({
  provider: z.string(),
  key: z.string(),
  model: z.string(),
  status: z.number(),
  code: z.string(),
  waited_ms: z.number(),
  duration_ms: z.number().nullable().describe('null: not written down of a plain call, whose row has its latency.'),
})
const place = z.object({ provider: z.string(), key: z.string(), model: z.string(), tier: z.number() })
const excluded = z.object({ provider: z.string(), model: z.string(), tier: z.number(), reason: z.string() })

const decision = z.object({
  request_id: z.string(),
  summary: z.string().describe('The whole of it in a sentence.'),
  plain: z.boolean().describe('There was one way to serve it, and the first attempt was answered.'),
  model: z.string(),
  policy: z.string(),
  candidates: z.array(place).describe('In the order of the plan.'),
  excluded: z.array(excluded),
  attempts: z.array(attempt),
  served: place.nullable(),
  refused: z.string().describe('The error code of a request that nobody was asked for.'),
})

const foreseen = z.object({
  model: z.string(),
  alias_of: z.string(),
  policy: z.string(),
  candidates: z.array(
    place.extend({
      score: z.number().nullable().describe('What the policy orders by, lower first; null when it draws.'),
      breaker: z.enum(['closed', 'open', 'half_open']),
      key_state: z.enum(['ready', 'resting', 'dead']),
      in_flight: z.number(),
      latency_ms: z.number().nullable(),
      canary: z
        .object({
          at: z.string(),
          result: z.string().describe('ok, failed, says_nothing, spent or unasked.'),
          told: z.string(),
        })
        .nullable()
        .describe('The last time it was asked for one token because nothing else told how it is; null: never.'),
    }),
  ),
  excluded: z.array(excluded),
  refused: z.object({ code: z.string(), message: z.string() }).nullable(),
})

const question = z.strictObject({
  model: z.string().min(1),
  provider: z.string().optional(),
  fallback_providers: z.array(z.string()).max(50).optional(),
  tags: z.array(z.string()).max(50).optional(),
  needs: z
    .strictObject({ tools: z.boolean(), structured_output: z.boolean(), images: z.boolean() })
    .partial()
    .optional(),
  key_id: z.string().optional().describe('Whose tenant decides; absent: nobody is left out for being a tenant’s.'),
  input_tokens: z.number().int().min(0).optional(),
  affinity: z.string().optional().describe('The session or prompt-cache key a sticky model goes by.'),
})

/** Why a call went where it went, and where one would go now. */
export function explainRoutes({
  router,
  table,
  storedRoute,
  tenantOfKey,
  canaryOf,
  clock,
}: ExplainSource & { clock: { monotonic(): number } }): Route[] {
  const access = 'super_admin' as const
  const tag = 'routes'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/routes/explain',
      access,
      tag,
      summary: 'How a call was routed: candidates, exclusions with reasons, attempts with waits.',
      query: z.strictObject({ request_id: z.string().min(1).max(200) }),
      reply: decision,
      async handle({ query }) {
        const text = router.decisions.find(query.request_id) ?? (await storedRoute(query.request_id))
        const id = query.request_id.slice(0, 100)
        if (text === null) throw fail('not_found', `No decision is known for the request '${id}'.`)
        if (text === '') {
          const why = 'was never routed: it was refused, or answered from what is kept, before a provider was chosen'
          throw fail('not_found', `The request '${id}' ${why}. GET /api/logs/${id} tells how it ended.`)
        }
        return readDecision(query.request_id, text)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/routes/explain',
      changes: false,
      access,
      tag,
      summary:
        'Where a request would go now, by the planner that routes real ones. Nothing is asked and nothing counted.',
      body: question,
      reply: foreseen,
      async handle({ body }) {
        const model = table().models.get(body.model)
        if (!model) throw fail('not_found', `There is no enabled model '${body.model.slice(0, 100)}'.`)
        const tenantId = body.key_id === undefined ? anyTenant : await tenantOfKey(body.key_id)
        if (tenantId === null) throw fail('not_found', `There is no key '${body.key_id!.slice(0, 100)}'.`)
        const ask = toAsk(body, tenantId)
        const plan = router.foresee(model, ask)
        const nowMs = clock.monotonic()
        const look = policyAsk(model, ask, router.planner, nowMs)
        return {
          model: model.name,
          alias_of: model.aliasOf,
          policy: plan.policy.name,
          candidates: plan.order.map((candidate) => ({
            ...describe(candidate),
            score: plan.policy.score(candidate, look),
            breaker: router.traffic.pairOf(candidate).breaker.state(nowMs),
            key_state: router.traffic.keyOf(candidate).state(nowMs),
            in_flight: look.inFlight(candidate),
            latency_ms: roundedMs(look.latencyMs(candidate)),
            canary: showCanary(canaryOf(candidate)),
          })),
          excluded: plan.excluded.map(describeExclusion),
          refused: plan.refusal === null ? null : { code: plan.refusal.code, message: plan.refusal.message },
        }
      },
    }),
  ]
}

function showCanary(note: CanaryNote | null) {
  return note === null ? null : { ...note, at: new Date(note.at).toISOString() }
}

/** To a tenth: an average has digits that mean nothing. */
function roundedMs(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 10) / 10
}

function toAsk(body: z.infer<typeof question>, tenantId: string): RouteAsk {
  const { needs, provider = '', fallback_providers = [], tags = [], affinity = '', input_tokens = 0 } = body
  const isWish = provider !== '' || fallback_providers.length > 0 || tags.length > 0
  return {
    needs: {
      tools: needs?.tools === true,
      structuredOutput: needs?.structured_output === true,
      images: () => needs?.images === true,
    },
    wish: isWish ? { ...noWish, provider, fallbackProviders: fallback_providers, tags } : noWish,
    tenantId,
    affinity,
    inputTokens: () => input_tokens,
  }
}

/** The usual call is kept in a shorter form. */
function readDecision(requestId: string, text: string): z.infer<typeof decision> {
  const told = JSON.parse(text) as Partial<z.infer<typeof decision>>
  const served = told.served ?? null
  const first = served === null ? [] : [served]
  const only = first.map(({ provider, key, model }) => {
    return { provider, key, model, status: 200, code: '', waited_ms: 0, duration_ms: null }
  })
  const read = {
    request_id: requestId,
    plain: told.plain === true,
    model: told.model ?? '',
    policy: told.policy ?? '',
    candidates: told.candidates ?? first,
    excluded: told.excluded ?? [],
    attempts: told.attempts ?? only,
    served,
    refused: told.refused ?? '',
  }
  return { ...read, summary: summarize(read) }
}

function summarize({
  plain,
  model,
  candidates,
  excluded,
  attempts,
  served,
  refused,
}: Omit<Decision, 'summary'>): string {
  const by = served === null ? '' : `'${served.provider}' with the key '${served.key}' as '${served.model}'`
  if (plain) return `There was one way to serve it, ${by}, and the first attempt was answered.`
  const left = `${candidates.length} candidates, ${excluded.length} excluded`
  if (refused !== '') return `Nobody was asked for '${model}' (${refused}): ${left}.`
  const tried = `${left}, ${attempts.length} ${attempts.length === 1 ? 'attempt' : 'attempts'}`
  return served === null ? `Nobody answered for '${model}': ${tried}.` : `'${model}' was served by ${by}: ${tried}.`
}

type Decision = z.infer<typeof decision>
