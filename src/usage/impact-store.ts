import type { ExpressionBuilder, Kysely } from 'kysely'
import type { UsageTables } from './rows.ts'

/** Whom something that is broken hurt in a time: calls that went through it, and callers who met a failure. */
export type Impact = { requests: number; failed: number; users: number; tenants: number; share: number }

/** What calls can be told apart by, and the columns in which it may stand: as an id, or as people call it. */
const columns = {
  provider: ['provider_id', 'provider_name'],
  key: ['provider_key_id', 'key_id', 'key_name'],
  model: ['model_asked', 'model_served'],
  service: ['service'],
  route: ['endpoint'],
} as const

/**
 * Counts over the ledger's rows from `from` on. A caller is a key. null where the cause names something that calls are not
 * told apart by, such as a check, or nobody called: then nobody knows. What is not settled yet is not in it.
 */
export async function readImpact(
  db: Kysely<UsageTables>,
  cause: Readonly<Record<string, string>>,
  { tenantId, from }: { tenantId: string; from: number },
): Promise<Impact | null> {
  const named = Object.entries(cause)
  if (named.length === 0 || named.some(([name]) => !(name in columns))) return null
  const calls = db
    .selectFrom('request_logs')
    .where('started_at', '>=', from)
    .where('is_synthetic', '=', 0)
    .$if(tenantId !== '', (query) => query.where('tenant_id', '=', tenantId))
  const isOfCause = (eb: ExpressionBuilder<UsageTables, 'request_logs'>) =>
    eb.and(
      named.map(([name, value]) =>
        eb.or(columns[name as keyof typeof columns].map((column) => eb(column, '=', value))),
      ),
    )
  const ours = calls.where(isOfCause)
  const failures = ours.where('outcome', 'in', ['failure', 'truncated'])
  const count = (query: typeof calls) =>
    query
      .select((eb) => [
        eb.fn.countAll<number>().as('calls'),
        eb.fn.count<number>('key_id').distinct().as('callers'),
        eb.fn.count<number>('tenant_id').distinct().as('tenants'),
      ])
      .executeTakeFirstOrThrow()
  const [all, own, failed] = [await count(calls), await count(ours), await count(failures)]
  if (all.callers === 0) return null
  return {
    ...{ requests: own.calls, failed: failed.calls, users: failed.callers, tenants: failed.tenants },
    share: failed.callers / all.callers,
  }
}
