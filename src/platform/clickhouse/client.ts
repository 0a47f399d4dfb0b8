import { Readable } from 'node:stream'
import { Pool } from 'undici'
import { fail, HubError } from '../../kernel/errors.ts'
import { type ClickHouseAddress, readAddress } from './config.ts'

/**
 * A ClickHouse server over its HTTP interface (https://clickhouse.com/docs/interfaces/http). Every failure is
 * `unavailable` and names the server without its credentials; nothing is tried twice, because a statement that was cut
 * off may have been done.
 */
export type ClickHouse = {
  /** Rows of a select, as objects. An answer that ends before its end is a failure and never fewer rows. */
  ask<Row>(statement: string, timeoutMs?: number): Promise<Row[]>
  /** What changes something and answers nothing. */
  run(statement: string): Promise<void>
  /** Rows as JSON arrays in the order of `columns`, as many as come; how many those were. */
  insert(table: string, columns: readonly string[], rows: AsyncIterable<string>): Promise<number>
  /** The server's version, such as `26.7.2.1`. */
  version(): Promise<string>
  /** For logs: where it is, without credentials. */
  where: string
  database: string
  close(): Promise<void>
}

export type ClickHouseOptions = {
  url: string
  statementTimeoutMs: number
  connectTimeoutMs?: number
  /** How much longer than the server's own limit an answer may take: a server that is silent then is not there. */
  graceMs?: number
  /** More than this is read of no answer. */
  maxAnswerBytes?: number
}

/** Answers are whole before their status is sent; names are the columns' and not those that a select gives; Int64 is a number. */
const settings = {
  ...{ default_format: 'JSONCompact', wait_end_of_query: '1', output_format_json_quote_64bit_integers: '0' },
  ...{ prefer_column_name_to_alias: '1', max_query_size: String(16 * 1024 * 1024), max_ast_elements: '500000' },
  ...{ max_expanded_ast_elements: '2000000', join_use_nulls: '0', transform_null_in: '0' },
}

export function openClickHouse(options: ClickHouseOptions): ClickHouse {
  const address = readAddress(options.url)
  if (address === null) throw fail('invalid_request', 'analytics.url is no address of a ClickHouse')
  const { statementTimeoutMs, connectTimeoutMs = 5000, graceMs = 2000, maxAnswerBytes = 512 * 1024 * 1024 } = options
  const where = `ClickHouse at ${address.origin}, database ${address.database}`
  // Servers close what is idle for 3 s (before 23) or 10 s: a statement sent at that very moment would be lost.
  const pool = new Pool(address.origin, {
    ...{ connections: 8, pipelining: 1, keepAliveTimeout: 2500, allowH2: false },
    connect: { timeout: connectTimeoutMs },
  })

  async function send(query: Record<string, string>, body: string | Readable, timeoutMs: number): Promise<string> {
    try {
      const {
        statusCode,
        headers,
        body: answer,
      } = await pool.request({
        method: 'POST',
        path: '/',
        query: { ...query, max_execution_time: String(Math.ceil(timeoutMs / 1000)) },
        headers: headersOf(address!),
        body,
        headersTimeout: timeoutMs + graceMs,
        bodyTimeout: timeoutMs + graceMs,
      })
      const text = await readText(answer, maxAnswerBytes)
      const code = headers['x-clickhouse-exception-code']
      if (statusCode !== 200 || code !== undefined) throw refusal(statusCode, String(code ?? ''), text, where)
      return text
    } catch (error) {
      throw error instanceof HubError ? error : away(error, where)
    }
  }

  return {
    where,
    database: address.database,

    async ask<Row>(statement: string, timeoutMs = statementTimeoutMs): Promise<Row[]> {
      const text = await send({ ...settings, readonly: '2' }, statement, timeoutMs)
      return readRows<Row>(text, where)
    },

    async run(statement) {
      await send(settings, statement, statementTimeoutMs)
    },

    async insert(table, columns, rows) {
      let count = 0
      async function* lines() {
        for await (const row of rows) {
          count++
          yield `${row}\n`
        }
      }
      const names = columns.map((name) => `"${name}"`).join(', ')
      const query = `insert into "${table}" (${names}) format JSONCompactEachRow`
      await send({ ...settings, query }, Readable.from(lines(), { objectMode: false }), longestInsertMs)
      return count
    },

    async version() {
      const [row] = readRows<{ v: string }>(await send(settings, 'select version() as v', 5000), where)
      return row!.v
    },

    close: () => pool.destroy(),
  }
}

const longestInsertMs = 20 * 60_000

function headersOf({ user, password, database }: ClickHouseAddress): Record<string, string> {
  return {
    'x-clickhouse-user': user,
    'x-clickhouse-key': password,
    'x-clickhouse-database': database,
    'content-type': 'text/plain; charset=utf-8',
  }
}

async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) throw fail('unavailable', 'The answer of ClickHouse is too large to be read')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

type Compact = { meta: { name: string }[]; data: unknown[][]; rows: number }

/** The number of rows is written after them: with it the answer is whole. */
function readRows<Row>(text: string, where: string): Row[] {
  let answer: Partial<Compact>
  try {
    answer = JSON.parse(text) as Partial<Compact>
  } catch (cause) {
    throw fail('unavailable', 'ClickHouse broke off its answer', { detail: where, cause })
  }
  const { meta, data, rows } = answer
  if (!Array.isArray(meta) || !Array.isArray(data) || data.length !== rows) {
    throw fail('unavailable', 'ClickHouse gave an answer that is none', { detail: where })
  }
  const names = meta.map(({ name }) => name)
  return data.map((values) => Object.fromEntries(names.map((name, index) => [name, values[index]])) as Row)
}

/** https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp: 194 and 516 are of who asks, 497 of what they may. */
function refusal(status: number, code: string, text: string, where: string): HubError {
  const told = text.replace(/\s+/g, ' ').slice(0, 500)
  const isOfAccess = /^(192|193|194|497|516)$/.test(code) || status === 401 || status === 403
  const message = isOfAccess
    ? 'ClickHouse refuses the user, the password or what is done: see analytics.url'
    : 'ClickHouse refused a statement'
  return fail('unavailable', message, { retryAfterMs: 1000, detail: `${where}: ${status} ${told}` })
}

function away(error: unknown, where: string): HubError {
  const message = error instanceof AggregateError ? String(error.errors[0]) : String(error)
  return fail('unavailable', 'ClickHouse cannot answer now', {
    ...{ retryAfterMs: 1000, detail: `${where}: ${message}`, cause: error },
  })
}
