import { quoteName } from '../../platform/foreign/address.ts'
import type { ForeignDatabase, ForeignRow, ForeignValue } from '../../platform/foreign/foreign.ts'
import type { HourMark, NameKind } from '../reader.ts'
import { nameTables } from './columns.ts'

/** Consumed, refused by the upstream, paid back. Top-ups, log-ins and what administrators do are no usage. */
export const rowTypes = { consumed: 2, failed: 5, refunded: 6 } as const

/** Of what was written: before that there was no such gateway, and a broken clock says anything. */
const oldestSeconds = Date.UTC(2020, 0, 1) / 1000
const markModulus = 1_000_003
const idsAtOnce = 200

export type RowPlace = { seconds: number; id: number }
export type LogRow = Readonly<Record<string, ForeignValue>>

/** Every question to the gateway's tables; none of them writes. */
export function createNewApiStore({ main, logs }: { main: ForeignDatabase; logs: ForeignDatabase }) {
  const quote = (name: string) => quoteName(logs.engine, name)
  const list = (columns: readonly string[]) => columns.map(quote).join(', ')
  const asRow = (columns: readonly string[]) => (row: ForeignRow) =>
    Object.fromEntries(columns.map((name, index) => [name, row[index]!])) as LogRow

  return {
    /** Resolves when all of it may be read. */
    async tryColumns(db: ForeignDatabase, table: string, columns: readonly string[]): Promise<void> {
      const names = columns.map((name) => quoteName(db.engine, name)).join(', ')
      await db.query(`select ${names} from ${quoteName(db.engine, table)} where 1 = 0`)
    },

    async version(db: ForeignDatabase): Promise<string> {
      const call = db.engine === 'sqlite' ? "'SQLite ' || sqlite_version()" : 'version()'
      return String((await db.query(`select ${call}`))[0]?.[0] ?? '')
    },

    /** Who we are there and where tables stand, as a GRANT writes them. */
    async account(db: ForeignDatabase): Promise<{ grantee: string; schema: string }> {
      const calls = db.engine === 'mysql' ? 'current_user(), database()' : 'current_user, current_schema()'
      const [account, schema] = (await db.query(`select ${calls}`))[0]!.map(String)
      if (db.engine !== 'mysql') return { grantee: quoteName(db.engine, account!), schema: schema! }
      const at = account!.lastIndexOf('@')
      const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
      return { grantee: `${literal(account!.slice(0, at))}@${literal(account!.slice(at + 1))}`, schema: schema! }
    },

    /** What the account may do besides reading; told by the server, never tried. */
    async writingRights(db: ForeignDatabase): Promise<string[]> {
      if (db.engine === 'sqlite') return []
      if (db.engine === 'mysql') {
        const texts = (await db.query('show grants for current_user()')).map((row) => String(row[0]))
        const rights = texts.flatMap((text) =>
          text
            .replace(/^GRANT /i, '')
            .split(/ ON /i)[0]!
            .replaceAll(/\([^)]*\)/g, '')
            .split(',')
            .map((right) => right.trim().toUpperCase()),
        )
        const writing = /^(ALL( PRIVILEGES)?|INSERT|UPDATE|DELETE|DROP|ALTER|CREATE|SUPER|FILE)$/
        return [...new Set(rights.filter((right) => writing.test(right)))].sort()
      }
      const [row] = await db.query(`
        select r.rolsuper, has_table_privilege('logs', 'INSERT'), has_table_privilege('logs', 'UPDATE'),
          has_table_privilege('logs', 'DELETE'), has_table_privilege('logs', 'TRUNCATE')
        from pg_roles r where r.rolname = current_user`)
      if (row?.[0] === true) return ['SUPERUSER']
      return ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'].filter((_, index) => row?.[index + 1] === true)
    },

    /** Epoch ms of the first and the last row of any type; null when there is none. */
    async ends(): Promise<{ first: number | null; last: number | null }> {
      const [row] = await logs.query('select min(created_at), max(created_at) from logs where created_at >= ?', [
        oldestSeconds,
      ])
      const ms = (value: ForeignValue | undefined) => (value == null ? null : Number(value) * 1000)
      return { first: ms(row?.[0]), last: ms(row?.[1]) }
    },

    /** Answered from an index alone: what an hour holds, by how many rows, the last id, and a sum of ids. */
    async survey(from: number, to: number): Promise<HourMark[]> {
      const rows = await logs.query(
        `select created_at - created_at % 3600, count(*), max(id), sum(id % ${markModulus}) from logs
        where created_at >= ? and created_at < ? and type in (2, 5, 6) group by 1 order by 1`,
        [from / 1000, to / 1000],
      )
      return rows.map(([hour, count, lastId, mark]) => ({
        ...{ hour: Number(hour) * 1000, rows: Number(count), lastId: Number(lastId), mark: Number(mark) },
      }))
    },

    markOf: (id: number): number => id % markModulus,

    /**
     * Up to `limit` rows of some seconds after one of them, in the order of time and then of ids. Not by ids alone: SQLite,
     * which knows nothing of how many rows there are, then walks the whole table by its key for every slice of it.
     */
    async rows(
      columns: readonly string[],
      { from, to, after, limit }: { from: number; to: number; after: RowPlace; limit: number },
    ): Promise<ForeignRow[]> {
      return logs.query(
        `select ${list(columns)} from logs where created_at >= ? and created_at < ? and (created_at, id) > (?, ?)
        and type in (2, 5, 6) order by created_at, id limit ${limit}`,
        [Math.max(from, after.seconds), to, after.seconds, after.id],
      )
    },

    /** Requests that failed at least once in some seconds. */
    async failedRequests(from: number, to: number): Promise<string[]> {
      const rows = await logs.query(
        `select distinct request_id from logs where created_at >= ? and created_at < ? and type = 5 and request_id <> ''`,
        [from, to],
      )
      return rows.map((row) => String(row[0]))
    },

    /** All rows of these requests, wherever they stand. */
    async attempts(requestIds: readonly string[]): Promise<LogRow[]> {
      const found: LogRow[] = []
      const columns = ['request_id', 'id', 'created_at', 'type']
      for (let start = 0; start < requestIds.length; start += idsAtOnce) {
        const some = requestIds.slice(start, start + idsAtOnce)
        const rows = await logs.query(
          `select ${list(columns)} from logs where request_id in (${some.map(() => '?').join(', ')}) and type in (2, 5)`,
          some,
        )
        found.push(...rows.map(asRow(columns)))
      }
      return found
    },

    async names(kind: NameKind, ids: readonly string[]): Promise<{ id: string; name: string }[]> {
      const { table, column } = nameTables[kind]
      const found: { id: string; name: string }[] = []
      for (let start = 0; start < ids.length; start += idsAtOnce) {
        const some = ids.slice(start, start + idsAtOnce).map(Number)
        const places = some.map(() => '?').join(', ')
        const name = quoteName(main.engine, column)
        const rows = await main.query(`select id, ${name} from ${table} where id in (${places})`, some)
        found.push(...rows.map(([id, text]) => ({ id: String(id), name: String(text ?? '') })))
      }
      return found.filter(({ name }) => name !== '')
    },
  }
}

export type NewApiStore = ReturnType<typeof createNewApiStore>
