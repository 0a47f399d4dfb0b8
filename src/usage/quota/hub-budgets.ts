import type { Budget } from './store.ts'

/**
 * What the hub may spend of its own accord, as budgets like any other: counted over all nodes, reserved before a call and
 * read from the ledger again by counters that know nothing. A day begins at midnight UTC.
 */
export function hubBudgets(daily: Readonly<Record<string, number>>): Budget[] {
  return Object.entries(daily)
    .filter(([, limit]) => limit > 0)
    .map(([purpose, limit]) => ({
      id: `hub:${purpose}`,
      scope: 'hub',
      scope_id: purpose,
      tenant_id: '',
      period: 'day',
      zone: 'UTC',
      limit_nano_usd: limit,
      is_hard: 1,
      created_at: 0,
      updated_at: 0,
    }))
}
