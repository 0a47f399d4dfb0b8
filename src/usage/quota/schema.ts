import { z } from 'zod'
import { formatUsd } from '../../kernel/money.ts'
import { showTenantId } from '../../kernel/scope.ts'
import { nanoFromUsd } from '../usd.ts'
import { isZone } from './periods.ts'
import { budgetPeriods, budgetScopes, limitScopes } from './scopes.ts'
import type { BudgetRow, LimitRow } from './store.ts'

/** Percents of a budget that are announced. */
export const budgetSteps = [50, 80, 95, 100] as const

const time = z.string().describe('ISO 8601, UTC')
const scopeId = z.string().trim().min(1).max(200)
const most = (what: string) => z.int().min(0).max(1_000_000_000).nullable().describe(`${what}; null for no limit.`)
const rpm = most('Requests a minute')
const tpm = most('Tokens a minute, input and output together')
const concurrency = most('Calls at the same time')

export const limitCreate = z.strictObject({
  scope: z.enum(limitScopes),
  scope_id: scopeId.describe('Id of the key, user or provider, id or name of the tenant, or the address.'),
  rpm: rpm.default(null),
  tpm: tpm.default(null),
  concurrency: concurrency.default(null),
})
export const limitPatch = z.strictObject({
  rpm: rpm.optional(),
  tpm: tpm.optional(),
  concurrency: concurrency.optional(),
})
export const limitReply = z.object({
  id: z.string(),
  scope: z.enum(limitScopes),
  scope_id: z.string(),
  tenant_id: z.string(),
  rpm: z.number().nullable(),
  tpm: z.number().nullable(),
  concurrency: z.number().nullable(),
  created_at: time,
  updated_at: time,
})

const usd = z
  .string()
  .regex(/^\d{1,6}(\.\d{1,9})?$/, 'must be dollars as text, such as "250" or "0.5"')
  .refine((text) => !/^\d{1,6}(\.\d{1,9})?$/.test(text) || nanoFromUsd(text) > 0, 'must be more than nothing')
const zone = z
  .string()
  .max(64)
  .refine(isZone, 'is no time zone of the IANA list, such as Europe/Berlin')
  .describe('IANA time zone in which days and months begin.')
const hard = z.boolean().describe('true refuses calls when it is used up; false only tells.')

export const budgetCreate = z.strictObject({
  scope: z.enum(budgetScopes),
  scope_id: scopeId.describe('Id of the key, user or provider, id or name of the tenant, or the tag.'),
  period: z.enum(budgetPeriods),
  zone: zone.default('UTC'),
  limit_usd: usd,
  hard: hard.default(true),
})
export const budgetPatch = z.strictObject({
  zone: zone.optional(),
  limit_usd: usd.optional(),
  hard: hard.optional(),
})
export const budgetReply = z.object({
  id: z.string(),
  scope: z.enum(budgetScopes),
  scope_id: z.string(),
  tenant_id: z.string(),
  period: z.enum(budgetPeriods),
  zone: z.string(),
  limit_usd: z.string(),
  limit_nano_usd: z.number(),
  hard: z.boolean(),
  period_starts_at: time,
  period_ends_at: time,
  spent_usd: z.string().nullable().describe('In this period; null while nobody can tell.'),
  spent_nano_usd: z.number().nullable(),
  reserved_usd: z.string().nullable().describe('For calls under way.'),
  created_at: time,
  updated_at: time,
})

/** Tenants as people read them. */
function shownOwner({ scope, scope_id, tenant_id }: Pick<LimitRow | BudgetRow, 'scope' | 'scope_id' | 'tenant_id'>) {
  return { scope_id: scope === 'tenant' ? showTenantId(scope_id) : scope_id, tenant_id: showTenantId(tenant_id) }
}

export function showLimit(row: LimitRow) {
  return { ...row, ...shownOwner(row), created_at: instant(row.created_at), updated_at: instant(row.updated_at) }
}

export function showBudget(
  row: BudgetRow,
  current: { startsAt: number; endsAt: number; balance: { spent: number; held: number } | null },
) {
  const { balance } = current
  return {
    ...row,
    ...shownOwner(row),
    hard: row.is_hard === 1,
    limit_usd: formatUsd(row.limit_nano_usd),
    period_starts_at: instant(current.startsAt),
    period_ends_at: instant(current.endsAt),
    spent_usd: balance === null ? null : formatUsd(balance.spent),
    spent_nano_usd: balance === null ? null : balance.spent,
    reserved_usd: balance === null ? null : formatUsd(balance.held),
    created_at: instant(row.created_at),
    updated_at: instant(row.updated_at),
  }
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
