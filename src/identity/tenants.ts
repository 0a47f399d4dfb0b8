import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Page, toPage } from '../kernel/page.ts'
import { type Role, roles } from '../kernel/principal.ts'
import { everything, hubTenant, readTenantId, type Scope } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { isUniqueViolation } from '../platform/database/index.ts'
import type { Log } from '../platform/log.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { Belongings, TenantRow, TenantStore } from './tenant-store.ts'

export type Tenant = {
  id: string
  /** Unique, as it may stand in an address. */
  name: string
  displayName: string
  enabled: boolean
  /** The tenant's own settings; `require_totp_for` is one that the hub reads. */
  config: Readonly<Record<string, unknown>>
  /** Names of plugin services its people and keys may call; null for all. */
  enabledServices: readonly string[] | null
  createdAt: number
  updatedAt: number
}

export type TenantChange = Partial<Pick<Tenant, 'name' | 'displayName' | 'enabled' | 'config' | 'enabledServices'>>

/** Plugin services of a tenant, and tokens that register more. */
export type OwnedElsewhere = { services: number; registrationTokens: number }

export type Tenants = {
  /** A tenant as this node knows it, without asking the store; undefined for one it has not heard of. */
  known(id: string): Tenant | undefined
  /** Whether people and keys of a tenant are let in; one that was deleted has none left to ask for. */
  isOpen(id: string): boolean
  list(scope: Scope, limit: number, cursor?: string): Promise<Page<Tenant>>
  /** By id or name; rejects with `not_found` outside `scope`, as for one that never was. */
  get(scope: Scope, idOrName: string, param?: string): Promise<Tenant>
  create(wish: TenantChange & { name: string }): Promise<Tenant>
  /** Switching a tenant off ends its sessions and stops its keys: here at once, elsewhere within two seconds. */
  patch(scope: Scope, idOrName: string, change: TenantChange): Promise<Tenant>
  /** Only one that owns nothing: `conflict` says what there is. */
  delete(scope: Scope, idOrName: string): Promise<void>
  ready(): Promise<void>
  reload(): Promise<void>
  stop(): void
}

export function createTenants(own: {
  tenantStore: TenantStore
  revision(): Promise<number>
  /** Tells this node's keys. */
  applyKeys(): Promise<void>
  endSessionsOf(scope: Scope, tenantId: string): Promise<void>
  /** What other rooms keep for a tenant. */
  ownedElsewhere(tenantId: string): Promise<OwnedElsewhere>
  bus: Bus
  clock: Clock
  log: Log
}): Tenants {
  const { tenantStore, applyKeys, endSessionsOf, ownedElsewhere, bus, clock, log } = own
  const snapshot = createSnapshot<ReadonlyMap<string, Tenant>>({
    name: 'tenants',
    load: async () => new Map((await tenantStore.all()).map((row) => [row.id, toTenant(row)])),
    revision: own.revision,
    // Keys and sessions look every second; a tenant may take a little longer, and still holds within two.
    intervalMs: 1500,
    clock,
    log,
  })

  async function get(scope: Scope, idOrName: string, param = 'id'): Promise<Tenant> {
    const row = await tenantStore.find(scope, readTenantId(idOrName))
    if (row === undefined) throw fail('not_found', `there is no tenant ${idOrName}`, { param })
    return toTenant(row)
  }

  async function spread(): Promise<void> {
    bus.announce('config.changed', { kind: 'keys' })
    await Promise.all([snapshot.refresh(), applyKeys()])
  }

  async function unlessTaken<T>(name: string | undefined, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      throw fail('conflict', `there is a tenant with the name ${name}`, { param: 'name' })
    }
  }

  return {
    known: (id) => snapshot.get().get(id),
    isOpen: (id) => snapshot.get().get(id)?.enabled !== false,

    async list(scope, limit, cursor) {
      const page = toPage(await tenantStore.list(scope, limit + 1, cursor), limit, (row) => row.name)
      return { ...page, data: page.data.map(toTenant) }
    },
    get,

    async create(wish) {
      const now = clock.now()
      const row: TenantRow = {
        ...{ id: createId('tenant', now), name: wish.name, display_name: wish.displayName || wish.name },
        ...{ enabled: wish.enabled === false ? 0 : 1, config: JSON.stringify(wish.config ?? {}) },
        ...{ enabled_services: writeServices(wish.enabledServices ?? null), created_at: now, updated_at: now },
      }
      await unlessTaken(wish.name, tenantStore.insert(row))
      await spread()
      log.info('A tenant was made', { tenantId: row.id })
      return toTenant(row)
    },

    async patch(scope, idOrName, change) {
      const before = await get(scope, idOrName)
      if (before.id === hubTenant.id && (change.enabled === false || change.name !== undefined)) {
        throw fail('conflict', "this is the hub's own tenant: it keeps its name and stays enabled")
      }
      const row = await unlessTaken(
        change.name,
        tenantStore.patch(scope, before.id, {
          ...(change.name === undefined ? {} : { name: change.name }),
          ...(change.displayName === undefined ? {} : { display_name: change.displayName || before.name }),
          ...(change.enabled === undefined ? {} : { enabled: change.enabled ? 1 : 0 }),
          ...(change.config === undefined ? {} : { config: JSON.stringify(change.config) }),
          ...(change.enabledServices === undefined ? {} : { enabled_services: writeServices(change.enabledServices) }),
          updated_at: clock.now(),
        }),
      )
      if (row === undefined) throw fail('not_found', `there is no tenant ${idOrName}`, { param: 'id' })
      // The row first: whoever logs in between the two finds the door closed.
      if (row.enabled === 0) await endSessionsOf(everything, row.id)
      await spread()
      if (change.enabled !== undefined && change.enabled !== before.enabled) {
        log.info(`A tenant was switched ${change.enabled ? 'on' : 'off'}`, { tenantId: row.id })
      }
      return toTenant(row)
    },

    async delete(scope, idOrName) {
      const { id, name } = await get(scope, idOrName)
      if (id === hubTenant.id) throw fail('conflict', "this is the hub's own tenant: it stays")
      const refuse = (owned: Partial<Belongings & OwnedElsewhere>) =>
        fail(
          'conflict',
          `the tenant ${name} still owns ${tell(owned)}; move or delete them first, or switch the tenant off`,
        )
      const elsewhere = await ownedElsewhere(id)
      if (elsewhere.services + elsewhere.registrationTokens > 0) throw refuse(elsewhere)
      const owned = await tenantStore.delete(scope, id)
      if (owned !== null) throw refuse(owned)
      await spread()
      log.info('A tenant was deleted', { tenantId: id })
    },

    ready: () => snapshot.ready(),
    reload: () => snapshot.refresh(),
    stop: () => snapshot.stop(),
  }
}

/** Roles of which a tenant wants a second factor, whatever the hub's own setting says. */
export function readTotpPolicy(tenant: Tenant | undefined): readonly Role[] {
  const wanted = tenant?.config.require_totp_for
  return Array.isArray(wanted) ? roles.filter((role) => wanted.includes(role)) : []
}

function toTenant(row: TenantRow): Tenant {
  return {
    ...{ id: row.id, name: row.name, displayName: row.display_name, enabled: row.enabled === 1 },
    config: JSON.parse(row.config) as Record<string, unknown>,
    enabledServices: row.enabled_services === '' ? null : (JSON.parse(row.enabled_services) as string[]),
    ...{ createdAt: row.created_at, updatedAt: row.updated_at },
  }
}

function writeServices(names: readonly string[] | null): string {
  return names === null ? '' : JSON.stringify(names)
}

const called: Record<keyof (Belongings & OwnedElsewhere), readonly [one: string, more: string]> = {
  people: ['person', 'people'],
  keys: ['API key', 'API keys'],
  serviceAccounts: ['service account', 'service accounts'],
  invitations: ['invitation', 'invitations'],
  services: ['plugin service', 'plugin services'],
  registrationTokens: ['registration token', 'registration tokens'],
}

function tell(owned: Partial<Belongings & OwnedElsewhere>): string {
  return (Object.keys(called) as (keyof typeof called)[])
    .filter((kind) => (owned[kind] ?? 0) > 0)
    .map((kind) => `${owned[kind]} ${called[kind][owned[kind] === 1 ? 0 : 1]}`)
    .join(', ')
}
