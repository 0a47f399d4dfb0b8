import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import { redisUrl } from '../../src/platform/testing.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'
import { type Json, openStage, type Stage } from './stage.ts'

const price = { model: 'm-*', input_usd: '1', output_usd: '2', effective_from: '2020-01-01T00:00:00Z' }
/** Of what the fakes say that a call used: 21 in, 9 out. */
const callNanoUsd = 21_000 + 18_000
const noList = { error: { status: 404, message: 'no such page' } }
const broken = { error: { status: 500, message: 'no' } }

/** Half a second stands for the ten minutes of silence that operators wait. */
const eager = {
  'gateway.canary_daily_usd': 1,
  'gateway.canary_minutes': 0.01,
  'gateway.probe_seconds': 1,
  'gateway.breaker_min_calls': 2,
  'gateway.breaker_open_seconds': 0.05,
}

let stage: Stage
afterEach(() => stage?.close())

async function start(settings: Json = {}) {
  stage = await openStage({ ...eager, ...settings })
  await stage.hub.admin('POST', '/api/prices', price)
}
const canariesOf = (fake: FakeProvider) =>
  fake.requests.filter(({ json }) => JSON.stringify(json?.messages ?? '').includes('ping'))
const seen = async (model: string): Promise<Json> => {
  const { candidates, excluded } = await stage.hub.admin('POST', '/api/routes/explain', { model })
  return candidates[0] ?? excluded[0]
}
const aiService = async (): Promise<Json> => {
  const response = await fetch(`${stage.hub.url}/health/ai_service`, { headers: { 'x-admin-key': stage.hub.adminKey } })
  return (await response.json()) as Json
}

describe.each(engines())('a provider that nothing else tells about is asked for one token, on $name', ({ address }) => {
  test("the ancestor's health checker spent tokens and changed nothing", async () => {
    await start({ 'database.url': await address() })
    const fake = await stage.upstream('openai', broken)
    const model = await stage.serve(fake, { model: 'm-1' })
    for (let i = 0; i < 2; i++) expect((await stage.ask({ model })).status).toBe(500)
    const calls = fake.requests.filter(({ json }) => json !== null).length
    fake.behave({})
    // It asks the model that is configured, not one named "test"; and what it hears closes the breaker without a caller.
    await until('the breaker is closed', async () => (await seen(model)).breaker === 'closed')
    const canaries = canariesOf(fake)
    expect(canaries).toHaveLength(2)
    for (const { json } of canaries) expect(json).toMatchObject({ model, max_tokens: 1 })
    expect(fake.requests.filter(({ json }) => json !== null)).toHaveLength(calls + 2)
    expect(await seen(model)).toMatchObject({ canary: { result: 'ok' }, latency_ms: null })

    const rows = (await stage.hub.logs(`&model=${model}`)).filter(({ endpoint }) => endpoint === 'canary')
    expect(rows).toHaveLength(2)
    expect(rows[0]).toMatchObject({
      ...{ tenant_id: 'hub', user_id: '', key_id: '', mirror_of: '', outcome: 'success', cost_nano_usd: callNanoUsd },
    })
    // Well again, with a list of models that says so for nothing: nothing more is paid.
    const clock = await stage.upstream('openai')
    clock.behaveOnModels(broken)
    await stage.serve(clock, { model: 'unpriced' })
    await until('rounds went by', () => clock.requests.length >= 3)
    expect(canariesOf(fake)).toHaveLength(2)
  })
})

describe('canaries', () => {
  test('a provider without a list of models is asked when it has been silent, and its failure is seen', async () => {
    await start()
    const fake = await stage.upstream('openai', broken)
    fake.behaveOnModels(noList)
    const model = await stage.serve(fake, { model: 'm-2' })
    await until('it was asked', async () => (await seen(model))?.canary?.result === 'failed')
    await until('health says so', async () => (await aiService()).status === 'failed', { limitMs: 20_000 })
    fake.behave({})
    await until('it is well', async () => (await seen(model))?.canary?.result === 'ok')
  })

  test('a model that takes no conversation is not ill', async () => {
    await start()
    const fake = await stage.upstream('openai', { error: { status: 404, message: 'not a chat model' } })
    fake.behaveOnModels(noList)
    const model = await stage.serve(fake, { model: 'm-embed' })
    await until('it was asked twice', () => canariesOf(fake).length >= 2)
    expect(await seen(model)).toMatchObject({ canary: { result: 'says_nothing' }, breaker: 'closed' })
  })

  test('money spent, nobody asked: explain and health say so', async () => {
    // Less than one call may cost at most.
    await start({ 'gateway.canary_daily_usd': 0.000_001 })
    const fake = await stage.upstream('openai')
    fake.behaveOnModels(noList)
    const model = await stage.serve(fake, { model: 'm-3' })
    await until('it was due', async () => (await seen(model))?.canary != null)
    expect((await seen(model)).canary).toMatchObject({ result: 'spent', told: expect.stringContaining('budget') })
    await until('health says so', async () => /canaries of today/.test((await aiService()).message), {
      limitMs: 20_000,
    })
    expect(canariesOf(fake)).toHaveLength(0)
    expect((await stage.hub.logs()).filter(({ endpoint }) => endpoint === 'canary')).toHaveLength(0)
  })

  test('what no price is known of is not asked', async () => {
    await start()
    const fake = await stage.upstream('openai')
    fake.behaveOnModels(noList)
    const model = await stage.serve(fake, { model: 'unpriced' })
    await until('it was due', async () => (await seen(model))?.canary?.result === 'unasked')
    expect((await seen(model)).canary.told).toContain('price')
    expect(canariesOf(fake)).toHaveLength(0)
  })

  test('they are off unless an operator gives them money', async () => {
    await start({ 'gateway.canary_daily_usd': 0 })
    const fake = await stage.upstream('openai')
    fake.behaveOnModels(noList)
    await stage.serve(fake, { model: 'm-4' })
    await until('it was probed', () => fake.requests.filter(({ method }) => method === 'GET').length >= 3)
    expect(fake.requests.filter(({ method }) => method === 'POST')).toHaveLength(0)
  })
})

const postgres = engines().find(({ name }) => name === 'postgres')
const describeWithServices = postgres && redisUrl !== '' ? describe : describe.skip

describeWithServices('canaries of two nodes', () => {
  const nodes: ProcessHub[] = []
  afterEach(() => Promise.all(nodes.map((node) => node.destroy())))

  test('one node asks for both, and the breakers of both hear it', async () => {
    const fake = await startFakeProvider({ kind: 'openai', models: ['m-1'] })
    try {
      const env = {
        DATABASE_URL: await postgres!.address(),
        REDIS_URL: redisUrl,
        GATEHOUSE_SECRET_KEY: randomBytes(32).toString('base64'),
        GATEHOUSE_GATEWAY_CANARY_DAILY_USD: '1',
        // Long enough that both nodes have had their failures before it is due.
        GATEHOUSE_GATEWAY_CANARY_MINUTES: '0.05',
        GATEHOUSE_GATEWAY_PROBE_SECONDS: '1',
        GATEHOUSE_GATEWAY_BREAKER_MIN_CALLS: '2',
        GATEHOUSE_GATEWAY_BREAKER_OPEN_SECONDS: '0.05',
      }
      nodes.push(await startProcessHub({ env }), await startProcessHub({ env }))
      const address = { type: 'openai', base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
      await nodes[0]!.admin('POST', '/api/prices', price)
      await nodes[0]!.serveModel('m-1', address)
      const { key } = await nodes[0]!.createKey()
      const ask = async (node: ProcessHub) => {
        const response = await fetch(`${node.url()}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'm-1', messages: [{ role: 'user', content: 'Hello' }] }),
        })
        await response.text()
        return response.status
      }
      const at = async (node: ProcessHub): Promise<Json> => {
        const { candidates, excluded } = await node.admin('POST', '/api/routes/explain', { model: 'm-1' })
        return candidates[0] ?? excluded[0]
      }
      for (const node of nodes) await until('a node knows key and model', async () => (await ask(node)) === 200)
      fake.behave(broken)
      for (const node of nodes) {
        await until('its breaker opens', async () => {
          await ask(node)
          return (await at(node)).breaker !== 'closed'
        })
      }
      fake.behave({})
      for (const node of nodes) await until('its breaker is closed', async () => (await at(node)).breaker === 'closed')
      expect(canariesOf(fake)).toHaveLength(2)
      for (const node of nodes) expect(await at(node)).toMatchObject({ canary: { result: 'ok' } })
    } finally {
      await fake.close()
    }
  }, 60_000)
})
