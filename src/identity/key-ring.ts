import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Log } from '../platform/log.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import { type EffectiveKeyRow, type KeyStore, readTags } from './key-store.ts'

/** An API key as requests meet it. */
export type KnownKey = {
  principal: Principal
  enabled: boolean
  /** Epoch ms; Infinity for never. */
  expiresAt: number
}

type Held = { keys: ReadonlyMap<string, KnownKey>; hasOwner: boolean }

export type KeyRing = ReturnType<typeof createKeyRing>

/**
 * All API keys in memory, by hash, with the answer to "has the hub an owner". It follows the store within a second and
 * stays as it was, for hours if need be, while the store is away.
 */
export function createKeyRing(options: {
  keyStore: Pick<KeyStore, 'all'>
  hasOwner(): Promise<boolean>
  revision(): Promise<number>
  clock: Clock
  log: Log
}) {
  const { keyStore, clock, log } = options
  // Keys withdrawn here whose removal the snapshot has not been seen to hold yet.
  const withdrawn = new Set<string>()
  const snapshot = createSnapshot<Held>({
    name: 'API keys',
    async load() {
      const [rows, hasOwner] = await Promise.all([keyStore.all(), options.hasOwner()])
      return { keys: new Map(rows.map((row) => [row.key_hash, toKnownKey(row)])), hasOwner }
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
    find: (hash: string): KnownKey | undefined => snapshot.get().keys.get(hash),
    isWithdrawn: (id: string): boolean => withdrawn.has(id),
    count: () => snapshot.get().keys.size,
    reload: () => snapshot.refresh(),

    /** Call after a change was committed: this node acts on it when the promise resolves, store or no store. */
    async apply(change: { withdrawn?: string; restored?: string } = {}): Promise<void> {
      if (change.withdrawn !== undefined) withdrawn.add(change.withdrawn)
      if (change.restored !== undefined) withdrawn.delete(change.restored)
      await snapshot.refresh()
      if (change.withdrawn !== undefined && !snapshot.isStale()) withdrawn.delete(change.withdrawn)
    },
  }
}

export function toKnownKey(row: EffectiveKeyRow): KnownKey {
  return {
    principal: {
      kind: 'api_key',
      id: row.id,
      role: 'user',
      tenantId: row.tenant_id,
      userId: row.user_id,
      keyId: row.id,
      keyName: row.name,
      allowedModels: row.allowed_models === '' ? null : (JSON.parse(row.allowed_models) as string[]),
      rateLimit: row.rate_limit,
      tokenLimit: row.tpm_limit,
      concurrencyLimit: row.concurrency_limit,
      tags: readTags(row.tags),
      allowedServices: null,
      allowedEndpoints: null,
      service: '',
    },
    enabled: row.enabled === 1 && row.owner_enabled !== 0,
    expiresAt: row.expires_at ?? Number.POSITIVE_INFINITY,
  }
}
