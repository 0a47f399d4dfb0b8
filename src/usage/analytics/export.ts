import { Readable } from 'node:stream'
import type { Scope } from '../../kernel/scope.ts'
import { countDetails } from '../details.ts'
import type { LogPosition } from '../store.ts'
import { byteOrderMark, csvLine } from './csv.ts'
import type { Filters } from './pieces-store.ts'
import type { AnalyticsStore } from './store.ts'

type Cell = string | number | boolean | null
export type ExportRow = Readonly<Record<string, Cell>>

const pageRows = 500

/** Single requests of a range, oldest first, a page at a time: a million take as much memory as five hundred. */
export async function* eachRequest(
  store: Pick<AnalyticsStore, 'requests'>,
  range: { scope: Scope; from: number; to: number; filters: Filters },
): AsyncGenerator<ExportRow> {
  let after: LogPosition | null = null
  for (;;) {
    const rows = await store.requests(range, after, pageRows)
    for (const { usage_details, tags, is_synthetic, stream, ...row } of rows) {
      yield {
        ...row,
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

/** Lines of a header and rows; the header stands there without any row too. */
export function toCsv(columns: readonly string[], rows: AsyncIterable<ExportRow> | Iterable<ExportRow>): Readable {
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
export function toJson(rows: AsyncIterable<ExportRow> | Iterable<ExportRow>, about: object): Readable {
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
