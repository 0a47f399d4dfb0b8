import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import { redisUrl } from '../../src/platform/testing.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'

const model = 'gpt-4o-mini'
const secretKey = randomBytes(32).toString('base64')
const postgres = engines().find(({ name }) => name === 'postgres')
const describeWithServices = postgres && redisUrl !== '' ? describe : describe.skip

type Told = { status: number; headers: Headers; text: string }

describeWithServices('four nodes on one Redis and one PostgreSQL', () => {
  let nodes: ProcessHub[] = []
  let upstream: FakeProvider
  let databaseUrl = ''

  beforeAll(async () => {
    upstream = await startFakeProvider({ kind: 'openai', models: [model] })
    databaseUrl = await postgres!.address()
    const env = {
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      GATEHOUSE_SECRET_KEY: secretKey,
      GATEHOUSE_LIMITS_STRANGER_RPM: '0',
    }
    // The first one migrates.
    nodes = [await startProcessHub({ env })]
    nodes.push(...(await Promise.all([1, 2, 3].map(() => startProcessHub({ env })))))
    const provider = { type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey }
    await nodes[0]!.serveModel(model, { ...provider, max_retries: 0 })
    const known = await nodes[0]!.createKey()
    for (const node of nodes)
      await until('a node knows model and key', async () => (await chat(node, known.key)).status === 200)
  }, 120_000)
  afterEach(() => upstream.behave({}))
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.destroy()))
    await upstream.close()
  })

  async function chat(node: ProcessHub, key: string, body: object = {}): Promise<Told> {
    const response = await fetch(`${node.url()}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 50, ...body }),
    })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  /** A key that every node knows. */
  async function keyFor(input: Record<string, unknown>) {
    const made = await nodes[0]!.createKey({ ...input, allowed_models: ['nothing'] })
    for (const node of nodes) {
      await until('a node knows the key', async () => (await chat(node, made.key)).status === 404)
    }
    await nodes[0]!.admin('PATCH', `/api/keys/${made.id}`, { allowed_models: null })
    return made
  }

  test('4.7.30 what they admit together is within 2 % of the limit', async () => {
    const limit = 100
    const { key } = await keyFor({ rate_limit: limit })
    await until('every node allows the model', () => knowAll(key))
    const replies = await flood(key, 4 * limit)
    const admitted = replies.filter(({ status }) => status === 200).length
    // Finding out that they all know the key took some of it.
    expect(admitted).toBeLessThanOrEqual(1.02 * limit)
    expect(admitted).toBeGreaterThan(limit / 2)
    const refused = replies.filter(({ status }) => status === 429)
    expect(admitted + refused.length).toBe(replies.length)
    for (const { headers } of refused) {
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      expect(headers.get('x-ratelimit-limit-requests')).toBe('100')
      expect(headers.get('x-ratelimit-remaining-requests')).toBe('0')
      expect(headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+s$/)
    }
  }, 60_000)

  test('4.7.30 tokens a minute are one limit too, and what was not used returns', async () => {
    const { id, key } = await keyFor({})
    await until('every node allows the model', () => knowAll(key))
    await nodes[1]!.admin('PATCH', `/api/keys/${id}`, { tpm_limit: 5000 })
    await until('every node knows the limit', async () => {
      const told = await Promise.all(nodes.map((node) => chat(node, key)))
      return told.every(({ headers }) => headers.get('x-ratelimit-limit-tokens') === '5000')
    })
    const replies: Told[] = []
    for (let round = 0; round < 4; round++) replies.push(...(await flood(key, 50, { max_tokens: 1000 })))
    const used = replies.reduce(
      (sum, { status, text }) => sum + (status === 200 ? JSON.parse(text).usage.total_tokens : 0),
      0,
    )
    expect(used).toBeLessThanOrEqual(1.02 * 5000)
    expect(replies.filter(({ status }) => status === 200).length).toBeGreaterThan(5)
    expect(replies.some(({ status }) => status === 429)).toBe(true)
  }, 60_000)

  test('4.7.31 a node killed with 100 open slots: they are free within 30 s', async () => {
    const { key } = await keyFor({ concurrency_limit: 100 })
    await until('every node allows the model', () => knowAll(key))
    upstream.behave({ holdAt: 'head' })
    const victim = nodes[3]!
    const held = Array.from({ length: 100 }, () => chat(victim, key).catch(() => null))
    const redis = new Redis(redisUrl)
    await until('all slots are taken', async () => {
      const due = await redis.keys('gatehouse:tally:slots:key:*')
      const sizes = await Promise.all(due.map((each) => redis.zcard(each)))
      return sizes.includes(100)
    })
    expect((await chat(nodes[0]!, key)).status).toBe(429)
    await victim.kill('SIGKILL')
    const killedAt = performance.now()
    await Promise.all(held)
    upstream.behave({})
    await until('the slots are free', async () => (await chat(nodes[0]!, key)).status === 200, {
      limitMs: 30_000,
      everyMs: 500,
    })
    expect(performance.now() - killedAt).toBeLessThan(30_000)
    redis.disconnect()
    await victim.restart()
  }, 90_000)

  test('4.7.32 of 1,000 concurrent calls near a budget none goes beyond it by more than a request a node', async () => {
    const { id, key } = await keyFor({})
    await until('every node allows the model', () => knowAll(key))
    const budget = await nodes[0]!.admin('POST', '/api/budgets', {
      ...{ scope: 'key', scope_id: id, period: 'day', limit_usd: '0.000000001' },
    })
    await until('every node knows the budget', async () => {
      const told = await Promise.all(nodes.map((node) => chat(node, key)))
      return told.every(({ status }) => status === 402)
    })
    await nodes[1]!.admin('PATCH', `/api/budgets/${budget.id}`, { limit_usd: '0.002' })
    await until('every node knows of the larger one', () => knowAll(key))
    const replies = await flood(key, 1000)
    const refused = replies.filter(({ status }) => status === 402)
    const admitted = replies.filter(({ status }) => status === 200)
    expect(admitted.length + refused.length).toBe(1000)
    expect(refused.length).toBeGreaterThan(0)
    for (const { headers, text } of refused) {
      expect(headers.get('x-should-retry')).toBe('false')
      expect(JSON.parse(text).error.code).toBe('budget_exhausted')
    }
    await Promise.all(nodes.map((node) => node.settled()))
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    const { rows } = await client.query(
      'select sum(cost_nano_usd) as spent, max(cost_nano_usd) as largest from request_logs where key_id = $1',
      [id],
    )
    await client.end()
    const [spent, largest] = [Number(rows[0].spent), Number(rows[0].largest)]
    expect(spent).toBeGreaterThan(0)
    expect(spent).toBeLessThanOrEqual(2_000_000 + 4 * largest)
    expect(await nodes[2]!.admin('GET', `/api/budgets/${budget.id}`)).toMatchObject({
      spent_nano_usd: spent,
      reserved_usd: '0',
    })
  }, 120_000)

  test('4.10.41 a revoked key is denied on all nodes in under 2 s, also with a racing usage write', async () => {
    const { id, key } = await keyFor({})
    await until('every node allows the model', () => knowAll(key))
    // Calls under way on every node write rows and the time of last use while the key goes.
    let isOver = false
    const callers = nodes.map(async (node) => {
      while (!isOver) await chat(node, key)
    })
    await nodes[0]!.admin('DELETE', `/api/keys/${id}`)
    const revokedAt = performance.now()
    await until('no node knows it', async () => {
      const told = await Promise.all(nodes.map((node) => chat(node, key)))
      return told.every(({ status }) => status === 401)
    })
    expect(performance.now() - revokedAt).toBeLessThan(2000)
    isOver = true
    await Promise.all(callers)
    await Promise.all(nodes.map((node) => node.settled()))
    for (const node of nodes) expect((await chat(node, key)).status).toBe(401)
  }, 60_000)

  test('a changed limit holds on every node in under 2 s', async () => {
    const { id, key } = await keyFor({})
    await until('every node allows the model', () => knowAll(key))
    await nodes[2]!.admin('POST', '/api/limits', { scope: 'key', scope_id: id, rpm: 0 })
    const changedAt = performance.now()
    await until('every node refuses', async () => {
      const told = await Promise.all(nodes.map((node) => chat(node, key)))
      return told.every(({ status }) => status === 429)
    })
    expect(performance.now() - changedAt).toBeLessThan(2000)
  }, 60_000)

  const knowAll = async (key: string) =>
    (await Promise.all(nodes.map((node) => chat(node, key)))).every(({ status }) => status === 200)

  /** So many calls at once, spread over all nodes. */
  const flood = (key: string, count: number, body: object = {}) =>
    Promise.all(Array.from({ length: count }, (_, i) => chat(nodes[i % nodes.length]!, key, body)))
})
