import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import type { Behaviour, FakeProvider, VendorName } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type Json, openStage, type Stage } from './stage.ts'

/** A million tokens in and out cost so many nano-USD: every call of the fakes, 21 in and 9 out, has a cost. */
const price = { model: 'm-*', input_usd: '1', output_usd: '2', effective_from: '2020-01-01T00:00:00Z' }
const callNanoUsd = 21_000 + 18_000

describe.each(engines())('a second model is asked the same, on $name', ({ address }) => {
  let stage: Stage
  let number = 0

  beforeAll(async () => {
    stage = await openStage({ 'database.url': await address() })
    await stage.hub.admin('POST', '/api/prices', price)
  })
  afterAll(() => stage?.close())

  type Pair = { model: string; second: string; first: FakeProvider; other: FakeProvider }

  async function pair(
    options: { kinds?: [VendorName, VendorName]; first?: Behaviour[]; second?: Behaviour[]; mirror?: Json } = {},
  ): Promise<Pair> {
    const [kind, otherKind] = options.kinds ?? ['openai', 'openai']
    const first = await stage.upstream(kind, ...(options.first ?? []))
    const other = await stage.upstream(otherKind, ...(options.second ?? []))
    const second = await stage.serve(other, { model: `m-${++number}-second` })
    const model = await stage.serve(first, {
      model: `m-${number}-first`,
      settings: { mirror: { model: second, percent: 100, ...options.mirror } },
    })
    return { model, second, first, other }
  }

  async function comparison(model: string, count = 1): Promise<Json> {
    let found: Json[] = []
    await until(`${model} was compared`, async () => {
      found = (await stage.hub.admin('GET', `/api/mirrors?model=${model}`)).data
      return found.length >= count
    })
    return await stage.hub.admin('GET', `/api/mirrors/${found[0]!.id}`)
  }

  /** How often mirrors of a model came to this. */
  async function counted(model: string, result: string): Promise<number> {
    const response = await fetch(`${stage.hub.url}/metrics`, { headers: { 'x-admin-key': stage.hub.adminKey } })
    const lines = (await response.text())
      .split('\n')
      .filter((line) => line.startsWith('gatehouse_gateway_mirrors_total'))
    const line = lines.find((text) => text.includes(`model="${model}"`) && text.includes(`result="${result}"`))
    return Number(line?.split(' ').at(-1) ?? 0)
  }

  test('4.13.48 across protocols, whole and streamed: the caller has its answer and both are compared in numbers', async () => {
    const asks: [VendorName, VendorName, string, (model: string) => Json][] = [
      ['openai', 'anthropic', '/v1/chat/completions', (model) => ({ model })],
      ['openai', 'gemini', '/v1/chat/completions', (model) => ({ model, stream: true })],
      ['anthropic', 'openai', '/v1/messages', (model) => ({ model, max_tokens: 50, stream: true })],
      ['openai', 'openai', '/v1/responses', (model) => ({ model, input: 'Hello', stream: true, messages: undefined })],
    ]
    for (const [kind, otherKind, path, bodyOf] of asks) {
      const { model, second, other } = await pair({ kinds: [kind, otherKind] })
      const reply = await stage.ask(bodyOf(model), { path })
      expect(reply.status).toBe(200)
      const compared = await comparison(model)
      expect(compared).toMatchObject({
        first: { model, status: 200, tokens_in: 21, tokens_out: 9, cost_nano_usd: callNanoUsd, finish_reason: 'stop' },
        second: { model: second, status: 200, tokens_in: 21, tokens_out: 9, cost_nano_usd: callNanoUsd },
        ...{ equal: true, text_equal: true, similarity: 1, tool_calls_equal: null, differences: [] },
        ...{ answer: null, mirror_answer: null },
      })
      const asked = other.requests.at(-1)!.json!
      expect(asked.stream ?? false).toBe(false)
      expect(JSON.stringify(asked)).toContain('Hello')
    }
  })

  test('gemini as an array that comes piece by piece is read back like any other answer', async () => {
    const { model } = await pair({ kinds: ['gemini', 'openai'] })
    const contents = [{ role: 'user', parts: [{ text: 'Hello' }] }]
    await stage.ask({ contents, messages: undefined }, { path: `/v1beta/models/${model}:streamGenerateContent` })
    expect(await comparison(model)).toMatchObject({ equal: true, similarity: 1 })
  })

  test('the second call has a row of its own that is nobody’s spend, and no limit of its caller counts it', async () => {
    const { model, second } = await pair()
    const { id, key } = await stage.hub.admin('POST', '/api/keys', { name: `limited-${model}`, rate_limit: 1 })
    const budget = await stage.hub.admin('POST', '/api/budgets', {
      ...{ scope: 'key', scope_id: id, period: 'day', limit_usd: '1' },
    })
    const reply = await stage.ask({ model }, { apiKey: key })
    expect(reply.status).toBe(200)
    const compared = await comparison(model)
    const [row] = await stage.hub.logs(`&model=${second}`)
    expect(row).toMatchObject({
      ...{ id: compared.id, mirror_of: compared.request_id, endpoint: 'mirror', outcome: 'success' },
      ...{ tenant_id: 'hub', user_id: '', key_id: '', key_name: '', cost_nano_usd: callNanoUsd, model_asked: second },
    })
    const [own] = await stage.hub.logs(`&model=${model}`)
    expect(own).toMatchObject({ id: compared.request_id, mirror_of: '', key_id: id, cost_nano_usd: callNanoUsd })
    const spent = await stage.hub.admin('GET', `/api/budgets/${budget.id}`)
    expect(spent.spent_nano_usd).toBe(callNanoUsd)
    expect((await stage.ask({ model }, { apiKey: key })).status).toBe(429)
  })

  test('a response in the background is mirrored like one whose caller waits', async () => {
    const { model } = await pair({ kinds: ['openai', 'anthropic'] })
    const body = { model, input: 'Hello', background: true, messages: undefined }
    expect((await stage.ask(body, { path: '/v1/responses' })).status).toBe(200)
    expect(await comparison(model)).toMatchObject({ equal: true, first: { status: 200 } })
  })

  test('a provider that does not serve the tenant is not asked for it, and a share of nothing is never drawn', async () => {
    const { model, other } = await pair()
    const [link] = await stage.hub.admin('GET', `/api/model-providers?model_id=${model.replace('first', 'second')}`)
    await stage.hub.admin('PATCH', `/api/model-providers/${link.id}`, { tenants: ['ten_elsewhere'] })
    await stage.ask({ model })
    await until('nobody may be asked', async () => (await counted(model, 'no_provider')) === 1)
    const never = await pair({ mirror: { percent: 0 } })
    await stage.ask({ model: never.model })
    await stage.hub.logs()
    expect([other.requests.length, never.other.requests.length]).toEqual([0, 0])
  })

  test('what differs is told by policy: places and names alone, or the words too', async () => {
    const call = (city: string) => ({ toolCalls: [{ name: 'weather', arguments: { unit: 'C', city } }] })
    const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }]
    for (const store of ['metrics', 'text']) {
      const isText = store === 'text'
      const texts = await pair({
        first: [{ answer: { text: 'Secret alpha' } }],
        second: [{ answer: { text: 'Secret omega', finish: 'length' } }],
        mirror: { store },
      })
      await stage.ask({ model: texts.model })
      const said = await comparison(texts.model)
      expect(said).toMatchObject({ equal: false, text_equal: false, tool_calls_equal: null })
      expect(said.similarity).toBeGreaterThan(0.5)
      expect(said.similarity).toBeLessThan(1)
      expect(said.differences).toEqual([
        { what: 'finish_reason', at: null, first: 'stop', second: 'length' },
        { what: 'text', at: 7, first: isText ? 'alpha' : '', second: isText ? 'omega' : '' },
      ])
      expect(said.answer).toEqual(isText ? { text: 'Secret alpha', tool_calls: [], is_cut: false } : null)
      if (!isText) expect(JSON.stringify(said)).not.toMatch(/Secret|alpha|omega/)

      const tooled = await pair({
        first: [{ answer: call('Oslo') }],
        second: [{ answer: call('Rome') }],
        mirror: { store },
      })
      await stage.ask({ model: tooled.model, tools })
      const called = await comparison(tooled.model)
      expect(called).toMatchObject({ equal: false, tool_calls_equal: false })
      expect(called.differences).toEqual([
        {
          ...{ what: 'tool_calls', at: 0 },
          first: isText ? 'weather {"city":"Oslo","unit":"C"}' : '',
          second: isText ? 'weather {"city":"Rome","unit":"C"}' : '',
        },
      ])
    }
  })

  test('structured output is checked against the schema the caller gave', async () => {
    const { model } = await pair({
      first: [{ answer: { text: '{"n":1}' } }],
      second: [{ answer: { text: '{"n":"one"}' } }],
    })
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
    await stage.ask({ model, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })
    const compared = await comparison(model)
    expect([compared.first.schema_valid, compared.second.schema_valid]).toEqual([true, false])
    expect(compared.differences).toContainEqual({ what: 'schema', at: null, first: 'true', second: 'false' })
  })

  test('a second model that stalls, cuts or lies changes nothing for the caller', async () => {
    const unharmed = await pair()
    await stage.ask({ model: unharmed.model })
    await comparison(unharmed.model)
    const faults: [string, Behaviour, string][] = [
      ['cut', { cut: { at: 1, how: 'reset' } }, 'upstream_unreachable'],
      ['lies', { body: '<html>', headers: { 'content-type': 'text/html' } }, 'upstream_failed'],
      ['fails', { error: { status: 500, message: 'no' } }, 'upstream_failed'],
    ]
    for (const [, behaviour, code] of faults) {
      const { model } = await pair({ second: [behaviour] })
      for (const stream of [false, true]) {
        const reply = await stage.ask({ model, stream })
        expect([reply.status, stream ? reply.isDone : reply.json.object]).toEqual([
          200,
          stream ? true : 'chat.completion',
        ])
      }
      const compared = await comparison(model, 2)
      expect(compared).toMatchObject({ equal: false, text_equal: null, second: { error_code: code } })
      expect(compared.differences[0]).toMatchObject({ what: 'status', first: '200' })
    }
    const { model, other } = await pair({ second: [{ holdAt: 'head' }] })
    const reply = await stage.ask({ model, stream: true })
    expect([reply.status, reply.isDone]).toEqual([200, true])
    // The caller has all of its answer before the second model was even reached, let alone answered.
    expect((await other.arrival(1)).json).not.toBeNull()
    const again = await stage.ask({ model })
    expect(again.status).toBe(200)
    for (const request of other.requests) request.release()
    await comparison(model)
  })

  test('failures of a second model open no breaker and rest no key of those who call it', async () => {
    const { model, second, other } = await pair({ second: [{ error: { status: 401, message: 'no' } }] })
    for (let i = 0; i < 3; i++) await stage.ask({ model })
    await comparison(model, 3)
    const seen = await stage.hub.admin('POST', '/api/routes/explain', { model: second })
    expect(seen.candidates[0]).toMatchObject({ breaker: 'closed', key_state: 'ready', latency_ms: null, in_flight: 0 })
    other.behave({})
    expect((await stage.ask({ model: second })).status).toBe(200)
  })

  test('a first model that fails is compared with one that answers, and one whose caller left is not', async () => {
    const { model } = await pair({ first: [{ error: { status: 500, message: 'no' } }] })
    expect((await stage.ask({ model })).status).toBe(500)
    expect(await comparison(model)).toMatchObject({
      first: { status: 500, error_code: 'upstream_failed' },
      text_equal: null,
    })

    const left = await pair({ first: [{ holdAt: 2 }] })
    const stream = await stage.open({ model: left.model })
    stream.destroy()
    await until('the mirror was dropped', async () => (await counted(left.model, 'no_answer')) === 1)
    expect(left.other.requests).toHaveLength(0)
  })

  test('no mirror of a mirror, none of what is too large, none where no price is known', async () => {
    const third = await pair()
    const { model } = await pair()
    await stage.hub.admin('PATCH', `/api/models/${model}`, { mirror: { model: third.model, percent: 100 } })
    await stage.ask({ model })
    await comparison(model)
    await stage.hub.logs()
    expect(third.other.requests).toHaveLength(0)

    const small = await pair({ mirror: { max_bytes: 1024 } })
    await stage.ask({ model: small.model, messages: [{ role: 'user', content: 'x'.repeat(2000) }] })
    small.first.behave({ answer: { text: 'x'.repeat(2000) } })
    await stage.ask({ model: small.model, stream: true })
    await until('both were too large', async () => (await counted(small.model, 'too_large')) === 2)
    expect(small.other.requests).toHaveLength(0)

    const unpriced = await stage.upstream()
    await stage.serve(unpriced, { model: 'unpriced' })
    await stage.hub.admin('PATCH', `/api/models/${small.model}`, { mirror: { model: 'unpriced', percent: 100 } })
    small.first.behave({})
    await stage.ask({ model: small.model })
    await until('it is told', async () => (await counted(small.model, 'no_price')) === 1)
    expect(unpriced.requests).toHaveLength(0)
  })

  test('a model is no mirror of itself, by no name, nor of what does not exist', async () => {
    const { model } = await pair()
    await stage.hub.admin('POST', '/api/models', { name: `also-${model}`, alias_of: model })
    for (const target of [model, `also-${model}`, 'nowhere']) {
      const change = stage.hub.admin('PATCH', `/api/models/${model}`, { mirror: { model: target } })
      await expect(change).rejects.toThrow(/mirror.model/)
    }
    await stage.hub.admin('PATCH', `/api/models/${model}`, { mirror: null })
    expect(await stage.hub.admin('GET', `/api/models/${model}`)).toMatchObject({ mirror: null })
  })

  test('the summary of a pair says how often they agreed, and what the second cost and took beside the first', async () => {
    const { model, second } = await pair({
      second: [{}, { answer: { text: 'another', usage: { tokensIn: 42, tokensOut: 18 } } }, { error: { status: 500 } }],
    })
    for (let i = 0; i < 3; i++) {
      await stage.ask({ model })
      await comparison(model, i + 1)
    }
    const [told] = await stage.hub.admin('GET', `/api/mirrors/summary?model=${model}`)
    expect(told).toMatchObject({
      ...{ model, mirror_model: second, count: 3, answered: 2, failed: 0, mirror_failed: 1, equal: 1 },
      ...{ equal_share: 0.5, text_equal_share: 0.5, tool_calls_equal_share: null, priced: 2 },
      ...{ cost_nano_usd: 2 * callNanoUsd, mirror_cost_nano_usd: 3 * callNanoUsd, cost_ratio: 1.5 },
    })
    const alike = await stage.hub.admin('GET', `/api/mirrors?model=${model}&equal=true`)
    expect(alike.data).toHaveLength(1)
    expect((await stage.hub.admin('GET', `/api/mirrors?model=${model}&limit=1`)).next_cursor).not.toBeNull()
  })
})
