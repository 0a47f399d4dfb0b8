import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHub, type TestHub } from '../harness/hub.ts'
import type { Json } from './stage.ts'

let hub: TestHub
beforeAll(async () => {
  hub = await startHub()
})
afterAll(() => hub?.stop())

async function send(method: string, path: string, credential: string, body: object): Promise<Json> {
  const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' }
  const response = await fetch(hub.url + path, { method, headers, body: JSON.stringify(body) })
  return { ...((await response.json()) as object), status: response.status }
}

test('the audit log names the plugin service, or the registration token, that changed something', async () => {
  const { token, id } = await hub.admin('POST', '/api/registry/tokens', { service: 'crawler' })
  const made = await send('POST', '/api/registry/register', token, { name: 'crawler', host: '127.0.0.1', port: 9 })
  expect(made.status).toBe(201)
  const own = made.service_token
  expect((await send('PUT', '/api/registry/services/crawler', own, { description: 'reads' })).status).toBe(200)
  const refused = await send('PUT', '/api/registry/services/crawler', own, { is_active: false })
  expect(refused.status).toBe(403)
  expect((await send('POST', '/api/registry/deregister/crawler', own, {})).status).toBe(200)
  expect((await send('POST', '/api/registry/register', 'grt_invented', { name: 'x', host: 'h', port: 9 })).status).toBe(
    401,
  )

  const { data } = await hub.admin('GET', '/api/audit?limit=50')
  const told = data
    .filter(({ action }: Json) => action.startsWith('registry.') && !action.startsWith('registry.tokens'))
    .map(({ action, actor, status }: Json) => [action, status, actor.kind, actor.name])
    .toReversed()
  const keys = await hub.admin('GET', '/api/keys?kind=service')
  expect(told).toEqual([
    ['registry.register.create', 201, 'registration_token', 'crawler'],
    ['registry.services.replace', 200, 'service', 'crawler'],
    ['registry.services.replace', 403, 'service', 'crawler'],
    ['registry.deregister', 200, 'service', 'crawler'],
    ['registry.register.create', 401, 'anonymous', ''],
  ])
  const ids = new Set(data.map(({ actor }: Json) => actor.id))
  expect([ids.has(id), ids.has(keys.data[0].id)]).toEqual([true, true])
  expect(JSON.stringify(data)).not.toContain(token)
  expect(JSON.stringify(data)).not.toContain(own)
})
