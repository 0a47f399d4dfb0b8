import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../platform/log.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { UsageTables } from '../usage/index.ts'
import { createRiskStore, type RiskTables } from './store.ts'

/** Actions that calls are subject to now. */
export type InForce = {
  /** Requests a minute that an action leaves to a key; null for no such action. */
  throttleOf(keyId: string): number | null
  /** The model that an action has a key's calls served by instead; null for no such action. */
  modelFor(keyId: string): string | null
  refresh(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

type Held = {
  throttles: ReadonlyMap<string, { rpm: number; until: number }>
  models: ReadonlyMap<string, { model: string; until: number }>
}

/** Keeps them in memory, as the store has them: within a second, and while it is away as they were. */
export function createInForce(parts: { db: Kysely<RiskTables & UsageTables>; clock: Clock; log: Log }): InForce {
  const { clock } = parts
  const log = parts.log.child({ room: 'risk' })
  const store = createRiskStore(parts.db)
  const snapshot = createSnapshot<Held>({ name: 'risk actions', load, revision: store.revision, clock, log })

  async function load(): Promise<Held> {
    const throttles = new Map<string, { rpm: number; until: number }>()
    const models = new Map<string, { model: string; until: number }>()
    for (const { kind, key_id, rpm, model, expires_at: until } of await store.actionsIn(['done'], 100_000)) {
      if (kind === 'downgrade') models.set(key_id, { model, until })
      if (kind !== 'throttle') continue
      const other = throttles.get(key_id)
      if (other === undefined || other.rpm > rpm) throttles.set(key_id, { rpm, until })
    }
    return { throttles, models }
  }

  return {
    throttleOf(keyId) {
      const found = snapshot.get().throttles.get(keyId)
      // The job that ends it may be late; the time is not.
      return found === undefined || found.until <= clock.now() ? null : found.rpm
    },
    modelFor(keyId) {
      const found = snapshot.get().models.get(keyId)
      return found === undefined || found.until <= clock.now() ? null : found.model
    },
    refresh: async () => void (await snapshot.refresh()),
    start: async () => void (await snapshot.ready()),
    async stop() {
      snapshot.stop()
    },
  }
}
