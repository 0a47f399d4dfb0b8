import { loadPg } from '../on-demand.ts'
import {
  codeOf,
  createForeign,
  type ForeignDatabase,
  type ForeignFault,
  type ForeignRow,
  networkCodes,
  tlsCodes,
} from './foreign.ts'

const statementLimitMs = 60_000

export function openForeignPostgres({ url, where }: { url: string; where: string }): ForeignDatabase {
  return createForeign({
    ...{ engine: 'postgres', where, told },
    async connect() {
      const pg = loadPg()
      const numberTypes: ReadonlySet<number> = new Set([pg.types.builtins.INT8, pg.types.builtins.NUMERIC])
      const client = new pg.Client({
        connectionString: url,
        connectionTimeoutMillis: 10_000,
        keepAlive: true,
        statement_timeout: statementLimitMs,
        // Longer than the server's own limit: what is still unanswered then has no server behind it.
        query_timeout: statementLimitMs + 10_000,
        options: '-c default_transaction_read_only=on',
        application_name: 'gatehouse (read only)',
        types: {
          getTypeParser: ((type: number, format?: 'text' | 'binary') =>
            numberTypes.has(type)
              ? Number
              : pg.types.getTypeParser(type, format as 'text')) as typeof pg.types.getTypeParser,
        },
      })
      // A connection that breaks between two questions is told by the next one; unheard, this would end the process.
      client.on('error', () => {})
      await client.connect()
      return {
        async run(sql, parameters) {
          let place = 0
          const text = sql.replaceAll('?', () => `$${++place}`)
          const { rows } = await client.query<ForeignRow & unknown[]>({
            ...{ text, values: [...parameters], rowMode: 'array' },
          })
          return rows
        },
        end: () => void client.end().catch(() => {}),
      }
    },
  })
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
function told(error: unknown): ForeignFault {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : ''
  if (code === '42501') return 'denied'
  if (/^(42703|42P01|3F000)$/.test(code)) return 'missing'
  if (/^(28|3D000)/.test(code) || tlsCodes.test(code) || /^(SASL|The server does not support SSL)/.test(message)) {
    return 'settings'
  }
  const isAway =
    networkCodes.test(code) ||
    /^(08|53|57P0|57014|40|55P03|58)/.test(code) ||
    /^(Connection terminated|Client has encountered|Client was closed|timeout|Query read timeout)/i.test(message)
  return isAway ? 'away' : 'broken'
}
