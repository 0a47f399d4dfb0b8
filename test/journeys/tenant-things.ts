import { startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import type { TestHub } from '../harness/hub.ts'

/** Two tenants and their people; every name of the second holds `bravo`, so that it is known wherever it appears. */
export type World = {
  hub: TestHub
  alpha: Tenancy
  bravo: Tenancy
}
export type Tenancy = {
  id: string
  /** Access tokens. */
  admin: string
  user: string
  userId: string
  key: { id: string; text: string }
}

/** One of a tenant's things, or of the hub's, made fresh; its ids by the parameters of the paths that name it. */
type Maker = (world: World, owner: Tenancy) => Promise<Record<string, string>>

let number = 0

/**
 * What stands behind the parameters of every path, by the path's beginning. A room that serves a new kind of thing adds a
 * line here: until then the walk fails and says so.
 */
export const makers: Record<string, Maker> = {
  '/api/keys': async ({ hub }, { id }) => {
    const made = await hub.admin('POST', '/api/keys', { name: 'bravo key', tenant_id: id })
    return { id: made.id }
  },
  '/api/users': async ({ hub }, { id }) => {
    const login = { email: `bravo-${Math.random()}@example.com`, password: 'a password of its own' }
    const made = await hub.admin('POST', '/api/users', { ...login, name: 'bravo', tenant_id: id })
    await hub.admin('POST', '/api/auth/login', login)
    const sessions = await hub.admin('GET', `/api/users/${made.id}/sessions`)
    return { id: made.id, session: sessions.data[0].id }
  },
  '/api/auth/sessions': async ({ hub }, { userId }) => {
    const sessions = await hub.admin('GET', `/api/users/${userId}/sessions`)
    return { id: sessions.data[0].id }
  },
  '/api/invitations': async ({ hub }, { id }) => {
    const wish = { email: `bravo-${Math.random()}@example.com`, tenant_id: id }
    return { id: (await hub.admin('POST', '/api/invitations', wish)).id }
  },
  '/api/tenants': async (_world, { id }) => ({ id }),
  '/api/limits': async ({ hub }, owner) => {
    const { id } = await makers['/api/keys']!({ hub } as World, owner)
    return { id: (await hub.admin('POST', '/api/limits', { scope: 'key', scope_id: id, rpm: 1000 })).id }
  },
  '/api/budgets': async ({ hub }, owner) => {
    const { id } = await makers['/api/keys']!({ hub } as World, owner)
    const wish = { scope: 'key', scope_id: id, period: 'month', limit_usd: '10', hard: true }
    return { id: (await hub.admin('POST', '/api/budgets', wish)).id }
  },
  '/api/logs': async ({ hub }, { key }) => {
    await fetch(`${hub.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key.text}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'bravo-model', messages: [{ role: 'user', content: 'hello' }] }),
    })
    const rows = await hub.logs(`&key_id=${key.id}`)
    return { id: String(rows[0]!.id), trace: String(rows[0]!.trace_id) }
  },
  '/api/service-accounts': async ({ hub }, { id }) => {
    const made = await hub.admin('POST', '/api/service-accounts', { name: `bravo-${++number}`, tenant_id: id })
    return { id: made.id }
  },
  '/api/registry/services': async ({ hub }, { id }) => {
    // By hand: no such plugin runs, and nobody judges it by its silence.
    const wish = { name: `bravo-service-${++number}`, host: '127.0.0.1', port: 9, ephemeral: false, tenant_id: id }
    const made = await hub.admin('POST', '/api/registry/register', wish)
    return { id: made.id, instance: made.instance_id }
  },
  '/api/registry/tokens': async ({ hub }, { id }) => {
    const wish = { service: `bravo-service-${++number}`, tenant_id: id }
    return { id: (await hub.admin('POST', '/api/registry/tokens', wish)).id }
  },
  '/api/mirrors': async ({ hub }, { key }) => {
    const fake = await startFakeProvider({ kind: 'openai' })
    const model = `bravo-first-${++number}`
    const second = `bravo-second-${number}`
    const address = { type: 'openai', base_url: fake.baseUrl, api_key: fake.apiKey }
    try {
      // What has no price is not asked beside another: nobody could say what it costs.
      const price = { input_usd: '1', output_usd: '2', effective_from: '2020-01-01T00:00:00Z' }
      for (const name of [model, second]) await hub.admin('POST', '/api/prices', { model: name, ...price })
      await hub.serve(second, address)
      await hub.admin('POST', '/api/models', { name: model, mirror: { model: second, percent: 100 } })
      await hub.serve(model, address)
      await fetch(`${hub.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key.text}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
      })
      let found: { id: string; request_id: string }[] = []
      await until(`${model} was compared`, async () => {
        found = (await hub.admin('GET', `/api/mirrors?model=${model}`)).data
        return found.length > 0
      })
      return { id: found[0]!.id, request: found[0]!.request_id }
    } finally {
      await fake.close()
    }
  },
  // The hub's own, which no tenant reads or changes.
  '/api/providers': async ({ hub }) => {
    const wish = {
      name: `bravo-${Math.random()}`,
      type: 'openai',
      base_url: 'http://127.0.0.1:9',
      api_key: 'sk-bravo-key',
    }
    const made = await hub.admin('POST', '/api/providers', wish)
    const keys = await hub.admin('GET', `/api/providers/${made.id}/keys`)
    return { id: String(made.id), key: String((keys.data ?? keys)[0].id) }
  },
  '/api/models': async ({ hub }) => {
    const made = await hub.admin('POST', '/api/models', { name: `bravo-${Math.random()}` })
    return { id: String(made.id) }
  },
  '/api/model-providers': async (world, owner) => {
    const [model, provider] = [
      await makers['/api/models']!(world, owner),
      await makers['/api/providers']!(world, owner),
    ]
    const wish = { model_id: model.id, provider_id: provider.id, provider_model: 'bravo' }
    return { id: String((await world.hub.admin('POST', '/api/model-providers', wish)).id) }
  },
  '/api/metrics/label': async () => ({ name: 'instance_of_nobody' }),
}

/**
 * Requests that name somebody's thing in their body or query: what is sent, by the thing's id. Routes that only a
 * super_admin may ask need none.
 */
export const references: Record<
  string,
  { of: string; by?: string; send(id: string): { query?: string; body?: object } }
> = {
  'POST /api/keys tenant_id': { of: '/api/tenants', send: (id) => ({ body: { name: 'a key', tenant_id: id } }) },
  'POST /api/users tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { email: 'new@example.com', password: 'a password of its own', tenant_id: id } }),
  },
  'POST /api/invitations tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { email: 'new@example.com', tenant_id: id } }),
  },
  'POST /api/service-accounts tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { name: 'an-account', tenant_id: id } }),
  },
  'POST /api/service-accounts owner_id': {
    of: '/api/users',
    send: (id) => ({ body: { name: 'an-account', owner_id: id } }),
  },
  'POST /api/keys service_account_id': {
    of: '/api/service-accounts',
    send: (id) => ({ body: { name: 'a key', service_account_id: id } }),
  },
  'GET /api/keys service_account_id': {
    of: '/api/service-accounts',
    send: (id) => ({ query: `service_account_id=${id}` }),
  },
  'POST /api/registry/tokens tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { service: 'a-service', tenant_id: id } }),
  },
  'GET /api/audit tenant_id': { of: '/api/tenants', send: (id) => ({ query: `tenant_id=${id}` }) },
  'GET /api/mirrors request_id': { of: '/api/mirrors', by: 'request', send: (id) => ({ query: `request_id=${id}` }) },
  'POST /api/limits scope_id': { of: '/api/keys', send: (id) => ({ body: { scope: 'key', scope_id: id, rpm: 5 } }) },
  'POST /api/budgets scope_id': {
    of: '/api/users',
    send: (id) => ({ body: { scope: 'user', scope_id: id, period: 'day', limit_usd: '1', hard: true } }),
  },
  'GET /api/logs trace_id': { of: '/api/logs', by: 'trace', send: (id) => ({ query: `trace_id=${id}` }) },
  'GET /api/logs key_id': { of: '/api/keys', send: (id) => ({ query: `key_id=${id}` }) },
}

/** Bodies that pass a route's own rules, where `{}` does not. */
export const bodies: Record<string, object> = {
  'PUT /api/registry/services/{id}/instances/{instance}': { weight: 5 },
}
