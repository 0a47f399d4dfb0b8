import { join } from 'node:path'
import fc from 'fast-check'
import type { Kysely } from 'kysely'
import { describe, expect, test, vi } from 'vitest'
import { createManualClock, systemClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { engines } from '../platform/database/testing.ts'
import type { Journal } from '../platform/journal/journal.ts'
import { openTestJournal, temporaryFolder } from '../platform/journal/testing.ts'
import { createMetrics } from '../platform/metrics.ts'
import { writeEntry } from './entry-text.ts'
import { createLedger } from './ledger.ts'
import { priceBook } from './price-book/index.ts'
import { createPriceList } from './price-list.ts'
import { rollUp } from './roll-up.ts'
import { hourlyKeys, type RequestLogRow, type UsageTables } from './rows.ts'
import { outcomes, type UsageEntry, usageSources } from './schema.ts'
import { createUsageStore, type UsageStore } from './store.ts'
import { quietLog, sampleEntry, testTime, usageMigrations } from './testing.ts'

const prices = createPriceList(priceBook(0))

function ledgerOver(
  journal: Journal,
  store: Pick<UsageStore, 'settle'>,
  clock = systemClock,
  metrics = createMetrics(),
) {
  return createLedger({ journal, store, prices, clock, log: quietLog, metrics })
}

/** Lets `ms` of the clock go by, with every timer of that time and what follows from it. */
async function passes(clock: ReturnType<typeof createManualClock>, ms: number) {
  for (let gone = 0; gone < ms; gone += 100) {
    await clock.advance(100)
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

const allRows = (db: Kysely<UsageTables>) => db.selectFrom('request_logs').selectAll().orderBy('id').execute()
const allHours = async (db: Kysely<UsageTables>) => {
  const rows = await db.selectFrom('usage_hourly').selectAll().execute()
  const keyOf = (row: (typeof rows)[number]) => JSON.stringify(hourlyKeys.map((name) => row[name]))
  return rows.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

describe.each(engines())('the ledger on $name', ({ open }) => {
  async function start() {
    const database = await open(usageMigrations)
    const db = database.kysely as Kysely<UsageTables>
    const file = join(temporaryFolder(), 'journal')
    return { db, store: createUsageStore(db), file }
  }

  test('an entry becomes one row that holds all of it', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    const wasted = { providerType: 'openai', tokensIn: 300, tokensOut: 20, tokensCachedRead: 0 }
    await ledger.record(
      sampleEntry({
        ...{ stream: true, tokensCachedRead: 200, tokensReasoning: 50, serviceTier: 'priority' },
        details: { tokensAudioIn: 40, searches: 2, images: 0 },
        ...{ providerKeyId: 'pky_a', sessionId: 'thread 7', tags: ['team-a', 'batch'], mirrorOf: 'req_0' },
        ...{ routeLog: '{"chosen":"prv_a"}', abortPolicy: 'drain', agent: 'planner', service: 'crawler' },
        attempts: [
          { provider: 'A', model: 'gpt-4o', status: 500, code: 'server_error', durationMs: 9, keyId: 'pky_b', wasted },
          { provider: 'A', model: 'gpt-4o', status: 200, code: '', durationMs: 880 },
        ],
      }),
    )
    expect(ledger.pending()).toBe(1)
    expect(await ledger.settle()).toBe(1)
    expect(ledger.pending()).toBe(0)
    expect(await allRows(db)).toEqual([
      {
        id: 'req_1',
        started_at: testTime,
        tenant_id: 'ten_a',
        user_id: 'usr_a',
        key_id: 'key_a',
        key_name: 'a key',
        endpoint: '/v1/chat/completions',
        protocol: 'openai-chat',
        model_asked: 'fast',
        model_served: 'gpt-4o',
        provider_id: 'prv_a',
        provider_name: 'A provider',
        provider_type: 'openai',
        status: 200,
        outcome: 'success',
        error_code: '',
        error_message: '',
        stream: 1,
        tokens_in: 1000,
        tokens_out: 500,
        tokens_cached_read: 200,
        tokens_cached_write: 0,
        tokens_reasoning: 50,
        usage_source: 'upstream',
        // A search of this model has no known price, and priority no known rate: unknown, not 0.
        cost_nano_usd: null,
        price_id: '',
        first_token_ms: 120,
        latency_ms: 900,
        attempts: 2,
        attempt_log: JSON.stringify([
          {
            ...{ provider: 'A', model: 'gpt-4o', status: 500, code: 'server_error', duration_ms: 9, key_id: 'pky_b' },
            ...{ provider_type: 'openai', wasted_in: 300, wasted_out: 20, wasted_cached_read: 0 },
          },
          { provider: 'A', model: 'gpt-4o', status: 200, code: '', duration_ms: 880 },
        ]),
        trace_id: '0af7651916cd43dd8448eb211c80319c',
        client_ip: '192.0.2.7',
        user_agent: 'OpenAI/JS',
        finish_reason: 'stop',
        is_synthetic: 0,
        service_tier: 'priority',
        usage_details: '{"tokens_audio_in":40,"searches":2}',
        provider_key_id: 'pky_a',
        session_id: 'thread 7',
        tags: '["team-a","batch"]',
        route_log: '{"chosen":"prv_a"}',
        cache_hit: '',
        mirror_of: 'req_0',
        // 300 × 2.5 + 20 × 10 dollars a million
        wasted_nano_usd: 950_000,
        abort_policy: 'drain',
        agent: 'planner',
        service: 'crawler',
      },
    ])
    journal.close()
  })

  test('what a hub of layout 1 left in its journal is settled by this one', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const attempts = '[{"provider":"A","model":"gpt-4o","status":200,"code":"","duration_ms":880}]'
    const journalText = JSON.stringify([
      ...[1, 'req_old', testTime, 'ten_a', 'usr_a', 'key_a', 'a key', '/v1/chat/completions', 'openai-chat', 'fast'],
      ...['gpt-4o', 'prv_a', 'A', 'openai', 200, 'success', '', '', 0, 1000, 500, 200, 0, 50, 'upstream', 7_250_000],
      ...['book:gpt-4o@2024-08-06', null, 900, 1, attempts, '', '192.0.2.7', 'curl', 'stop', 0],
    ])
    await journal.append(journalText)
    await ledgerOver(journal, store).settle()
    expect(journal.size()).toBe(0)
    expect(await allRows(db)).toMatchObject([
      {
        ...{ id: 'req_old', tokens_reasoning: 50, cost_nano_usd: 7_250_000, attempt_log: attempts, is_synthetic: 0 },
        ...{ service_tier: '', usage_details: '', tags: '', wasted_nano_usd: 0, abort_policy: '', cache_hit: '' },
      },
    ])
    expect(await allHours(db)).toMatchObject([{ requests: 1, tokens_out: 500, wasted_nano_usd: 0, searches: 0 }])
    journal.close()
  })

  test('what a hub of layout 2 left in its journal is settled by this one, with the agent that its tag names', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const [, ...values] = JSON.parse(
      writeEntry(sampleEntry({ tags: ['agent:writer'] }), { nanoUsd: 1, priceId: '' }, 0),
    ) as unknown[]
    await journal.append(JSON.stringify([2, ...values.slice(0, -2)]))
    await ledgerOver(journal, store).settle()
    expect(journal.size()).toBe(0)
    expect(await allRows(db)).toMatchObject([{ id: 'req_1', agent: '', service: '', abort_policy: '' }])
    const named = db.selectFrom('usage_facets_day').select(['value', 'requests']).where('facet', '=', 'agent')
    expect(await named.execute()).toEqual([{ value: 'writer', requests: 1 }])
    journal.close()
  })

  test('an entry recorded twice is one row and counts once', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    await Promise.all([ledger.record(sampleEntry()), ledger.record(sampleEntry())])
    await ledger.settle()
    await ledger.record(sampleEntry())
    await ledger.record(sampleEntry({ id: 'req_2' }))
    await ledger.settle()
    expect((await allRows(db)).map((row) => row.id)).toEqual(['req_1', 'req_2'])
    expect(await allHours(db)).toMatchObject([{ requests: 2, successes: 2, tokens_in: 2000, tokens_out: 1000 }])
    journal.close()
  })

  test('a crash between the commit in the store and the removal from the journal counts nothing twice', async () => {
    const { db, store, file } = await start()
    const first = openTestJournal(file)
    // The process ends where `remove` would have run: the store has the row, the journal still has it too.
    const crashed = ledgerOver(
      {
        ...first,
        remove() {
          throw new Error('the process ended here')
        },
      },
      store,
    )
    await crashed.record(sampleEntry())
    await expect(crashed.settle()).rejects.toThrow('the process ended here')
    expect(await allRows(db)).toHaveLength(1)
    first.close()

    const second = openTestJournal(file)
    expect(second.size()).toBe(1)
    await ledgerOver(second, store).settle()
    expect(second.size()).toBe(0)
    expect(await allRows(db)).toHaveLength(1)
    expect(await allHours(db)).toMatchObject([{ requests: 1, tokens_in: 1000 }])
    second.close()
  })

  test('a batch that is full waits for nothing, one that is not waits for company', async () => {
    const { db, store, file } = await start()
    const clock = createManualClock(testTime)
    const journal = openTestJournal(file, { clock })
    const ledger = ledgerOver(journal, store, clock)
    ledger.start()
    const record = (from: number, to: number) =>
      Promise.all(Array.from({ length: to - from }, (_, i) => ledger.record(sampleEntry({ id: `req_${from + i}` }))))
    await record(0, 500)
    // The turn that finds the batch full is the one after its commit.
    await record(500, 501)
    await vi.waitFor(() => expect(ledger.pending()).toBe(1), { timeout: 20_000 })
    expect(await allRows(db)).toHaveLength(500)

    await passes(clock, 1000)
    await vi.waitFor(() => expect(ledger.pending()).toBe(0), { timeout: 20_000 })
    expect(await allHours(db)).toMatchObject([{ requests: 501 }])
    await ledger.flush(0)
    journal.close()
  })

  test('a row that comes after a quiet hour does not make the store an hour behind', async () => {
    const { store, file } = await start()
    const clock = createManualClock(testTime)
    const journal = openTestJournal(file, { clock })
    const ledger = ledgerOver(journal, store, clock)
    await clock.advance(3_600_000)
    await ledger.record(sampleEntry())
    await clock.advance(5000)
    expect(ledger.pending()).toBe(1)
    expect(ledger.dataAsOf()).toBe(clock.now() - 5000)
    await ledger.settle()
    expect(ledger.dataAsOf()).toBe(clock.now())
    journal.close()
  })

  test('while the store is away nothing is lost, and rows arrive in the order they came', async () => {
    const { db, store, file } = await start()
    const clock = createManualClock(testTime)
    const journal = openTestJournal(file, { clock })
    const batches: string[][] = []
    let isAway = true
    let tries = 0
    const ledger = ledgerOver(
      journal,
      {
        async settle(rows, json) {
          tries++
          if (isAway) throw fail('unavailable', 'The database cannot answer now')
          batches.push(rows.map((row) => row.id))
          return store.settle(rows, json)
        },
      },
      clock,
    )
    ledger.start()
    const ids = Array.from({ length: 600 }, (_, i) => `req_${String(i).padStart(4, '0')}`)
    for (const id of ids.slice(0, 300)) void ledger.record(sampleEntry({ id }))
    await passes(clock, 2000)
    expect(tries).toBeGreaterThan(1)
    expect(ledger.pending()).toBe(300)
    expect(ledger.isWritable()).toBe(true)
    // It waits longer and longer, but never stops trying.
    const triesBefore = tries
    await passes(clock, 60_000)
    expect(tries - triesBefore).toBeGreaterThan(10)
    expect(tries - triesBefore).toBeLessThan(20)

    for (const id of ids.slice(300)) void ledger.record(sampleEntry({ id }))
    isAway = false
    await vi.waitFor(
      async () => {
        await passes(clock, 1000)
        expect(ledger.pending()).toBe(0)
      },
      { timeout: 20_000, interval: 1 },
    )
    expect(batches.flat()).toEqual(ids)
    expect(await allHours(db)).toMatchObject([{ requests: 600 }])
    await ledger.flush(0)
    journal.close()
  })

  test('flush stores what it can, and the rest is there at the next start', async () => {
    const { db, store, file } = await start()
    const first = openTestJournal(file)
    const away = ledgerOver(first, { settle: () => Promise.reject(fail('unavailable')) })
    await away.record(sampleEntry())
    await away.flush(1000)
    first.close()

    const second = openTestJournal(file)
    const back = ledgerOver(second, store)
    await back.record(sampleEntry({ id: 'req_2' }))
    await back.flush(30_000)
    expect(second.size()).toBe(0)
    expect(await allRows(db)).toHaveLength(2)
    second.close()
  })

  test('a failure has the same dimensions as a success, in its row and in the sums', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    const failure = {
      ...{
        status: 502,
        outcome: 'failure' as const,
        errorCode: 'upstream_failed',
        errorMessage: 'The provider failed',
      },
      ...{ tokensIn: 0, tokensOut: 0, usageSource: 'none' as const, firstTokenMs: null, finishReason: '' },
    }
    await ledger.record(sampleEntry({ id: 'req_1' }))
    await ledger.record(sampleEntry({ id: 'req_2', ...failure }))
    await ledger.settle()
    const dimensions = (row: RequestLogRow) =>
      [row.tenant_id, row.user_id, row.key_id, row.key_name, row.endpoint, row.protocol].concat([
        ...[row.model_asked, row.model_served, row.provider_id, row.provider_name, row.provider_type, row.client_ip],
      ])
    const [success, failed] = await allRows(db)
    expect(dimensions(failed!)).toEqual(dimensions(success!))
    expect(failed).toMatchObject({ cost_nano_usd: 0, price_id: '', first_token_ms: null })
    expect(await allHours(db)).toMatchObject([
      { outcome: 'failure', model_served: 'gpt-4o', provider_id: 'prv_a', requests: 1, failures: 1, successes: 0 },
      { outcome: 'success', model_served: 'gpt-4o', provider_id: 'prv_a', requests: 1, failures: 0, successes: 1 },
    ])
    journal.close()
  })

  test('a call the client left keeps its prompt tokens and is charged for them', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    await ledger.record(
      sampleEntry({ status: 499, outcome: 'aborted', tokensIn: 1000, tokensOut: 0, usageSource: 'estimated' }),
    )
    await ledger.settle()
    expect(await allRows(db)).toMatchObject([{ outcome: 'aborted', tokens_in: 1000, cost_nano_usd: 2_500_000 }])
    expect(await allHours(db)).toMatchObject([{ aborted: 1, estimated_requests: 1, tokens_in: 1000 }])
    journal.close()
  })

  test('a provider that reports zero tokens is told apart from one that reports nothing', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    const zero = { tokensIn: 0, tokensOut: 0 }
    await ledger.record(sampleEntry({ id: 'req_1', ...zero, usageSource: 'upstream' }))
    await ledger.record(sampleEntry({ id: 'req_2', ...zero, usageSource: 'none' }))
    await ledger.settle()
    expect(await allRows(db)).toMatchObject([
      { usage_source: 'upstream', cost_nano_usd: 0 },
      { usage_source: 'none', cost_nano_usd: null },
    ])
    journal.close()
  })

  test('an unknown price is null in the row and counted apart in the sums, never 0', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    await ledger.record(sampleEntry({ modelServed: 'a-model-of-our-own' }))
    await ledger.settle()
    expect(await allRows(db)).toMatchObject([{ cost_nano_usd: null, price_id: '' }])
    expect(await allHours(db)).toMatchObject([{ cost_nano_usd: 0, unpriced_requests: 1 }])
    journal.close()
  })

  test('whatever a caller or provider sends, the row can be stored', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    await ledger.record(
      sampleEntry({
        modelAsked: `nul \0 and half a pair \ud800 ${'模'.repeat(5000)}`,
        errorMessage: 'x'.repeat(100_000),
        tokensIn: 12.6,
        tokensOut: Number.NaN,
        latencyMs: Number.POSITIVE_INFINITY,
        tokensCachedRead: -4,
      }),
    )
    await ledger.settle()
    expect(journal.rejects(10)).toEqual([])
    const [row] = await allRows(db)
    expect(row).toMatchObject({ tokens_in: 13, tokens_out: 0, latency_ms: 0, tokens_cached_read: 0 })
    expect(row!.model_asked.startsWith('nul  and half a pair \ufffd 模')).toBe(true)
    expect(row!.model_asked.length).toBeLessThanOrEqual(200)
    expect(row!.error_message).toHaveLength(2000)
    journal.close()
  })

  test('an unreadable entry is set aside with its reason and holds nobody up', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const metrics = createMetrics()
    const ledger = ledgerOver(journal, store, systemClock, metrics)
    await journal.append('{"not":"ours"}')
    await journal.append('[99,"from a later version"]')
    await ledger.record(sampleEntry())
    await ledger.settle()
    expect(ledger.pending()).toBe(0)
    expect(await allRows(db)).toHaveLength(1)
    expect(
      journal
        .rejects(10)
        .map((reject) => [reject.body, reject.reason])
        .sort(),
    ).toEqual([
      ['[99,"from a later version"]', 'layout 99 is not known to this version of the hub'],
      ['{"not":"ours"}', 'not an array'],
    ])
    expect((await metrics.render()).text).toContain('gatehouse_ledger_rejected_total 2')
    journal.close()
  })

  test('a row the store refuses for what it holds is set aside, and those around it are stored', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    // A store that is stricter than ours about one row, in the words of each engine.
    const strict: Pick<UsageStore, 'settle'> = {
      async settle(rows, json) {
        if (rows.some((row) => row.id === 'req_3'))
          throw Object.assign(new Error('value out of range'), { code: '22003' })
        return store.settle(rows, json)
      },
    }
    const ledger = ledgerOver(journal, strict)
    for (const id of ['req_1', 'req_2', 'req_3', 'req_4', 'req_5']) await ledger.record(sampleEntry({ id }))
    await ledger.settle()
    expect((await allRows(db)).map((row) => row.id)).toEqual(['req_1', 'req_2', 'req_4', 'req_5'])
    expect(await allHours(db)).toMatchObject([{ requests: 4 }])
    expect(journal.rejects(10)).toMatchObject([{ reason: 'value out of range' }])
    expect(ledger.pending()).toBe(0)
    journal.close()
  })

  test('the sums equal the sums of the rows, whatever was recorded and however often', async () => {
    const { db, store, file } = await start()
    const journal = openTestJournal(file)
    const ledger = ledgerOver(journal, store)
    const tokens = fc.integer({ min: 0, max: 5_000_000 })
    const entries = fc.array(
      fc.record({
        id: fc.integer({ min: 0, max: 60 }).map((n) => `req_${n}`),
        startedAt: fc.integer({ min: testTime, max: testTime + 3 * 3_600_000 }),
        tenantId: fc.constantFrom('ten_a', 'ten_b'),
        modelServed: fc.constantFrom('gpt-4o', 'unpriced', ''),
        outcome: fc.constantFrom(...outcomes),
        usageSource: fc.constantFrom(...usageSources),
        isSynthetic: fc.boolean(),
        firstTokenMs: fc.option(fc.integer({ min: 0, max: 90_000 })),
        tokensIn: tokens,
        tokensOut: tokens,
        tokensCachedRead: tokens,
      } satisfies { [K in keyof UsageEntry]?: fc.Arbitrary<UsageEntry[K]> }),
      { maxLength: 40 },
    )
    await fc.assert(
      fc.asyncProperty(entries, async (many) => {
        await Promise.all(many.map((changes) => ledger.record(sampleEntry(changes))))
        while (ledger.pending() > 0) await ledger.settle()
        expect(await allHours(db)).toEqual(rollUp(await allRows(db)))
      }),
      { numRuns: 12 },
    )
    journal.close()
  })

  test('two nodes that settle into the same hours at once disturb neither', async () => {
    const { db, store } = await start()
    const settleMany = async (node: string) => {
      for (let batch = 0; batch < 10; batch++) {
        const journal = openTestJournal(join(temporaryFolderOf(node), `journal-${batch}`))
        const ledger = ledgerOver(journal, store)
        for (let i = 0; i < 10; i++) {
          void ledger.record(sampleEntry({ id: `req_${node}_${batch}_${i}`, modelAsked: `m${(i * 7) % 10}` }))
        }
        await ledger.record(sampleEntry({ id: `req_${node}_${batch}_x` }))
        await ledger.settle()
        journal.close()
      }
    }
    const folders = new Map([
      ['a', temporaryFolder()],
      ['b', temporaryFolder()],
    ])
    const temporaryFolderOf = (node: string) => folders.get(node)!
    await Promise.all([settleMany('a'), settleMany('b')])
    expect(await allRows(db)).toHaveLength(220)
    expect(await allHours(db)).toEqual(rollUp(await allRows(db)))
  })
})

test('record refuses while the journal cannot be written', async () => {
  const journal = openTestJournal(join(temporaryFolder(), 'journal'), {
    maxBytes: 128 * 1024,
    clock: createManualClock(),
  })
  const ledger = ledgerOver(journal, { settle: async () => 0 })
  const flood = Array.from({ length: 1000 }, (_, i) => ledger.record(sampleEntry({ id: `req_${i}` })))
  await expect(Promise.all(flood)).rejects.toMatchObject({ code: 'ledger_unavailable' })
  expect(ledger.isWritable()).toBe(false)
  journal.close()
})
