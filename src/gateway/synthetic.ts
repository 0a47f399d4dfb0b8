import type { Configure } from './configure.ts'
import type { GatewayStore } from './store.ts'

/** Made-up providers and models, marked as such wherever they are shown. */
export type Synthetic = {
  /** Whether a provider of this name exists and is made up. */
  has(name: string): Promise<boolean>
  create(name: string, baseUrl: string, models: readonly (readonly [string, string])[]): Promise<void>
  /** The provider is served elsewhere now. */
  move(name: string, baseUrl: string): Promise<void>
  /** Removes all that is made up. */
  remove(): Promise<void>
}

export function createSynthetic(configure: Configure, store: GatewayStore): Synthetic {
  const find = async (name: string) => {
    const row = await store.findProvider(name)
    return row?.is_synthetic === 1 ? row : undefined
  }
  return {
    has: async (name) => (await find(name)) !== undefined,
    async create(name, baseUrl, models) {
      const provider = await configure.createProvider(
        {
          name,
          type: 'openai-compatible',
          api_key: '',
          base_url: baseUrl,
          enabled: true,
          priority: 0,
          weight: 100,
          max_retries: 0,
          timeout: 60,
          rate_limit: null,
        },
        true,
      )
      await configure.importModels(provider, models, true, true)
    },
    async move(name, baseUrl) {
      const row = await find(name)
      if (row && row.base_url !== baseUrl) await configure.updateProvider(row.id, { base_url: baseUrl })
    },
    remove: configure.removeSynthetic,
  }
}
