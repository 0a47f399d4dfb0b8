import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUpstreams } from '../../platform/fetch.ts'
import { silentLog } from '../../platform/testing.ts'
import { word } from '../delivery/templates/index.ts'
import { makeAlert, makeNotification, nasty } from '../testing.ts'
import { type Channel, isPage, type Message, type SendContext, toOutcome } from './channel.ts'
import { signDingtalk } from './dingtalk.ts'
import { signFeishu } from './feishu.ts'
import { channels } from './index.ts'
import { parametersFor, startVendors, type VendorServer } from './testing-vendors.ts'

let server: VendorServer
const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 1000, log: silentLog })
beforeAll(async () => {
  server = await startVendors()
})
afterAll(async () => {
  await way.close(0)
  await server.close()
})

const byHttp = channels.filter(({ type }) => type !== 'email')

function read(channel: Channel, changes: object = {}): Record<string, unknown> {
  return channel.parameters.parse({
    ...parametersFor(channel.type, server?.url ?? 'http://127.0.0.1:9'),
    ...changes,
  }) as Record<string, unknown>
}

function messageOf(changes: Parameters<typeof makeNotification>[0] = {}, language: 'en' | 'zh' = 'zh'): Message {
  const wording = { language, zone: 'Asia/Shanghai', titleTemplate: '', bodyTemplate: '' }
  return word(makeNotification(changes), wording, { url: 'https://hub.example.com/alerts' }).message
}

async function send(channel: Channel, message: Message, changes: object = {}, context: Partial<SendContext> = {}) {
  const parameters = read(channel, changes)
  const written = channel.write(message, parameters)
  const outcome = await channel
    .send(written, message, parameters, {
      ...{ way, now: Date.now(), timeoutMs: 2000, reached: new Set<string>(), thread: '', attempt: 1 },
      ...{ mayHaveArrived: false, reach: async () => {} },
      mailer: { isConfigured: false, send: async () => ({ rejected: [], response: '' }) },
      ...context,
    })
    .catch(toOutcome)
  return { outcome, written, got: server.received.at(-1)! }
}

describe('signatures are the golden ones', () => {
  test('DingTalk', () => {
    const sign = signDingtalk(1_700_000_000_000, 'SECtest')
    expect(sign).toBe('aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g=')
    expect(new URLSearchParams({ sign }).toString()).toBe('sign=aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D')
  })
  test('Feishu', () => {
    expect(signFeishu(1_700_000_000, 'test')).toBe('eSJQnOl8XqPTMPHWz9e5IzeHS/tqoc68g2967ekIPmg=')
  })
})

describe.each(byHttp.map((channel) => [channel.type, channel] as const))('%s', (type, channel) => {
  const hasText = type !== 'twilio_call'

  test('its vendor takes what it writes: signature, size and format', async () => {
    const { outcome, got } = await send(channel, messageOf())
    expect(outcome).toMatchObject({ isDelivered: true, reason: '' })
    expect(got).toMatchObject({ vendor: type, fault: '' })
    expect(got.headers['user-agent']).toBe('gatehouse-alerts')
  })

  test('every message holds its trace, title and severity', async () => {
    const message = messageOf()
    const { written } = await send(channel, message)
    if (hasText) expect(written.text).toContain(message.traceId)
    expect(decodeURIComponent(written.body)).toContain('DatabaseDown')
  })

  test('ten thousand alerts fit, and what was cut is counted and said', async () => {
    const alerts = Array.from({ length: 10_000 }, (_, i) => makeAlert({ labels: { instance: `db-${i} 数据库` } }))
    const { outcome, written, got } = await send(channel, messageOf({ alerts }))
    expect([outcome.reason, got.fault]).toEqual(['', ''])
    if (type === 'webhook') {
      const body = JSON.parse(written.body)
      expect(body.alerts.length + body.truncatedAlerts).toBe(10_000)
    } else if (hasText && !written.cut.isTextCut)
      expect(written.text).toMatch(new RegExp(`另有 ${written.cut.alerts} 条`))
    expect(written.cut.alerts).toBeGreaterThan(0)
  })

  test('one alert that alone is too long is cut between characters', async () => {
    const long = '👩‍👩‍👧‍👦数据é'.repeat(60_000)
    const { outcome, written, got } = await send(
      channel,
      messageOf({ alerts: [makeAlert({ annotations: { summary: long } })] }),
    )
    expect([outcome.reason, got.fault]).toEqual(['', ''])
    expect(written.text.isWellFormed()).toBe(true)
    expect(got.body).not.toContain('\uFFFD')
    if (type !== 'webhook' && type !== 'twilio_call') expect(written.cut.isTextCut).toBe(true)
  })

  test('what an alert says is text: it calls nobody, links nowhere and ends no string', async () => {
    const annotations = { summary: nasty, description: `${nasty}\n# heading\n- item` }
    const { outcome, got, written } = await send(
      channel,
      messageOf({ alerts: [makeAlert({ name: nasty, annotations })] }),
    )
    expect([outcome.reason, got.fault]).toEqual(['', ''])
    if (['dingtalk', 'wecom', 'discord', 'teams', 'feishu'].includes(type)) {
      expect(written.text).not.toMatch(/\]\(javascript:/)
    }
    if (['wecom', 'slack', 'feishu', 'telegram'].includes(type)) expect(written.text).not.toMatch(/<(@|!|at )/)
  })

  test('a page of a captive portal is no success', async () => {
    server.next.push((_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><html>Log in</html>'),
    )
    const { outcome } = await send(channel, messageOf())
    expect(outcome).toMatchObject({ isDelivered: false, mayRepeat: true, reason: 'answer', status: 200 })
    expect(outcome.message).toContain('portal')
  })

  test('429 is heard with its Retry-After, 500 may be repeated, 401 and a redirect may not be believed', async () => {
    const answer = (status: number, headers: Record<string, string>) =>
      server.next.push((_, response) => response.writeHead(status, headers).end('{}'))
    answer(429, { 'retry-after': '7' })
    expect((await send(channel, messageOf())).outcome).toMatchObject({
      reason: 'limited',
      mayRepeat: true,
      retryAfterMs: 7000,
    })
    answer(503, {})
    expect((await send(channel, messageOf())).outcome).toMatchObject({ reason: 'status', mayRepeat: true, status: 503 })
    answer(401, {})
    expect((await send(channel, messageOf())).outcome).toMatchObject({ reason: 'credentials', mayRepeat: false })
    const before = server.received.length
    answer(302, { location: `${server.url}/${type}` })
    expect((await send(channel, messageOf())).outcome).toMatchObject({ reason: 'redirect', isDelivered: false })
    expect(server.received.length).toBe(before + 1)
  })

  test('its settings say in two languages what they are, for forms', () => {
    const { shape } = channel.parameters as unknown as {
      shape: Record<string, { description?: string; meta(): { zh?: string } }>
    }
    const silent = Object.entries(shape).filter(([, field]) => !field.description || !field.meta()?.zh)
    expect(silent.map(([name]) => name)).toEqual([])
    expect(channel.secrets.filter((name) => !(name in shape))).toEqual([])
    expect(Object.values(channel.describe).every((text) => text !== '')).toBe(true)
  })
})

describe("9: the ancestor took any 200 for delivered: the body's own word counts", () => {
  test.each([
    ['dingtalk', { errcode: 310000, errmsg: 'sign not match' }, 'credentials', false, '310000'],
    ['dingtalk', { errcode: 130101, errmsg: 'send too fast' }, 'limited', true, '130101'],
    ['dingtalk', { errcode: -1, errmsg: 'system busy' }, 'refused', true, '-1'],
    ['dingtalk', {}, 'refused', true, ''],
    ['feishu', { code: 19024, msg: 'Key Words Not Found' }, 'refused', false, '19024'],
    ['feishu', { code: 11232, msg: 'frequency limited' }, 'limited', true, '11232'],
    ['feishu', { StatusCode: 0, StatusMessage: 'success' }, '', false, '0'],
    ['feishu', { hello: 'world' }, 'answer', true, ''],
    ['wecom', { errcode: 93000, errmsg: 'invalid webhook url' }, 'credentials', false, '93000'],
    ['wecom', { errcode: 45009, errmsg: 'api freq out of limit' }, 'limited', true, '45009'],
    ['telegram', { ok: false, error_code: 400, description: 'chat not found' }, 'refused', false, '400'],
    ['discord', { message: 'hm' }, 'answer', true, ''],
    ['pagerduty', { status: 'invalid event', message: 'bad' }, 'refused', false, 'invalid event'],
    ['gateway', { code: '1001', msg: 'no balance' }, 'refused', true, '1001'],
    ['twilio_sms', { sid: 'SM1', status: 'failed', error_code: 30007 }, 'refused', true, '30007'],
    ['ticket', { nothing: true }, 'answer', false, ''],
  ])('%s says %j', async (type, body, reason, mayRepeat, code) => {
    const channel = channels.find((each) => each.type === type)!
    server.next.push((_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    )
    const { outcome } = await send(channel, messageOf())
    expect(outcome).toMatchObject({ isDelivered: reason === '', reason, mayRepeat, code })
  })

  test.each([
    ['no_service', 404, 'gone'],
    ['invalid_payload', 400, 'status'],
    ['fine', 200, 'answer'],
  ])('Slack says %s', async (body, status, reason) => {
    server.next.push((_, response) => response.writeHead(status).end(body))
    const { outcome } = await send(channels.find(({ type }) => type === 'slack')!, messageOf())
    expect(outcome).toMatchObject({ isDelivered: false, reason })
  })

  test.each([
    ['telegram', { ok: false, error_code: 429, parameters: { retry_after: 35 } }, 35_000],
    ['discord', { message: 'You are being rate limited.', retry_after: 1.25 }, 1250],
  ])('%s tells in its body how long to wait', async (type, body, retryAfterMs) => {
    server.next.push((_, response) => response.writeHead(429).end(JSON.stringify(body)))
    const { outcome } = await send(channels.find((each) => each.type === type)!, messageOf())
    expect(outcome).toMatchObject({ reason: 'limited', retryAfterMs })
  })
})

describe('what a channel does besides', () => {
  const of = (type: string) => channels.find((each) => each.type === type)!
  const over = () => messageOf({ alerts: [makeAlert({ endsAt: Date.UTC(2026, 0, 1, 2, 5) })] })

  test('WeCom counts bytes of UTF-8, in both formats', async () => {
    const alerts = Array.from({ length: 200 }, (_, i) => makeAlert({ labels: { instance: `数据库实例${i}` } }))
    for (const [format, most] of [
      ['markdown', 4096],
      ['text', 2048],
    ] as const) {
      const { got } = await send(of('wecom'), messageOf({ alerts }), { format })
      const body = JSON.parse(got.body)
      const { content } = body[format]
      expect(Buffer.byteLength(content)).toBeLessThanOrEqual(most)
      expect(Buffer.byteLength(content)).toBeGreaterThan(most * 0.7)
      expect(content.length).toBeLessThan(Buffer.byteLength(content))
    }
  })

  test('everybody is called when something critical begins, and for nothing else', async () => {
    const called = async (message: Message) => {
      const bodies = await Promise.all(
        ['dingtalk', 'feishu', 'wecom', 'slack', 'discord'].map(
          async (type) => of(type).write(message, read(of(type), { mention_all: true })).body,
        ),
      )
      return bodies.map((body) => /"isAtAll":true|<at id=all>|<@all>|<!channel>|"content":"@everyone/.test(body))
    }
    expect(await called(messageOf())).toEqual([true, true, true, true, true])
    expect(await called(messageOf({ alerts: [makeAlert({ severity: 'warning' })] }))).toEqual([
      false,
      false,
      false,
      false,
      false,
    ])
    expect(await called(over())).toEqual([false, false, false, false, false])
  })

  test('PagerDuty triggers, acknowledges and resolves the same incident', async () => {
    const bodies = [messageOf(), { ...messageOf(), action: 'acknowledge' as const }, over()].map((message) =>
      JSON.parse(of('pagerduty').write(message, read(of('pagerduty'))).body),
    )
    expect(bodies.map((each) => each.event_action)).toEqual(['trigger', 'acknowledge', 'resolve'])
    expect(new Set(bodies.map((each) => each.dedup_key)).size).toBe(1)
    expect(bodies[0].dedup_key).toMatch(/^[0-9a-f]{64}$/)
    for (const [severity, theirs] of [
      ['critical', 'critical'],
      ['high', 'error'],
      ['warning', 'warning'],
      ['info', 'info'],
    ] as const) {
      const body = of('pagerduty').write(messageOf({ alerts: [makeAlert({ severity })] }), read(of('pagerduty'))).body
      expect(JSON.parse(body).payload.severity).toBe(theirs)
    }
  })

  test('a ticket is opened once, told news, and closed', async () => {
    for (const [type, thread, paths] of [
      ['ticket', '4711', ['/ticket/tickets', '/ticket/tickets/4711/comments', '/ticket/tickets/4711/close']],
      ['jira', 'OPS-7', ['/issue', '/OPS-7/comment', '/OPS-7/transitions']],
    ] as const) {
      const made = await send(of(type), messageOf())
      expect(made.outcome).toMatchObject({ isDelivered: true, thread })
      expect(made.got.path).toContain(paths[0])
      const told = await send(of(type), messageOf({ reason: 'repeat' }), {}, { thread })
      expect(told.outcome.isDelivered).toBe(true)
      expect(told.outcome.thread).toBeUndefined()
      expect(told.got).toMatchObject({ fault: '', path: expect.stringContaining(paths[1]) })
      const closed = await send(of(type), over(), {}, { thread })
      expect(closed.outcome).toMatchObject({ isDelivered: true, thread: null })
      expect(closed.got).toMatchObject({ fault: '', path: expect.stringContaining(paths[2]) })
      const before = server.received.length
      expect((await send(of(type), over())).outcome).toMatchObject({ isDelivered: true, thread: null })
      expect(server.received.length).toBe(before)
    }
  })

  test('an issue that may have been made before is looked for, in the cloud and on a server, and not made twice', async () => {
    const answers = (status: number, body: object) =>
      server.next.push((_, response) => response.writeHead(status).end(JSON.stringify(body)))
    const message = messageOf()
    answers(404, {})
    answers(200, { issues: [{ key: 'OPS-9' }] })
    const from = server.received.length
    const found = await send(of('jira'), message, {}, { mayHaveArrived: true })
    expect(found.outcome).toMatchObject({ isDelivered: true, thread: 'OPS-9' })
    const asked = server.received.slice(from)
    expect(asked.map(({ method, path }) => [method, path.replace(/\?.*/, '')])).toEqual([
      ['GET', '/jira/rest/api/2/search/jql'],
      ['GET', '/jira/rest/api/2/search'],
    ])
    answers(200, { issues: [] })
    const made = await send(of('jira'), message, {}, { mayHaveArrived: true })
    expect(made.outcome).toMatchObject({ isDelivered: true, thread: 'OPS-7' })
    const { labels } = JSON.parse(made.got.body).fields
    expect(labels).toContain(`gatehouse-${message.key.slice(0, 16)}`)
  })

  test('a ticket that somebody deleted is opened anew', async () => {
    server.next.push((_, response) => response.writeHead(404).end('{}'))
    const { outcome } = await send(of('jira'), messageOf(), {}, { thread: 'OPS-7' })
    expect(outcome).toMatchObject({ isDelivered: false, mayRepeat: true, thread: null })
  })

  test('of several numbers each is asked once: whose phone rang is told, and left out afterwards', async () => {
    const to = ['+8613800000000', '+15005550001', '+8613900000000']
    const { outcome } = await send(of('twilio_sms'), messageOf(), { to })
    expect(outcome).toMatchObject({ isDelivered: false, mayRepeat: false, code: '21211', reached: [to[0], to[2]] })
    const before = server.received.length
    const again = await send(of('twilio_sms'), messageOf(), { to }, { reached: new Set([to[0]!, to[1]!]) })
    expect(again.outcome).toMatchObject({ isDelivered: true, reached: [to[2]] })
    expect(server.received.length).toBe(before + 1)
  })

  test('nobody is called by phone because something is over, unless that is wished', async () => {
    const before = server.received.length
    const { outcome } = await send(of('twilio_call'), over(), { call_on_resolved: false })
    expect(outcome.isDelivered).toBe(true)
    expect(server.received.length).toBe(before)
  })

  test("a webhook is Alertmanager's, with the same id at each attempt", async () => {
    const alerts = [makeAlert(), makeAlert({ labels: { instance: 'db-2' }, endsAt: Date.UTC(2026, 0, 1, 3) })]
    const message = messageOf({ alerts, truncated: 3 })
    const first = await send(of('webhook'), message)
    const second = await send(of('webhook'), message, {}, { attempt: 2 })
    expect(first.got.headers['x-hub-delivery']).toBe(message.id)
    expect(second.got.headers).toMatchObject({ 'x-hub-delivery': message.id, 'x-hub-attempt': '2' })
    expect(second.got.body).toBe(first.got.body)
    expect(JSON.parse(first.got.body)).toMatchObject({
      ...{ version: '4', status: 'firing', notification_reason: 'first notification', truncatedAlerts: 3 },
      commonLabels: { alertname: 'DatabaseDown', severity: 'critical' },
      alerts: [
        { status: 'firing', endsAt: '0001-01-01T00:00:00Z' },
        { status: 'resolved', endsAt: '2026-01-01T03:00:00.000Z' },
      ],
    })
    expect(first.got.headers.traceparent).toMatch(new RegExp(`^00-${message.traceId}-[0-9a-f]{16}-01$`))
  })

  test('a ticket system is never reached at a host that an alert names', () => {
    const wish = {
      ...parametersFor('ticket', 'http://tickets.example.com'),
      update_url: 'https://{{title}}.example.com/x',
    }
    expect(of('ticket').parameters.safeParse(wish).success).toBe(false)
  })

  test('a body for a gateway names only what there is', () => {
    const wish = { ...parametersFor('gateway', 'http://sms.example.com'), body: { text: '{{txt}}' } }
    expect(of('gateway').parameters.safeParse(wish).error?.issues[0]?.message).toContain('there is no txt')
  })

  test('a web page is known whatever it begins with', () => {
    for (const text of ['<html>', '  <!DOCTYPE html>', '\uFEFF<!doctype html>'])
      expect(isPage(Buffer.from(text))).toBe(true)
    for (const text of ['ok', '{}', '']) expect(isPage(Buffer.from(text))).toBe(false)
  })
})
