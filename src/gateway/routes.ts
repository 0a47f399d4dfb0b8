import { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { Configure } from './control/configure.ts'
import { type ExplainSource, explainRoutes } from './control/explain-routes.ts'
import { keyRoutes } from './control/key-routes.ts'
import { trafficRoutes } from './control/traffic-routes.ts'
import { readMirror } from './own-calls/mirror-settings.ts'
import type { UpstreamModel } from './protocols/protocol.ts'
import { type Preset, type Provider, presets, providers } from './providers/index.ts'
import type { Traffic } from './routing/traffic.ts'
import {
  modelCreate,
  modelPatch,
  modelProviderCreate,
  modelProviderPatch,
  modelProviderReply,
  modelReply,
  providerCreate,
  providerPatch,
  providerReply,
  providerTypesReply,
} from './schema.ts'
import type { GatewayStore, ModelRow, NamedModelProviderRow, ProviderRow } from './store.ts'
import type { Transform } from './transforms.ts'

export type GatewayRoutesSource = {
  store: GatewayStore
  configure: Configure
  /** Forgets all kept answers; how many there were. */
  clearCache(): Promise<number>
  /** The provider's real list, asked now. */
  remoteModels(provider: ProviderRow): Promise<UpstreamModel[]>
  importCapabilities(): boolean
  clock: { monotonic(): number }
  keyStanding: Traffic['keyStanding']
} & ExplainSource

const byId = z.strictObject({ id: z.string() })
const access = 'super_admin' as const

/** Control of providers, models and who serves what. Every `:id` takes an id or, where things have one, a name. */
export function gatewayRoutes(own: GatewayRoutesSource): Route[] {
  return [
    ...providerRoutes(own),
    ...keyRoutes(own),
    ...trafficRoutes(own),
    ...modelRoutes(own),
    ...modelProviderRoutes(own),
    ...cacheRoutes(own),
    ...explainRoutes(own),
  ]
}

function providerRoutes({ store, configure, remoteModels, importCapabilities, clock }: GatewayRoutesSource): Route[] {
  const tag = 'providers'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/provider-types',
      access,
      tag,
      summary: 'What a provider can be: types with the schema of their options, and known OpenAI-compatible vendors.',
      reply: providerTypesReply,
      handle: async () => ({ types: providers.map(showType), presets: presets.map(showPreset) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/providers',
      access,
      tag,
      summary: 'All providers, those tried first at the top.',
      query: z.strictObject({ enabled_only: z.stringbool().optional() }),
      reply: z.array(providerReply),
      handle: async ({ query }) => (await store.listProviders(query.enabled_only === true)).map(showProvider),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/providers',
      access,
      tag,
      summary: 'Adds a provider.',
      body: providerCreate,
      reply: providerReply,
      status: 201,
      handle: async ({ body }) => showProvider(await configure.createProvider(body)),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/providers/:id',
      access,
      tag,
      summary: 'One provider.',
      params: byId,
      reply: providerReply,
      handle: async ({ params }) => showProvider(await configure.provider(params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/providers/:id',
      access,
      tag,
      summary: 'Changes fields of a provider; what is not named stays.',
      params: byId,
      body: providerPatch,
      reply: providerReply,
      handle: async ({ params, body }) => showProvider(await configure.updateProvider(params.id, body)),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/providers/:id',
      access,
      tag,
      summary: 'Removes a provider and its associations. What it served stays in the logs.',
      params: byId,
      status: 204,
      handle: async ({ params }) => configure.remove('providers', (await configure.provider(params.id)).id),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/providers/:id/models',
      access,
      tag,
      summary: "The provider's own list of models, asked now.",
      params: byId,
      reply: z.object({
        provider_id: z.string(),
        provider_name: z.string(),
        provider_type: z.string(),
        models: z.array(z.string()),
      }),
      async handle({ params }) {
        const row = await configure.provider(params.id)
        const models = await remoteModels(row)
        return {
          provider_id: row.id,
          provider_name: row.name,
          provider_type: row.type,
          models: models.map((model) => model.id),
        }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/providers/:id/models/import',
      access,
      tag,
      summary: 'Makes models of the provider usable at once: all of them, or those named.',
      params: byId,
      // The first orchestrator's API took a bare array while its own console sent an object: both are read.
      body: z
        .union([z.array(z.string().min(1)), z.strictObject({ model_names: z.array(z.string().min(1)) })])
        .nullish(),
      reply: z.object({ message: z.string(), imported: z.number(), skipped: z.number(), total: z.number() }),
      async handle({ params, body }) {
        const row = await configure.provider(params.id)
        const offered = (await remoteModels(row)).map((model) => model.id)
        const wanted = body == null ? offered : Array.isArray(body) ? body : body.model_names
        const unknown = wanted.filter((name) => !offered.includes(name))
        if (unknown.length > 0) {
          throw fail('invalid_request', `The provider does not offer: ${unknown.slice(0, 10).join(', ')}.`, {
            param: 'model_names',
          })
        }
        const names = [...new Set(wanted)]
        const imported = await configure.importModels(row, names, importCapabilities())
        return {
          message: `Imported ${imported} models; ${names.length - imported} were there already.`,
          imported,
          skipped: names.length - imported,
          total: names.length,
        }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/providers/:id/test',
      changes: false,
      access,
      tag,
      summary:
        'Whether the provider can be reached and accepts our key, by asking for its list of models. Costs nothing.',
      params: byId,
      reply: z.object({ ok: z.literal(true), models: z.number(), latency_ms: z.number() }),
      async handle({ params }) {
        const startedAt = clock.monotonic()
        const models = await remoteModels(await configure.provider(params.id))
        return { ok: true, models: models.length, latency_ms: Math.round(clock.monotonic() - startedAt) }
      },
    }),
  ]
}

function cacheRoutes({ clearCache }: GatewayRoutesSource): Route[] {
  return [
    defineRoute({
      method: 'DELETE',
      path: '/api/cache',
      access,
      tag: 'cache',
      summary: 'Forgets every kept answer, on all nodes that share them.',
      reply: z.object({ cleared: z.number() }),
      handle: async () => ({ cleared: await clearCache() }),
    }),
  ]
}

function modelRoutes({ store, configure }: GatewayRoutesSource): Route[] {
  const tag = 'models'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/models',
      access,
      tag,
      summary: 'All models by name.',
      reply: z.array(modelReply),
      handle: async () => (await store.listModels()).map(showModel),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/models',
      access,
      tag,
      summary: 'Adds a model: a name that callers may ask for.',
      body: modelCreate,
      reply: modelReply,
      status: 201,
      handle: async ({ body }) => showModel(await configure.createModel(body)),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/models/:id*',
      access,
      tag,
      summary: 'One model. Names may hold slashes.',
      params: byId,
      reply: modelReply,
      handle: async ({ params }) => showModel(await configure.model(params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/models/:id*',
      access,
      tag,
      summary: 'Changes fields of a model; what is not named stays.',
      params: byId,
      body: modelPatch,
      reply: modelReply,
      handle: async ({ params, body }) => showModel(await configure.updateModel(params.id, body)),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/models/:id*',
      access,
      tag,
      summary: 'Removes a model and its associations.',
      params: byId,
      status: 204,
      handle: async ({ params }) => configure.remove('models', (await configure.model(params.id)).id),
    }),
  ]
}

function modelProviderRoutes({ store, configure }: GatewayRoutesSource): Route[] {
  const tag = 'model-providers'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/model-providers',
      access,
      tag,
      summary: 'Which provider serves which model, under which name.',
      query: z.strictObject({ model_id: z.string().optional(), provider_id: z.string().optional() }),
      reply: z.array(modelProviderReply),
      handle: async ({ query }) => (await store.listModelProviders(query)).map(showModelProvider),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/model-providers',
      access,
      tag,
      summary: 'Lets a provider serve a model.',
      body: modelProviderCreate,
      reply: modelProviderReply,
      status: 201,
      handle: async ({ body }) => showModelProvider(await configure.createModelProvider(body)),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/model-providers/:id',
      access,
      tag,
      summary: 'One association.',
      params: byId,
      reply: modelProviderReply,
      handle: async ({ params }) => showModelProvider(await configure.modelProvider(params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/model-providers/:id',
      access,
      tag,
      summary: 'Changes fields of an association. Its model and provider are its identity and stay.',
      params: byId,
      body: modelProviderPatch,
      reply: modelProviderReply,
      handle: async ({ params, body }) => showModelProvider(await configure.updateModelProvider(params.id, body)),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/model-providers/:id',
      access,
      tag,
      summary: 'Removes an association.',
      params: byId,
      status: 204,
      handle: async ({ params }) => configure.remove('model_providers', (await configure.modelProvider(params.id)).id),
    }),
  ]
}

const iso = (ms: number) => new Date(ms).toISOString()

function showType(kind: Provider): z.infer<typeof providerTypesReply>['types'][number] {
  // Types with options that must be given have no address before they are.
  const hasDefaults = kind.options.safeParse({}).success
  return {
    type: kind.type,
    title: kind.title,
    protocols: kind.protocols.map(({ name }) => name),
    base_url: hasDefaults ? kind.wire({}).baseUrl : null,
    needs_key: kind.needsKey,
    key_hint: kind.keyHint,
    options: z.toJSONSchema(kind.options, { io: 'input' }),
  }
}

function showPreset({ baseUrl, ...rest }: Preset): z.infer<typeof providerTypesReply>['presets'][number] {
  return { ...rest, base_url: baseUrl }
}

function showProvider(row: ProviderRow): z.infer<typeof providerReply> {
  const {
    api_key_cipher,
    api_key_last_four,
    base_url,
    enabled,
    options,
    is_synthetic,
    created_at,
    updated_at,
    ...rest
  } = row
  return {
    ...rest,
    options: JSON.parse(options),
    transform: JSON.parse(row.transform) as Transform,
    tenants: JSON.parse(row.tenants) as string[],
    tags: JSON.parse(row.tags) as string[],
    api_key: api_key_cipher === '' ? '' : `••••${api_key_last_four}`,
    base_url: base_url === '' ? null : base_url,
    enabled: enabled === 1,
    is_synthetic: is_synthetic === 1,
    created_at: iso(created_at),
    updated_at: iso(updated_at),
  }
}

function showModel(row: ModelRow): z.infer<typeof modelReply> {
  return {
    ...row,
    access_groups: JSON.parse(row.access_groups) as string[],
    mirror: readMirror(row.mirror),
    transform: JSON.parse(row.transform) as Transform,
    enabled: row.enabled === 1,
    is_synthetic: row.is_synthetic === 1,
    created_at: iso(row.created_at),
    updated_at: iso(row.updated_at),
  }
}

function showModelProvider(row: NamedModelProviderRow): z.infer<typeof modelProviderReply> {
  return {
    ...row,
    tool_call: row.tool_call === 1,
    structured_output: row.structured_output === 1,
    image: row.image === 1,
    transform: JSON.parse(row.transform) as Transform,
    tenants: JSON.parse(row.tenants) as string[],
    tags: JSON.parse(row.tags) as string[],
    enabled: row.enabled === 1,
    created_at: iso(row.created_at),
    updated_at: iso(row.updated_at),
  }
}
