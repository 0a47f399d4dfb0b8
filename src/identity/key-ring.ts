import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Log } from '../platform/log.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import { type EffectiveKeyRow, type KeyStore, readList, readTags } from './key-store.ts'

/** An API key as requests meet it, by one of its texts. */
export type KnownKey = {
  principal: Principal
  enabled: boolean
  /** Epoch ms; Infinity for never. */
  expiresAt: number
  /** Until when this text opens the key, which a rotation gave another one; Infinity for the present text. */
  textExpiresAt: number
}

type Held = { keys: ReadonlyMap<string, KnownKey>; count: number; hasOwner: boolean }

/** What a committed change takes away or gives back, by id of a key or hash of a text. */
export type RingChange = { withdrawn?: string; restored?: string; endedTexts?: readonly string[] }

export type KeyRing = ReturnType<typeof createKeyRing>

/**
 * All API keys in memory, by hash, with the answer to "has the hub an owner". It follows the store within a second and
 * stays as it was, for hours if need be, while the store is away.
 */
export function createKeyRing(options: {
  keyStore: Pick<KeyStore, 'all' | 'oldTexts'>
  hasOwner(): Promise<boolean>
  revision(): Promise<number>
  clock: Clock
  log: Log
}) {
  const { keyStore, clock, log } = options
  // Keys and texts withdrawn here whose removal the snapshot has not been seen to hold yet.
  const withdrawn = new Set<string>()
  const snapshot = createSnapshot<Held>({
    name: 'API keys',
    async load() {
      const [rows, old, hasOwner] = await Promise.all([keyStore.all(), keyStore.oldTexts(), options.hasOwner()])
      const keys = new Map(rows.map((row) => [row.key_hash, toKnownKey(row)]))
      if (old.length > 0) {
        const byId = new Map([...keys.values()].map((known) => [known.principal.id, known]))
        for (const { key_hash, key_id, expires_at } of old) {
          const known = byId.get(key_id)
          if (known !== undefined && !keys.has(key_hash)) keys.set(key_hash, { ...known, textExpiresAt: expires_at })
        }
      }
      return { keys, count: rows.length, hasOwner }
    },
    revision: options.revision,
    clock,
    log,
  })

  return {
    ready: () => snapshot.ready(),
    stop: () => snapshot.stop(),
    isStale: () => snapshot.isStale(),
    hasOwner: () => snapshot.get().hasOwner,
    /** The key behind `hash`; undefined when it is not in memory. */
    find: (hash: string): KnownKey | undefined => (withdrawn.has(hash) ? undefined : snapshot.get().keys.get(hash)),
    /** By id of a key or hash of a text. */
    isWithdrawn: (name: string): boolean => withdrawn.has(name),
    count: () => snapshot.get().count,
    reload: () => snapshot.refresh(),

    /** Call after a change was committed: this node acts on it when the promise resolves, store or no store. */
    async apply(change: RingChange = {}): Promise<void> {
      const gone = [...(change.endedTexts ?? []), ...(change.withdrawn === undefined ? [] : [change.withdrawn])]
      for (const each of gone) withdrawn.add(each)
      if (change.restored !== undefined) withdrawn.delete(change.restored)
      await snapshot.refresh()
      if (!snapshot.isStale()) for (const each of gone) withdrawn.delete(each)
    },
  }
}

export function toKnownKey(row: EffectiveKeyRow, textExpiresAt: number | null = null): KnownKey {
  const isOfAccount = row.service_account_id !== ''
  return {
    principal: {
      kind: 'api_key',
      id: row.id,
      role: 'user',
      tenantId: row.tenant_id,
      // Limits, budgets and the ledger know an account as they know a person.
      userId: isOfAccount ? row.service_account_id : row.user_id,
      keyId: row.id,
      keyName: isOfAccount ? `${row.account_name ?? ''}/${row.name}` : row.name,
      allowedModels: readList(row.allowed_models),
      rateLimit: row.rate_limit,
      tokenLimit: row.tpm_limit,
      concurrencyLimit: row.concurrency_limit,
      tags: readTags(row.tags),
      allowedServices: readList(row.allowed_services),
      allowedEndpoints: readList(row.allowed_endpoints),
      service: row.service,
      allowedIps: readList(row.allowed_ips),
      serviceAccountId: row.service_account_id,
    },
    // A key whose account is gone from under it opens nothing.
    enabled: row.enabled === 1 && row.owner_enabled !== 0 && (!isOfAccount || row.account_enabled === 1),
    expiresAt: row.expires_at ?? Number.POSITIVE_INFINITY,
    textExpiresAt: textExpiresAt ?? Number.POSITIVE_INFINITY,
  }
}
