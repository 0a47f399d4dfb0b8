import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { ProviderKeyCreate, ProviderKeyPatch } from '../schema.ts'
import type { GatewayStore, ProviderKeyRow, ProviderRow } from '../store.ts'
import { asColumns, newProviderKey } from './new-rows.ts'

export type ConfigureKeysSource = {
  store: GatewayStore
  clock: Clock
  seal(providerId: string, apiKey: string): { api_key_cipher: string; api_key_last_four: string }
  provider(idOrName: string): Promise<ProviderRow>
  unique(work: Promise<unknown>, message: string, param: string): Promise<void>
  missing(what: string, idOrName: string): never
  changed(): Promise<void>
}

/** Changes of a provider's further keys. Its own key is a field of the provider and is listed first, under its id. */
export function createConfigureKeys({ store, clock, seal, provider, unique, missing, changed }: ConfigureKeysSource) {
  const find = async (owner: ProviderRow, idOrName: string): Promise<ProviderKeyRow> => {
    if (idOrName === owner.id) {
      throw fail('invalid_request', "This is the provider's own key: change api_key of the provider instead.")
    }
    return (await store.findKey(owner.id, idOrName)) ?? missing('key', idOrName)
  }
  const sealKey = (providerId: string, apiKey: string) => {
    const { api_key_cipher, api_key_last_four } = seal(providerId, apiKey)
    return { cipher: api_key_cipher, last_four: api_key_last_four }
  }

  return {
    async providerKeys(idOrName: string): Promise<ProviderKeyRow[]> {
      const owner = await provider(idOrName)
      const keys = await store.listKeys(owner.id)
      return owner.api_key_cipher === '' && keys.length > 0 ? keys : [ownKey(owner), ...keys]
    },

    async createProviderKey(idOrName: string, input: ProviderKeyCreate): Promise<ProviderKeyRow> {
      const owner = await provider(idOrName)
      const { api_key, ...rest } = input
      const row = { ...newProviderKey(rest, owner.id, clock.now()), ...sealKey(owner.id, api_key) }
      await unique(
        store.insertKey(row),
        `The provider '${owner.name}' has a key named '${input.name}' already.`,
        'name',
      )
      await changed()
      return row
    },

    async updateProviderKey(idOrName: string, keyIdOrName: string, patch: ProviderKeyPatch): Promise<ProviderKeyRow> {
      const owner = await provider(idOrName)
      const row = await find(owner, keyIdOrName)
      const { api_key, ...rest } = patch
      const change = {
        ...asColumns(rest),
        // Another key has not died yet.
        ...(api_key === undefined ? {} : { ...sealKey(owner.id, api_key), state: '', state_reason: '' }),
        updated_at: clock.now(),
      }
      await unique(
        store.update('provider_keys', row.id, change),
        `The provider '${owner.name}' has a key named '${patch.name}' already.`,
        'name',
      )
      await changed()
      return find(owner, row.id)
    },

    async removeProviderKey(idOrName: string, keyIdOrName: string): Promise<void> {
      const row = await find(await provider(idOrName), keyIdOrName)
      await store.remove('provider_keys', row.id)
      await changed()
    },

    /** A person says that a dead key lives again. */
    async reviveProviderKey(idOrName: string, keyIdOrName: string): Promise<ProviderKeyRow> {
      const owner = await provider(idOrName)
      const isOwn = keyIdOrName === owner.id
      const id = isOwn ? owner.id : (await find(owner, keyIdOrName)).id
      await markKey(store, owner.id, id, '', '', clock.now())
      await changed()
      return isOwn ? ownKey(await provider(owner.id)) : find(owner, id)
    },

    /** The provider no longer accepts a key. */
    async markKeyDead(providerId: string, keyId: string, reason: string): Promise<void> {
      await markKey(store, providerId, keyId, 'dead', reason, clock.now())
      await changed()
    },
  }
}

function markKey(
  store: GatewayStore,
  providerId: string,
  keyId: string,
  state: string,
  reason: string,
  now: number,
): Promise<unknown> {
  return keyId === providerId
    ? store.update('providers', providerId, { key_state: state, key_state_reason: reason, updated_at: now })
    : store.update('provider_keys', keyId, { state, state_reason: reason, updated_at: now })
}

/** The provider's own key in the shape of the others. */
function ownKey(owner: ProviderRow): ProviderKeyRow {
  return {
    id: owner.id,
    provider_id: owner.id,
    name: 'own',
    cipher: owner.api_key_cipher,
    last_four: owner.api_key_last_four,
    weight: 1,
    enabled: 1,
    rate_limit: null,
    token_limit: null,
    concurrency_limit: null,
    state: owner.key_state,
    state_reason: owner.key_state_reason,
    created_at: owner.created_at,
    updated_at: owner.updated_at,
  }
}
