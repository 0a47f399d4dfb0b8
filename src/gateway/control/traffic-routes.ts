import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Router } from '../routing/router.ts'
import type { Pair } from '../routing/traffic.ts'
import type { Configure } from './configure.ts'

const count = z.number().int()
const pairReply = z.object({
  key_id: z.string(),
  key: z.string().describe('Its name.'),
  model: z.string().describe('As the provider calls it.'),
  breaker: z.enum(['closed', 'open', 'half_open']),
  opens_in_ms: count.describe('Until a call may be let through; 0 where one may be now.'),
  succeeded: count.describe('Calls that ended well within the breaker’s window.'),
  failed: count,
  in_flight: count,
  latency_ms: z.number().nullable().describe('What routing goes by; null before the first answer.'),
})

/** What calls have shown of a provider since this node began: nothing is asked. */
export function trafficRoutes(parts: {
  configure: Pick<Configure, 'provider' | 'providerKeys'>
  router: { traffic: Pick<Router['traffic'], 'pairs'> }
  clock: { monotonic(): number }
}): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/providers/:id/traffic',
      access: 'super_admin',
      tag: 'providers',
      summary: 'Breakers, latency and calls under way of a provider, by key and model, as this node has seen them.',
      params: z.strictObject({ id: z.string() }),
      // All at once: it is as long as the list of models that were called.
      reply: z.object({ data: z.array(pairReply), next_cursor: z.null() }),
      async handle({ params }) {
        const [{ name }, keys] = await Promise.all([
          parts.configure.provider(params.id),
          parts.configure.providerKeys(params.id),
        ])
        const names = new Map(keys.map((key) => [key.id, key.name]))
        const own = [...parts.router.traffic.pairs()].filter((pair) => pair.provider === name)
        const nowMs = parts.clock.monotonic()
        return { data: own.map((pair) => showPair(pair, names.get(pair.keyId) ?? '', nowMs)), next_cursor: null }
      },
    }),
  ]
}

export function showPair(pair: Pair, key: string, nowMs: number): z.infer<typeof pairReply> {
  const { ok, failed } = pair.breaker.counts(nowMs)
  return {
    ...{ key_id: pair.keyId, key, model: pair.model, breaker: pair.breaker.state(nowMs) },
    opens_in_ms: Math.ceil(pair.breaker.openMs(nowMs)),
    ...{ succeeded: ok, failed, in_flight: pair.inFlight },
    latency_ms: pair.latencyMs === null ? null : Math.round(pair.latencyMs * 10) / 10,
  }
}
