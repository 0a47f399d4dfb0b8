import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Json, openStage, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

type Called = { status: number; headers: Headers; json: Json; text: string }

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Called> {
  const response = await fetch(stage.hub.url + path, {
    method,
    headers: {
      authorization: `Bearer ${stage.hub.adminKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: text === '' ? {} : JSON.parse(text) }
}

let number = 0
const apiKey = 'sk-live-canary-0123456789-wxyz'
const provider = (over: Json = {}) => ({
  ...{ name: `made-${++number}`, type: 'openai', api_key: apiKey, base_url: 'http://127.0.0.1:9/v1' },
  ...over,
})
const create = async (over: Json = {}) => (await call('POST', '/admin/providers', provider(over))).json

describe('as seed 001 begins', () => {
  test.each(['/admin/providers', '/api/admin/providers', '/api/providers'])(
    'GET %s with ADMIN_KEY is [] on a fresh hub',
    async (path) => {
      expect(await call('GET', path)).toMatchObject({ status: 200, json: [] })
      expect(
        (await call('GET', path, undefined, { authorization: '', 'x-admin-key': stage.hub.adminKey })).json,
      ).toEqual([])
    },
  )

  test('a provider has the seed’s fields and defaults, and its key is masked in every answer', async () => {
    const created = await call('POST', '/admin/providers', { name: 'first', type: 'openai', api_key: apiKey })
    expect(created).toMatchObject({
      status: 201,
      json: {
        ...{ name: 'first', type: 'openai', base_url: null, enabled: true, priority: 100, weight: 100 },
        ...{ max_retries: 3, timeout: 60, rate_limit: null, api_key: '••••wxyz' },
      },
    })
    expect(created.json.created_at).toMatch(/Z$/)
    const { id } = created.json
    const answers = [
      created,
      await call('GET', `/admin/providers/${id}`),
      await call('GET', '/admin/providers/first'),
      await call('PATCH', `/admin/providers/${id}`, { priority: 7 }),
      await call('GET', '/admin/providers'),
      await call('GET', '/api/providers?enabled_only=true'),
    ]
    for (const { text } of answers) {
      expect(text).toContain('••••wxyz')
      expect(text).not.toContain('canary')
    }
    expect(stage.hub.lines.join('')).not.toContain('canary-0123456789')
  })

  test('providers, models and associations are made, changed and removed', async () => {
    const { id } = await create({ name: 'whole life' })
    const model = await call('POST', '/admin/models', { name: 'org/m:free', remark: 'x', max_retry: 1, timeout: 9 })
    expect(model).toMatchObject({ status: 201, json: { name: 'org/m:free', max_retry: 1, timeout: 9, enabled: true } })
    const link = { model_id: 'org/m:free', provider_id: id, provider_model: 'real' }
    const made = await call('POST', '/admin/model-providers', link)
    expect(made).toMatchObject({
      status: 201,
      json: {
        ...{ model_name: 'org/m:free', provider_name: 'whole life', provider_type: 'openai', provider_model: 'real' },
        ...{ weight: 1, tool_call: true, structured_output: true, image: false, enabled: true },
      },
    })
    expect((await call('GET', '/admin/models/org/m:free')).json.id).toBe(model.json.id)
    expect((await call('PATCH', `/admin/models/${model.json.id}`, { remark: 'y' })).json.remark).toBe('y')
    const changed = await call('PATCH', `/admin/model-providers/${made.json.id}`, { weight: 5, image: true })
    expect(changed.json).toMatchObject({ weight: 5, image: true, tool_call: true })
    expect((await call('GET', `/admin/model-providers?provider_id=${id}`)).json).toHaveLength(1)
    expect((await call('DELETE', `/admin/providers/${id}`)).status).toBe(204)
    expect((await call('GET', `/admin/model-providers?model_id=org/m:free`)).json).toEqual([])
    expect((await call('GET', `/admin/providers/${id}`)).status).toBe(404)
    expect((await call('DELETE', '/admin/models/org/m:free')).status).toBe(204)
    expect((await call('DELETE', '/admin/models/org/m:free')).status).toBe(404)
  })
})

describe('what the ancestor stored and we refuse', () => {
  test.each<[string, Json, string]>([
    ['an unknown type', { type: 'openia' }, 'type'],
    ['a name of null', { name: null }, 'name'],
    ['an empty name', { name: '  ' }, 'name'],
    ['a name that breaks lines', { name: 'a\nb' }, 'name'],
    ['a timeout of 999', { timeout: 999 }, 'timeout'],
    ['a timeout of 0', { timeout: 0 }, 'timeout'],
    ['a weight of -5', { weight: -5 }, 'weight'],
    ['a weight of 1001', { weight: 1001 }, 'weight'],
    ['a priority of 1.5', { priority: 1.5 }, 'priority'],
    ['retries of 11', { max_retries: 11 }, 'max_retries'],
    ['a rate limit of 0', { rate_limit: 0 }, 'rate_limit'],
    ['a number as text', { priority: '100' }, 'priority'],
    ['true as text', { enabled: 'true' }, 'enabled'],
    ['an address that is none', { base_url: 'localhost:8080' }, 'base_url'],
    ['an address with a password', { base_url: 'http://user:secret@example.org' }, 'base_url'],
    ['the address of metadata', { base_url: 'http://169.254.169.254/v1' }, '169.254.169.254'],
    ['a member nobody knows', { proirity: 3 }, 'proirity'],
    ['an id', { id: 77 }, 'id'],
  ])('%s, on POST and on PATCH', async (_, over, field) => {
    const { id } = await create()
    for (const [method, path, body] of [
      ['POST', '/admin/providers', provider(over)],
      ['PATCH', `/admin/providers/${id}`, over],
    ] as const) {
      const refused = await call(method, path, body)
      expect(refused.status).toBe(400)
      expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(refused.json.detail).toContain(field)
      expect(refused.text).not.toMatch(/sqlite|select |insert |secret@/i)
    }
    expect((await call('GET', `/admin/providers/${id}`)).json).toMatchObject({ id, type: 'openai', timeout: 60 })
  })

  test('a name twice, a missing key or address, an empty key on PATCH', async () => {
    const { id, name } = await create()
    expect(await call('POST', '/admin/providers', provider({ name }))).toMatchObject({
      status: 409,
      json: { code: 'conflict' },
    })
    const other = await create()
    expect((await call('PATCH', `/admin/providers/${other.id}`, { name })).status).toBe(409)
    expect((await call('PATCH', `/admin/providers/${id}`, { api_key: '' })).status).toBe(400)
    expect((await call('POST', '/admin/providers', provider({ api_key: undefined }))).status).toBe(400)
    expect((await call('POST', '/admin/providers', { name: 'no address', type: 'openai-compatible' })).status).toBe(400)
    expect((await call('POST', '/admin/providers', { type: 'openai', api_key: apiKey })).status).toBe(400)
  })

  test('associations: weight -5, missing members, a changed id, a second one of the same', async () => {
    const { id: provider_id } = await create()
    await call('POST', '/admin/models', { name: 'linked' })
    const link = { model_id: 'linked', provider_id, provider_model: 'real' }
    for (const over of [
      { weight: -5 },
      { weight: 'x' },
      { tool_call: 'FALSE' },
      { provider_model: undefined },
      { more: 1 },
    ]) {
      expect((await call('POST', '/admin/model-providers', { ...link, ...over })).status).toBe(400)
    }
    expect((await call('POST', '/admin/model-providers', { ...link, model_id: 'absent' })).status).toBe(404)
    expect((await call('POST', '/admin/model-providers', { ...link, provider_id: 'absent' })).status).toBe(404)
    const { json } = await call('POST', '/admin/model-providers', link)
    expect((await call('POST', '/admin/model-providers', link)).status).toBe(409)
    for (const over of [
      { id: 77 },
      { model_id: 'other' },
      { provider_id: 'other' },
      { created_at: 0 },
      { weight: null },
    ]) {
      expect((await call('PATCH', `/admin/model-providers/${json.id}`, over)).status).toBe(400)
    }
    expect((await call('GET', `/admin/model-providers/${json.id}`)).json).toEqual(json)
  })

  test('models: a timeout of 999, a name twice, an id', async () => {
    expect((await call('POST', '/admin/models', { name: 'm', timeout: 999 })).status).toBe(400)
    expect((await call('POST', '/admin/models', { name: 'm', max_retry: 11 })).status).toBe(400)
    expect((await call('POST', '/admin/models', { name: 'm' })).status).toBe(201)
    expect((await call('POST', '/admin/models', { name: 'm' })).status).toBe(409)
    expect((await call('PATCH', '/admin/models/m', { id: 'x' })).status).toBe(400)
    expect((await call('PATCH', '/admin/models/m', { name: null })).status).toBe(400)
  })
})

describe('models of a provider', () => {
  const models = ['fake-large', 'fake-small', 'org/fake-tiny:free']

  test.each(vendors)('of %s are its real list, over all pages', async (vendor) => {
    const fake = await stage.upstream(vendor)
    const { id } = await create({ type: vendor, base_url: fake.baseUrl, api_key: fake.apiKey })
    expect((await call('GET', `/admin/providers/${id}/models`)).json).toMatchObject({
      provider_id: id,
      provider_type: vendor,
      models,
    })
    expect((await call('POST', `/admin/providers/${id}/test`)).json).toMatchObject({ ok: true, models: 3 })
  })

  test.each(vendors)('of %s: a failure is told, and is no empty list', async (vendor) => {
    const fake = await stage.upstream(vendor)
    const { id } = await create({ type: vendor, base_url: fake.baseUrl, api_key: 'sk-wrong-canary-000' })
    for (const [method, path] of [
      ['GET', 'models'],
      ['POST', 'test'],
    ] as const) {
      const refused = await call(method, `/admin/providers/${id}/${path}`)
      expect(refused).toMatchObject({ status: 424, json: { code: 'upstream_unauthorized' } })
      expect(refused.text).not.toContain('canary')
    }
    await call('PATCH', `/admin/providers/${id}`, { api_key: fake.apiKey })
    fake.behaveOnModels({ status: 502, body: '<html>', headers: { 'content-type': 'text/html' } })
    expect((await call('GET', `/admin/providers/${id}/models`)).status).toBe(502)
    fake.behaveOnModels({ body: 'no json' })
    expect((await call('GET', `/admin/providers/${id}/models`)).json).toMatchObject({ code: 'upstream_garbled' })
  })

  test.each(vendors)('of %s are usable as soon as they are imported', async (vendor) => {
    const fake = await stage.upstream(vendor)
    const over = { type: vendor, base_url: fake.baseUrl, api_key: fake.apiKey, priority: 500 + ++number }
    const { id, name } = await create(over)
    const some = await call('POST', `/admin/providers/${id}/models/import`, { model_names: ['fake-small'] })
    expect(some.json).toMatchObject({ imported: 1, skipped: 0, total: 1 })
    expect((await call('POST', `/admin/providers/${id}/models/import`, ['org/fake-tiny:free'])).json.imported).toBe(1)
    expect((await call('POST', `/admin/providers/${id}/models/import`)).json).toMatchObject({
      imported: 1,
      skipped: 2,
      total: 3,
    })
    expect((await call('POST', `/admin/providers/${id}/models/import`, ['absent'])).status).toBe(400)
    for (const model of models) {
      expect((await stage.ask({ model })).status).toBe(200)
      expect((await stage.row(model)).provider_name).toBe(name)
    }
    expect(
      fake.requests.filter(({ method, path }) => method === 'POST' && !path.includes('models?')).length,
    ).toBeGreaterThanOrEqual(3)
    const listed = await fetch(`${stage.hub.url}/v1/models`, { headers: { authorization: `Bearer ${stage.apiKey}` } })
    const { data } = (await listed.json()) as { data: { id: string }[] }
    expect(data.map((model) => model.id)).toEqual(expect.arrayContaining(models))
  })

  test('the list of callers had joined model ids with provider ids: a model that nobody serves is not in it', async () => {
    await call('POST', '/admin/models', { name: 'nobody-serves' })
    const listed = await fetch(`${stage.hub.url}/v1/models`, { headers: { authorization: `Bearer ${stage.apiKey}` } })
    expect(await listed.text()).not.toContain('nobody-serves')
  })
})

describe('answers of the control API', () => {
  test('a log-in works at /auth as at /api/auth', async () => {
    for (const path of ['/auth/me', '/api/auth/me']) {
      expect((await call('GET', path)).status).toBe(200)
      expect((await call('GET', path, undefined, { authorization: 'Bearer wrong' })).status).toBe(401)
    }
  })

  test.each<[string, () => Promise<Called>, number]>([
    ['no credentials', () => call('GET', '/admin/providers', undefined, { authorization: '' }), 401],
    ['wrong credentials', () => call('GET', '/admin/providers', undefined, { authorization: 'Bearer wrong' }), 401],
    [
      'a caller’s key',
      () => call('GET', '/admin/providers', undefined, { authorization: `Bearer ${stage.apiKey}` }),
      403,
    ],
    ['an absent thing', () => call('GET', '/admin/providers/absent'), 404],
    ['an absent path', () => call('GET', '/admin/absent'), 404],
    ['a wrong method', () => call('PUT', '/admin/providers', {}), 405],
    ['a wrong body', () => call('POST', '/admin/providers', {}), 400],
  ])('%s is a problem with ids', async (_, ask, status) => {
    const refused = await ask()
    expect(refused.status).toBe(status)
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(refused.headers.get('x-trace-id')).toMatch(/^[0-9a-f]{32}$/)
    expect(refused.headers.get('x-request-id')).toBe(refused.json.request_id)
    expect(refused.json).toMatchObject({ status, type: `urn:gatehouse:problem:${refused.json.code}` })
    expect(refused.json.title).toMatch(/^[A-Z]/)
  })

  test('titles are Chinese for who prefers Chinese', async () => {
    const title = async (language: string) =>
      (await call('GET', '/admin/providers/absent', undefined, { 'accept-language': language })).json.title
    expect(await title('zh-CN,zh;q=0.9,en;q=0.8')).toBe('资源不存在')
    expect(await title('en-GB,zh;q=0.5')).toBe('There is no such thing here')
  })
})
