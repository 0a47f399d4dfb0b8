import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Json, openStage, type Stage } from './stage.ts'

let stage: Stage
let model: string
let tagged: string
const from = Date.now() - 3_600_000
const range = `start_ms=${from}&end_ms=${from + 2 * 3_600_000}`

beforeAll(async () => {
  stage = await openStage({ 'usage.max_agents': 4 })
  model = await stage.serve(await stage.upstream('openai'))
  tagged = (await stage.hub.admin('POST', '/api/keys', { name: 'tagged', tags: ['agent:tagged', 'team-a'] })).key
})
afterAll(() => stage?.close())

const get = (path: string): Promise<Json> => stage.hub.admin('GET', path)

/** Registers a plugin service and returns the token it calls with. */
async function register(name: string): Promise<string> {
  const { token } = await stage.hub.admin('POST', '/api/registry/tokens', { service: name, allowed_models: [model] })
  const response = await fetch(`${stage.hub.url}/api/registry/register`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, host: '127.0.0.1', port: 9 }),
  })
  return ((await response.json()) as Json).service_token
}

test('header, metadata, tag of the key and plugin service say on whose behalf a call is made, in this order', async () => {
  const crawler = await register('crawler')
  const metadata = { agent: 'from metadata' }
  await stage.ask({ model, metadata }, { headers: { 'x-gatehouse-agent': 'from header' }, apiKey: tagged })
  await stage.ask({ model, metadata }, { headers: { 'x-agent-id': 'from-id' }, apiKey: crawler })
  await stage.ask({ model, metadata }, { apiKey: tagged })
  await stage.ask({ model, input: 'hi', metadata, messages: undefined }, { path: '/v1/responses' })
  await stage.ask({ model }, { apiKey: tagged })
  await stage.ask({ model }, { apiKey: crawler })
  await stage.ask({ model })
  const rows = (await stage.hub.logs()).toReversed()
  expect(rows.map(({ agent, service }: Json) => [agent, service])).toEqual([
    ['from header', ''],
    ['from-id', 'crawler'],
    ['from metadata', ''],
    ['from metadata', ''],
    ['tagged', ''],
    ['crawler', 'crawler'],
    ['', ''],
  ])
})

test('the tags of a key are in the rows and reports of its calls', async () => {
  const rows = await stage.hub.logs('&agent=tagged')
  expect(rows).toMatchObject([{ tags: ['agent:tagged', 'team-a'] }])
  const { data } = await get(`/api/stats/top?${range}&by=tag&metric=reqs&tag=team-a`)
  expect(data).toMatchObject([{ tag: 'team-a', reqs: 3 }])
})

test('agents and plugin services are filters and dimensions, in logs and in reports alike', async () => {
  expect(await stage.hub.logs('&service=crawler')).toHaveLength(2)
  expect(await stage.hub.logs('&agent=from%20metadata')).toHaveLength(2)
  const byService = await get(`/api/stats/top?${range}&by=service&metric=reqs`)
  expect(byService.data).toMatchObject([
    { service_name: '', reqs: 5 },
    { service_name: 'crawler', reqs: 2 },
  ])
  const byAgent = await get(`/api/stats/top?${range}&by=agent&metric=reqs&service=crawler`)
  expect(byAgent.data.map(({ agent_name }: Json) => agent_name)).toEqual(['crawler', 'from-id'])
  expect((await get(`/api/stats/kpi?${range}&service=crawler`)).data.reqs).toBe(2)
})

test('a caller that makes up agents fills neither the sums nor the metrics', async () => {
  for (let call = 0; call < 6; call++) await stage.ask({ model }, { headers: { 'x-agent-id': `bomb-${call}` } })
  await stage.hub.logs()
  const { data } = await get(`/api/stats/top?${range}&by=agent&metric=reqs`)
  const names = data.map(({ agent_name }: Json) => agent_name)
  expect(names.filter((name: string) => name.startsWith('bomb-'))).toHaveLength(1)
  expect(data).toContainEqual(expect.objectContaining({ agent_name: '(other)', reqs: 5 }))
})

test('the hub’s own tenant has one name in logs and in reports', async () => {
  expect((await stage.hub.logs())[0]).toMatchObject({ tenant_id: 'hub' })
  expect((await get(`/api/stats/top?${range}&by=tenant&metric=reqs`)).data).toMatchObject([{ tenant_id: 'hub' }])
})
