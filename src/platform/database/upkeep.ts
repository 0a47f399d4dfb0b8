import { sql } from 'kysely'
import type { Log } from '../log.ts'
import { openDatabase, sqliteFileOf } from './connect.ts'
import type { Database } from './database.ts'
import { startSqliteThread } from './sqlite-thread.ts'

// biome-ignore lint/suspicious/noExplicitAny: whatever tables there are
type AnyStore = Database<any>

export type TableSize = { table: string; rows: number; bytes: number | null }
/** What was done: each step with what it gave back, where that can be told. */
export type Done = { step: string; freedBytes: number }

/** Work on the store itself, whatever its tables mean: sizes, room that is given back, statistics, soundness of indexes. */
export type Upkeep = {
  engine: 'sqlite' | 'postgres'
  /** Every table, the largest first; rows are estimates where counting them would take long. */
  sizes(): Promise<TableSize[]>
  /** Bytes of the whole store, and how many of them hold nothing. */
  room(): Promise<{ bytes: number; freeBytes: number }>
  /** Gives room back and renews statistics. `step` is awaited before each thing that is done; what it throws ends it. */
  clean(step: Step): Promise<Done[]>
  /** What is wrong with pages and indexes; [] where all is sound. */
  check(): Promise<string[]>
  /** Makes indexes anew that are bloated, broken or half made. */
  reindex(step: Step): Promise<Done[]>
}

export type Step = (done: number, total: number, what: string) => Promise<void>

export type UpkeepParts = { database: AnyStore; url: string; dataDir: string; log: Log; freeDiskBytes(): number }

/** A statement of this kind may take as long as a large table takes. */
const longestMs = 6 * 3_600_000
/** Up to here rows are counted. */
const mostCounted = 100_000
/** Rewriting a file stops all writing: only what takes seconds is rewritten by itself. */
const mostRewritten = 512 * 1024 ** 2

export function createUpkeep(parts: UpkeepParts): Upkeep {
  return parts.database.engine === 'sqlite' ? upkeepOfSqlite(parts) : upkeepOfPostgres(parts)
}

function upkeepOfSqlite({ database, url, dataDir, freeDiskBytes }: UpkeepParts): Upkeep {
  const db = database.kysely
  const file = sqliteFileOf(url, dataDir)!

  async function room() {
    const told = await database.sqlite!()
    return { bytes: told.pages * told.pageBytes, freeBytes: told.freePages * told.pageBytes }
  }

  return {
    engine: 'sqlite',
    room,
    async sizes() {
      const found: TableSize[] = []
      const { rows: tables } = await sql<{ name: string; wr: number }>`
        select name, wr from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite_%'
        `.execute(db)
      for (const { name, wr: hasNoRowid } of tables) {
        const table = sql.table(name)
        const bound = hasNoRowid === 1 ? sql`-1` : sql.lit(mostCounted + 1)
        const span = hasNoRowid === 1 ? sql`0` : sql`(select max(rowid) - min(rowid) + 1 from ${table})`
        const { rows } = await sql<{ counted: number; span: number | null }>`
          select (select count(*) from (select 1 from ${table} limit ${bound})) as counted, ${span} as span`.execute(db)
        const { counted, span: most } = rows[0]!
        found.push({ table: name, rows: counted <= mostCounted ? counted : Math.max(counted, most ?? 0), bytes: null })
      }
      return found.sort((a, b) => b.rows - a.rows)
    },
    async clean(step) {
      const done: Done[] = []
      await step(0, 3, 'statistics')
      // 0x10002: also tables that no query of this connection has looked at. https://sqlite.org/pragma.html#pragma_optimize
      await sql`pragma optimize = 0x10002`.execute(db)
      done.push({ step: 'pragma optimize', freedBytes: 0 })
      await step(1, 3, 'room')
      const before = await room()
      const isWorthIt = before.freeBytes > before.bytes / 4 && before.freeBytes > 4 * 1024 ** 2
      if (isWorthIt && before.bytes <= mostRewritten && freeDiskBytes() > 2.2 * before.bytes) {
        await sql`vacuum`.execute(db)
        done.push({ step: 'vacuum', freedBytes: Math.max(0, before.bytes - (await room()).bytes) })
      }
      await step(2, 3, 'write-ahead log')
      const wal = (await database.sqlite!()).walBytes
      await sql`pragma wal_checkpoint(truncate)`.execute(db)
      done.push({ step: 'wal checkpoint', freedBytes: Math.max(0, wal - (await database.sqlite!()).walBytes) })
      await step(3, 3, '')
      return done
    },
    async check() {
      // A thread of its own: reading the whole file must not hold up those who read the store.
      const thread = startSqliteThread(
        { file, isReadOnly: true, busyTimeoutMs: 5000, survivesPowerLoss: false },
        () => {},
      )
      try {
        await thread.call({ kind: 'open' })
        const { rows } = await thread.call({
          ...{ kind: 'run', sql: 'pragma integrity_check(20)', parameters: [], inTransaction: false },
        })
        return rows.map(([line]) => String(line)).filter((line) => line !== 'ok')
      } catch (error) {
        // A file that is so damaged that it cannot even be looked at is what is asked for here.
        if (/^SQLITE_(CORRUPT|NOTADB)/.test(String((error as { code?: unknown }).code)))
          return [(error as Error).message]
        throw error
      } finally {
        await thread.close()
      }
    },
    async reindex(step) {
      await step(0, 1, 'indexes')
      await sql`reindex`.execute(db)
      await step(1, 1, '')
      return [{ step: 'reindex', freedBytes: 0 }]
    },
  }
}

type Bloated = { name: string; bytes: number; is_broken: boolean }

function upkeepOfPostgres({ database, url, dataDir, log }: UpkeepParts): Upkeep {
  const db = database.kysely

  /** A connection of its own, because what is done here takes longer than any statement of a room may. */
  async function apart<T>(use: (store: AnyStore) => Promise<T>): Promise<T> {
    const store = await openDatabase<Record<string, never>>({
      ...{ url, dataDir, poolSize: 1, statementTimeoutMs: longestMs, log },
    })
    try {
      return await use(store)
    } finally {
      await store.close()
    }
  }

  async function room() {
    const { rows } = await sql<{ bytes: number; free: number }>`
      select coalesce(sum(pg_total_relation_size(c.oid)), 0) as bytes,
        coalesce(sum(pg_relation_size(c.oid) * coalesce(s.n_dead_tup, 0)
          / greatest(1, coalesce(s.n_live_tup, 0) + coalesce(s.n_dead_tup, 0))), 0) as free
      from pg_class c left join pg_stat_user_tables s on s.relid = c.oid
      where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace`.execute(db)
    return { bytes: Number(rows[0]!.bytes), freeBytes: Math.round(Number(rows[0]!.free)) }
  }

  return {
    engine: 'postgres',
    room,
    async sizes() {
      const { rows } = await sql<{ table: string; rows: number; bytes: number }>`
        select c.relname::text as table, pg_total_relation_size(c.oid) as bytes,
          case when c.reltuples >= 0 then c.reltuples::bigint else coalesce(s.n_live_tup, 0) end as rows
        from pg_class c left join pg_stat_user_tables s on s.relid = c.oid
        where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
        order by bytes desc, 1 limit 1000`.execute(db)
      return rows.map(({ table, rows, bytes }) => ({ table, rows: Number(rows), bytes: Number(bytes) }))
    },
    async clean(step) {
      const { rows } = await sql<{ table: string; bytes: number }>`
        select c.relname::text as table, pg_total_relation_size(c.oid) as bytes
        from pg_class c join pg_stat_user_tables s on s.relid = c.oid
        where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
          and (s.n_dead_tup > greatest(1000, s.n_live_tup / 10) or s.n_mod_since_analyze > greatest(1000, s.n_live_tup / 10)
            or (s.last_analyze is null and s.last_autoanalyze is null))
        order by s.n_dead_tup desc, 1`.execute(db)
      return apart(async ({ kysely }) => {
        const done: Done[] = []
        for (const [index, { table, bytes }] of rows.entries()) {
          await step(index, rows.length, table)
          await sql`vacuum (analyze) ${sql.table(table)}`.execute(kysely)
          const after = await sql<{ bytes: number }>`
            select pg_total_relation_size(${table}::regclass) as bytes`.execute(kysely)
          done.push({ step: `vacuum analyze ${table}`, freedBytes: Math.max(0, bytes - Number(after.rows[0]!.bytes)) })
        }
        await step(rows.length, rows.length, '')
        return done
      })
    },
    async check() {
      const broken = (await suspects(db)).filter(({ is_broken }) => is_broken)
      const { rows } = await sql<{ table: string; age: number }>`
        select c.relname::text as table, age(c.relfrozenxid) as age from pg_class c
        where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and age(c.relfrozenxid) > 1000000000
        order by 2 desc limit 20`.execute(db)
      return [
        ...broken.map(({ name }) => `index ${name} is not valid: it is half made and helps no query`),
        ...rows.map(
          ({ table, age }) => `table ${table} was not frozen for ${age} transactions: autovacuum does not get there`,
        ),
      ]
    },
    async reindex(step) {
      const found = await suspects(db)
      return apart(async ({ kysely }) => {
        const done: Done[] = []
        for (const [index, { name, bytes, is_broken }] of found.entries()) {
          await step(index, found.length, name)
          // What an interrupted REINDEX CONCURRENTLY left. https://www.postgresql.org/docs/current/sql-reindex.html
          if (is_broken && /_ccnew\d*$/.test(name)) {
            await sql`drop index concurrently if exists ${sql.id(name)}`.execute(kysely)
            done.push({ step: `drop index ${name}`, freedBytes: bytes })
            continue
          }
          await sql`reindex index concurrently ${sql.id(name)}`.execute(kysely)
          const after = await sql<{ bytes: number }>`select pg_relation_size(${name}::regclass) as bytes`.execute(
            kysely,
          )
          done.push({ step: `reindex ${name}`, freedBytes: Math.max(0, bytes - Number(after.rows[0]!.bytes)) })
        }
        await step(found.length, found.length, '')
        return done
      })
    },
  }
}

/**
 * Indexes that are not valid, and those of more than twice the pages that their entries need at the usual filling: 16
 * bytes an entry and the average width of its columns, in pages of 8 KiB filled to nine tenths. Small ones are left alone.
 */
async function suspects(db: AnyStore['kysely']): Promise<Bloated[]> {
  const { rows } = await sql<Bloated>`
    select name, bytes, is_broken from (
      select ci.relname::text as name, pg_relation_size(ci.oid) as bytes, not i.indisvalid as is_broken, ci.relpages as pages,
        ceil(ci.reltuples * (16 + coalesce((
          select sum(coalesce(st.avg_width, 8)) from unnest(i.indkey::int2[]) as k(attnum)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
          left join pg_stats st on st.schemaname = current_schema() and st.tablename = ct.relname and st.attname = a.attname
        ), 8)) / (8192 * 0.9)) as needed
      from pg_index i join pg_class ci on ci.oid = i.indexrelid join pg_class ct on ct.oid = i.indrelid
        join pg_am am on am.oid = ci.relam
      where ct.relnamespace = current_schema()::regnamespace and ct.relkind = 'r' and am.amname = 'btree'
    ) as each
    where is_broken or (bytes > 4 * 1024 * 1024 and pages > 2 * greatest(needed, 1))
    order by bytes desc, 1 limit 200`.execute(db)
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }))
}
