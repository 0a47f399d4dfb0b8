import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

let hub: TestHub
let server: Server
let address: string
let isWell = true

beforeAll(async () => {
  server = createServer((_request, response) => {
    response.writeHead(isWell ? 200 : 500, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ status: isWell ? 'fine' : 'broken' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  hub = await startHub()
})
afterAll(async () => {
  await hub.stop()
  server.close()
})

const create = (wish: object) => hub.admin('POST', '/api/checks', wish)
const quick = { interval_seconds: 5, retry_interval_seconds: 1, failures: 1, successes: 1, timeout_seconds: 2 }
const stateOf = async (id: string) => (await hub.admin('GET', `/api/checks/${id}`)).state

test('a hub begins with its own parts on four levels, and with the services of seed 004 waiting for their addresses', async () => {
  const { data } = await hub.admin('GET', '/api/checks?limit=200')
  const first = data.filter(({ type, enabled }: { type: string; enabled: boolean }) => type === 'hub' || !enabled)
  const told = first.map((each: Record<string, unknown>) => [
    each.name,
    each.level,
    each.enabled,
    each.interval_seconds,
  ])
  expect(told.sort()).toEqual(
    [
      ['Backend', 'service', false, 30],
      ['Frontend', 'service', false, 30],
      ['MySQL', 'application', false, 30],
      ['Redis', 'application', false, 30],
      ['hub: ai_service', 'business', true, 30],
      ['hub: database', 'application', true, 30],
      ['hub: disk', 'container', true, 30],
      ['hub: event_loop', 'container', true, 30],
      ['hub: ledger', 'business', true, 30],
      ['hub: redis', 'application', true, 30],
      ['hub: workers', 'container', true, 30],
    ].sort(),
  )
  await until('the hub has looked at its store', async () => {
    const found = (await hub.admin('GET', '/api/checks?limit=200')).data
    return found.some((each: { name: string; state: string }) => each.name === 'hub: database' && each.state === 'up')
  })
})

test('a check goes down, says why and for how long, comes back, and its history tells all of it', async () => {
  isWell = true
  const { id } = await create({
    name: 'shop',
    type: 'http',
    parameters: { url: `${address}/health` },
    is_public: true,
    ...quick,
  })
  await until('it is up', async () => (await stateOf(id)) === 'up')
  isWell = false
  await hub.admin('POST', `/api/checks/${id}/test`, {})
  await until('it is down', async () => (await stateOf(id)) === 'down')
  const down = await hub.admin('GET', `/api/checks/${id}`)
  expect(down).toMatchObject({ reason: 'status', message: 'Answers 500, expected 2xx.', observed: { status: 500 } })
  const headers = { authorization: `Bearer ${hub.adminKey}`, accept: 'application/health+json' }
  const inDraft = await fetch(`${hub.url}/api/checks/${id}`, { headers })
  expect([inDraft.status, inDraft.headers.get('content-type')]).toEqual([
    503,
    expect.stringMatching(/^application\/health\+json/),
  ])
  expect(await inDraft.json()).toMatchObject({
    ...{ status: 'fail', version: 'v1', serviceId: 'gatehouse' },
    checks: { 'shop:responseTime': [{ componentId: id, status: 'fail', output: 'Answers 500, expected 2xx.' }] },
  })
  const all = await fetch(`${hub.url}/api/checks?limit=200`, { headers })
  expect([all.status, ((await all.json()) as { status: string }).status]).toEqual([503, 'fail'])
  isWell = true
  await until('it is up again', async () => (await stateOf(id)) === 'up')
  const said = hub.lines.map((line) => JSON.parse(line)).filter(({ check }) => check === 'shop')
  expect(said.map(({ from, to }) => [from, to])).toEqual([
    ['up', 'down'],
    ['down', 'up'],
  ])
  expect(said[1].duration_ms).toBeGreaterThan(0)
  const history = await hub.admin('GET', `/api/checks/${id}/history`)
  expect(history.results.map(({ state }: { state: string }) => state)).toEqual(expect.arrayContaining(['up', 'down']))
  expect(history.total.uptime).toBeGreaterThan(0)
  expect(history.total.uptime).toBeLessThan(1)

  const page = await fetch(`${hub.url}/status`, { headers: { 'accept-language': 'zh-CN' } })
  const text = await page.text()
  expect(page.headers.get('content-type')).toMatch(/^text\/html/)
  expect(text).toContain('shop')
  expect(text).toContain('服务状态')
  expect(text).not.toContain('127.0.0.1')
  expect(text).not.toContain('hub: database')
  const json = (await (await fetch(`${hub.url}/api/status-page`)).json()) as { checks: { name: string }[] }
  expect(json.checks.map(({ name }) => name)).toEqual(['shop'])
  const badge = await fetch(`${hub.url}/api/badge/${id}/status`)
  expect(badge.headers.get('content-type')).toMatch(/^image\/svg\+xml/)
  expect(await badge.text()).toContain('shop: ')
}, 60_000)

describe('a job that calls in', () => {
  test("is heard at Uptime Kuma's address, and told apart from nobody", async () => {
    const made = await create({ name: 'backup', type: 'push', parameters: { every_seconds: 3600 }, ...quick })
    expect(made.push_path).toMatch(/^\/api\/push\/[\w-]{32}$/)
    expect(await stateOf(made.id)).toBe('pending')
    const call = async (path: string, query: string) => {
      const answer = await fetch(`${hub.url}${path}${query}`)
      return [answer.status, await answer.json()]
    }
    expect(await call(made.push_path, '?status=up&msg=OK&ping=12')).toEqual([200, { ok: true }])
    await until('it is up', async () => (await stateOf(made.id)) === 'up')
    expect(await hub.admin('GET', `/api/checks/${made.id}`)).toMatchObject({ latency_ms: 12, message: 'OK' })
    await call(made.push_path, '?status=down&msg=disk%20full&ping=')
    await until('it is down', async () => (await stateOf(made.id)) === 'down')
    expect(await hub.admin('GET', `/api/checks/${made.id}`)).toMatchObject({ message: 'disk full', reason: 'reported' })
    expect(await call('/api/push/AAAAAAAAAAAAAAAAAAAAAAAA', '')).toEqual([
      404,
      { ok: false, msg: 'Monitor not found or not active.' },
    ])
    const { push_path: renewed } = await hub.admin('POST', `/api/checks/${made.id}/push-token`)
    expect((await call(made.push_path, ''))[0]).toBe(404)
    expect((await call(renewed, ''))[0]).toBe(200)
    expect(hub.lines.join('\n')).not.toContain(made.push_path.slice(-32))
  })
})

test('what is secret is sealed, shown masked, and stays when it is sent back as it was shown', async () => {
  const url = `${address}/health`
  const made = await create({
    ...{ name: 'secret', type: 'http', enabled: false },
    parameters: { url, request_headers: { authorization: 'Bearer hunter22' } },
  })
  expect(made.parameters.request_headers).toEqual({ authorization: '********' })
  const patched = await hub.admin('PATCH', `/api/checks/${made.id}`, {
    parameters: { ...made.parameters, body: 'fine' },
  })
  expect(patched.parameters).toMatchObject({ body: 'fine', request_headers: { authorization: '********' } })
  expect(JSON.stringify(await hub.admin('GET', '/api/checks?limit=200'))).not.toContain('hunter22')
  expect(hub.lines.join('\n')).not.toContain('hunter22')
})

test('what cannot be is refused, and each fault is named', async () => {
  const parameters = { url: 'http://user:pass@example.com/' }
  await expect(create({ name: 'x', type: 'http', parameters })).rejects.toThrow(/request_headers/)
  await expect(create({ name: 'x', type: 'telnet', parameters: {} })).rejects.toThrow(/no check type telnet/)
  await expect(create({ name: 'x', type: 'http', parameters: { url: address, body: '(' } })).rejects.toThrow(/RE2/)
  await expect(create({ name: 'shop', type: 'push', parameters: { every_seconds: 5 } })).rejects.toThrow(
    /has a check shop/,
  )
  const a = await create({ name: 'a', type: 'push', parameters: { every_seconds: 60 } })
  const b = await create({ name: 'b', type: 'push', parameters: { every_seconds: 60 }, depends_on: [a.id] })
  await expect(hub.admin('PATCH', `/api/checks/${a.id}`, { depends_on: [b.id] })).rejects.toThrow(/circle/)
})

test('paused, it is not asked; removed, it is gone with its history', async () => {
  const { id } = await create({ name: 'gone', type: 'http', parameters: { url: address }, ...quick })
  await until('it is up', async () => (await stateOf(id)) === 'up')
  expect((await hub.admin('POST', `/api/checks/${id}/pause`, {})).state).toBe('paused')
  expect((await hub.admin('POST', `/api/checks/${id}/pause`, { paused: false })).enabled).toBe(true)
  await hub.admin('DELETE', `/api/checks/${id}`)
  await expect(stateOf(id)).rejects.toThrow(/404|no check/)
})

test('the day tells what checks of providers cost', async () => {
  expect(await hub.admin('GET', '/api/check-spend')).toMatchObject({ spent_usd: '0', limit_usd: expect.any(String) })
})

test('every worker of a running hub has a heart, and all of them beat', async () => {
  expect(await (await fetch(`${hub.url}/livez`)).json()).toEqual({ status: 'alive' })
})
