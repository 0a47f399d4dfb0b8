import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type Service, startPostgres } from '../harness/services.ts'

type Received = { path: string; headers: IncomingHttpHeaders; raw: string; body: Webhook }
type Webhook = {
  status: 'firing' | 'resolved'
  notification_reason: string
  traceId: string
  externalURL: string
  alerts: { fingerprint: string; labels: Record<string, string>; annotations: Record<string, string>; status: string }[]
  hidden: { fingerprint: string; labels: Record<string, string> }[]
}

const publicUrl = 'https://hub.example'
const secret = 'a-secret-of-the-webhook-0123456789'
let watched: Service
let store: Service
let recorder: Server
let recorderUrl: string
let received: Received[] = []
let hub: TestHub

beforeAll(async () => {
  ;[watched, store] = await Promise.all([startPostgres(), startPostgres()])
  recorder = createServer((request, response) => {
    let raw = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      raw += text
    })
    request.on('end', () => {
      received.push({ path: request.url!, headers: request.headers, raw, body: JSON.parse(raw) as Webhook })
      response.end('ok')
    })
  })
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve))
  recorderUrl = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`
}, 60_000)
afterAll(async () => {
  recorder.close()
  await Promise.all([watched.destroy(), store.destroy()])
})

beforeEach(async () => {
  received = []
  hub = await startHub({
    settings: {
      'database.url': store.url,
      'server.public_url': publicUrl,
      'alerts.route': {
        ...{ receiver: 'default', group_by: ['...'], group_wait: '6s', group_interval: '2s', repeat_interval: '4h' },
      },
      'incidents.urgent_channels': ['pager'],
      'incidents.page_wait_seconds': 12,
      ...{ 'incidents.reconcile_seconds': 1, 'incidents.quiet_minutes': 0.02 },
    },
  })
  const chat = await makeChannel('chat')
  await makeChannel('pager')
  await hub.admin('POST', '/api/receivers', { name: 'default', targets: [{ channel_id: chat }] })
}, 60_000)
afterEach(async () => {
  await Promise.all([store.start(), watched.start()])
  await hub.stop()
}, 60_000)

async function makeChannel(name: string): Promise<string> {
  const parameters = { url: `${recorderUrl}/${name}`, secret }
  return (await hub.admin('POST', '/api/channels', { name, type: 'webhook', language: 'en', parameters })).id
}

/** A machine with too much to do says so of itself, in alerts and incidents that are not meant here. */
const isOurs = (text: string) => /orders/.test(text)
const at = (path: string) => received.filter((each) => each.path === path && isOurs(each.raw))
const incidents = async () =>
  (await hub.admin('GET', '/api/incidents')).data.filter(({ title }: { title: string }) => isOurs(title))
/** Some seconds where there is time; on a machine with twenty times as much to do as it can, as long as it takes. */
const patient = { limitMs: 90_000 }
const quick = { interval_seconds: 5, retry_interval_seconds: 1, failures: 1, successes: 1, timeout_seconds: 2 }

describe('from a symptom to a closed incident', () => {
  test('PostgreSQL stops: one message with what is hidden behind it, one page, acknowledged by its link; it starts: resolved, and a report', async () => {
    const address = new URL(watched.url)
    const parameters = {
      ...{ host: address.hostname, port: Number(address.port), user: 'gatehouse', password: 'gatehouse' },
      ...{ database: 'postgres', tls: false },
    }
    const check = (wish: object) =>
      hub.admin('POST', '/api/checks', { type: 'postgres', parameters, level: 'business', ...quick, ...wish })
    const parent = await check({ name: 'orders database' })
    await check({ name: 'orders shop', depends_on: [parent.id] })
    const isUp = async () =>
      (await hub.admin('GET', '/api/checks?limit=200')).data.filter(
        ({ name, state }: { name: string; state: string }) => name.startsWith('orders') && state === 'up',
      ).length === 2
    await until('both are up', isUp, patient)

    await watched.stop()
    await until('somebody is told', () => at('/chat').length > 0, patient)
    await until('somebody is paged', () => at('/pager').length > 0, patient)
    const [message] = at('/chat')
    expect(message!.body).toMatchObject({ status: 'firing', notification_reason: 'first notification' })
    expect(message!.body.alerts.map(({ labels }) => labels.check)).toEqual(['orders database'])
    expect(message!.body.hidden.map(({ labels }) => labels.check)).toEqual(['orders shop'])
    for (const { headers, raw } of received.filter((each) => isOurs(each.raw))) {
      const signed = createHmac('sha256', secret).update(`${headers['x-hub-timestamp']}.${raw}`).digest('hex')
      expect(headers['x-hub-signature']).toBe(`v1=${signed}`)
    }

    const [opened] = await incidents()
    expect((await incidents()).map(({ title }: { title: string }) => title)).toEqual([
      expect.stringContaining('orders database'),
    ])
    expect(opened).toMatchObject({ severity: 'P1', state: 'open', origin: 'alerts' })
    expect(opened.id).toMatch(/^ALT-\d{4}-\d{2}-\d{2}-\d{3}$/)
    const [page] = at('/pager')
    expect(page!.body.alerts[0]!.labels.alertname).toContain(`[P1] ${opened.id}`)
    expect(page!.body.alerts[0]!.annotations.description).toContain('orders shop')

    expect(page!.body.externalURL).toMatch(`${publicUrl}/api/incidents/${opened.id}/acknowledge?token=`)
    const link = new URL(page!.body.externalURL.replace(publicUrl, hub.url))
    const asked = await (await fetch(link)).text()
    expect(asked).toContain('Do you have it?')
    expect((await incidents())[0].state).toBe('open')
    const post = (token: string) =>
      fetch(new URL(link.pathname, link), {
        ...{ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
        body: new URLSearchParams({ token }),
      })
    expect((await post(`${link.searchParams.get('token')}x`)).status).toBe(400)
    expect((await incidents())[0].state).toBe('open')
    expect((await post(link.searchParams.get('token')!)).status).toBe(200)
    expect((await incidents())[0]).toMatchObject({ id: opened.id, state: 'acknowledged' })

    await watched.start()
    await until('the end is told', () => at('/chat').some(({ body }) => body.status === 'resolved'), patient)
    await until('the incident is resolved', async () => (await incidents())[0].state === 'resolved', patient)
    await until('whoever was paged is told of the end', () => at('/pager').length === 2, patient)
    // Of each side one beginning and one end, and nothing of the child.
    expect(at('/chat').map(({ body }) => body.status)).toEqual(['firing', 'resolved'])
    expect(at('/chat').flatMap(({ body }) => body.alerts.map(({ labels }) => labels.check))).toEqual([
      'orders database',
      'orders database',
    ])

    const detail = await hub.admin('GET', `/api/incidents/${opened.id}`)
    expect(detail.alerts).toHaveLength(2)
    const timeline = await hub.admin('GET', `/api/incidents/${opened.id}/timeline`)
    expect(timeline.chain.is_whole).toBe(true)
    expect(timeline.data.map(({ kind }: { kind: string }) => kind)).toEqual(
      expect.arrayContaining(['opened', 'alert', 'alert_explained', 'told', 'acknowledged', 'alert_ended', 'resolved']),
    )
    const report = async (format: string) =>
      (
        await fetch(`${hub.url}/api/incidents/${opened.id}/report?format=${format}&language=en`, {
          headers: { authorization: `Bearer ${hub.adminKey}` },
        })
      ).text()
    for (const format of ['md', 'html']) {
      const text = await report(format)
      for (const told of [opened.id, 'orders database', 'P1']) expect(text.replaceAll('\\', '')).toContain(told)
    }
    expect(JSON.stringify(JSON.parse(await report('json')))).toContain(opened.id)

    const fingerprint = message!.body.alerts[0]!.fingerprint
    const told = (await hub.admin('GET', `/api/deliveries?alert=${fingerprint}`)).data
    expect(told.map(({ notify_reason, state }: Record<string, string>) => [notify_reason, state])).toEqual([
      ['all_resolved', 'delivered'],
      ['escalation', 'delivered'],
      ['first', 'delivered'],
    ])
    for (const { attempts } of told) expect(attempts).toMatchObject([{ outcome: 'delivered', http_status: 200 }])
    expect(told[2].trace_id).toBe(message!.body.traceId)
    expect(message!.headers.traceparent).toContain(message!.body.traceId)
    const child = message!.body.hidden[0]!.fingerprint
    const held = (await hub.admin('GET', `/api/deliveries?alert=${child}&state=suppressed`)).data
    expect(held.at(-1)).toMatchObject({ suppressed_by: 'inhibition', suppressed_by_id: fingerprint })
  }, 400_000)
})
