import type { Connection } from 'mysql2/promise'
import { loadMysql } from '../on-demand.ts'
import type { ForeignAddress } from './address.ts'
import {
  codeOf,
  createForeign,
  type ForeignDatabase,
  type ForeignFault,
  type ForeignRow,
  networkCodes,
  tlsCodes,
} from './foreign.ts'

const statementLimitSeconds = 60

export function openForeignMysql(address: Extract<ForeignAddress, { engine: 'mysql' }>): ForeignDatabase {
  const { host, port, socket, user, password, database, tls, where } = address
  return createForeign({
    ...{ engine: 'mysql', where, told },
    async connect() {
      const connection = await loadMysql().createConnection({
        ...(socket === '' ? { host, port } : { socketPath: socket }),
        ...{ user, password, database, connectTimeout: 10_000, charset: 'utf8mb4' },
        ...(tls === 'off' ? {} : { ssl: { rejectUnauthorized: tls === 'verified' } }),
        // Whole numbers beyond 2^53 arrive as text rather than as others.
        ...{ supportBigNumbers: true, bigNumberStrings: false, rowsAsArray: true },
      })
      // A connection that breaks between two questions is told by the next one; unheard, this would end the process.
      connection.on('error', () => {})
      await prepare(connection)
      return {
        async run(sql, parameters) {
          const limit = (statementLimitSeconds + 10) * 1000
          const [rows] = await connection.query({ sql, values: [...parameters], timeout: limit })
          return rows as unknown as ForeignRow[]
        },
        end: () => connection.destroy(),
      }
    },
  })
}

async function prepare(connection: Connection): Promise<void> {
  await connection.query('set session transaction read only')
  // The same limit is called and measured differently by MariaDB and MySQL; either knows one of the two.
  const limits = [
    `set session max_statement_time = ${statementLimitSeconds}`,
    `set session max_execution_time = ${statementLimitSeconds * 1000}`,
  ]
  const refusals: unknown[] = []
  for (const limit of limits) await connection.query(limit).catch((error: unknown) => refusals.push(error))
  if (refusals.length === limits.length) throw refusals[0]
}

const faults: Readonly<Record<string, ForeignFault>> = {
  ER_ACCESS_DENIED_ERROR: 'settings',
  ER_DBACCESS_DENIED_ERROR: 'settings',
  ER_BAD_DB_ERROR: 'settings',
  ER_NOT_SUPPORTED_AUTH_MODE: 'settings',
  AUTH_SWITCH_PLUGIN_ERROR: 'settings',
  ER_TABLEACCESS_DENIED_ERROR: 'denied',
  ER_COLUMNACCESS_DENIED_ERROR: 'denied',
  ER_BAD_FIELD_ERROR: 'missing',
  ER_NO_SUCH_TABLE: 'missing',
}

const awayCodes =
  /^(PROTOCOL_|ER_(SERVER_SHUTDOWN|CON_COUNT_ERROR|TOO_MANY_USER_CONNECTIONS|USER_LIMIT_REACHED|QUERY_TIMEOUT|QUERY_INTERRUPTED|STATEMENT_TIMEOUT|CONNECTION_KILLED|LOCK_WAIT_TIMEOUT|LOCK_DEADLOCK|HOST_IS_BLOCKED|NORMAL_SHUTDOWN|NET_))/

function told(error: unknown): ForeignFault {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : ''
  const known = faults[code]
  if (known !== undefined) return known
  if (tlsCodes.test(code)) return 'settings'
  // Errors that are younger than the driver's list have a number alone: 1927 killed, 1969 and 3024 took too long.
  const number = (error as { errno?: unknown }).errno
  if (number === 1927 || number === 1969 || number === 3024) return 'away'
  const isAway = networkCodes.test(code) || awayCodes.test(code) || /closed state|Connection lost/i.test(message)
  return isAway ? 'away' : 'broken'
}
