import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { type Json, openStage, type Stage } from './stage.ts'

let stage: Stage
let model: string

beforeAll(async () => {
  stage = await openStage()
  ;({ model } = await stage.shared('openai'))
})

afterAll(() => stage?.close())

const messages = [{ role: 'user', content: 'Hello' }]

async function ask(method: string, path: string, key: string, body?: Json, headers: Record<string, string> = {}) {
  const response = await fetch(stage.hub.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.status, json: (await response.json()) as Json }
}

/** The last row of the ledger of this key. */
async function lastRow(keyId: string): Promise<Json | undefined> {
  return (await stage.hub.logs(`&key_id=${keyId}`))[0]
}

const gemini = (name: string) => `/v1beta/models/${name}:generateContent`

describe('a key that may ask for embeddings only', () => {
  let id: string
  let key: string
  beforeAll(async () => {
    ;({ id, key } = await stage.hub.admin('POST', '/api/keys', {
      name: 'narrow',
      allowed_endpoints: ['/v1/embeddings'],
    }))
  })

  test.each<[string, string, string, () => Json | undefined, boolean]>([
    ['OpenAI chat', 'POST', '/v1/chat/completions', () => ({ model, messages }), true],
    ['its older spelling', 'POST', '/api/v1/chat/completions', () => ({ model, messages }), true],
    ['completions', 'POST', '/v1/completions', () => ({ model, prompt: 'x' }), true],
    ['Responses', 'POST', '/v1/responses', () => ({ model, input: 'x' }), true],
    ['images', 'POST', '/v1/images/generations', () => ({ model, prompt: 'x' }), true],
    ['Anthropic', 'POST', '/v1/messages', () => ({ model, messages, max_tokens: 5 }), true],
    ['Gemini', 'POST', '/v1beta/models/x:generateContent', () => ({ contents: [] }), true],
    ['files', 'GET', '/v1/files', () => undefined, false],
    ['batches', 'GET', '/v1/batches', () => undefined, false],
    ['models', 'GET', '/v1/models', () => undefined, false],
  ])(
    'is refused at %s in the envelope of that path, with a row where the path has rows',
    async (_, method, path, body, isRecorded) => {
      const { status, json } = await ask(method, path, key, body())
      expect(status).toBe(403)
      expect(json.error.message).toContain('allowed_endpoints')
      if (path === '/v1/messages') expect(json).toMatchObject({ type: 'error', error: { type: 'permission_error' } })
      else if (path.startsWith('/v1beta')) expect(json.error).toMatchObject({ code: 403, status: 'PERMISSION_DENIED' })
      else expect(Object.keys(json.error).sort()).toEqual(['code', 'message', 'param', 'type'])
      if (isRecorded) expect(await lastRow(id)).toMatchObject({ outcome: 'refused', status: 403, key_id: id })
    },
  )

  test('is let in where it may ask', async () => {
    const { status, json } = await ask('POST', '/v1/embeddings', key, { model: 'absent', input: 'x' })
    expect([status, json.error.code]).toEqual([404, 'model_not_found'])
  })

  test('is refused a WebSocket before it opens', async () => {
    const url = `${stage.hub.url.replace('http', 'ws')}/v1/realtime?model=x`
    const status = await new Promise((resolve, reject) => {
      const socket = new WebSocket(url, ['realtime', `openai-insecure-api-key.${key}`])
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode))
      socket.on('open', () => reject(new Error('it opened')))
      socket.on('error', () => {})
    })
    expect(status).toBe(403)
    expect(await lastRow(id)).toMatchObject({ outcome: 'refused', status: 403, endpoint: '/v1/realtime' })
  })
})

test('a scope that ends in * holds all below it, and the older spelling with it', async () => {
  const { key } = await stage.hub.admin('POST', '/api/keys', { name: 'wide', allowed_endpoints: ['/v1/*'] })
  expect((await ask('POST', '/v1/chat/completions', key, { model, messages })).status).toBe(200)
  expect((await ask('POST', '/api/v1/chat/completions', key, { model, messages })).status).toBe(200)
  expect((await ask('POST', gemini(model), key, { contents: [] })).status).toBe(403)
})

test('a key is refused from an address that its list does not hold, and let in from one that it holds', async () => {
  const { id, key } = await stage.hub.admin('POST', '/api/keys', { name: 'office', allowed_ips: ['10.0.0.0/8'] })
  const refused = await ask('POST', '/v1/chat/completions', key, { model, messages })
  expect(refused).toMatchObject({ status: 403, json: { error: { message: expect.stringContaining('allowed_ips') } } })
  expect(await lastRow(id)).toMatchObject({ outcome: 'refused', status: 403 })
  // What a caller says of itself opens nothing.
  const claimed = await ask('POST', '/v1/chat/completions', key, { model, messages }, { 'x-forwarded-for': '10.1.2.3' })
  expect(claimed.status).toBe(403)
  await stage.hub.admin('PATCH', `/api/keys/${id}`, { allowed_ips: ['10.0.0.0/8', '127.0.0.0/8'] })
  expect((await ask('POST', '/v1/chat/completions', key, { model, messages })).status).toBe(200)
})

test('a rotated key keeps its limits and its rows, under either text', async () => {
  const { id, key } = await stage.hub.admin('POST', '/api/keys', { name: 'app', rate_limit: 2 })
  const { key: next } = await stage.hub.admin('POST', `/api/keys/${id}/rotate`, { grace_seconds: 60 })
  expect((await ask('POST', '/v1/chat/completions', key, { model, messages })).status).toBe(200)
  expect((await ask('POST', '/v1/chat/completions', next, { model, messages })).status).toBe(200)
  expect((await ask('POST', '/v1/chat/completions', key, { model, messages })).status).toBe(429)
  expect(await stage.hub.logs(`&key_id=${id}`)).toHaveLength(3)
})

test('the ledger shows a service account by its name, and a limit on it holds for all its keys', async () => {
  const account = await stage.hub.admin('POST', '/api/service-accounts', { name: 'nightly' })
  const made = await Promise.all(
    ['one', 'two'].map((name) => stage.hub.admin('POST', '/api/keys', { name, service_account_id: account.id })),
  )
  await stage.hub.admin('POST', '/api/limits', { scope: 'user', scope_id: account.id, rpm: 1 })
  expect((await ask('POST', '/v1/chat/completions', made[0].key, { model, messages })).status).toBe(200)
  expect((await ask('POST', '/v1/chat/completions', made[1].key, { model, messages })).status).toBe(429)
  expect(await lastRow(made[0].id)).toMatchObject({ key_name: 'nightly/one', user_id: account.id })
})

test('a provider’s key is shown as it was before a change, without the key', async () => {
  const [provider] = await stage.hub.admin('GET', '/api/providers')
  const path = `/api/providers/${provider.id}/keys`
  const made = await stage.hub.admin('POST', path, { name: 'spare', api_key: 'sk-upstream-spare-0123456789' })
  await stage.hub.admin('DELETE', `${path}/${made.id}`)
  const { data } = await stage.hub.admin('GET', '/api/audit?action=providers.keys.*')
  expect(data).toMatchObject([
    { action: 'providers.keys.delete', before: { id: made.id, name: 'spare' }, after: null },
    { action: 'providers.keys.create', target: made.id },
  ])
  expect(JSON.stringify(data)).not.toContain('spare-0123456789')
})

test('every change through the control API is in the audit log, and the chain is whole', async () => {
  const { data } = await stage.hub.admin('GET', '/api/audit?limit=200')
  const actions = new Set(data.map((each: Json) => each.action))
  for (const action of [
    'providers.create',
    'models.create',
    'model-providers.create',
    'keys.create',
    'keys.update',
    'keys.rotate',
    'service-accounts.create',
    'limits.create',
  ]) {
    expect(actions).toContain(action)
  }
  expect(JSON.stringify(data)).not.toMatch(/sk-upstream-test|"key":"sk-/)
  expect(await stage.hub.admin('GET', '/api/audit/verify')).toMatchObject({ ok: true, first_break: null })
})
