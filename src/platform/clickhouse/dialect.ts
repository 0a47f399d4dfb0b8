import {
  type CompiledQuery,
  type DatabaseConnection,
  DefaultQueryCompiler,
  type Dialect,
  DialectAdapterBase,
  Kysely,
  type QueryResult,
  type ValueNode,
} from 'kysely'
import type { ClickHouse } from './client.ts'

/** Tells a Kysely over ClickHouse from those over the main store. */
export class ClickHouseAdapter extends DialectAdapterBase {
  override get supportsReturning() {
    return false
  }
  override async acquireMigrationLock(): Promise<never> {
    throw readOnly()
  }
  override async releaseMigrationLock(): Promise<never> {
    throw readOnly()
  }
}

/** The same statements as of the main store, for reading alone: the server refuses whatever would change something. */
export function createClickHouseReader<Tables>(clickhouse: Pick<ClickHouse, 'ask'>): Kysely<Tables> {
  const connection: DatabaseConnection = {
    async executeQuery<Row>({ sql }: CompiledQuery): Promise<QueryResult<Row>> {
      return { rows: await clickhouse.ask<Row>(sql) }
    },
    // biome-ignore lint/correctness/useYield: it only refuses
    async *streamQuery() {
      throw readOnly()
    },
  }
  const dialect: Dialect = {
    createAdapter: () => new ClickHouseAdapter(),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      beginTransaction: async () => {
        throw readOnly()
      },
      commitTransaction: async () => {},
      rollbackTransaction: async () => {},
      releaseConnection: async () => {},
      destroy: async () => {},
    }),
    createIntrospector: () => {
      throw readOnly()
    },
    createQueryCompiler: () => new ClickHouseCompiler(),
  }
  return new Kysely<Tables>({ dialect })
}

/** Values stand in the text: parameters of ClickHouse want a type each, and an address is too short for long lists of them. */
class ClickHouseCompiler extends DefaultQueryCompiler {
  protected override visitValue(node: ValueNode): void {
    this.append(literal(node.value))
  }
  protected override appendValue(value: unknown): void {
    this.append(literal(value))
  }
  protected override appendImmediateValue(value: unknown): void {
    this.append(literal(value))
  }
}

/** https://clickhouse.com/docs/sql-reference/syntax#string: a backslash and a quote are all that has a meaning in a text. */
export function literal(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'string') return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  if (typeof value === 'bigint') return String(value)
  throw new TypeError(`No literal of ClickHouse: ${typeof value}`)
}

function readOnly(): Error {
  return new Error('ClickHouse is only read here: what is in it is a copy of the main store')
}
