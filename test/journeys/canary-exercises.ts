/** Everything a hub can be made to say, with secrets in every place where callers, operators and providers have them. */
import type { Behaviour, FakeProvider } from '../fake-providers/index.ts'
import { startFakeProvider } from '../fake-providers/index.ts'
import type { Place } from '../harness/canaries.ts'

export type Client = (
  method: string,
  path: string,
  sent?: { headers?: Record<string, string>; body?: unknown; text?: string; allowed?: readonly string[] },
) => Promise<{
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: read as a program without our types would
  json: any
}>

export type Plant = (name: string, secret: string) => string

/** A caller that keeps every answer, headers and all, as a place to search. */
export function createRecorder(hub: { url(): string }, places: Place[]): Client {
  return async (method, path, { headers = {}, body, text, allowed = [] } = {}) => {
    const sentBody = text ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(hub.url() + path, {
      method,
      redirect: 'manual',
      // An answer that does not come is a failure of its own, and is told with its path.
      signal: AbortSignal.timeout(20_000),
      headers: { ...(sentBody === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(sentBody === undefined ? {} : { body: sentBody }),
    }).catch((error) => Promise.reject(new Error(`${method} ${path.split('?')[0]}: no answer`, { cause: error })))
    const answer = await response.text()
    const head = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
    places.push({
      name: `${method} ${path.split('?')[0]} ${response.status}`,
      content: `${head}\n\n${answer}`,
      allowed,
    })
    return { status: response.status, json: parse(answer) }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** From the first owner to a session that has been refreshed; each token is planted as it comes to be. */
export async function setUp(
  client: Client,
  plant: Plant,
  { setupToken, password, email }: { setupToken: string; password: string; email: string },
): Promise<void> {
  const own = { allowed: ['refresh token', 'access token'] }
  const keep = (name: string, tokens: { access_token: string; refresh_token: string }) => {
    // All tokens of one user begin alike; the signature is what nobody else may have.
    plant('access token', tokens.access_token.split('.')[2]!)
    plant(name, tokens.refresh_token)
    return tokens
  }
  await client('POST', '/api/auth/setup', { text: `{"token":"${setupToken}","password":${JSON.stringify(password)},` })
  await client('POST', '/api/auth/setup', { body: { token: setupToken, password, email: 'not an address' } })
  await client('POST', '/api/auth/setup', { body: { token: setupToken, password, email, surplus: setupToken } })
  await client('POST', '/api/auth/setup', { body: { token: `${setupToken}x`, password, email } })
  keep(
    'refresh token',
    (await client('POST', '/api/auth/setup', { body: { token: setupToken, password, email }, ...own })).json,
  )
  await client('POST', '/api/auth/setup', { body: { token: setupToken, password, email } })

  await client('POST', '/api/auth/login', { body: { email, password: `${password}x` } })
  await client('POST', '/api/auth/login', { body: { email: [email], password } })
  await client('POST', '/api/auth/login', { text: `{"email":"${email}","password":${JSON.stringify(password)}` })
  const session = keep(
    'refresh token',
    (await client('POST', '/api/auth/login', { body: { email, password }, ...own })).json,
  )
  const bearer = { authorization: `Bearer ${session.access_token}` }
  await client('GET', '/api/auth/me', { headers: bearer })
  await client('GET', '/api/auth/sessions', { headers: bearer })
  await client('POST', '/api/auth/password', {
    headers: bearer,
    body: { current_password: `${password}x`, new_password: password },
  })
  await client('GET', '/api/auth/me', { headers: { authorization: `${bearer.authorization}x` } })
  await client('POST', '/api/auth/refresh', { body: { refresh_token: `${session.refresh_token}x` } })
  const refresh = { body: { refresh_token: session.refresh_token } }
  keep('refresh token', (await client('POST', '/api/auth/refresh', { ...refresh, ...own })).json)
  // Used twice: the session ends, and the log says so.
  await client('POST', '/api/auth/refresh', refresh)
}

export type Upstream = { model: string; type: string; key: string; fake: FakeProvider }

/** One provider of each type, under its own secret. */
export async function startUpstreams(keys: Record<string, string>, prefix: string): Promise<Upstream[]> {
  return Promise.all(
    Object.entries(keys).map(async ([name, key]) => {
      const kind = name === 'anthropic' || name === 'gemini' ? name : 'openai'
      const fake = await startFakeProvider({ kind, apiKey: key, models: [`${prefix}-${name}`] })
      return { model: `${prefix}-${name}`, type: name === 'shapeless' ? 'openai-compatible' : name, key, fake }
    }),
  )
}

/** Makes providers, models and an API key, with mistakes on the way. Returns the key. */
export async function configure(
  client: Client,
  plant: Plant,
  { adminKey, upstreams, marker }: { adminKey: string; upstreams: readonly Upstream[]; marker: string },
): Promise<string> {
  const headers = { 'x-admin-key': adminKey }
  for (const { model, type, key, fake } of upstreams) {
    const provider = { name: model, type, base_url: fake.baseUrl, api_key: key, max_retries: 0, timeout: 5 }
    await client('POST', '/api/providers', { headers, body: { ...provider, priority: key } })
    await client('POST', '/api/providers', { headers, body: { ...provider, token: key } })
    await client('POST', '/api/providers', { headers, body: { ...provider, base_url: `http://u:${key}@127.0.0.1:1` } })
    await client('POST', '/api/providers', { headers, text: `{"name":"x","api_key":"${key}",}` })
    await client('POST', '/api/providers', { headers: { ...headers, 'content-type': 'text/plain' }, text: key })
    const { json } = await client('POST', '/admin/providers', { headers, body: provider })
    await client('PATCH', `/api/providers/${json.id}`, { headers, body: { api_key: key } })
    await client('PATCH', `/api/providers/${json.id}`, { headers, body: { api_key: { secret: key } } })
    await client('POST', '/api/models', { headers, body: { name: model } })
    const link = { model_id: model, provider_id: json.id, provider_model: model }
    await client('POST', '/api/model-providers', { headers, body: link })
    await client('GET', `/api/providers/${json.id}/models`, { headers })
    for (const behaviour of misbehaviours(key)) {
      fake.behaveOnModels(behaviour)
      await client('GET', `/api/providers/${json.id}/models`, { headers })
      await client('POST', `/api/providers/${json.id}/models/import`, { headers, body: {} })
    }
  }
  const made = await client('POST', '/api/keys', { headers, body: { name: marker }, allowed: ['API key'] })
  return plant('API key', made.json.key)
}

/** What providers answer when they say what they were sent. */
function misbehaviours(key: string): Behaviour[] {
  const json = { 'content-type': 'application/json' }
  const html = { 'content-type': 'text/html' }
  const sse = { 'content-type': 'text/event-stream' }
  return [
    { error: { status: 401, message: 'Incorrect API key provided: {key}. Asked at {url}.' } },
    { error: { status: 400, message: 'Bad header: Authorization: Bearer {key}', param: key, code: key } },
    { error: { status: 500, message: `${'x '.repeat(490)}{key}`, type: key } },
    { error: { status: 429, message: `at https://u:${encodeURIComponent(key)}@host/?key=${encodeURIComponent(key)}` } },
    {
      error: { status: 403, message: 'no' },
      headers: { 'x-seen-authorization': `Bearer ${key}`, 'set-cookie': `k=${key}` },
    },
    {
      status: 502,
      headers: html,
      body: `<html><h1>502</h1><pre>Authorization: Bearer ${key}\nx-api-key: ${key}</pre></html>`,
    },
    {
      status: 500,
      headers: json,
      body: JSON.stringify({ detail: { request: { headers: { authorization: `Bearer ${key}` } } } }),
    },
    { status: 400, headers: json, body: JSON.stringify([{ error: key, message: key, msg: key }]) },
    { status: 503, body: key },
    { status: 307, body: '', headers: { location: `http://127.0.0.1:1/?key=${key}` } },
    { status: 200, headers: json, body: `{"id":"${key}` },
    {
      status: 200,
      headers: json,
      body: JSON.stringify({ error: { message: `key ${key} is over its limit`, code: key } }),
    },
    { status: 200, headers: sse, body: `data: ${key}\n\n` },
    {
      status: 200,
      headers: sse,
      body: `data: {"error":{"message":"Bearer ${key} is not known","code":"${key}"}}\n\ndata: [DONE]\n\n`,
    },
    { error: { status: 500, message: 'Authorization: Bearer {key}', afterChunks: 0 } },
    { error: { status: 500, message: 'x-api-key: {key}; {key}', afterChunks: 3 } },
    { cut: { at: 1, how: 'reset' }, headers: { 'x-seen-authorization': key } },
  ]
}

/** Calls that succeed and calls that every kind of misbehaviour spoils, streamed and not. */
export async function callModels(
  client: Client,
  { apiKey, upstreams }: { apiKey: string; upstreams: readonly Upstream[] },
): Promise<void> {
  const path = '/v1/chat/completions'
  for (const { model, key, fake } of upstreams) {
    for (const stream of [false, true]) {
      const body = { model, stream, messages: [{ role: 'user', content: 'hello' }] }
      fake.behave()
      await client('POST', path, { body, headers: { authorization: `Bearer ${apiKey}` } })
      await client('POST', path, { body, headers: { 'x-api-key': apiKey } })
      await client('POST', path, { body, headers: { 'x-goog-api-key': apiKey } })
      await client('POST', `${path}?key=${apiKey}`, { body })
      for (const behaviour of misbehaviours(key)) {
        fake.behave(behaviour)
        await client('POST', `${path}?key=${apiKey}`, { body })
      }
    }
  }
  await upstreams[0]!.fake.close()
  await client('POST', `${path}?key=${apiKey}`, {
    body: { model: upstreams[0]!.model, messages: [{ role: 'user', content: 'hello' }] },
  })
}

export type Secrets = { apiKey: string; adminKey: string; password: string; setupToken: string; providerKey: string }

/** Credentials that are wrong, in the wrong place, or in a request that cannot be read. */
export async function failAtTheDoor(client: Client, own: Secrets): Promise<void> {
  const { apiKey, adminKey, password, setupToken, providerKey } = own
  const chat = '/v1/chat/completions'
  const message = { messages: [{ role: 'user', content: 'hello' }] }
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })

  for (const wrong of [`${apiKey}x`, apiKey.slice(0, -1), adminKey, providerKey, password, setupToken]) {
    const header = encodeURIComponent(wrong)
    await client('POST', chat, { headers: bearer(header), body: message })
    await client('POST', `${chat}?key=${header}`, { body: message })
    await client('GET', `/v1/models?key=${header}`)
    await client('GET', '/api/providers', { headers: bearer(`${header}x`) })
    await client('GET', '/admin/keys', { headers: { 'x-admin-key': `x${header}` } })
    await client('GET', `/api/logs?key=${header}`)
    await client('GET', `/no/such/path?token=${header}`)
    await client('GET', '/metrics', {
      headers: { authorization: `Basic ${Buffer.from(`u:${wrong}`).toString('base64')}` },
    })
  }
  for (const text of [
    `{"model":"m","api_key":"${apiKey}"`,
    `{"api_key":"${apiKey}","messages":[]}`,
    `${apiKey}`,
    `{"model":{"key":"${apiKey}"},"messages":"${apiKey}"}`,
    `{"model":"m","messages":[{"role":"${apiKey}","content":"${apiKey}"}]}`,
    `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":"${apiKey}","key":"${apiKey}"}`,
  ]) {
    await client('POST', chat, { headers: bearer(apiKey), text })
    await client('POST', '/api/keys', { headers: bearer(adminKey), text })
    await client('POST', '/api/auth/login', { text: text.replaceAll(apiKey, setupToken) })
  }
  // The control API takes no API key, and its queries name no secret.
  await client('GET', '/api/keys', { headers: bearer(apiKey) })
  await client('GET', `/api/logs?limit=${apiKey}&cursor=${apiKey}&from=${adminKey}`, { headers: bearer(adminKey) })
  await client('GET', `/api/providers?admin_key=${adminKey}&enabled_only=${apiKey}`, { headers: bearer(adminKey) })
  await client('POST', '/api/users', {
    headers: bearer(adminKey),
    body: { email: 'x@example.com', password, confirm: password },
  })
  await client('POST', '/api/users', {
    headers: bearer(adminKey),
    body: { email: 'x@example.com', password: [password] },
  })
  await client('POST', '/api/users', { headers: bearer(adminKey), body: { email: password, password } })
  await client('GET', '/v1/models', { headers: bearer(apiKey) })
}

/** Every page the hub describes, as the owner, as a caller, and as nobody. */
export async function readEverything(client: Client, adminKey: string): Promise<void> {
  const headers = { authorization: `Bearer ${adminKey}` }
  const { json } = await client('GET', '/openapi.json', { headers })
  const paths = Object.entries(json.paths as Record<string, object>).flatMap(([path, verbs]) =>
    // What follows the log never ends.
    'get' in verbs && !path.endsWith('/tail') ? [path] : [],
  )
  for (const path of [...paths.filter((each) => !each.includes('{')), '/metrics', '/docs/', '/']) {
    await client('GET', path, { headers })
    await client('GET', path)
  }
  await client('GET', '/health', { headers: { ...headers, accept: 'application/health+json' } })
  for (let cursor = ''; ; ) {
    const page = await client('GET', `/api/logs?limit=200${cursor}`, { headers })
    for (const { id } of page.json.data) await client('GET', `/api/logs/${id}`, { headers })
    if (page.json.next_cursor === null) break
    cursor = `&cursor=${page.json.next_cursor}`
  }
  for (const path of paths.filter((each) => /^\/api\/[a-z-]+\/\{[a-zA-Z]+\}$/.test(each))) {
    const list = (await client('GET', path.replace(/\/\{.*$/, ''), { headers })).json
    const things = list?.data ?? list
    // Some things are told singly only: there is no list of push tokens.
    if (!Array.isArray(things)) continue
    for (const { id } of things) await client('GET', path.replace(/\{.*\}/, id), { headers })
  }
}
