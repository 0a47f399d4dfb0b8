import type { Kysely } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import { createGatewayStore, type GatewayTables } from '../store.ts'
import { newModel, newModelProvider, newProvider, plainLink, plainModel } from './new-rows.ts'

/** Made-up providers and models, marked as such wherever they are shown. */
export type SyntheticProviders = {
  /** Whether a provider of this name exists and is made up. */
  has(name: string): Promise<boolean>
  /** Adds a provider and its models: pairs of the name callers ask for and the name the provider knows. */
  create(name: string, baseUrl: string, models: readonly (readonly [string, string])[]): Promise<void>
  /** The provider is served elsewhere now. */
  move(name: string, baseUrl: string): Promise<void>
  /** Removes all that is made up. */
  remove(): Promise<void>
}

/** Works on the store alone; running hubs follow within seconds. */
export function openSyntheticProviders({ db, clock }: { db: Kysely<GatewayTables>; clock: Clock }): SyntheticProviders {
  const store = createGatewayStore(db)
  const find = async (name: string) => {
    const row = await store.findProvider(name)
    return row?.is_synthetic === 1 ? row : undefined
  }
  return {
    has: async (name) => (await find(name)) !== undefined,
    async create(name, baseUrl, models) {
      const now = clock.now()
      const provider = {
        ...newProvider(
          {
            name,
            type: 'openai-compatible',
            base_url: baseUrl,
            enabled: true,
            priority: 0,
            weight: 100,
            max_retries: 0,
            timeout: 60,
            rate_limit: null,
            options: {},
            tenants: [],
            tags: [],
            first_token_timeout: null,
            idle_timeout: null,
            transform: {},
          },
          now,
        ),
        is_synthetic: 1,
      }
      try {
        await store.insertProvider(provider)
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        throw fail(
          'conflict',
          `There is a provider named '${name}' already, and it is not a made-up one: rename it first.`,
        )
      }
      const rest = { ...plainModel, remark: 'Demo' }
      const able = { ...plainLink, tool_call: true, structured_output: true, image: true }
      const served = new Map(models)
      await store.importModels(
        models.map(([asked]) => ({ ...newModel({ ...rest, name: asked }, now), is_synthetic: 1 })),
        (modelId, asked) =>
          newModelProvider(
            {
              ...able,
              model_id: modelId,
              provider_id: provider.id,
              provider_model: served.get(asked)!,
            },
            now,
          ),
      )
    },
    async move(name, baseUrl) {
      const row = await find(name)
      if (row && row.base_url !== baseUrl) {
        await store.update('providers', row.id, { base_url: baseUrl, updated_at: clock.now() })
      }
    },
    remove: () => store.removeSynthetic(),
  }
}
