import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { followAlias, longestAliasChain } from '../models.ts'
import { type MirrorSettings, writeMirror } from '../own-calls/mirror-settings.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import { type Outside, providerOfType } from '../providers/index.ts'
import type {
  ModelCreate,
  ModelPatch,
  ModelProviderCreate,
  ModelProviderPatch,
  ProviderCreate,
  ProviderPatch,
} from '../schema.ts'
import type { GatewayStore, ModelRow, NamedModelProviderRow, ProviderRow } from '../store.ts'
import { createConfigureKeys } from './configure-keys.ts'
import { asColumns, newModel, newModelProvider, newProvider, plainLink, plainModel } from './new-rows.ts'

export type ConfigureSource = {
  store: GatewayStore
  secrets: Secrets
  clock: Clock
  checkUrl(url: string, param: string): unknown
  outside: Outside
  /** Told of every change, after it is stored; resolves when this node uses it. */
  changed(): Promise<void>
}

export type Configure = ReturnType<typeof createConfigure>

/** Changes of providers, models and their associations. What is stored is valid, and in use when the verb returns. */
export function createConfigure({ store, secrets, clock, checkUrl, outside, changed }: ConfigureSource) {
  const provider = async (idOrName: string) => (await store.findProvider(idOrName)) ?? missing('provider', idOrName)
  const model = async (idOrName: string) => (await store.findModel(idOrName)) ?? missing('model', idOrName)
  const modelProvider = async (id: string) => (await store.findModelProvider(id)) ?? missing('association', id)
  const seal = (id: string, apiKey: string) => ({
    api_key_cipher: apiKey === '' ? '' : secrets.encrypt(apiKey, `provider:${id}`),
    // Four characters of a short key would be half of it.
    api_key_last_four: apiKey.length >= 12 ? apiKey.slice(-4) : '',
  })
  const checkProvider = (type: string, options: JsonObject, baseUrl: string | null, apiKey: string) => {
    const kind = providerOfType(type)!
    const wiring = kind.wire(options)
    if (baseUrl !== null && baseUrl !== '') checkUrl(baseUrl, 'base_url')
    else if (wiring.baseUrl === null) {
      throw fail('invalid_request', `A provider of type ${type} needs base_url: the address of its API.`, {
        param: 'base_url',
      })
    }
    if (kind.needsKey && apiKey === '') {
      throw fail('invalid_request', `A provider of type ${type} needs api_key: ${kind.keyHint}.`, { param: 'api_key' })
    }
    wiring.openCredential(apiKey, outside)
  }

  /** The id of the model an alias stands for; '' for none. Names that lead back to `selfId` are refused. */
  const aliasTarget = async (idOrName: string, selfId: string): Promise<string> => {
    if (idOrName === '') return ''
    const target = await model(idOrName)
    const modelById = new Map((await store.listModels()).map((row) => [row.id, row]))
    const steps = [target]
    for (let at = modelById.get(target.alias_of); at !== undefined; at = modelById.get(at.alias_of)) {
      steps.push(at)
      if (steps.length > longestAliasChain) break
    }
    if (steps.length > longestAliasChain || steps.some(({ id }) => id === selfId)) {
      throw fail('invalid_request', `alias_of leads back to the model itself or through too many names.`, {
        param: 'alias_of',
      })
    }
    return target.id
  }

  /** A second model that exists and is another one, under whatever names. */
  const checkMirror = async (settings: MirrorSettings | null | undefined, own: ModelRow | null) => {
    if (settings === null || settings === undefined) return
    const second = await store.findModel(settings.model)
    // By its name alone: that is what comparisons and sums are told by.
    if (second?.name !== settings.model) {
      throw fail('invalid_request', `mirror.model: there is no model named '${settings.model}'.`, {
        param: 'mirror.model',
      })
    }
    const byId = new Map((await store.listModels()).map((row) => [row.id, row]))
    if (own !== null && followAlias(own, byId)?.id === followAlias(second, byId)?.id) {
      throw fail('invalid_request', `mirror.model: '${settings.model}' is the model itself; name another.`, {
        param: 'mirror.model',
      })
    }
  }

  return {
    provider,
    model,
    modelProvider,

    async createProvider(input: ProviderCreate): Promise<ProviderRow> {
      checkProvider(input.type, input.options, input.base_url, input.api_key)
      const { api_key, ...rest } = input
      const unsealed = newProvider(rest, clock.now())
      const row = { ...unsealed, ...seal(unsealed.id, api_key) }
      await unique(store.insertProvider(row), `A provider named '${input.name}' already exists.`, 'name')
      await changed()
      return row
    },

    async updateProvider(idOrName: string, patch: ProviderPatch): Promise<ProviderRow> {
      const row = await provider(idOrName)
      const baseUrl = patch.base_url === undefined ? row.base_url : patch.base_url
      const keptKey = row.api_key_cipher === '' ? '' : secrets.decrypt(row.api_key_cipher, `provider:${row.id}`)
      const type = patch.type ?? row.type
      // Another type has other options: the old ones mean nothing to it.
      const options = patch.options ?? (type === row.type ? (JSON.parse(row.options) as JsonObject) : {})
      checkProvider(type, options, baseUrl, patch.api_key ?? keptKey)
      const { api_key, base_url, options: _, ...rest } = patch
      const change = {
        ...asColumns(rest),
        options: JSON.stringify(options),
        // Another key has not died yet.
        ...(api_key === undefined ? {} : { ...seal(row.id, api_key), key_state: '', key_state_reason: '' }),
        ...(base_url === undefined ? {} : { base_url: base_url ?? '' }),
        updated_at: clock.now(),
      }
      await unique(
        store.update('providers', row.id, change),
        `A provider named '${patch.name}' already exists.`,
        'name',
      )
      await changed()
      return provider(row.id)
    },

    async createModel(input: ModelCreate): Promise<ModelRow> {
      await checkMirror(input.mirror, null)
      const row = newModel({ ...input, alias_of: await aliasTarget(input.alias_of, '') }, clock.now())
      await unique(store.insertModel(row), `A model named '${input.name}' already exists.`, 'name')
      await changed()
      return row
    },

    async updateModel(idOrName: string, patch: ModelPatch): Promise<ModelRow> {
      const row = await model(idOrName)
      await checkMirror(patch.mirror, row)
      const change = {
        ...asColumns(patch),
        ...(patch.mirror === undefined ? {} : { mirror: writeMirror(patch.mirror) }),
        ...(patch.alias_of === undefined ? {} : { alias_of: await aliasTarget(patch.alias_of, row.id) }),
        updated_at: clock.now(),
      }
      await unique(store.update('models', row.id, change), `A model named '${patch.name}' already exists.`, 'name')
      await changed()
      return model(row.id)
    },

    async createModelProvider(input: ModelProviderCreate): Promise<NamedModelProviderRow> {
      const [owner, served] = [await provider(input.provider_id), await model(input.model_id)]
      const row = newModelProvider({ ...input, model_id: served.id, provider_id: owner.id }, clock.now())
      await unique(
        store.insertModelProvider(row),
        `The provider '${owner.name}' already serves '${served.name}' as '${input.provider_model}'.`,
        'provider_model',
      )
      await changed()
      return modelProvider(row.id)
    },

    async updateModelProvider(id: string, patch: ModelProviderPatch): Promise<NamedModelProviderRow> {
      const row = await modelProvider(id)
      await unique(
        store.update('model_providers', row.id, { ...asColumns(patch), updated_at: clock.now() }),
        `The provider '${row.provider_name}' already serves '${row.model_name}' as '${patch.provider_model}'.`,
        'provider_model',
      )
      await changed()
      return modelProvider(id)
    },

    /** Makes models of a provider usable under their own names. Returns how many associations are new. */
    async importModels(owner: ProviderRow, names: readonly string[], can: boolean): Promise<number> {
      const now = clock.now()
      const remark = `Imported from ${owner.name}`.slice(0, 255)
      const rest = { ...plainModel, remark }
      const able = { ...plainLink, tool_call: can, structured_output: can, image: can }
      const imported = await store.importModels(
        names.map((name) => newModel({ ...rest, name }, now)),
        (modelId, name) =>
          newModelProvider({ ...able, model_id: modelId, provider_id: owner.id, provider_model: name }, now),
      )
      await changed()
      return imported
    },

    ...createConfigureKeys({ store, clock, seal, provider, unique, missing, changed }),

    async remove(table: 'providers' | 'models' | 'model_providers', id: string): Promise<void> {
      await store.remove(table, id)
      await changed()
    },
  }
}

async function unique(work: Promise<unknown>, message: string, param: string): Promise<void> {
  try {
    await work
  } catch (error) {
    throw isUniqueViolation(error) ? fail('conflict', message, { param }) : error
  }
}

function missing(what: string, idOrName: string): never {
  throw fail('not_found', `There is no ${what} '${idOrName.slice(0, 100)}'.`)
}
