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

async function post(hub: TestHub, path: string, token: string, body: object) {
  const answer = await fetch(hub.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await answer.json()) as Record<string, string>
}

const chat = (hub: TestHub, key: string, model: string) =>
  post(hub, '/v1/chat/completions', key, { model, messages: [{ role: 'user', content: 'hello' }] })

/** One of a tenant's things, or of the hub's, made fresh; its ids by the parameters of the paths that name it. */
type Maker = (world: World, owner: Tenancy) => Promise<Record<string, string>>

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
  // Of the whole hub: nobody but a super_admin sees one.
  '/api/config/revisions': async ({ hub }) => ({
    id: (await hub.admin('GET', '/api/config/revisions')).data[0].id,
  }),
  '/api/backups': async ({ hub }) => ({ id: (await hub.admin('POST', '/api/backups', { kind: 'full' })).id }),
  '/api/maintenance/jobs': async () => ({ name: 'service_status' }),
  '/api/maintenance/runs': async ({ hub }) => {
    const { id } = await hub.admin('POST', '/api/maintenance/jobs/service_status/run')
    // What still runs would look changed by whoever asks for it twice.
    const isOver = async () => (await hub.admin('GET', `/api/maintenance/runs/${id}`)).finished_at !== null
    await until('the run has ended', isOver)
    return { id }
  },
  '/api/sources': async ({ hub }) => {
    const name = `bravo-${Math.random().toString(36).slice(2, 10)}`
    const made = await hub.admin('POST', '/api/sources', { name, dsn: 'sqlite:/nowhere/one-api.db', enabled: false })
    return { id: made.id }
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
    await chat(hub, key.text, 'bravo-model')
    const rows = await hub.logs(`&key_id=${key.id}`)
    return { id: String(rows[0]!.id), trace: String(rows[0]!.trace_id) }
  },
  '/api/service-accounts': async ({ hub }, { id }) => {
    const made = await hub.admin('POST', '/api/service-accounts', { name: `bravo-${Math.random()}`, tenant_id: id })
    return { id: made.id }
  },
  '/api/registry/services': async ({ hub }, owner) => {
    const service = `bravo-${String(Math.random()).slice(2, 12)}`
    const { token } = await hub.admin('POST', '/api/registry/tokens', { service, tenant_id: owner.id })
    const made = await post(hub, '/api/registry/register', token, { name: service, host: '127.0.0.1', port: 9 })
    return { id: made.id!, name: service, instance: made.instance_id! }
  },
  '/api/registry/services/by-name': (world, owner) => makers['/api/registry/services']!(world, owner),
  '/api/registry/deregister': (world, owner) => makers['/api/registry/services']!(world, owner),
  '/api/registry/tokens': async ({ hub }, { id }) => {
    const service = `bravo-${String(Math.random()).slice(2, 12)}`
    return { id: (await hub.admin('POST', '/api/registry/tokens', { service, tenant_id: id })).id }
  },
  '/api/mirrors': async ({ hub }, { key }) => {
    const list = async () => (await hub.admin('GET', '/api/mirrors?model=bravo-mirrored')).data
    const ofKey = async () => (await list()).find((each: { key_id: string }) => each.key_id === key.id)
    await chat(hub, key.text, 'bravo-mirrored')
    await until('the second model was asked', async () => (await ofKey()) !== undefined)
    const { id, request_id } = await ofKey()
    return { id, request: request_id }
  },
  '/api/checks': async ({ hub }, { id }) => {
    const push = { type: 'push', parameters: { every_seconds: 60 } }
    // Paused, so that it reads alike whenever it is read.
    const wish = { name: `bravo-${Math.random()}`, ...push, enabled: false, tenant_id: id }
    return { id: (await hub.admin('POST', '/api/checks', wish)).id }
  },
  '/api/channels': async ({ hub }, { id }) => {
    const wish = { ...mailTo('bravo@example.com'), enabled: false, tenant_id: id }
    return { id: (await hub.admin('POST', '/api/channels', wish)).id }
  },
  '/api/deliveries': async ({ hub }, owner) => {
    // Tests of channels are limited by the minute, and a row of the ledger only ever is read.
    const known = deliveries.get(owner)
    if (known !== undefined) return known
    const { id } = await makers['/api/channels']!({ hub } as World, owner)
    await hub.admin('POST', `/api/channels/${id}/test`)
    const [made] = (await hub.admin('GET', `/api/deliveries?channel_id=${id}`)).data
    const things = { notification: made.notification_id, trace: made.trace_id }
    deliveries.set(owner, things)
    return things
  },
  '/api/receivers': async ({ hub }, owner) => {
    const channel = await makers['/api/channels']!({ hub } as World, owner)
    const wish = { name: `bravo-${Math.random()}`, targets: [{ channel_id: channel.id }], tenant_id: owner.id }
    return { id: (await hub.admin('POST', '/api/receivers', wish)).id }
  },
  '/api/push': async ({ hub }, { id }) => {
    const wish = { name: `bravo-${Math.random()}`, type: 'push', parameters: { every_seconds: 60 }, tenant_id: id }
    return { token: (await hub.admin('POST', '/api/checks', wish)).push_path.split('/').at(-1) }
  },
  '/api/badge': (world, owner) => makers['/api/checks']!(world, owner),
  '/api/sessions': async ({ hub }, { key }) => {
    const headers = { authorization: `Bearer ${key.text}`, 'content-type': 'application/json' }
    const body = { model: 'bravo-second', messages: [{ role: 'user', content: 'bravo' }] }
    const sessionId = `bravo-${Math.random()}`
    await fetch(`${hub.url}/v1/chat/completions`, {
      ...{ method: 'POST', headers: { ...headers, 'x-session-id': sessionId } },
      body: JSON.stringify(body),
    })
    await hub.logs()
    const { data } = await hub.admin('GET', `/api/sessions?session_id=${sessionId}`)
    return { id: data[0].id, session: sessionId }
  },
  '/api/deletion-receipts': async (world, owner) => {
    const { id } = await makers['/api/sessions']!(world, owner)
    return { id: (await world.hub.admin('DELETE', `/api/sessions/${id}`)).id }
  },
  '/api/conversation-settings/keys': async ({ hub }, owner) => {
    const { id } = await makers['/api/keys']!({ hub } as World, owner)
    await hub.admin('PUT', `/api/conversation-settings/keys/${id}`, { messages: true })
    return { id: id! }
  },
  '/api/conversation-settings/tenants': async ({ hub }, { id }) => {
    await hub.admin('PUT', `/api/conversation-settings/tenants/${id}`, { messages: true })
    return { id }
  },
  '/api/risk/findings': async (world, owner) => ({ id: (await makeFinding(world, owner)).id }),
  '/api/risk/actions': async (world, owner) => {
    const { actions } = await makeFinding(world, owner)
    return { id: actions[0].id }
  },
  '/api/incidents': async ({ hub }, { id, key }) => {
    const made = await hub.admin('POST', '/api/incidents', { title: 'bravo fault', severity: 'P3', tenant_id: id })
    const path = `/api/incidents/${made.id}/actions`
    const wish = { action: 'key_throttle', parameters: { key: key.id, rate_limit: 100_000, minutes: 0 } }
    const { confirm } = await hub.admin('POST', path, wish)
    const { taken } = await hub.admin('POST', path, { ...wish, dry_run: false, confirm })
    await hub.admin('POST', `${path}/${taken.id}/undo`)
    // Over, so that its clocks read alike whenever they are read.
    await hub.admin('POST', `/api/incidents/${made.id}/resolve`, {})
    await hub.admin('POST', `/api/incidents/${made.id}/close`, {})
    return { id: made.id, action: taken.id }
  },
  '/api/on-call/schedules': async ({ hub }) => {
    const members = [{ name: 'bravo', channels: ['phone'] }]
    const name = `bravo-${Math.random().toString(36).slice(2, 10)}`
    await hub.admin('PUT', `/api/on-call/schedules/${name}`, { members, starts_on: '2026-01-05' })
    return { name }
  },
  '/api/on-call/policies': async () => ({ severity: 'P3' }),
  '/api/silences': async ({ hub }, { admin }) => {
    const ends = { ends_at: '2999-01-01T00:00:00Z', comment: 'bravo' }
    return { id: (await post(hub, '/api/silences', admin, { matchers: ['bravo="yes"'], ...ends })).id! }
  },
  '/api/v2/silence': (world, owner) => makers['/api/silences']!(world, owner),
  '/api/alert-hooks': async ({ hub }, { admin }) => ({
    id: (await post(hub, '/api/alert-hooks', admin, { name: `bravo-${Math.random()}` })).id!,
  }),
  '/api/alerts/active': async ({ hub }, { admin }) => {
    const labels = { alertname: `bravo-${String(Math.random()).slice(2)}` }
    await fetch(`${hub.url}/api/v2/alerts`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' } },
      body: JSON.stringify([{ labels }]),
    })
    const list = async () => (await hub.admin('GET', `/api/alerts?filter=alertname="${labels.alertname}"`)).data
    await until('the alert is read', async () => (await list()).length === 1)
    return { fingerprint: (await list())[0].fingerprint }
  },
  // The hub's own, which no tenant reads or changes.
  '/api/alert-rules': async ({ hub }) => {
    const wish = { alert: `Bravo${String(Math.random()).slice(2, 10)}`, expr: 'up == 0', enabled: false }
    return { id: (await hub.admin('POST', '/api/alert-rules', wish)).id }
  },
  '/api/risk/rules': async () => ({ name: 'burst' }),
  '/api/metrics/label': async () => ({ name: 'bravo' }),
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
}

const findings = new WeakMap<TestHub, ReturnType<typeof findNewFinding>>()

/** Minutes are judged when they are over: one finding is enough for all who ask. */
function makeFinding({ hub }: World, { id }: Tenancy) {
  const made = findings.get(hub) ?? findNewFinding(hub, id)
  findings.set(hub, made)
  return made
}

/** Two calls of a new key are a burst here; the finding waits for leave to throttle the key. */
async function findNewFinding(hub: TestHub, id: string) {
  await hub.admin('PATCH', '/api/risk/rules/burst', {
    ...{ steps: [{ kind: 'throttle' }], params: { limit_per_token: 2, window_sec: 3600, usual_factor: 0 } },
  })
  const key = await hub.admin('POST', '/api/keys', { name: 'bravo risky', tenant_id: id })
  for (let call = 0; call < 2; call++) await chat(hub, key.key, 'bravo-model')
  const find = async () => {
    const { data } = await hub.admin('GET', '/api/risk/findings?rule=burst&limit=200')
    const found = data.find((each: { key_id: string }) => each.key_id === key.id)
    return found === undefined ? undefined : hub.admin('GET', `/api/risk/findings/${found.id}`)
  }
  await until('a rule spoke of the key', async () => ((await find())?.actions.length ?? 0) > 0, { limitMs: 100_000 })
  return find()
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
  'POST /api/limits scope_id': { of: '/api/keys', send: (id) => ({ body: { scope: 'key', scope_id: id, rpm: 5 } }) },
  'POST /api/budgets scope_id': {
    of: '/api/users',
    send: (id) => ({ body: { scope: 'user', scope_id: id, period: 'day', limit_usd: '1', hard: true } }),
  },
  'POST /api/keys service_account_id': {
    of: '/api/service-accounts',
    send: (id) => ({ body: { name: 'a key', service_account_id: id } }),
  },
  'GET /api/keys service_account_id': {
    of: '/api/service-accounts',
    send: (id) => ({ query: `service_account_id=${id}` }),
  },
  'POST /api/service-accounts tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { name: `nightly ${Math.random()}`, tenant_id: id } }),
  },
  'POST /api/service-accounts owner_id': {
    of: '/api/users',
    send: (id) => ({ body: { name: `nightly ${Math.random()}`, owner_id: id } }),
  },
  'GET /api/audit tenant_id': { of: '/api/tenants', send: (id) => ({ query: `tenant_id=${id}` }) },
  'GET /api/mirrors request_id': { of: '/api/mirrors', by: 'request', send: (id) => ({ query: `request_id=${id}` }) },
  'POST /api/registry/tokens tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { service: 'a-service', tenant_id: id } }),
  },
  'POST /api/registry/register tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { ...manifestOf(), tenant_id: id } }),
  },
  // A plugin's own name for its instance: the same one may stand in any number of services.
  'POST /api/registry/register instance_id': {
    of: '/api/registry/services',
    by: 'instance',
    send: (id) => ({ body: { ...manifestOf(), instance_id: id } }),
  },
  'POST /api/registry/heartbeat service_id': {
    of: '/api/registry/services',
    send: (id) => ({ body: { service_id: id } }),
  },
  'POST /api/registry/heartbeat instance_id': {
    of: '/api/registry/services',
    by: 'instance',
    send: (id) => ({ body: { service_id: id, instance_id: id } }),
  },
  'POST /api/incidents tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { title: 'mine', severity: 'P3', tenant_id: id } }),
  },
  'POST /api/checks tenant_id': {
    of: '/api/tenants',
    send: (id) => ({
      body: { name: `mine ${Math.random()}`, type: 'push', parameters: { every_seconds: 60 }, tenant_id: id },
    }),
  },
  'POST /api/channels tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { ...mailTo('mine@example.com'), tenant_id: id } }),
  },
  'POST /api/channels fallback_id': {
    of: '/api/channels',
    send: (id) => ({ body: { ...mailTo('mine@example.com'), fallback_id: id } }),
  },
  'POST /api/receivers tenant_id': {
    of: '/api/tenants',
    send: (id) => ({ body: { name: `mine ${Math.random()}`, targets: [{ channel_id: 'chn_x' }], tenant_id: id } }),
  },
  'POST /api/receivers channel_id': {
    of: '/api/channels',
    send: (id) => ({ body: { name: `mine ${Math.random()}`, targets: [{ channel_id: id }] } }),
  },
  'GET /api/deliveries channel_id': { of: '/api/channels', send: (id) => ({ query: `channel_id=${id}` }) },
  'GET /api/deliveries notification_id': {
    of: '/api/deliveries',
    by: 'notification',
    send: (id) => ({ query: `notification_id=${id}` }),
  },
  'GET /api/deliveries trace_id': {
    of: '/api/deliveries',
    by: 'trace',
    send: (id) => ({ query: `trace_id=${id}` }),
  },
  'GET /api/logs trace_id': { of: '/api/logs', by: 'trace', send: (id) => ({ query: `trace_id=${id}` }) },
  'GET /api/sessions user_id': { of: '/api/users', send: (id) => ({ query: `user_id=${id}` }) },
  'GET /api/sessions session_id': {
    of: '/api/sessions',
    by: 'session',
    send: (id) => ({ query: `session_id=${encodeURIComponent(id)}` }),
  },
  'GET /api/sessions/search user_id': { of: '/api/users', send: (id) => ({ query: `q=hello&user_id=${id}` }) },
  'GET /api/logs key_id': { of: '/api/keys', send: (id) => ({ query: `key_id=${id}` }) },
}

const deliveries = new WeakMap<object, Record<string, string>>()

/** Nobody is written to: these hubs have no mail server. */
const mailTo = (to: string) => ({ name: `bravo-${Math.random()}`, type: 'email', parameters: { to: [to] } })

const manifestOf = () => ({ name: `alpha-${String(Math.random()).slice(2, 12)}`, host: '127.0.0.1', port: 9 })

/** Bodies that pass a route's own rules, where `{}` does not. */
export const bodies: Record<string, object> = {
  'PUT /api/conversation-settings/keys/{id}': { messages: true },
  'PUT /api/conversation-settings/tenants/{id}': { messages: true },
  'POST /api/incidents/{id}/actions': { action: 'key_throttle' },
  'POST /api/incidents/{id}/reopen': { reason: 'it is not over' },
  'POST /api/incidents/{id}/pause': { reason: 'it waits' },
  'POST /api/incidents/{id}/notes': { text: 'a word' },
  'POST /api/incidents/{id}/severity': { severity: 'P1', reason: 'it is worse' },
  'POST /api/incidents/{id}/recovery': { step: 'verify' },
  'PUT /api/incidents/{id}/postmortem': { root_cause: 'a reason' },
  'PUT /api/silences/{id}': { matchers: ['a="b"'], ends_at: '2999-01-01T00:00:00Z', comment: 'c' },
}

/** Names that are the sender's to choose: the answer repeats them, whoever else has the same. */
export const ownNames = ['POST /api/registry/register instance_id']
