import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import { range, readRange, slot, topKeys, topLimit, topMetric, zone } from './asked-range.ts'
import { exportFormats, exportTypes, writeExport } from './export.ts'
import type { Answer } from './query.ts'
import type { ReportParts } from './reports.ts'
import { type AskedTable, exportedReports, fileNameOf, tableOf } from './tables.ts'

const summaries = {
  csv: 'A report or the single requests of a range as CSV for spreadsheets, however many.',
  json: 'A report or the single requests of a range as JSON, however many.',
  xlsx: 'A report or the single requests of a range as an Excel workbook, however many; moments are dates of UTC.',
}

/** `/api/export/*`. What breaks off ends in a cut connection and never as a whole file. */
export function exportRoutes(
  parts: ReportParts & { timeZone: string },
  stateOf: (...answers: Answer[]) => object,
): Route[] {
  const query = z.strictObject({
    query_type: z.enum(exportedReports),
    ...range,
    slot_sec: slot.default(300),
    by: topKeys.default('user'),
    metric: topMetric.default('tokens'),
    limit: topLimit.default(1000),
    time_zone: zone.optional().describe('For the heat map; the setting usage.time_zone unless said.'),
  })
  return exportFormats.map((format) =>
    defineRoute({
      method: 'GET',
      path: `/api/export/${format}`,
      access: 'user',
      tag: 'usage',
      summary: summaries[format],
      query,
      reply: z.unknown(),
      async handle({ principal, query }) {
        const { query_type: report, slot_sec, by, metric, limit, time_zone = parts.timeZone } = query
        const isBySource = report === 'top' && by === 'source'
        const asked: AskedTable = {
          ...{ report, range: readRange(principal!, query, { isBySource }), slotMs: slot_sec * 1000 },
          ...{ by, metric, limit, zone: time_zone },
        }
        const table = await tableOf(parts, asked, stateOf)
        return reply(200, writeExport(format, table), {
          'content-type': exportTypes[format],
          'content-disposition': `attachment; filename="${fileNameOf(asked, format)}"`,
        })
      },
    }),
  )
}
