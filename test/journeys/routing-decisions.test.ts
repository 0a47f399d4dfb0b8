import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Behaviour, defaultText, type FakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type Json, openStage, type Reply, type Stage } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({
    'gateway.breaker_min_calls': 4,
    'gateway.breaker_open_seconds': 0.4,
    'gateway.retry_budget_percent': 20,
  })
})

afterAll(() => stage?.close())

const down: Behaviour = { error: { status: 500 } }
const ways = [false, true]

const explain = (reply: Reply): Promise<Json> =>
  stage.hub.admin('GET', `/api/routes/explain?request_id=${reply.headers.get('x-request-id')}`)
const foresee = (question: Json): Promise<Json> => stage.hub.admin('POST', '/api/routes/explain', question)
const saidBy = (reply: Reply) => reply.content || reply.json.choices?.[0]?.message.content

/** The provider that a fake stands behind. */
async function providerOf(fake: FakeProvider): Promise<Json> {
  const providers: Json[] = await stage.hub.admin('GET', '/api/providers')
  return providers.find(({ base_url }) => base_url === fake.baseUrl)!
}
/** Adds a key that the fake accepts; returns its row. */
const addKey = async (fake: FakeProvider, name: string, more: Json = {}): Promise<Json> =>
  stage.hub.admin('POST', `/api/providers/${(await providerOf(fake)).id}/keys`, { name, api_key: fake.apiKey, ...more })
const count = (fakes: FakeProvider[]) => fakes.map(({ requests }) => requests.length)

describe('4.8.36 TTFT and idle limits before anything is sent', () => {
  test('4.5.24 a 200 that then stalls: the first-token limit lets another provider answer', async () => {
    const [stalled, well] = [await stage.upstream('openai', { holdAt: 0 }), await stage.upstream()]
    const model = await stage.serve(stalled, { provider: { first_token_timeout: 1, timeout: 60 } })
    await stage.serve(well, { model, provider: { priority: 1 } })
    const startedAt = performance.now()
    const reply = await stage.ask({ model, stream: true })
    expect(reply.content).toBe(defaultText)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    const told = await explain(reply)
    expect(told.attempts).toMatchObject([{ code: 'first_token_timeout' }, { code: '', status: 200 }])
    expect(told.served.provider).toBe((await providerOf(well)).name)
  })

  test('4.8.36 the limit is the model’s when the model says, and the association’s before that', async () => {
    const [stalled, well] = [await stage.upstream('openai', { holdAt: 'head' }), await stage.upstream()]
    const model = await stage.serve(stalled, {
      settings: { first_token_timeout: 60 },
      link: { first_token_timeout: 1 },
    })
    await stage.serve(well, { model, provider: { priority: 1 } })
    expect((await stage.ask({ model, stream: true })).content).toBe(defaultText)
  })

  test('silence before the first content is cut by the idle limit, and another provider answers', async () => {
    const [silent, well] = [await stage.upstream('openai', { holdAt: 1 }), await stage.upstream()]
    const model = await stage.serve(silent, { provider: { idle_timeout: 1, timeout: 60 } })
    await stage.serve(well, { model, provider: { priority: 1 } })
    const reply = await stage.ask({ model, stream: true })
    expect(reply.content).toBe(defaultText)
    expect((await explain(reply)).attempts).toMatchObject([{ code: 'idle_timeout' }, { code: '' }])
  })

  test('a caller’s own timeout wins over all that is stored', async () => {
    const [stalled, well] = [await stage.upstream('openai', { holdAt: 'head' }), await stage.upstream()]
    const model = await stage.serve(stalled, { provider: { timeout: 60 } })
    await stage.serve(well, { model, provider: { priority: 1 } })
    const reply = await stage.ask({ model }, { headers: { 'x-gatehouse-timeout': '0.3' } })
    expect(reply.status).toBe(200)
    expect(count([stalled, well])).toEqual([1, 1])
  })
})

describe.each(ways)('keys of a provider, streamed: %s', (stream) => {
  test.each([
    [429, { error: { status: 429, retryAfter: { ms: 60_000, form: 'seconds' } } }],
    [401, { error: { status: 401 } }],
    [403, { error: { status: 403 } }],
  ] as [number, Behaviour][])('%i moves to the next key at once', async (status, behaviour) => {
    const fake = await stage.upstream('openai', behaviour, {})
    const model = await stage.serve(fake)
    await addKey(fake, 'second')
    const reply = await stage.ask({ model, stream })
    expect(saidBy(reply)).toBe(defaultText)
    const { attempts } = await explain(reply)
    expect(attempts).toMatchObject([
      { status, waited_ms: 0 },
      { status: 200, waited_ms: 0 },
    ])
    expect(attempts.map(({ key }: Json) => key).sort()).toEqual(['own', 'second'])
  })

  test('5xx keeps the key', async () => {
    const fake = await stage.upstream('openai', down, {})
    const model = await stage.serve(fake, { provider: { max_retries: 1 } })
    await addKey(fake, 'second')
    const reply = await stage.ask({ model, stream })
    expect(reply.status).toBe(200)
    const { attempts } = await explain(reply)
    expect(attempts).toHaveLength(2)
    expect(attempts[1].key).toBe(attempts[0].key)
  })
})

test('a key that is refused twice is dead on every start, until a person revives it; it is never shown', async () => {
  const fake = await stage.upstream('openai', { error: { status: 401, message: 'Incorrect API key provided: {key}.' } })
  const model = await stage.serve(fake)
  const { id } = await providerOf(fake)
  for (let call = 0; call < 2; call++) expect((await stage.ask({ model })).status).toBe(424)
  await until('the death is stored', async () => (await providerOf(fake)).key_state === 'dead')
  const refused = await stage.ask({ model })
  expect(refused).toMatchObject({ status: 424, json: { error: { code: 'upstream_unauthorized' } } })
  expect(count([fake])).toEqual([2])
  expect((await explain(refused)).excluded).toMatchObject([{ reason: 'key_dead' }])
  const { data, next_cursor } = await stage.hub.admin('GET', `/api/providers/${id}/keys`)
  expect(next_cursor).toBeNull()
  const [own] = data
  expect(own).toMatchObject({ id, name: 'own', state: 'dead' })
  expect(JSON.stringify(own)).not.toContain(fake.apiKey)
  expect(own.state_reason).toContain('[key]')

  fake.behave({})
  await stage.hub.admin('POST', `/api/providers/${id}/keys/${id}/revive`)
  expect((await stage.ask({ model })).status).toBe(200)
  expect(stage.hub.lines.join('')).not.toContain(fake.apiKey)
})

test('keys are made, changed, masked and removed; names are a provider’s own', async () => {
  const fake = await stage.upstream()
  await stage.serve(fake)
  const made = await addKey(fake, 'spare', { api_key: 'sk-a-secret-key-1234', weight: 5, rate_limit: 60 })
  expect(made).toMatchObject({ api_key: '••••1234', weight: 5, rate_limit: 60, state: 'ready', enabled: true })
  const { id } = await providerOf(fake)
  await expect(addKey(fake, 'spare')).rejects.toThrow(/409/)
  const path = `/api/providers/${id}/keys/${made.id}`
  expect(await stage.hub.admin('PATCH', path, { enabled: false })).toMatchObject({ enabled: false })
  expect((await stage.hub.admin('GET', `/api/providers/${id}/keys`)).data).toHaveLength(2)
  await stage.hub.admin('DELETE', path)
  expect((await stage.hub.admin('GET', `/api/providers/${id}/keys`)).data).toHaveLength(1)
})

describe('4.8.33 breakers', () => {
  test('a provider that fails is left alone, probed when its time has come, and asked again', async () => {
    const [failing, spare] = [await stage.upstream('openai', down), await stage.upstream()]
    const model = await stage.serve(failing)
    await stage.serve(spare, { model, provider: { priority: 1 } })
    for (let call = 0; call < 4; call++) expect((await stage.ask({ model })).status).toBe(200)
    const reply = await stage.ask({ model })
    expect(count([failing, spare])).toEqual([4, 5])
    expect((await explain(reply)).excluded).toMatchObject([{ reason: 'breaker_open' }])
    expect(await metric('gatehouse_gateway_breaker_state', (await providerOf(failing)).name)).toBe(2)

    failing.behave({})
    await until('the breaker lets a probe through', async () => {
      await stage.ask({ model })
      return failing.requests.length > 5
    })
    const before = count([failing, spare])
    await stage.ask({ model })
    expect(count([failing, spare])).toEqual([before[0]! + 1, before[1]!])
  })

  test('4.8.34 with nobody else the refusal is 503 with Retry-After, and costs no wait', async () => {
    const failing = await stage.upstream('openai', down)
    const model = await stage.serve(failing)
    for (let call = 0; call < 4; call++) await stage.ask({ model })
    const reply = await stage.ask({ model })
    expect(reply).toMatchObject({ status: 503, json: { error: { code: 'no_provider' } } })
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(failing.requests).toHaveLength(4)
  })

  test.each([400, 422])('a caller’s %i opens nothing, however often', async (status) => {
    const fake = await stage.upstream('openai', { error: { status } })
    const model = await stage.serve(fake)
    for (let call = 0; call < 6; call++) await stage.ask({ model })
    expect(fake.requests).toHaveLength(6)
  })

  test('a request that fails the same way at two providers opens nothing', async () => {
    const fakes = [await stage.upstream('openai', down), await stage.upstream('openai', down)]
    const model = await stage.serve(fakes)
    for (let call = 0; call < 6; call++) expect((await stage.ask({ model })).status).toBe(500)
    expect(count(fakes)).toEqual([6, 6])
  })
})

describe('who may be asked', () => {
  test('an alias answers as the model it stands for, under its own name', async () => {
    const fake = await stage.upstream()
    const model = await stage.serve(fake)
    await stage.hub.admin('POST', '/api/models', { name: 'house-alias', alias_of: model })
    const reply = await stage.ask({ model: 'house-alias' })
    expect(reply.json.model).toBe('house-alias')
    expect(fake.requests[0]!.json!.model).toBe(model)
    const change = stage.hub.admin('PATCH', `/api/models/${model}`, { alias_of: 'house-alias' })
    await expect(change).rejects.toThrow(/alias_of/)
  })

  test('a key that is allowed a group may use its models, and no others', async () => {
    const fake = await stage.upstream()
    const inside = await stage.serve(fake, { settings: { access_groups: ['cheap'] } })
    const outside = await stage.serve(await stage.upstream())
    const apiKey = await stage.hub.createKey({ allowed_models: ['group:cheap'] })
    expect((await stage.ask({ model: inside }, { apiKey })).status).toBe(200)
    expect((await stage.ask({ model: outside }, { apiKey })).status).toBe(404)
    const list = await fetch(`${stage.hub.url}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } })
    expect(((await list.json()) as Json).data.map(({ id }: Json) => id)).toEqual([inside])
  })

  test('a provider of another tenant does not exist', async () => {
    const model = await stage.serve(await stage.upstream(), { provider: { tenants: ['ten_of_somebody_else'] } })
    expect(await stage.ask({ model })).toMatchObject({ status: 404, json: { error: { code: 'model_not_found' } } })
  })

  test('tags and named providers decide, and nobody else is asked', async () => {
    const fakes = [await stage.upstream(), await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(fakes)
    const [first, second, third] = await Promise.all(fakes.map(providerOf))
    await stage.hub.admin('PATCH', `/api/providers/${second!.id}`, { tags: ['eu'] })
    await stage.ask({ model }, { headers: { 'x-gatehouse-tags': 'eu' } })
    expect(count(fakes)).toEqual([0, 1, 0])
    fakes[2]!.behave(down)
    const headers = { 'x-gatehouse-provider': third!.name, 'x-gatehouse-fallback-providers': first!.name }
    expect((await stage.ask({ model }, { headers })).status).toBe(200)
    expect(count(fakes)).toEqual([1, 1, 1])
    expect(await stage.ask({ model }, { headers: { 'x-gatehouse-provider': 'nobody' } })).toMatchObject({
      status: 400,
      json: { error: { param: 'provider' } },
    })
  })

  test('the first orchestrator had its wishes in the body: they are obeyed there, and no provider sees them', async () => {
    const [first, second] = [await stage.upstream(), await stage.upstream()]
    const model = await stage.serve([first, second])
    const providers = (await stage.hub.admin('GET', '/api/providers')) as { name: string; base_url: string }[]
    const nameOf = (fake: typeof first) => providers.find(({ base_url }) => base_url === fake.baseUrl)!.name
    first.behave(down)
    const body = { model, provider: nameOf(second), timeout: 30, metadata: { kept: '1' } }
    expect((await stage.ask(body)).status).toBe(200)
    expect(count([first, second])).toEqual([0, 1])
    expect(second.requests.at(-1)!.json).toMatchObject({ metadata: { kept: '1' } })
    for (const name of ['provider', 'timeout']) expect(second.requests.at(-1)!.json).not.toHaveProperty(name)

    expect((await stage.ask({ model, provider: nameOf(first), retry_count: 0 })).status).toBe(500)
    expect(count([first, second])).toEqual([1, 1])
    first.behave(down)
    const chain = { model, provider: nameOf(first), fallback_providers: [nameOf(second)] }
    expect((await stage.ask(chain)).status).toBe(200)
    expect(count([first, second])).toEqual([2, 2])
    // Another vendor's extension of the same name is none of ours.
    const { status } = await stage.ask({ model, provider: { order: ['x'] } })
    expect(status).toBe(200)
    expect([first, second].some(({ requests }) => 'provider' in (requests.at(-1)!.json as object))).toBe(true)
  })

  test('a conversation too long for one model goes to one that holds more', async () => {
    const [small, large] = [await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(small, { link: { context_tokens: 50 } })
    await stage.serve(large, { model, provider: { priority: 1 }, link: { context_tokens: 100_000 } })
    const messages = [{ role: 'user', content: 'a word and another '.repeat(200) }]
    const reply = await stage.ask({ model, messages })
    expect(count([small, large])).toEqual([0, 1])
    expect((await explain(reply)).excluded).toMatchObject([{ reason: 'context' }])
  })
})

describe('why', () => {
  test('what would happen is told by the planner that routes, and asks and counts nothing', async () => {
    const fakes = [await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(fakes, { settings: { policy: 'round-robin' }, provider: { priority: 7 } })
    const first = await foresee({ model })
    expect(first).toMatchObject({ policy: 'round-robin', refused: null, excluded: [] })
    expect(await foresee({ model })).toEqual(first)
    expect(count(fakes)).toEqual([0, 0])
    expect((await explain(await stage.ask({ model }))).candidates).toEqual(
      first.candidates.map(({ provider, key, model: served, tier }: Json) => ({ provider, key, model: served, tier })),
    )
    expect((await foresee({ model })).candidates[0].provider).toBe(first.candidates[1].provider)
    const nobody = await foresee({ model, provider: 'nobody' })
    expect(nobody.refused).toMatchObject({ code: 'invalid_request' })
  })

  test('the usual call is told in short, and an unknown one is 404', async () => {
    const fake = await stage.upstream()
    const reply = await stage.ask({ model: await stage.serve(fake) })
    const { name } = await providerOf(fake)
    const told = await explain(reply)
    expect(told).toMatchObject({
      ...{ plain: true, model: reply.json.model, policy: 'weighted', served: { provider: name, key: 'own' } },
      attempts: [{ provider: name, status: 200, code: '', waited_ms: 0, duration_ms: null }],
    })
    expect(told.summary).toContain(`There was one way to serve it, '${name}'`)
    await expect(stage.hub.admin('GET', '/api/routes/explain?request_id=req_none')).rejects.toThrow(/404/)
  })

  test('a request that nobody was asked for says so, and where to read on', async () => {
    const reply = await stage.ask({ model: 'no-such-model' })
    expect(reply.status).toBe(404)
    await stage.hub.logs()
    await expect(explain(reply)).rejects.toThrow(/was never routed.*GET \/api\/logs\/req_/)
    const model = await stage.serve(await stage.upstream())
    const nowhere = await stage.ask({ model }, { headers: { 'x-gatehouse-provider': 'nobody' } })
    expect((await explain(nowhere)).summary).toMatch(/^Nobody was asked for '.*' \(\w+\): 0 candidates, 1 excluded\.$/)
  })

  test('5.6.42 repeats of all calls together are bounded', async () => {
    const hasty = await openStage({
      'gateway.retry_budget_percent': 0,
      'gateway.retry_budget_per_second': 0,
      'gateway.breaker_min_calls': 1000,
    })
    try {
      const behaviour: Behaviour = { error: { status: 500, retryAfter: { ms: 1, form: 'retry-after-ms' } } }
      const fake = await hasty.upstream('openai', behaviour)
      const model = await hasty.serve(fake, { provider: { max_retries: 5 } })
      await Promise.all(Array.from({ length: 12 }, () => hasty.ask({ model })))
      expect(fake.requests).toHaveLength(12)
    } finally {
      await hasty.close()
    }
  })
})

async function metric(name: string, provider: string): Promise<number> {
  let value = Number.NaN
  // Rendered at most once a second.
  await until('the metric is rendered', async () => {
    const response = await fetch(`${stage.hub.url}/metrics`, { headers: { 'x-admin-key': stage.hub.adminKey } })
    const line = (await response.text())
      .split('\n')
      .find((text) => text.startsWith(name) && text.includes(`"${provider}"`))
    value = Number(line?.split(' ').at(-1))
    return !Number.isNaN(value)
  })
  return value
}
