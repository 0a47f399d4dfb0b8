import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDice } from '../../src/kernel/dice.ts'
import type { Behaviour, FakeProvider, Usage, VendorName } from '../fake-providers/index.ts'
import { type Json, openStage, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

const callsPerVendor = 700
const atOnce = 16

/** Whole numbers below what is asked for, the same in every run. */
function createRandom(seed: number): (below: number) => number {
  const dice = createDice(seed)
  return (below) => (dice() * 2 ** 32) % below
}

type Counted = Pick<Usage, 'tokensIn' | 'tokensOut' | 'tokensCachedRead'>

/** What the upstream counts for each of its calls, failures included: those are 0. */
function makeCalls(random: (below: number) => number): { behaviour: Behaviour; counted: Counted }[] {
  return Array.from({ length: callsPerVendor }, () => {
    if (random(8) === 0) {
      const status = [400, 429, 500, 529][random(4)]!
      return { behaviour: { error: { status } }, counted: { tokensIn: 0, tokensOut: 0, tokensCachedRead: 0 } }
    }
    const tokensIn = 1 + random(5000)
    const counted = { tokensIn, tokensOut: random(2000), tokensCachedRead: random(tokensIn + 1) }
    const pieces = random(20) === 0 ? { framing: { writes: 40 } } : {}
    return { behaviour: { answer: { text: 'ok '.repeat(1 + random(9)), usage: counted }, ...pieces }, counted }
  })
}

async function allRows(model: string): Promise<Json[]> {
  await stage.hub.logs()
  const rows: Json[] = []
  for (let cursor = ''; ; ) {
    const page = await stage.hub.admin('GET', `/api/logs?limit=200&model=${model}${cursor && `&cursor=${cursor}`}`)
    rows.push(...page.data)
    if (page.next_cursor === null) return rows
    cursor = page.next_cursor
  }
}

const sumOf = (rows: readonly Json[], column: string) => rows.reduce((sum, row) => sum + row[column], 0)

test('4.1.1 the ledger equals what a token-counting upstream counted over mixed requests', async () => {
  const random = createRandom(46)
  const served: { vendor: VendorName; model: string; fake: FakeProvider; counted: Counted[] }[] = []
  for (const vendor of vendors) {
    const calls = makeCalls(random)
    const fake = await stage.upstream(vendor, ...calls.map(({ behaviour }) => behaviour))
    // A provider that fails often is not to be left alone by the router: every call goes where it is counted.
    const model = await stage.serve(fake, { provider: { max_retries: 0 } })
    served.push({ vendor, model, fake, counted: calls.map(({ counted }) => counted) })
  }
  const queue = served.flatMap(({ model }) =>
    Array.from({ length: callsPerVendor }, () => ({ model, stream: random(2) === 0 })),
  )
  const caller = async () => {
    for (let body = queue.pop(); body !== undefined; body = queue.pop()) await stage.ask(body)
  }
  await Promise.all(Array.from({ length: atOnce }, caller))

  for (const { vendor, model, fake, counted } of served) {
    const rows = await allRows(model)
    expect([vendor, rows.length, fake.requests.length]).toEqual([vendor, callsPerVendor, callsPerVendor])
    expect(new Set(rows.map((row) => row.id)).size).toBe(callsPerVendor)
    expect({
      tokensIn: sumOf(rows, 'tokens_in'),
      tokensOut: sumOf(rows, 'tokens_out'),
      tokensCachedRead: sumOf(rows, 'tokens_cached_read'),
    }).toEqual({
      tokensIn: counted.reduce((sum, each) => sum + each.tokensIn, 0),
      tokensOut: counted.reduce((sum, each) => sum + each.tokensOut, 0),
      tokensCachedRead: counted.reduce((sum, each) => sum + each.tokensCachedRead, 0),
    })
    expect(rows.filter((row) => row.outcome === 'success' && row.usage_source !== 'upstream')).toEqual([])
  }
}, 120_000)

/** What a row says of who asked for what, where it went and how: whatever became of the call. */
const dimensions = [
  ...['tenant_id', 'user_id', 'key_id', 'key_name', 'endpoint', 'protocol', 'model_asked', 'model_served'],
  ...['provider_id', 'provider_name', 'provider_type', 'stream', 'client_ip', 'user_agent', 'is_synthetic'],
]

test.each(vendors)('4.1.4 failure rows carry the same dimensions as success rows, of %s', async (vendor) => {
  const failing: Behaviour[] = [
    {},
    { error: { status: 500 } },
    { error: { status: 429 } },
    { error: { status: 500, afterChunks: 4 } },
    { cut: { at: 4, how: 'reset' } },
  ]
  const fake = await stage.upstream(vendor, ...failing)
  const model = await stage.serve(fake)
  for (const _ of failing) await stage.ask({ model, stream: true }).catch(() => {})
  const rows = await allRows(model)
  expect(rows.map((row) => row.outcome).sort()).toEqual(['failure', 'failure', 'success', 'truncated', 'truncated'])
  const of = (row: Json) => Object.fromEntries(dimensions.map((name) => [name, row[name]]))
  const success = of(rows.find((row) => row.outcome === 'success')!)
  for (const name of ['key_id', 'model_served', 'provider_id', 'endpoint']) expect(success[name]).not.toBe('')
  for (const row of rows) expect(of(row)).toEqual(success)
})

test('4.6.29 a caller that hangs up in the middle is billed its prompt and what came, in one row that says so', async () => {
  const fake = await stage.upstream('openai', { holdAt: 3 })
  const model = await stage.serve(fake)
  const response = await stage.open({ model, messages: [{ role: 'user', content: 'word '.repeat(300) }] })
  await new Promise((resolve) => response.once('data', resolve))
  response.destroy()
  const row = await stage.row(model)
  expect(row).toMatchObject({ outcome: 'aborted', usage_source: 'estimated', wasted_nano_usd: 0 })
  expect(row.tokens_in).toBeGreaterThan(250)
  expect(row.tokens_out).toBeGreaterThan(0)
})
