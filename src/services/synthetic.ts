import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { toInstanceRow, toServiceRow } from './registry/register.ts'
import type { Manifest } from './schema.ts'
import { createServicesStore, type ServicesTables } from './store.ts'

export type SyntheticServices = {
  /** Adds a service, or lets it follow its address. One of somebody's own under that name is left alone. */
  put(manifest: Manifest): Promise<void>
  /** The same for one that is there; nothing otherwise. */
  move(manifest: Manifest): Promise<void>
  /** Removes the service of this name if it is made up. */
  remove(name: string): Promise<void>
}

const mark = { is_synthetic: true }

/**
 * A service for demonstrations: marked in its metadata, without a token, removable as a whole. It works on the store
 * alone, beside a running hub too; `bus` makes this one quick.
 */
export function openSyntheticServices(parts: {
  db: Kysely<ServicesTables>
  clock: Clock
  bus?: Bus
}): SyntheticServices {
  const { clock, bus } = parts
  const store = createServicesStore(parts.db)

  async function find(name: string) {
    const row = await store.findService(name)
    const isOurs = row !== undefined && (JSON.parse(row.metadata) as { is_synthetic?: unknown }).is_synthetic === true
    return { row, isOurs }
  }

  async function write(manifest: Manifest): Promise<void> {
    const { row } = await find(manifest.name)
    const now = clock.now()
    const service = toServiceRow({ ...manifest, service_metadata: mark }, row, '', now)
    const [before] = row === undefined ? [] : await store.listInstances(row.id)
    await store.register(service, toInstanceRow(manifest, service, before, now), null)
    bus?.announce('service.changed', { service: service.name, tenantId: '', change: row ? 'changed' : 'registered' })
  }

  return {
    async put(manifest) {
      const { row, isOurs } = await find(manifest.name)
      if (row === undefined || isOurs) await write(manifest)
    },
    async move(manifest) {
      if ((await find(manifest.name)).isOurs) await write(manifest)
    },
    async remove(name) {
      const { row, isOurs } = await find(name)
      if (row !== undefined && isOurs) await store.deleteService(row.id)
    },
  }
}
