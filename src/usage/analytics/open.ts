import type { Kysely } from 'kysely'
import { everything } from '../../kernel/scope.ts'
import type { UsageTables } from '../rows.ts'
import { series, type TopBy, top, topBy } from './reports.ts'
import { createAnalyticsStore } from './store.ts'

export const topKeys = Object.keys(topBy) as TopBy[]

type Span = { from: number; to: number }

/** Reports over the store alone, beside a running hub or without one. What the hub has not settled yet is not in them. */
export function openReports(db: Kysely<UsageTables>) {
  const parts = { store: createAnalyticsStore(db), namesOf: async () => new Map<string, string>() }
  const rangeOf = (span: Span) => ({ ...span, scope: everything, filters: {} })
  return {
    async top(span: Span, by: TopBy, limit: number) {
      const { rows } = await top(parts, rangeOf(span), by, 'tokens', limit)
      const { id, name } = topBy[by]
      return rows.map((row) => ({ label: String(row[id ?? name] ?? ''), ...row }))
    },
    series: async (span: Span, slotMs: number) => (await series(parts, rangeOf(span), slotMs)).points,
  }
}
