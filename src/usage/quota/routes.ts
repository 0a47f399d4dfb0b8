import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { toPage } from '../../kernel/page.ts'
import type { Principal } from '../../kernel/principal.ts'
import { hubTenant, scopeOf } from '../../kernel/scope.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import { nanoFromUsd } from '../usd.ts'
import type { KeptQuota } from './quota.ts'
import {
  budgetCreate,
  budgetPatch,
  budgetReply,
  limitCreate,
  limitPatch,
  limitReply,
  showBudget,
  showLimit,
} from './schema.ts'
import type { BudgetRow, LimitRow, QuotaStore } from './store.ts'

/** The tenant that a key or a person belongs to, or that has this id or name; null when there is none. */
export type TenantOf = (scope: 'key' | 'user' | 'tenant', id: string) => Promise<string | null>

export type QuotaRouteParts = {
  store: QuotaStore
  quota: Pick<KeptQuota, 'changed' | 'spending'>
  tenantOf: TenantOf
  clock: Clock
}

const byId = z.strictObject({ id: z.string() })
const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional(),
})
const pageOf = <T extends z.ZodType>(item: T) => z.object({ data: z.array(item), next_cursor: z.string().nullable() })

/** `/api/limits` and `/api/budgets`: a super_admin's for everything, a tenant_admin's for its own keys and people. */
export function quotaRoutes(parts: QuotaRouteParts): Route[] {
  return [...limitRoutes(parts), ...budgetRoutes(parts)]
}

function limitRoutes({ store, quota, tenantOf, clock }: QuotaRouteParts): Route[] {
  const tag = 'limits'
  const find = async (id: string, principal: Principal) =>
    there(await store.findLimit(scopeOf(principal), id), id, 'limit')
  return [
    defineRoute({
      method: 'GET',
      path: '/api/limits',
      access: 'tenant_admin',
      summary: 'Limits of requests, tokens and concurrent calls, newest first.',
      tag,
      query: pageQuery,
      reply: pageOf(limitReply),
      async handle({ principal, query }) {
        const rows = await store.listLimits(scopeOf(principal!), query.limit + 1, query.cursor)
        const page = toPage(rows, query.limit, (row) => row.id)
        return { ...page, data: page.data.map(showLimit) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/limits',
      access: 'tenant_admin',
      summary: 'Limits a key, a person, a tenant, a provider or an address.',
      tag,
      body: limitCreate,
      reply: limitReply,
      status: 201,
      async handle({ principal, body }) {
        const owned = await ownerOf(body, principal!, tenantOf)
        const now = clock.now()
        const row: LimitRow = { ...body, ...owned, id: createId('limit', now), created_at: now, updated_at: now }
        await unlessThere(store.insertLimit(row), `There is a limit for this ${body.scope} already; change that one.`)
        await quota.changed()
        return showLimit(row)
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/limits/:id',
      access: 'tenant_admin',
      summary: 'One limit.',
      tag,
      params: byId,
      reply: limitReply,
      handle: async ({ principal, params }) => showLimit(await find(params.id, principal!)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/limits/:id',
      access: 'tenant_admin',
      summary: 'Changes a limit; it holds on every node within two seconds.',
      tag,
      params: byId,
      body: limitPatch,
      reply: limitReply,
      async handle({ principal, params, body }) {
        const row = changeable(await find(params.id, principal!), principal!)
        const change = { ...given(body), updated_at: clock.now() }
        await store.updateLimit(scopeOf(principal!), row.id, change)
        await quota.changed()
        return showLimit({ ...row, ...change })
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/limits/:id',
      access: 'tenant_admin',
      summary: 'Lifts a limit.',
      tag,
      params: byId,
      async handle({ principal, params }) {
        const row = changeable(await find(params.id, principal!), principal!)
        await store.deleteLimit(scopeOf(principal!), row.id)
        await quota.changed()
      },
    }),
  ]
}

function budgetRoutes({ store, quota, tenantOf, clock }: QuotaRouteParts): Route[] {
  const tag = 'budgets'
  const find = async (id: string, principal: Principal) =>
    there(await store.findBudget(scopeOf(principal), id), id, 'budget')
  const show = async (rows: readonly BudgetRow[]) => {
    const balances = await quota.spending.balances(rows)
    return rows.map((row, i) =>
      showBudget(row, { ...quota.spending.period(row, clock.now()), balance: balances[i] ?? null }),
    )
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/budgets',
      access: 'tenant_admin',
      summary: 'Budgets with what was spent of them in the current period, newest first.',
      tag,
      query: pageQuery,
      reply: pageOf(budgetReply),
      async handle({ principal, query }) {
        const rows = await store.listBudgets(scopeOf(principal!), query.limit + 1, query.cursor)
        const page = toPage(rows, query.limit, (row) => row.id)
        return { ...page, data: await show(page.data) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/budgets',
      access: 'tenant_admin',
      summary: 'A budget for each day or month. What was spent in the current period counts.',
      tag,
      body: budgetCreate,
      reply: budgetReply,
      status: 201,
      async handle({ principal, body }) {
        const { scope, period, zone } = body
        const owned = await ownerOf(body, principal!, tenantOf)
        const now = clock.now()
        const row: BudgetRow = {
          ...{ id: createId('budget', now), scope, ...owned, period, zone },
          ...{ limit_nano_usd: nanoFromUsd(body.limit_usd), is_hard: body.hard ? 1 : 0 },
          ...{ created_at: now, updated_at: now },
        }
        const conflict = `There is a budget for this ${scope} and ${period} already; change that one.`
        await unlessThere(store.insertBudget(row), conflict)
        await quota.changed()
        return (await show([row]))[0]
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/budgets/:id',
      access: 'tenant_admin',
      summary: 'One budget with what was spent of it in the current period.',
      tag,
      params: byId,
      reply: budgetReply,
      handle: async ({ principal, params }) => (await show([await find(params.id, principal!)]))[0],
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/budgets/:id',
      access: 'tenant_admin',
      summary: 'Changes a budget; it holds on every node within two seconds.',
      tag,
      params: byId,
      body: budgetPatch,
      reply: budgetReply,
      async handle({ principal, params, body: { zone, limit_usd, hard } }) {
        const row = changeable(await find(params.id, principal!), principal!)
        const change = {
          ...given({ zone }),
          ...(limit_usd === undefined ? {} : { limit_nano_usd: nanoFromUsd(limit_usd) }),
          ...(hard === undefined ? {} : { is_hard: hard ? 1 : 0 }),
          updated_at: clock.now(),
        }
        await store.updateBudget(scopeOf(principal!), row.id, change)
        await quota.changed()
        return (await show([{ ...row, ...change }]))[0]
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/budgets/:id',
      access: 'tenant_admin',
      summary: 'Removes a budget; the ledger keeps what was spent.',
      tag,
      params: byId,
      async handle({ principal, params }) {
        const row = changeable(await find(params.id, principal!), principal!)
        await store.deleteBudget(scopeOf(principal!), row.id)
        await quota.changed()
      },
    }),
  ]
}

type Owned = { scope: string; scope_id: string; tenant_id: string }

/** What is to be limited, by its id, and whose it is. Throws `not_found` for what the caller may not know to be there. */
async function ownerOf(
  { scope, scope_id }: Pick<Owned, 'scope' | 'scope_id'>,
  principal: Principal,
  tenantOf: TenantOf,
): Promise<Pick<Owned, 'scope_id' | 'tenant_id'>> {
  const absent = () => fail('not_found', `There is no ${scope} ${scope_id}.`, { param: 'scope_id' })
  if (scope === 'key' || scope === 'user') {
    const tenantId = await tenantOf(scope, scope_id)
    const isSeen = principal.role === 'super_admin' || tenantId === principal.tenantId
    if (tenantId === null || !isSeen) throw absent()
    return { scope_id, tenant_id: tenantId }
  }
  if (principal.role !== 'super_admin') {
    throw fail('forbidden', `Only a super_admin limits a ${scope}; you may limit keys and people of your tenant.`)
  }
  if (scope !== 'tenant') return { scope_id, tenant_id: hubTenant.id }
  const tenantId = await tenantOf(scope, scope_id)
  if (tenantId === null) throw absent()
  return { scope_id: tenantId, tenant_id: tenantId }
}

function there<Row>(row: Row | undefined, id: string, kind: string): Row {
  if (row === undefined) throw fail('not_found', `There is no ${kind} ${id}.`, { param: 'id' })
  return row
}

/** What was set for a tenant as a whole, its administrators may see and not lift. */
function changeable<Row extends Owned>(row: Row, { role }: Principal): Row {
  if (role === 'super_admin' || row.scope === 'key' || row.scope === 'user') return row
  throw fail('forbidden', 'Only a super_admin changes what holds for the whole tenant.')
}

async function unlessThere(inserting: Promise<unknown>, conflict: string): Promise<void> {
  try {
    await inserting
  } catch (error) {
    if (isUniqueViolation(error)) throw fail('conflict', conflict, { param: 'scope_id' })
    throw error
  }
}

/** Without the members that were not sent. */
function given<T extends object>(body: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as never
}
