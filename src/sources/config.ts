import { z } from 'zod'

/** `[sources]`: databases of other gateways that are read. */
export const sourcesConfig = z
  .strictObject({
    poll_seconds: z
      .number()
      .min(1)
      .max(3600)
      .default(15)
      .describe('How often a source is asked for new rows; one that answers slowly is asked less often.')
      .meta({ reload: true, zh: '读取数据源新行的间隔（秒）；响应慢的数据源会自动放宽。' }),
    overlap_seconds: z
      .number()
      .int()
      .min(0)
      .max(86_400)
      .default(600)
      .describe('How far back each of these looks again, for rows that were written late.')
      .meta({ zh: '每次轮询回看的时长（秒），用于补上迟到的行。' }),
    recheck_hours: z
      .number()
      .int()
      .min(1)
      .max(720)
      .default(48)
      .describe(
        'How far back a source is compared every ten minutes with what was read of it, for rows that are later still.',
      )
      .meta({ reload: true, zh: '每十分钟与已读内容核对的时长（小时），用于补上更晚到达的行。' }),
    rows_per_second: z
      .number()
      .int()
      .min(0)
      .max(10_000_000)
      .default(5000)
      .describe(
        'How many rows a second are read at most while history is filled in, unless the source says otherwise; 0 for no limit.',
      )
      .meta({ reload: true, zh: '回填历史时每秒最多读取的行数，可按数据源单独设置；0 表示不限。' }),
  })
  .prefault({})
  .describe("Other gateways' databases, read and never written to.")
  .meta({ zh: '外部网关的数据库，只读不写。' })

export type SourcesConfig = z.infer<typeof sourcesConfig>
