import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Scope } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { isUniqueViolation } from '../platform/database/index.ts'
import type { KeyRing } from './key-ring.ts'
import type { ServiceAccountRow, ServiceAccountStore } from './service-accounts-store.ts'

/** Somebody who is no person: its keys outlive whoever made them. */
export type ServiceAccount = {
  id: string
  tenantId: string
  name: string
  description: string
  /** The person who answers for it, '' for nobody. */
  ownerId: string
  enabled: boolean
  createdAt: number
  updatedAt: number
}

export type ServiceAccountChange = Partial<Pick<ServiceAccount, 'name' | 'description' | 'ownerId' | 'enabled'>>

/** What is outside a scope is `not_found`, as if it were not. */
export type ServiceAccounts = {
  list(scope: Scope, limit: number, cursor?: string): Promise<Page<ServiceAccount>>
  get(scope: Scope, id: string): Promise<ServiceAccount>
  /** Rejects with `conflict` when the tenant has one of that name, `not_found` for an owner of another tenant, or when the tenant is gone. */
  create(wish: Pick<ServiceAccount, 'tenantId' | 'name' | 'description' | 'ownerId'>): Promise<ServiceAccount>
  /** Disabled, its keys are refused here when the promise resolves, on other nodes within two seconds. */
  patch(scope: Scope, id: string, change: ServiceAccountChange): Promise<ServiceAccount>
  /** With its keys. */
  delete(scope: Scope, id: string): Promise<void>
}

export function createServiceAccounts(own: {
  accountStore: ServiceAccountStore
  /** The tenant of a person; null when there is none of that id. */
  tenantOfUser(id: string): Promise<string | null>
  ring: Pick<KeyRing, 'apply'>
  bus: Bus
  clock: Clock
}): ServiceAccounts {
  const { accountStore, tenantOfUser, ring, bus, clock } = own

  async function find(scope: Scope, id: string): Promise<ServiceAccountRow> {
    const row = await accountStore.find(scope, id)
    if (row === undefined) throw unknown(id)
    return row
  }

  async function assertOwner(ownerId: string, tenantId: string): Promise<void> {
    if (ownerId === '' || (await tenantOfUser(ownerId)) === tenantId) return
    throw fail('not_found', `there is no person ${ownerId} in the tenant of this account`, { param: 'owner_id' })
  }

  async function spread(): Promise<void> {
    bus.announce('config.changed', { kind: 'keys' })
    await ring.apply()
  }

  return {
    async list(scope, limit, cursor) {
      const page = toPage(await accountStore.list(scope, limit + 1, cursor), limit, (row) => row.id)
      return { ...page, data: page.data.map(toAccount) }
    },
    get: async (scope, id) => toAccount(await find(scope, id)),

    async create({ tenantId, name, description, ownerId }) {
      await assertOwner(ownerId, tenantId)
      const now = clock.now()
      const row: ServiceAccountRow = {
        id: createId('serviceAccount', now),
        tenant_id: tenantId,
        name,
        description,
        owner_id: ownerId,
        enabled: 1,
        created_at: now,
        updated_at: now,
      }
      if (!(await unlessTaken(accountStore.insert(row), name))) {
        throw fail('not_found', `there is no tenant ${tenantId}`, { param: 'tenant_id' })
      }
      return toAccount(row)
    },

    async patch(scope, id, change) {
      const before = await find(scope, id)
      if (change.ownerId !== undefined) await assertOwner(change.ownerId, before.tenant_id)
      const row = await unlessTaken(
        accountStore.patch(scope, id, {
          ...(change.name === undefined ? {} : { name: change.name }),
          ...(change.description === undefined ? {} : { description: change.description }),
          ...(change.ownerId === undefined ? {} : { owner_id: change.ownerId }),
          ...(change.enabled === undefined ? {} : { enabled: change.enabled ? 1 : 0 }),
          updated_at: clock.now(),
        }),
        change.name ?? before.name,
      )
      if (row === undefined) throw unknown(id)
      await spread()
      return toAccount(row)
    },

    async delete(scope, id) {
      if (!(await accountStore.delete(scope, id))) throw unknown(id)
      await spread()
    },
  }
}

function toAccount(row: ServiceAccountRow): ServiceAccount {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    description: row.description,
    ownerId: row.owner_id,
    enabled: row.enabled === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function unknown(id: string) {
  return fail('not_found', `there is no service account ${id}`, { param: 'id' })
}

async function unlessTaken<T>(work: Promise<T>, name: string): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isUniqueViolation(error)) throw fail('conflict', `this tenant has a service account ${name}`, { param: 'name' })
    throw error
  }
}
