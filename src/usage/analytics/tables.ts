import { detailColumns } from '../details.ts'
import { logColumns } from '../rows.ts'
import type { ExportRow } from './csv.ts'
import { begun, type ExportTable, eachRequest } from './export.ts'
import type { Answer } from './query.ts'
import {
  counts,
  heatmap,
  type Range,
  type ReportParts,
  series,
  type TopBy,
  type TopMetric,
  top,
  topBy,
} from './reports.ts'

export const exportedReports = ['series', 'top', 'heatmap', 'requests'] as const

export type ExportedReport = (typeof exportedReports)[number]

export type AskedTable = {
  report: ExportedReport
  range: Range
  slotMs: number
  by: TopBy
  metric: TopMetric
  limit: number
  zone: string
}

const sums = Object.keys(counts(undefined))
const requestColumns = [
  ...logColumns.filter((name) => name !== 'attempt_log' && name !== 'route_log' && name !== 'usage_details'),
  ...Object.keys(detailColumns),
]

/** A report, or the single requests of a range, as a table. `aboutOf` tells what is known of its answers. */
export async function tableOf(
  parts: ReportParts,
  { report, range, slotMs, by, metric, limit, zone }: AskedTable,
  aboutOf: (...answers: Answer[]) => object,
): Promise<ExportTable> {
  if (report === 'requests') {
    const rows = await begun(eachRequest(parts.store, range))
    return { columns: requestColumns, times: ['started_at'], rows, about: aboutOf() }
  }
  if (report === 'series') {
    const { answer, points } = await series(parts, range, slotMs)
    const columns = ['bucket', ...sums.slice(0, 2), 'users', 'tokens_cnt', ...sums.slice(2)]
    return { columns, times: ['bucket'], rows: points, about: aboutOf(answer) }
  }
  if (report === 'heatmap') {
    const { answer, cells } = await heatmap(parts, range, zone)
    return { columns: ['weekday', 'hour', ...sums], times: [], rows: cells, about: aboutOf(answer) }
  }
  const { answer, rows } = await top(parts, range, by, metric, limit)
  const { id, name } = topBy[by]
  const columns = [id, name, ...sums].filter((column) => column !== null)
  return { columns, times: [], rows: rows as Iterable<ExportRow>, about: aboutOf(answer) }
}

/** `top_model_tokens_…`, `series_data_…`: as the first monitor named its files. */
export function fileNameOf({ report, by, metric, range }: AskedTable, format: string): string {
  const what = report === 'top' ? `top_${by}_${metric}` : `${report}_data`
  return `${what}_${range.from}_${range.to}.${format}`
}
