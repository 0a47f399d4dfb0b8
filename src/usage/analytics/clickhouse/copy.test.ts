import { createHash } from 'node:crypto'
import type { Kysely } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../../kernel/clock.ts'
import { everything } from '../../../kernel/scope.ts'
import { migrations } from '../../../migrations/index.ts'
import { openClickHouse } from '../../../platform/clickhouse/client.ts'
import { createClickHouseReader } from '../../../platform/clickhouse/dialect.ts'
import { type Heard, type Said, startRecordingServer } from '../../../platform/clickhouse/testing.ts'
import { engines } from '../../../platform/database/testing.ts'
import type { Log } from '../../../platform/log.ts'
import type { UsageTables } from '../../rows.ts'
import { createUsageStore } from '../../store.ts'
import { quietLog } from '../../testing.ts'
import { bucketsOf } from '../buckets.ts'
import { ask, type Question } from '../query.ts'
import { dayMs, hourMs } from '../schema.ts'
import { createAnalyticsStore } from '../store.ts'
import { makeRows } from '../testing.ts'
import { asOfName, createCopier, isNewEnough } from './copy.ts'
import { createCopySource, createCopyTarget } from './copy-store.ts'
import { followCopy } from './reports.ts'
import { createStatements, madeNames, shape } from './tables-store.ts'

const day = Date.UTC(2026, 10, 20)
const now = day + 3 * dayMs
const never = new AbortController().signal
const rows = makeRows(60, day + hourMs, day + 3 * hourMs, 3)
const [engine] = engines()

async function store() {
  const db = (await engine!.open(migrations)).kysely as Kysely<UsageTables>
  await createUsageStore(db).storeRows(rows)
  return db
}

/** A ClickHouse that has nothing yet, unless `say` has something to say. */
async function server(say: (heard: Heard) => Said | undefined = () => undefined) {
  const recorded = await startRecordingServer((heard) => {
    const said = say(heard)
    if (said !== undefined) return said
    if (heard.statement.includes('version()')) return [{ v: '26.7.2.1' }]
    return /^\s*select/.test(heard.statement) ? [] : (response) => response.end()
  })
  const clickhouse = openClickHouse({ url: recorded.url, statementTimeoutMs: 5000 })
  onTestFinished(() => clickhouse.close())
  return { ...recorded, clickhouse }
}

async function copying(say?: (heard: Heard) => Said | undefined) {
  const db = await store()
  const { clickhouse, heard } = await server(say)
  const clock = createManualClock(now)
  const [source, target] = [createCopySource(db), createCopyTarget(clickhouse)]
  const copier = createCopier({ source, target, clickhouse, clock, log: quietLog })
  /** Lines that were sent into a table, without the statement. */
  const sent = (table: string) =>
    heard.flatMap(({ statement }) =>
      statement.startsWith(`insert into "${table}"`)
        ? statement
            .split('\n')
            .slice(1, -1)
            .map((line) => JSON.parse(line) as unknown[])
        : [],
    )
  return { db, copier, heard, sent, clock }
}

function refuse(response: import('node:http').ServerResponse): void {
  response.writeHead(500, { 'x-clickhouse-exception-code': '241' })
  response.end('Code: 241. Memory limit')
}

describe('the copy', () => {
  test('shows a day only when all of it is there, and says how far it is only then', async () => {
    const { copier, heard, sent } = await copying()
    await copier.run(never)
    expect(sent('request_logs_copies').length).toBe(rows.length)
    const into = heard.map(({ statement }) => /^insert into "(\w+)"/.exec(statement)?.[1]).filter((name) => name)
    const lastRows = into.findLastIndex((name) => name!.startsWith('usage_cube') || name === 'request_logs_copies')
    const shown = into.lastIndexOf('usage_copies')
    expect(shown).toBeGreaterThan(lastRows)
    // Up to when rows are gone is known there before anything lacks them.
    expect(into.indexOf('usage_state_copies', lastRows)).toBeLessThanOrEqual(shown)
    expect(into.at(-1)).toBe('usage_state_copies')
    expect(sent('usage_state_copies')).toContainEqual([asOfName, now, expect.any(Number)])
    const [begun, whole] = [0, 1].map((kind) => sent('usage_copies').filter((line) => line.at(-1) === kind))
    expect(begun!.length).toBe(96 + 24 + 1)
    // Of slots that nothing came in there is nothing to show.
    expect(whole!.length).toBeLessThanOrEqual(8 + 3 + 1)
  })

  test.each(['request_logs_copies', 'usage_cube_quarter_copies', 'usage_durations_day_copies', 'usage_state_copies'])(
    'that breaks off at %s shows nothing of it and claims nothing',
    async (table) => {
      const { copier, sent } = await copying(({ statement }) =>
        statement.startsWith(`insert into "${table}"`) && !statement.includes('shape') ? refuse : undefined,
      )
      await expect(copier.run(never)).rejects.toMatchObject({ code: 'unavailable' })
      expect(sent('usage_copies').filter((line) => line.at(-1) === 1)).toEqual([])
      expect(
        sent('usage_state_copies').filter(([name]) => name === asOfName && table !== 'usage_state_copies'),
      ).toEqual([])
    },
  )

  test('copies a day again when something of it has changed, and else nothing', async () => {
    const { db, copier, heard, sent, clock } = await copying(({ statement }) => {
      if (!statement.includes("grain = 'day'") || !statement.startsWith('select slot')) return undefined
      return sent('usage_copies')
        .filter((line) => line[0] === 'day' && line.at(-1) === 1)
        .map((line) => ({ slot: line[1], version: line[3] }))
    })
    await copier.run(never)
    await clock.advance(60_000)
    heard.splice(0, 0)
    await copier.run(never)
    expect(sent('request_logs_copies').length).toBe(rows.length)
    await createUsageStore(db).storeRows(makeRows(5, day + hourMs, day + 2 * hourMs, 4))
    await clock.advance(60_000)
    const before = sent('usage_copies').filter((line) => line.at(-1) === 1).length
    await copier.run(never)
    expect(sent('usage_copies').filter((line) => line.at(-1) === 1).length).toBeGreaterThan(before)
  })

  test.each(['24.3.1.1', '25.3.9.2', 'nonsense'])(
    'is refused by the server’s name when that is %s',
    async (version) => {
      const { copier, heard } = await copying(({ statement }) =>
        statement.includes('version()') ? [{ v: version }] : undefined,
      )
      await expect(copier.run(never)).rejects.toThrow('too old: 25.8')
      expect(heard.length).toBe(1)
      expect(isNewEnough('25.8.1.1')).toBe(true)
    },
  )

  test('leaves alone what a later version of the hub has made there', async () => {
    const { copier, heard } = await copying(({ statement }) => {
      if (statement.includes('system.tables')) return [{ name: 'usage_state_copies' }]
      return statement.includes("name = 'shape'") ? [{ value: shape + 1 }] : undefined
    })
    await expect(copier.run(never)).rejects.toThrow('later version')
    expect(heard.filter(({ statement }) => !/^\s*select/.test(statement))).toEqual([])
  })

  test.each([
    ['nothing, once all of it is there', madeNames().length, false],
    ['everything anew where one table was taken away', madeNames().length - 1, true],
  ])('makes %s', async (_, amount, isMade) => {
    const { copier, heard } = await copying(({ statement }) => {
      if (statement.includes('system.tables')) {
        return madeNames()
          .slice(-amount)
          .map((name) => ({ name }))
      }
      return statement.includes("name = 'shape'") ? [{ value: shape }] : undefined
    })
    await copier.run(never)
    expect(heard.some(({ statement }) => statement.startsWith('drop table'))).toBe(isMade)
    expect(heard.some(({ statement }) => statement.startsWith('create table'))).toBe(isMade)
  })

  test('waits while rows of former versions are still being added up', async () => {
    const { db, copier, sent } = await copying()
    await db.insertInto('usage_analytics_state').values({ name: 'rows_without_sums_before', value: now }).execute()
    await copier.run(never)
    expect(sent('usage_state_copies').map(([name]) => name)).toEqual(['shape'])
  })

  test('has days that nothing has changed since changes are counted', async () => {
    const { db, copier, sent } = await copying()
    await db.deleteFrom('usage_day_versions').execute()
    await copier.run(never)
    expect(sent('request_logs_copies').length).toBe(rows.length)
  })

  test('has another number of its shape whenever its tables are others', () => {
    const hash = createHash('sha256').update(createStatements().join('\n')).digest('hex').slice(0, 16)
    expect({ shape, hash }).toEqual({ shape: 1, hash: '77ff6ee8bf9adbc2' })
  })
})

describe('a report', () => {
  const question: Question = {
    ...{ scope: everything, from: day, to: day + dayMs, dimensions: [], filters: {}, limit: 100 },
    ...{ buckets: { kind: 'one' }, measures: ['requests'], order: 'bucket' },
  }

  async function reporting(say: (heard: Heard) => Said | undefined) {
    const db = await store()
    const { clickhouse, heard, stop } = await server(say)
    const clock = createManualClock(now)
    const lines: string[] = []
    const log: Log = { ...quietLog, warn: (line) => lines.push(line), info: (line) => lines.push(line) }
    const copy = followCopy({
      ...{ target: createCopyTarget(clickhouse), clock, log, mostBehindMs: 60_000 },
      store: createAnalyticsStore(createClickHouseReader<UsageTables>(clickhouse)),
    })
    const asked = { ...createAnalyticsStore(db), copy }
    return {
      copy,
      clock,
      lines,
      heard,
      stop,
      ask: (changes: Partial<Question> = {}) => ask(asked, { ...question, ...changes }),
    }
  }

  const state = ({ statement }: Heard) =>
    statement.startsWith('select name, value') ? [{ name: asOfName, value: now - 5000 }] : undefined
  const counting = (heard: Heard) =>
    state(heard) ?? (heard.statement.includes('as parts') ? [{ bucket: 0, requests: 42 }] : undefined)

  test('is answered by the store until the copy has said how far it is, and by the copy from then on', async () => {
    const { ask, copy, lines } = await reporting(counting)
    expect(await ask()).toMatchObject({ copiedAsOf: null, rows: [{ measures: { requests: rows.length } }] })
    await copy.look()
    expect(await ask()).toMatchObject({ copiedAsOf: now - 5000, rows: [{ measures: { requests: 42 } }] })
    expect(lines).toEqual(['ClickHouse answers reports'])
  })

  test('is answered by the store while nobody has copied yet, and nothing is wrong with that', async () => {
    const { ask, copy, lines } = await reporting(() => (response) => {
      response.writeHead(404, { 'x-clickhouse-exception-code': '60' })
      response.end('Code: 60. DB::Exception: Unknown table expression identifier')
    })
    await copy.look()
    expect(await ask()).toMatchObject({ copiedAsOf: null, rows: [{ measures: { requests: rows.length } }] })
    expect(lines).toEqual([])
  })

  test('is answered by the store, whole, when the copy breaks off in the middle; the log says so once', async () => {
    let isBroken = true
    const { ask, copy, lines } = await reporting((heard) =>
      isBroken && heard.statement.includes('as parts') ? refuse : counting(heard),
    )
    await copy.look()
    for (let i = 0; i < 3; i++) {
      expect(await ask()).toMatchObject({ copiedAsOf: null, rows: [{ measures: { requests: rows.length } }] })
    }
    isBroken = false
    await copy.look()
    expect(await ask()).toMatchObject({ copiedAsOf: now - 5000 })
    expect(lines).toEqual([
      ...['ClickHouse answers reports', expect.stringContaining('main store answers'), 'ClickHouse answers reports'],
    ])
  })

  test('is answered by the store when the server is gone', async () => {
    const { ask, copy, stop, lines } = await reporting(counting)
    await copy.look()
    await stop()
    expect(await ask()).toMatchObject({ copiedAsOf: null, rows: [{ measures: { requests: rows.length } }] })
    await copy.look()
    expect(lines.length).toBe(2)
  })

  test('is answered by the store when the copy is older than it may be', async () => {
    const { ask, copy, clock, lines } = await reporting(counting)
    await copy.look()
    await clock.advance(60_000)
    expect(await ask()).toMatchObject({ copiedAsOf: null })
    await copy.look()
    expect(lines.at(-1)).toContain('too old')
  })

  test('that nobody can answer is an error of its own, and blames no copy', async () => {
    const many = Array.from({ length: 100_000 }, (_, i) => ({ bucket: 0, d0: String(i), amount: 1 }))
    const { ask, copy } = await reporting(
      (heard) => state(heard) ?? (heard.statement.includes('count(distinct') ? many : undefined),
    )
    await copy.look()
    await expect(ask({ dimensions: ['model'], measures: ['distinct_ips'] })).rejects.toMatchObject({
      code: 'invalid_request',
    })
    expect(copy.usableAsOf()).toBe(now - 5000)
  })

  test('is one statement over the same tables, in words that ClickHouse knows', async () => {
    const { ask, copy, heard } = await reporting(counting)
    await copy.look()
    const buckets = bucketsOf(day, day + dayMs, 'day', 'Asia/Kathmandu')
    const filters = { tag: ["o'brien"], model: ['gpt-4o'] }
    await ask({
      buckets,
      from: day + 1,
      dimensions: ['agent', 'tag', 'status_class'],
      filters,
      measures: ['requests', 'tokens'],
    })
    const { statement } = heard.at(-1)!
    expect(statement).toContain('from request_logs array join tag_list as tag_of_row')
    expect(statement).toContain("arrayExists(each -> each in ('o\\'brien'), tag_list)")
    expect(statement).toContain(`roundDown("started_at", [${buckets.kind === 'at' ? buckets.starts.join() : ''}])`)
    expect(statement).toContain('agent_named as "d0"')
    expect(statement).not.toMatch(/json_|collate|\?|\$1/)
  })
})
