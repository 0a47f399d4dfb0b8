import type { Readable } from 'node:stream'
import type { Kysely } from 'kysely'
import { everything } from '../../kernel/scope.ts'
import type { UsageTables } from '../rows.ts'
import { withSources } from './asked-range.ts'
import { type ExportFormat, writeExport } from './export.ts'
import { series, type TopBy, type TopMetric, top, topBy } from './reports.ts'
import { createAnalyticsStore } from './store.ts'
import { type ExportedReport, fileNameOf, tableOf } from './tables.ts'

export const topKeys = Object.keys(topBy) as TopBy[]

type Span = { from: number; to: number }

/** Reports over the store alone, beside a running hub or without one. What the hub has not settled yet is not in them. */
export function openReports(db: Kysely<UsageTables>) {
  const parts = { store: createAnalyticsStore(db), namesOf: async () => new Map<string, string>() }
  const rangeOf = (span: Span, isBySource = false) => ({
    ...{ ...span, scope: everything, filters: withSources({}, isBySource) },
  })
  return {
    async top(span: Span, by: TopBy, limit: number) {
      const { rows } = await top(parts, rangeOf(span, by === 'source'), by, 'tokens', limit)
      const { id, name } = topBy[by]
      return rows.map((row) => ({ label: String(row[id ?? name] ?? ''), ...row }))
    },
    series: async (span: Span, slotMs: number) => (await series(parts, rangeOf(span), slotMs)).points,

    /** The same file as `/api/export/*` makes, and its name. */
    async export(
      format: ExportFormat,
      wish: { report: ExportedReport; span: Span; by: TopBy; metric: TopMetric; limit: number; zone: string },
    ): Promise<{ name: string; content: Readable }> {
      const range = rangeOf(wish.span, wish.report === 'top' && wish.by === 'source')
      const asked = { ...wish, range, slotMs: 3_600_000 }
      const table = await tableOf(parts, asked, () => ({ from: range.from, to: range.to }))
      return { name: fileNameOf(asked, format), content: writeExport(format, table) }
    },
  }
}
