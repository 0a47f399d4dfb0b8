import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Behaviour, defaultText, type RetryAfter } from '../fake-providers/index.ts'
import { openStage, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

const down: Behaviour = { error: { status: 500 } }
const ways = [false, true]

describe('whose turn it is', () => {
  test('the highest tier answers, whatever the weights below it', async () => {
    const [high, low] = [await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(high, { provider: { priority: 1000, weight: 1 } })
    await stage.serve(low, { model, provider: { priority: 0, weight: 1000 } })
    for (let call = 0; call < 8; call++) await stage.ask({ model })
    expect([high.requests.length, low.requests.length]).toEqual([8, 0])
  })

  test('the priority of an association wins over that of its provider', async () => {
    const [high, low] = [await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(high, { provider: { priority: 1000 }, link: { priority: 1 } })
    await stage.serve(low, { model, provider: { priority: 2 } })
    await stage.ask({ model })
    expect([high.requests.length, low.requests.length]).toEqual([0, 1])
  })

  test('inside a tier calls are shared by weight, and a weight of 0 is asked last', async () => {
    const [much, little, none] = [await stage.upstream(), await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(much, { provider: { weight: 90 }, link: { weight: 10 } })
    await stage.serve(little, { model, provider: { weight: 100 } })
    await stage.serve(none, { model, provider: { weight: 100 }, link: { weight: 0 } })
    await Promise.all(Array.from({ length: 60 }, () => stage.ask({ model })))
    // 54 to 6 on average; that it falls the other way round is rarer than once in ten thousand million.
    expect(much.requests.length).toBeGreaterThan(little.requests.length)
    expect(much.requests.length + little.requests.length).toBe(60)
    much.behave(down)
    little.behave(down)
    await stage.ask({ model })
    expect(none.requests).toHaveLength(1)
  })

  test('who cannot do what a request needs is not asked, and when nobody can it is refused by name', async () => {
    const [plain, able] = [await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(plain, { link: { tool_call: false, image: false } })
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }]
    expect(await stage.ask({ model, tools })).toMatchObject({
      status: 400,
      json: { error: { code: 'unsupported_parameter', param: 'tools' } },
    })
    await stage.serve(able, { model, provider: { priority: 1 } })
    expect((await stage.ask({ model, tools })).status).toBe(200)
    expect([plain.requests.length, able.requests.length]).toEqual([0, 1])
  })

  test('a disabled provider, association or model is out at once', async () => {
    const fakes = [await stage.upstream(), await stage.upstream(), await stage.upstream()]
    const model = await stage.serve(fakes)
    const providers: { id: string; base_url: string }[] = await stage.hub.admin('GET', '/api/providers')
    const [first, second] = fakes.map((fake) => providers.find(({ base_url }) => base_url === fake.baseUrl)!.id)
    await stage.hub.admin('PATCH', `/api/providers/${first}`, { enabled: false })
    const [link] = await stage.hub.admin('GET', `/api/model-providers?model_id=${model}&provider_id=${second}`)
    await stage.hub.admin('PATCH', `/api/model-providers/${link.id}`, { enabled: false })
    await stage.ask({ model })
    expect(fakes.map((fake) => fake.requests.length)).toEqual([0, 0, 1])
    await stage.hub.admin('PATCH', `/api/models/${model}`, { enabled: false })
    expect(await stage.ask({ model })).toMatchObject({ status: 404, json: { error: { code: 'model_not_found' } } })
  })

  test('a model that nobody serves is 503 with Retry-After, an unknown one 404', async () => {
    await stage.hub.admin('POST', '/api/models', { name: 'lonely' })
    const lonely = await stage.ask({ model: 'lonely' })
    expect(lonely).toMatchObject({ status: 503, json: { error: { code: 'no_provider' } } })
    expect(lonely.headers.get('retry-after')).toBe('30')
    const absent = await stage.ask({ model: 'absent' })
    expect(absent).toMatchObject({ status: 404, json: { error: { code: 'model_not_found', param: 'model' } } })
    expect(absent.headers.get('x-should-retry')).toBe('false')
    expect(await stage.row('absent')).toMatchObject({ outcome: 'refused', status: 404, usage_source: 'none' })
  })

  test('a model that a key may not use looks like one that does not exist', async () => {
    const model = await stage.serve(await stage.upstream())
    const apiKey = await stage.hub.createKey({ allowed_models: ['other-*'] })
    const [forbidden, absent] = [await stage.ask({ model }, { apiKey }), await stage.ask({ model: 'no' }, { apiKey })]
    expect(forbidden.status).toBe(404)
    expect(forbidden.text.replace(model, '')).toBe(absent.text.replace("'no'", "''"))
    const list = await fetch(`${stage.hub.url}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } })
    expect(await list.json()).toEqual({ object: 'list', data: [] })
  })
})

describe.each(ways)('how often, streamed: %s', (stream) => {
  test('another provider is asked before the same one again, in order, and the row tells each attempt', async () => {
    const fakes = [
      await stage.upstream('openai', down),
      await stage.upstream('anthropic', down),
      await stage.upstream('gemini'),
    ]
    const model = await stage.serve(fakes)
    const reply = await stage.ask({ model, stream })
    expect(stream ? reply.content : reply.json.choices[0].message.content).toBe(defaultText)
    expect(fakes.map((fake) => fake.requests.length)).toEqual([1, 1, 1])
    const row = await stage.row(model)
    expect(row).toMatchObject({ outcome: 'success', attempts: 3, provider_type: 'gemini' })
    expect(row.attempt_log).toMatchObject([{ status: 500 }, { status: 500 }, { status: 200, code: '' }])
  })

  test.each([
    ['the provider says', { provider: { max_retries: 1 } }, 2],
    ['the model says', { provider: { max_retries: 5 }, settings: { max_retry: 2 } }, 3],
    ['nobody wants', { provider: { max_retries: 0 } }, 1],
  ])('a failure is repeated as often as %s', async (_, options, asked) => {
    const fake = await stage.upstream('openai', {
      error: { status: 429, retryAfter: { ms: 1, form: 'retry-after-ms' } },
    })
    const model = await stage.serve(fake, options)
    expect((await stage.ask({ model, stream })).status).toBe(429)
    expect(fake.requests).toHaveLength(asked)
    expect((await stage.row(model)).attempts).toBe(asked)
  })

  test.each([400, 413, 422])('%i is wrong everywhere: it is carried to nobody else', async (status) => {
    const [first, second] = [await stage.upstream('openai', { error: { status } }), await stage.upstream()]
    const model = await stage.serve([first, second], { provider: { max_retries: 2 } })
    expect((await stage.ask({ model, stream })).status).toBe(status)
    expect([first.requests.length, second.requests.length]).toEqual([1, 0])
  })

  test.each([401, 403, 404])(
    '%i concerns this provider only: another one is asked, this one not again',
    async (status) => {
      const [first, second] = [await stage.upstream('openai', { error: { status } }), await stage.upstream()]
      const model = await stage.serve([first, second], { provider: { max_retries: 2 } })
      expect((await stage.ask({ model, stream })).status).toBe(200)
      expect([first.requests.length, second.requests.length]).toEqual([1, 1])
    },
  )

  test.each(vendors)('a key that %s rejects is no fault of the caller’s: 424', async (vendor) => {
    const message = 'Incorrect API key provided: {key}.'
    const fake = await stage.upstream(vendor, { error: { status: 401, message } })
    const model = await stage.serve(fake, { provider: { max_retries: 2 } })
    const reply = await stage.ask({ model, stream })
    expect(reply).toMatchObject({ status: 424, json: { error: { code: 'upstream_unauthorized' } } })
    expect(reply.headers.get('x-should-retry')).toBe('false')
    expect(reply.text).not.toContain(fake.apiKey)
    expect(fake.requests).toHaveLength(1)
  })
})

describe.concurrent('5.6.42 Retry-After', () => {
  const forms: [string, (typeof vendors)[number], RetryAfter][] = [
    ['seconds', 'openai', { ms: 1000, form: 'seconds' }],
    ['seconds', 'anthropic', { ms: 1000, form: 'seconds' }],
    ['an HTTP-date', 'openai', { ms: 2000, form: 'http-date' }],
    ['retry-after-ms', 'openai', { ms: 600, form: 'retry-after-ms' }],
    ['x-ms-retry-after-ms', 'openai', { ms: 600, form: 'x-ms-retry-after-ms' }],
    ['x-ratelimit-reset', 'openai', { ms: 600, form: 'x-ratelimit-reset' }],
    ['RetryInfo', 'gemini', { ms: 600, form: 'retry-info' }],
  ]

  test.each(forms)('as %s of %s is waited for', async (_, vendor, retryAfter) => {
    const fake = await stage.upstream(vendor, { error: { status: 429, retryAfter } }, {})
    const model = await stage.serve(fake, { provider: { max_retries: 1 } })
    const startedAt = performance.now()
    expect((await stage.ask({ model })).status).toBe(200)
    // A date has whole seconds: up to one of them is lost in writing it.
    expect(performance.now() - startedAt).toBeGreaterThan(retryAfter.form === 'http-date' ? 900 : retryAfter.ms)
    expect(fake.requests).toHaveLength(2)
  })

  test.each(forms)('as %s of %s that is too long goes to the caller', async (_, vendor, retryAfter) => {
    const error = { status: 429, retryAfter: { ...retryAfter, ms: 90_000 } }
    const fake = await stage.upstream(vendor, { error })
    const model = await stage.serve(fake, { provider: { max_retries: 3 } })
    const reply = await stage.ask({ model, stream: true })
    expect(reply.status).toBe(429)
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(89)
    expect(Number(reply.headers.get('retry-after'))).toBeLessThanOrEqual(90)
    expect(fake.requests).toHaveLength(1)
  })

  test('an empty purse is told as such, is not repeated, and the official client does not repeat it either', async () => {
    const error = {
      status: 429,
      type: 'insufficient_quota',
      code: 'insufficient_quota',
      message: 'You exceeded your current quota',
    }
    const fake = await stage.upstream('openai', { error })
    const model = await stage.serve(fake, { provider: { max_retries: 3 } })
    const reply = await stage.ask({ model })
    expect(reply).toMatchObject({
      status: 429,
      json: { error: { type: 'insufficient_quota', code: 'insufficient_quota', param: null } },
    })
    expect(reply.headers.get('x-should-retry')).toBe('false')
    expect(reply.headers.get('retry-after')).toBeNull()
    const client = new OpenAI({ apiKey: stage.apiKey, baseURL: `${stage.hub.url}/v1`, maxRetries: 3 })
    const call = client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hello' }] })
    await expect(call).rejects.toMatchObject({ code: 'insufficient_quota' })
    expect(fake.requests).toHaveLength(2)

    await stage.serve(await stage.upstream(), { model, provider: { priority: 1 } })
    expect((await stage.ask({ model })).status).toBe(200)
  })
})

// Windows begin with the minute, so one of three calls may find a new one: two of them share one in any case.
describe('limits of a minute', () => {
  test('5.2.21 of a key: 429 with Retry-After and x-ratelimit-*, and no provider is asked', async () => {
    const fake = await stage.upstream()
    const model = await stage.serve(fake)
    const apiKey = await stage.hub.createKey({ rate_limit: 1 })
    const replies = []
    for (let call = 0; call < 3; call++) replies.push(await stage.ask({ model }, { apiKey }))
    const limited = replies.filter(({ status }) => status === 429)
    expect(limited.length).toBeGreaterThan(0)
    expect(fake.requests.length).toBe(3 - limited.length)
    const [{ headers, json }] = limited as [(typeof limited)[0]]
    expect(json.error).toMatchObject({ type: 'rate_limit_error', code: 'rate_limit_exceeded', param: null })
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60)
    expect(headers.get('x-ratelimit-limit-requests')).toBe('1')
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('0')
    expect(headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+s$/)
    // The provider says 9999 of its own: a caller with a limit is told of that one.
    expect(replies[0]!.headers.get('x-ratelimit-limit-requests')).toBe('1')
    expect(await stage.hub.logs(`&model=${model}&outcome=refused`)).toHaveLength(limited.length)
  })

  test.each(ways)('of a provider: 429 with Retry-After, or another one answers, streamed: %s', async (stream) => {
    const hasty = await openStage({ 'gateway.max_retry_wait_seconds': 0 })
    try {
      const fake = await hasty.upstream()
      const model = await hasty.serve(fake, { provider: { rate_limit: 1, max_retries: 3 } })
      const replies = []
      for (let call = 0; call < 3; call++) replies.push(await hasty.ask({ model, stream }))
      const limited = replies.filter(({ status }) => status === 429)
      expect(limited.length).toBeGreaterThan(0)
      expect(fake.requests.length).toBe(3 - limited.length)
      expect(Number(limited[0]!.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(limited[0]!.json.error).toMatchObject({ code: 'rate_limit_exceeded' })

      const spare = await hasty.upstream()
      await hasty.serve(spare, { model, provider: { priority: 1 } })
      for (let call = 0; call < 3; call++) expect((await hasty.ask({ model, stream })).status).toBe(200)
      expect(spare.requests.length).toBeGreaterThan(0)
    } finally {
      await hasty.close()
    }
  })
})

test('attempts of one call are bounded over all providers', async () => {
  const hasty = await openStage({ 'gateway.max_attempts': 3 })
  try {
    const behaviour: Behaviour = { error: { status: 503, retryAfter: { ms: 1, form: 'retry-after-ms' } } }
    const fakes = [await hasty.upstream('openai', behaviour), await hasty.upstream('openai', behaviour)]
    const model = await hasty.serve(fakes, { provider: { max_retries: 9 } })
    expect((await hasty.ask({ model })).status).toBe(503)
    expect(fakes[0]!.requests.length + fakes[1]!.requests.length).toBe(3)
  } finally {
    await hasty.close()
  }
})
