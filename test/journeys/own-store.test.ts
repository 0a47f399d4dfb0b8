import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type Service, startPostgres } from '../harness/services.ts'

type Message = {
  status: string
  externalURL: string
  alerts: { labels: Record<string, string>; annotations: Record<string, string> }[]
}

const publicUrl = 'https://hub.example'
const slow = { limitMs: 90_000 }
let store: Service
let recorder: Server
let hub: TestHub
const received: { path: string; body: Message }[] = []
/** What a machine with too much to do says of itself is another matter. */
const isOurs = (text: string) => !/event_loop|hub: workers|hub: disk/.test(text)
const at = (path: string) =>
  received.filter((each) => each.path === path && isOurs(JSON.stringify(each.body))).map(({ body }) => body)

beforeAll(async () => {
  store = await startPostgres()
  recorder = createServer((request, response) => {
    let raw = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      raw += text
    })
    request.on('end', () => {
      received.push({ path: request.url!, body: JSON.parse(raw) })
      response.end('ok')
    })
  })
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve))
  hub = await startHub({
    settings: {
      ...{ 'database.url': store.url, 'server.public_url': publicUrl, 'incidents.urgent_channels': ['pager'] },
      ...{ 'incidents.reconcile_seconds': 1, 'incidents.quiet_minutes': 0.02, 'incidents.page_wait_seconds': 15 },
    },
  })
}, 120_000)
afterAll(async () => {
  await store.start()
  await hub.stop()
  recorder.close()
  await store.destroy()
}, 120_000)

/** A channel to the recorder, by its own path. */
async function makeChannel(name: string): Promise<string> {
  const parameters = { url: `http://127.0.0.1:${(recorder.address() as AddressInfo).port}/${name}` }
  return (await hub.admin('POST', '/api/channels', { name, type: 'webhook', language: 'en', parameters })).id
}

test('the hub’s own PostgreSQL stops: one page with what is hidden behind it, acknowledged by its link; it starts: resolved, and a report', async () => {
  const chat = await makeChannel('chat')
  await makeChannel('pager')
  await hub.admin('POST', '/api/receivers', { name: 'default', targets: [{ channel_id: chat }] })
  const quick = { interval_seconds: 5, retry_interval_seconds: 1, failures: 1, successes: 1, timeout_seconds: 2 }
  const checks = async () => (await hub.admin('GET', '/api/checks?limit=200')).data
  const parent = (await checks()).find(({ name }: { name: string }) => name === 'hub: database')
  await hub.admin('PATCH', `/api/checks/${parent.id}`, { interval_seconds: 5, retry_interval_seconds: 1, failures: 1 })
  const address = new URL(store.url)
  const parameters = {
    ...{ host: address.hostname, port: Number(address.port), user: 'gatehouse', password: 'gatehouse' },
    ...{ database: 'postgres', tls: false },
  }
  for (const name of ['orders shop', 'orders search']) {
    const wish = { name, type: 'postgres', parameters, level: 'business', depends_on: [parent.id], ...quick }
    await hub.admin('POST', '/api/checks', wish)
  }
  const areUp = async () =>
    (await checks()).filter(
      ({ name, state }: { name: string; state: string }) => /^orders|^hub: database/.test(name) && state === 'up',
    ).length === 3
  await until('all are up', areUp, slow)

  await store.stop()
  const about = (status: string) =>
    at('/chat').filter(
      (each) => each.status === status && each.alerts.some(({ labels }) => labels.check === 'hub: database'),
    )
  await until('somebody is told', () => about('firing').length > 0, slow)
  await until('somebody is paged', () => at('/pager').length > 0, slow)
  const [page] = at('/pager')
  expect(page!.alerts[0]!.labels.alertname).toMatch(/^\[P1\] HELD-\S+ .*database/)
  expect(page!.alerts[0]!.annotations.description).toMatch(/Hidden behind it \(3\)/)
  for (const name of ['orders shop', 'orders search', 'hub: database']) {
    expect(page!.alerts[0]!.annotations.description).toContain(`CheckDown ${name}`)
  }

  // The store is away: who has it says so by the link, and that is kept.
  const link = new URL(page!.externalURL.replace(publicUrl, hub.url))
  expect(await (await fetch(link)).text()).toContain('Do you have it?')
  const post = (token: string) =>
    fetch(new URL(link.pathname, link), {
      ...{ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      body: new URLSearchParams({ token }),
    })
  const token = link.searchParams.get('token')!
  expect((await post(`${token}x`)).status).toBe(400)
  const answer = await post(token)
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('kept on the disk of the hub')])

  await store.start()
  await until('the end is told', () => about('resolved').length > 0, slow)
  const incidents = async () =>
    (await hub.admin('GET', '/api/incidents').catch(() => ({ data: [] }))).data.filter(({ title }: { title: string }) =>
      isOurs(title),
    )
  await until('it is resolved', async () => (await incidents())[0]?.state === 'resolved', slow)
  await until('whoever was paged is told of the end', () => at('/pager').length === 2, slow)
  const [incident, ...others] = await incidents()
  expect(others).toEqual([])
  expect(incident).toMatchObject({ severity: 'P1', origin: 'alerts', cause: { check: 'hub: database' } })
  expect(incident.id).toMatch(/^ALT-\d{4}-\d{2}-\d{2}-\d{3}$/)
  // Of each side one beginning and one end, and no message of its own for what was hidden.
  expect([about('firing').length, about('resolved').length]).toEqual([1, 1])
  expect(at('/chat').flatMap(({ alerts }) => alerts.map(({ labels }) => labels.check))).toEqual([
    'hub: database',
    'hub: database',
  ])
  expect(at('/pager')[1]!.alerts[0]!.annotations.description).toContain('It is resolved')

  const timeline = await hub.admin('GET', `/api/incidents/${incident.id}/timeline`)
  expect(timeline.chain.is_whole).toBe(true)
  const kinds = timeline.data.map(({ kind }: { kind: string }) => kind)
  expect(kinds.filter((kind: string) => kind === 'alert_explained')).toHaveLength(3)
  const order = ['opened', 'escalated', 'told', 'acknowledged', 'adopted', 'resolved']
  expect(kinds.filter((kind: string) => order.includes(kind)).slice(0, 5)).toEqual(order.slice(0, 5))
  const report = await fetch(`${hub.url}/api/incidents/${incident.id}/report?format=md&language=zh`, {
    headers: { authorization: `Bearer ${hub.adminKey}` },
  })
  const text = (await report.text()).replaceAll('\\', '')
  for (const said of [incident.id, 'P1', 'hub: database', '确认', '已通知', '解决', '数据库恢复后写入']) {
    expect(text).toContain(said)
  }
  // The link leads to the incident it became.
  const later = await (await fetch(link)).text()
  expect(later).toContain(incident.id)
}, 300_000)
