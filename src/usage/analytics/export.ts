import { Readable } from 'node:stream'
import { type Scope, showTenantId } from '../../kernel/scope.ts'
import { toXlsx } from '../../platform/spreadsheet/xlsx.ts'
import { countDetails } from '../details.ts'
import type { LogPosition } from '../store.ts'
import { byteOrderMark, csvLine, type ExportRow } from './csv.ts'
import type { Filters } from './pieces-store.ts'
import type { AnalyticsStore } from './store.ts'

type Rows = AsyncIterable<ExportRow> | Iterable<ExportRow>

/** What is exported: the columns in their order, those of them that are epoch ms, rows, and what is known of the whole. */
export type ExportTable = { columns: readonly string[]; times: readonly string[]; rows: Rows; about: object }

export const exportFormats = ['csv', 'json', 'xlsx'] as const
export type ExportFormat = (typeof exportFormats)[number]

export const exportTypes: Record<ExportFormat, string> = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
}

/** A table as a file, written as fast as it is read: a million rows take as much memory as a few. */
export function writeExport(format: ExportFormat, { columns, times, rows, about }: ExportTable): Readable {
  if (format === 'xlsx') return toXlsx(columns, rows, { times })
  return format === 'csv' ? toCsv(columns, rows) : toJson(rows, about)
}

const pageRows = 500

/** Single requests of a range, oldest first, a page at a time: a million take as much memory as five hundred. */
export async function* eachRequest(
  store: Pick<AnalyticsStore, 'requests'>,
  range: { scope: Scope; from: number; to: number; filters: Filters },
): AsyncGenerator<ExportRow> {
  let after: LogPosition | null = null
  for (;;) {
    const rows = await store.requests(range, after, pageRows)
    for (const { usage_details, tags, is_synthetic, stream, tenant_id, ...row } of rows) {
      yield {
        ...row,
        tenant_id: showTenantId(tenant_id),
        stream: stream === 1,
        is_synthetic: is_synthetic === 1,
        ...countDetails(usage_details),
        tags: tags === '' ? '' : (JSON.parse(tags) as string[]).join(' '),
      }
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) return
    after = { startedAt: last.started_at, id: last.id }
  }
}

/** The same rows, the first of them read already: what cannot be read at all is an error and no broken-off file. */
export async function begun<Row>(rows: AsyncGenerator<Row>): Promise<AsyncGenerator<Row>> {
  const first = await rows.next()
  return (async function* () {
    try {
      if (first.done === true) return
      yield first.value
      yield* rows
    } finally {
      await rows.return(undefined)
    }
  })()
}

/** Lines of a header and rows; the header stands there without any row too. */
export function toCsv(columns: readonly string[], rows: Rows): Readable {
  return Readable.from(
    (async function* () {
      yield byteOrderMark + csvLine(columns)
      let lines = ''
      for await (const row of rows) {
        lines += csvLine(columns.map((column) => row[column] ?? null))
        if (lines.length < 16_384) continue
        yield lines
        lines = ''
      }
      if (lines !== '') yield lines
    })(),
    { objectMode: false },
  )
}

/** `{"data":[…]` and then what is known of the whole. A cut answer is no JSON: nobody takes it for a whole one. */
export function toJson(rows: Rows, about: object): Readable {
  return Readable.from(
    (async function* () {
      let text = '{"data":['
      let isFirst = true
      for await (const row of rows) {
        text += (isFirst ? '\n' : ',\n') + JSON.stringify(row)
        isFirst = false
        if (text.length < 16_384) continue
        yield text
        text = ''
      }
      yield `${text}\n],${JSON.stringify(about).slice(1)}\n`
    })(),
    { objectMode: false },
  )
}
