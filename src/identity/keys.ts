import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Scope } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import { createApiKey, type Secrets } from '../platform/secrets.ts'
import type { KeyRing, RingChange } from './key-ring.ts'
import { type KeyFilter, type KeyRow, type KeyStore, readList, readTags, writeList, writeTags } from './key-store.ts'

/** An API key as people see it; the key itself is nowhere. */
export type Key = {
  id: string
  name: string
  lastFour: string
  tenantId: string
  userId: string
  /** '' or the account whose key it is. */
  serviceAccountId: string
  /** '' or the plugin service whose own token it is. */
  service: string
  allowedModels: string[] | null
  allowedServices: string[] | null
  allowedEndpoints: string[] | null
  /** Addresses and CIDR blocks; null for anywhere. */
  allowedIps: string[] | null
  rateLimit: number | null
  tokenLimit: number | null
  concurrencyLimit: number | null
  tags: string[]
  enabled: boolean
  expiresAt: number | null
  createdAt: number
  lastUsedAt: number | null
  rotatedAt: number | null
}

export type KeyChange = Partial<
  Pick<
    Key,
    | 'name'
    | 'allowedModels'
    | 'allowedServices'
    | 'allowedEndpoints'
    | 'allowedIps'
    | 'rateLimit'
    | 'tokenLimit'
    | 'concurrencyLimit'
    | 'tags'
    | 'enabled'
    | 'expiresAt'
  >
>

/** Whose a new key is. */
export type KeyOwner = Pick<Key, 'name' | 'tenantId' | 'userId'> & Partial<Pick<Key, 'serviceAccountId' | 'service'>>

export type Keys = {
  /**
   * Makes a key and tells its text, this once. It works on this node when the promise resolves. Rejects with `conflict`
   * when the person has `mostOfUser` keys already, with `not_found` when the tenant is gone.
   */
  create(wish: KeyOwner & KeyChange, mostOfUser?: number): Promise<{ key: Key; text: string }>
  list(scope: Scope, filter: KeyFilter, limit: number, cursor?: string): Promise<Page<Key>>
  /** Rejects with `not_found` outside `scope`, as for an id that never was. */
  get(scope: Scope, id: string): Promise<Key>
  patch(scope: Scope, id: string, change: KeyChange): Promise<Key>
  /**
   * Gives a key a new text, told this once; id, scopes, limits, budgets and ledger go on. What opened it before does so
   * for `graceMs` more, with 0 no longer: refused here when the promise resolves, on other nodes within two seconds.
   */
  rotate(scope: Scope, id: string, graceMs: number): Promise<{ key: Key; text: string; oldUntil: number | null }>
  /** Gone for good: refused here at once, on other nodes within two seconds. */
  delete(scope: Scope, id: string): Promise<void>
  /** Remembers that a key was used now; written to the store by `flushUses`. */
  noteUse(id: string): void
  flushUses(): Promise<void>
}

export function createKeys(own: {
  keyStore: KeyStore
  ring: KeyRing
  secrets: Pick<Secrets, 'hashKey'>
  bus: Bus
  clock: Clock
  log: Log
}): Keys {
  const { keyStore, ring, secrets, bus, clock, log } = own
  let uses = new Map<string, number>()

  const toKey = (row: KeyRow): Key => ({
    id: row.id,
    name: row.name,
    lastFour: row.last_four,
    tenantId: row.tenant_id,
    userId: row.user_id,
    serviceAccountId: row.service_account_id,
    service: row.service,
    allowedModels: readList(row.allowed_models),
    allowedServices: readList(row.allowed_services),
    allowedEndpoints: readList(row.allowed_endpoints),
    allowedIps: readList(row.allowed_ips),
    rateLimit: row.rate_limit,
    tokenLimit: row.tpm_limit,
    concurrencyLimit: row.concurrency_limit,
    tags: readTags(row.tags),
    enabled: row.enabled === 1,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    lastUsedAt: uses.get(row.id) ?? row.last_used_at,
    rotatedAt: row.rotated_at,
  })

  const absent = (id: string) => fail('not_found', `there is no API key ${id}`, { param: 'id' })

  async function find(scope: Scope, id: string): Promise<KeyRow> {
    const row = await keyStore.find(scope, id)
    if (row === undefined) throw absent(id)
    return row
  }

  async function spread(change?: RingChange): Promise<void> {
    bus.announce('config.changed', { kind: 'keys' })
    await ring.apply(change)
  }

  return {
    async create(wish, mostOfUser) {
      const text = createApiKey()
      const now = clock.now()
      const row: KeyRow = {
        id: createId('key', now),
        name: wish.name,
        key_hash: secrets.hashKey(text),
        last_four: text.slice(-4),
        tenant_id: wish.tenantId,
        user_id: wish.userId,
        service_account_id: wish.serviceAccountId ?? '',
        service: wish.service ?? '',
        allowed_models: writeList(wish.allowedModels ?? null),
        allowed_services: writeList(wish.allowedServices ?? null),
        allowed_endpoints: writeList(wish.allowedEndpoints ?? null),
        allowed_ips: writeList(wish.allowedIps ?? null),
        rate_limit: wish.rateLimit ?? null,
        tpm_limit: wish.tokenLimit ?? null,
        concurrency_limit: wish.concurrencyLimit ?? null,
        tags: writeTags(wish.tags ?? []),
        enabled: wish.enabled === false ? 0 : 1,
        expires_at: wish.expiresAt ?? null,
        created_at: now,
        updated_at: now,
        last_used_at: null,
        rotated_at: null,
      }
      const outcome = await keyStore.insert(row, mostOfUser)
      if (outcome === 'no_tenant') {
        throw fail('not_found', `there is no tenant ${wish.tenantId}`, { param: 'tenant_id' })
      }
      if (outcome === 'too_many') {
        throw fail(
          'conflict',
          `you have ${mostOfUser} keys, which is the most (auth.self_service_max_keys); delete one`,
        )
      }
      await spread()
      log.info('API key made', { keyId: row.id, userId: row.user_id })
      return { key: toKey(row), text }
    },

    async list(scope, filter, limit, cursor) {
      const page = toPage(await keyStore.list(scope, filter, limit + 1, cursor), limit, (row) => row.id)
      return { ...page, data: page.data.map(toKey) }
    },

    get: async (scope, id) => toKey(await find(scope, id)),

    async patch(scope, id, change) {
      const row = await keyStore.patch(scope, id, {
        ...(change.name === undefined ? {} : { name: change.name }),
        ...(change.allowedModels === undefined ? {} : { allowed_models: writeList(change.allowedModels) }),
        ...(change.allowedServices === undefined ? {} : { allowed_services: writeList(change.allowedServices) }),
        ...(change.allowedEndpoints === undefined ? {} : { allowed_endpoints: writeList(change.allowedEndpoints) }),
        ...(change.allowedIps === undefined ? {} : { allowed_ips: writeList(change.allowedIps) }),
        ...(change.rateLimit === undefined ? {} : { rate_limit: change.rateLimit }),
        ...(change.tokenLimit === undefined ? {} : { tpm_limit: change.tokenLimit }),
        ...(change.concurrencyLimit === undefined ? {} : { concurrency_limit: change.concurrencyLimit }),
        ...(change.tags === undefined ? {} : { tags: writeTags(change.tags) }),
        ...(change.expiresAt === undefined ? {} : { expires_at: change.expiresAt }),
        ...(change.enabled === undefined ? {} : { enabled: change.enabled ? 1 : 0 }),
        updated_at: clock.now(),
      })
      if (row === undefined) throw absent(id)
      await spread(change.enabled === undefined ? undefined : { [change.enabled ? 'restored' : 'withdrawn']: id })
      return toKey(row)
    },

    async rotate(scope, id, graceMs) {
      await find(scope, id)
      const now = clock.now()
      const oldUntil = graceMs === 0 ? null : now + graceMs
      if (oldUntil !== null && (await keyStore.countOldTexts(id, now)) >= mostOldTexts) {
        throw fail(
          'conflict',
          `${mostOldTexts} older texts of this key still work; rotate with grace_seconds 0 to end them`,
        )
      }
      const text = createApiKey()
      const fresh = { hash: secrets.hashKey(text), lastFour: text.slice(-4) }
      const rotated = await keyStore.rotate(scope, id, fresh, now, oldUntil)
      if (rotated === null) throw absent(id)
      await spread({ endedTexts: rotated.gone })
      log.info('API key rotated', { keyId: id })
      return { key: toKey(rotated.row), text, oldUntil }
    },

    async delete(scope, id) {
      if (!(await keyStore.delete(scope, id))) throw absent(id)
      await spread({ withdrawn: id })
      log.info('API key deleted', { keyId: id })
    },

    noteUse(id) {
      uses.set(id, clock.now())
    },

    async flushUses() {
      await keyStore.forgetOldTexts(clock.now()).catch(() => {})
      if (uses.size === 0) return
      const flushing = uses
      uses = new Map()
      try {
        await keyStore.noteUses([...flushing])
      } catch (error) {
        // Kept for the next time; what was noted meanwhile is newer.
        uses = new Map([...flushing, ...uses])
        log.warn('When API keys were last used could not be stored; it is tried again', { error })
      }
    },
  }
}

/** Texts a key may have beside the present one. */
const mostOldTexts = 5
