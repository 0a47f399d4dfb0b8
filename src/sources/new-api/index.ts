/**
 * Reads the usage of a new-api gateway (https://github.com/QuantumNous/new-api) from its own database, over MySQL or
 * MariaDB, PostgreSQL and SQLite, with its logs in a database of their own where LOG_SQL_DSN says so. Not ClickHouse:
 * its rows have no ids.
 */
import { readForeignAddress } from '../../platform/foreign/address.ts'
import { openForeign } from '../../platform/foreign/open.ts'
import type { HourMark, Reader, ReaderOptions, Reading, ReadWish } from '../reader.ts'
import { createFold, type FailedRequest } from './fold.ts'
import { probe } from './probe.ts'
import { createNewApiStore, rowTypes } from './store.ts'

const hourSeconds = 3600
/** Attempts of one request lie no further apart. */
const longestRequestSeconds = 1800
const rowsAtOnce = 5000
/** Slices of time a question is about: their rows are put in order, which costs more the more there are. */
const rowsInSlice = 4000
const mostSingles = 50_000
const mostTold = 20_000

type Failed = FailedRequest & { succeededAt: number; failedAt: number[]; seconds: number[] }

const nothingKnown = { failures: 0, successId: null, lastFailureId: 0, succeededAt: 0 }

export type ReaderParts = { now(): number; sleep(ms: number): Promise<void> }

/** Opens nothing yet: the first question does. */
export function createNewApiReader(options: ReaderOptions, { now, sleep }: ReaderParts): Reader {
  const main = openForeign(readForeignAddress(options.dsn, 'dsn'))
  const logs = options.logDsn === '' ? main : openForeign(readForeignAddress(options.logDsn, 'log_dsn'))
  const store = createNewApiStore({ main, logs })
  let columns: string[] | null = null
  /** Requests that reach into other hours, and where each ended when that was told. */
  const told = new Map<string, string>()

  async function readProbe() {
    const found = await probe(store, { main, logs })
    columns = found.problem === null ? found.columns : null
    return found
  }

  async function readableColumns(): Promise<string[]> {
    if (columns === null) await readProbe()
    return columns ?? []
  }

  /** How requests with failures ended, looked up by their ids: their rows may stand in any hour. */
  async function failedRequests(from: number, to: number): Promise<Map<string, Failed>> {
    const failed = new Map<string, Failed>()
    const ids = await store.failedRequests(from - longestRequestSeconds, to + longestRequestSeconds)
    for (const row of await store.attempts(ids)) {
      const key = String(row.request_id)
      const [id, seconds] = [Number(row.id), Number(row.created_at)]
      const known = failed.get(key) ?? { ...nothingKnown, seconds: [], failedAt: [] }
      failed.set(key, known)
      known.seconds.push(seconds)
      if (Number(row.type) !== rowTypes.consumed) {
        const last = Math.max(-1, ...known.failedAt)
        if (seconds > last || (seconds === last && id > known.lastFailureId)) known.lastFailureId = id
        known.failedAt.push(seconds)
      } else if (known.successId === null || id < known.successId) {
        known.successId = id
        known.succeededAt = seconds
      }
    }
    for (const each of failed.values()) {
      const { succeededAt } = each
      // Whatever hours are read together, the same attempts count.
      const isOf = (seconds: number) => Math.abs(seconds - succeededAt) <= longestRequestSeconds
      each.failures = (each.successId === null ? each.failedAt : each.failedAt.filter(isOf)).length
    }
    return failed
  }

  /** Other hours whose sums these requests change, each told once: else neighbours would send each other round. */
  function touchedBy(failed: ReadonlyMap<string, Failed>, start: number, end: number): number[] {
    const touched = new Set<number>()
    for (const [requestId, { successId, lastFailureId, failures, seconds }] of failed) {
      const elsewhere = seconds.filter((each) => each < start || each >= end)
      const state = `${successId} ${lastFailureId} ${failures}`
      if (elsewhere.length === 0 || told.get(requestId) === state) continue
      if (told.size >= mostTold) told.clear()
      told.set(requestId, state)
      for (const each of elsewhere) touched.add((each - (each % hourSeconds)) * 1000)
    }
    return [...touched]
  }

  return {
    probe: readProbe,

    survey: (from, to) => store.survey(from, to),

    async read({ from, to, rows: expected, rowsPerSecond, singlyFrom }: ReadWish): Promise<Reading> {
      const names = await readableColumns()
      const [start, end] = [from / 1000, to / 1000]
      const failed = names.includes('request_id') ? await failedRequests(start, end) : new Map<string, Failed>()
      const fold = createFold(names, options, failed, singlyFrom)
      const hours = new Map<number, HourMark>()
      const [idAt, createdAt] = [names.indexOf('id'), names.indexOf('created_at')]
      let last: Reading['last'] = null
      let total = 0
      const startedAt = now()
      const slices = Math.max(1, Math.min(end - start, Math.ceil(expected / rowsInSlice)))
      const edgeOf = (slice: number) => start + Math.floor(((end - start) * slice) / slices)
      for (let slice = 0; slice < slices; slice++) {
        for (let after = { seconds: edgeOf(slice), id: -1 }; ; ) {
          const wish = { from: edgeOf(slice), to: edgeOf(slice + 1), after, limit: rowsAtOnce }
          const rows = await store.rows(names, wish)
          for (const row of rows) {
            const [id, seconds] = [Number(row[idAt]), Number(row[createdAt])]
            fold.add(row)
            const hour = (seconds - (seconds % hourSeconds)) * 1000
            const mark = hours.get(hour) ?? { hour, rows: 0, lastId: 0, mark: 0 }
            hours.set(hour, mark)
            mark.rows++
            mark.lastId = Math.max(mark.lastId, id)
            mark.mark += store.markOf(id)
            const at = seconds * 1000
            if (last === null || at > last.at || (at === last.at && id > last.id)) last = { at, id }
            after = { seconds, id }
          }
          total += rows.length
          if (rowsPerSecond > 0) await sleep((total / rowsPerSecond) * 1000 - (now() - startedAt))
          if (rows.length < rowsAtOnce) break
        }
      }
      return {
        ...{
          facts: fold.facts(),
          hours: [...hours.values()],
          touched: touchedBy(failed, start, end),
          rows: total,
          last,
        },
        singles: fold.singles().slice(-mostSingles),
        ...{ names: fold.names(), channels: fold.channels() },
      }
    },

    async names(kind, ids) {
      const prefix = `${options.name}:`
      const found = await store.names(
        kind,
        ids.map((id) => id.slice(prefix.length)),
      )
      return found.map(({ id, name }) => ({ id: prefix + id, name }))
    },

    async close() {
      await main.close()
      if (logs !== main) await logs.close()
    },
  }
}
