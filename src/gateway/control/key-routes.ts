import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Traffic } from '../routing/traffic.ts'
import { providerKeyCreate, providerKeyPatch, providerKeyReply } from '../schema.ts'
import type { ProviderKeyRow } from '../store.ts'
import type { Configure } from './configure.ts'

export type KeyRoutesSource = {
  configure: Configure
  keyStanding: Traffic['keyStanding']
  clock: { monotonic(): number }
}

const ofProvider = z.strictObject({ id: z.string() })
const ofKey = z.strictObject({ id: z.string(), key: z.string() })

/** Control of a provider's keys. `:id` and `:key` take ids or names; the provider's own key has the provider's id. */
export function keyRoutes({ configure, keyStanding, clock }: KeyRoutesSource): Route[] {
  const access = 'super_admin' as const
  const tag = 'providers'
  const show = (row: ProviderKeyRow) => showKey(row, keyStanding(row.id, clock.monotonic()))
  return [
    defineRoute({
      method: 'GET',
      path: '/api/providers/:id/keys',
      access,
      tag,
      summary: "The provider's keys, its own first, and where each stands.",
      params: ofProvider,
      // All at once: a provider has a handful.
      reply: z.object({ data: z.array(providerKeyReply), next_cursor: z.null() }),
      handle: async ({ params }) => ({ data: (await configure.providerKeys(params.id)).map(show), next_cursor: null }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/providers/:id/keys',
      access,
      tag,
      summary: 'Adds a key; calls are shared among the keys, and move to another when one is limited or refused.',
      params: ofProvider,
      body: providerKeyCreate,
      reply: providerKeyReply,
      status: 201,
      handle: async ({ params, body }) => show(await configure.createProviderKey(params.id, body)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/providers/:id/keys/:key',
      access,
      tag,
      summary: 'Changes fields of a key; a new api_key revives it.',
      params: ofKey,
      body: providerKeyPatch,
      reply: providerKeyReply,
      handle: async ({ params, body }) => show(await configure.updateProviderKey(params.id, params.key, body)),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/providers/:id/keys/:key',
      access,
      tag,
      summary: 'Removes a key.',
      params: ofKey,
      status: 204,
      handle: ({ params }) => configure.removeProviderKey(params.id, params.key),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/providers/:id/keys/:key/revive',
      access,
      tag,
      summary: 'Uses a dead key again, on every node.',
      params: ofKey,
      reply: providerKeyReply,
      handle: async ({ params }) => show(await configure.reviveProviderKey(params.id, params.key)),
    }),
  ]
}

function showKey(
  { cipher, last_four, enabled, state, state_reason, created_at, updated_at, ...rest }: ProviderKeyRow,
  standing: ReturnType<Traffic['keyStanding']>,
): z.infer<typeof providerKeyReply> {
  return {
    ...rest,
    api_key: cipher === '' ? '' : `••••${last_four}`,
    enabled: enabled === 1,
    state: state === 'dead' ? 'dead' : standing.state,
    state_reason: state === 'dead' ? state_reason : standing.reason,
    rests_ms: Math.round(standing.restMs),
    created_at: new Date(created_at).toISOString(),
    updated_at: new Date(updated_at).toISOString(),
  }
}
