import { z } from 'zod'

/** `[analytics]`: where reports are asked instead of the main store. */
export const analyticsConfig = z
  .strictObject({
    url: z
      .string()
      .refine((text) => text === '' || readAddress(text) !== null, {
        error: 'This is not an address such as clickhouse://user:password@host:8123/gatehouse',
        params: { zh: '不是形如 clickhouse://user:password@host:8123/gatehouse 的地址' },
      })
      .default('')
      .describe(
        'ClickHouse (its HTTP interface) for reports, as clickhouse://user:password@host:8123/database, ?secure=true for TLS; empty: the main store answers.',
      )
      .meta({
        zh: '用于报表的 ClickHouse（HTTP 接口），形如 clickhouse://user:password@host:8123/database，加 ?secure=true 启用 TLS；留空则由主库回答。',
        secret: true,
      }),
    copy_seconds: z
      .number()
      .min(1)
      .max(3600)
      .default(10)
      .describe('How often what is new is copied there; after a long copy there is a pause of ten times its length.')
      .meta({ zh: '向其复制新数据的间隔（秒）；复制耗时较长时，其后暂停该耗时的十倍。' }),
    most_behind_seconds: z
      .int()
      .min(10)
      .max(86_400)
      .default(900)
      .describe('When the copy is older than this the main store answers.')
      .meta({ zh: '副本落后超过该时间（秒）时，改由主库回答。' }),
    statement_timeout_seconds: z
      .number()
      .min(0.1)
      .max(3600)
      .default(30)
      .describe('A report that takes longer there is cancelled and asked of the main store.')
      .meta({ zh: '报表查询在其上超过该时间（秒）即取消，改由主库回答。' }),
  })
  .describe('Reports on ClickHouse.')
  .meta({ zh: '基于 ClickHouse 的报表。' })

export type AnalyticsConfig = z.infer<typeof analyticsConfig>

export type ClickHouseAddress = { origin: string; user: string; password: string; database: string }

/** What a ClickHouse URL says; null when it is none. The database is `default` unless named, as with its own clients. */
export function readAddress(text: string): ClickHouseAddress | null {
  if (!URL.canParse(text)) return null
  const url = new URL(text)
  if (url.protocol !== 'clickhouse:' || url.hostname === '' || url.hash !== '') return null
  const secure = url.searchParams.get('secure') ?? 'false'
  if (!/^(true|false|1|0)$/i.test(secure) || [...url.searchParams.keys()].some((name) => name !== 'secure')) return null
  const isSecure = /^(true|1)$/i.test(secure)
  const [database, ...rest] = url.pathname.slice(1).split('/')
  if (rest.length > 0) return null
  try {
    return {
      origin: `${isSecure ? 'https' : 'http'}://${url.hostname}:${url.port || (isSecure ? '8443' : '8123')}`,
      user: decodeURIComponent(url.username) || 'default',
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(database!) || 'default',
    }
  } catch {
    return null
  }
}
