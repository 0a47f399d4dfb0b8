import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { everything } from '../../kernel/scope.ts'
import { migrations } from '../../migrations/index.ts'
import { engines } from '../../platform/database/testing.ts'
import type { Notification } from '../alert.ts'
import { makeAlert, makeNotification } from '../testing.ts'
import { openNode, openVendors, shareStore, testStart } from './testing.ts'

type Answer = Awaited<ReturnType<typeof openVendors>>['next'][number]
const answer =
  (status: number, body = '{}', headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(body)

describe.each(engines())('delivery on $name', ({ open: openStore }) => {
  const open = shareStore(() => openStore(migrations))

  test('a message is in the ledger with its attempt: status, body code, hash, trace', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    await node.receiver('ops', (await node.channel('dingtalk', vendors.url)).id)
    const notification = makeNotification()
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    expect(vendors.received).toMatchObject([{ vendor: 'dingtalk', fault: '' }])
    const [row] = await node.ledger(notification.alerts[0]!.fingerprint)
    expect(row).toMatchObject({
      ...{
        notification_id: notification.id,
        receiver: 'ops',
        channel_type: 'dingtalk',
        state: 'delivered',
        reason: '',
      },
      ...{
        trace_id: notification.traceId,
        notify_reason: 'first',
        status: 'firing',
        severity: 'critical',
        cut_alerts: 0,
      },
      attempts: [{ outcome: 'delivered', reason: '', http_status: 200, body_code: '0' }],
    })
    expect(row!.rendered_hash).toMatch(/^[0-9a-f]{64}$/)
    expect(row!.attempts[0]!.rendered_hash).toBe(row!.rendered_hash)
    const { text } = await node.metrics.render()
    expect(text).toContain('gatehouse_alerts_deliveries_total{type="dingtalk",outcome="delivered"} 1')
  })

  test('what fails for a while is tried again, later each time, and told once', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open(), { config: { broken_after: 100 } })
    await node.receiver('ops', (await node.channel('webhook', vendors.url)).id)
    vendors.next.push(answer(503), answer(500), answer(502))
    const notification = makeNotification()
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    expect(vendors.received.filter(({ fault }) => fault === '')).toHaveLength(1)
    const [row] = await node.ledger()
    expect(row!.attempts.map(({ reason, http_status }) => [reason, http_status])).toEqual([
      ['status', 503],
      ['status', 500],
      ['status', 502],
      ['', 200],
    ])
    const at = row!.attempts.map(({ started_at }) => started_at)
    const gaps = at.slice(1).map((each, index) => each - at[index]!)
    expect(gaps[0]).toBeGreaterThanOrEqual(1000)
    expect(gaps[1]).toBeGreaterThanOrEqual(2000)
    expect(gaps[2]).toBeGreaterThanOrEqual(4000)
  })

  test('whoever asks to wait is not asked again before', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    await node.receiver('ops', (await node.channel('slack', vendors.url)).id)
    vendors.next.push(answer(429, 'rate_limited', { 'retry-after': '45' }))
    expect(await node.drive(node.deliver(makeNotification()))).toBe('delivered')
    const [row] = await node.ledger()
    expect(row!.attempts.map(({ reason }) => reason)).toEqual(['limited', ''])
    expect(row!.attempts[1]!.started_at - row!.attempts[0]!.started_at).toBeGreaterThanOrEqual(45_000)
    // To be asked to wait is no failure of the channel.
    expect(node.told).toEqual([])
  })

  test('a channel is broken after three failures in a row: its fallback tells, then it is tried once a message, and heals', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const second = await node.channel('feishu', vendors.url)
    const first = await node.channel('dingtalk', vendors.url, { fallback_id: second.id })
    await node.receiver('ops', first.id)
    const lies = answer(200, '{"errcode":-1,"errmsg":"system busy"}')
    vendors.next.push(lies, lies, lies)
    const one = makeNotification()
    expect(await node.drive(node.deliver(one))).toBe('delivered')
    expect(node.told).toMatchObject([{ channelId: first.id, from: 'ok', to: 'broken', type: 'dingtalk' }])
    const rows = await node.ledger(one.alerts[0]!.fingerprint)
    const mine = rows.find(({ channel_id }) => channel_id === first.id)!
    const others = rows.find(({ channel_id }) => channel_id === second.id)!
    expect(mine).toMatchObject({ state: 'failed', reason: 'fallback' })
    expect(mine.attempts).toHaveLength(3)
    expect(others).toMatchObject({ state: 'delivered', fallback_for: mine.id })

    vendors.next.push(lies)
    const two = makeNotification()
    expect(await node.drive(node.deliver(two))).toBe('delivered')
    expect(vendors.received.map(({ vendor }) => vendor)).toEqual([
      'dingtalk',
      'dingtalk',
      'dingtalk',
      'feishu',
      'dingtalk',
      'feishu',
    ])

    expect(await node.drive(node.deliver(makeNotification()))).toBe('delivered')
    expect(vendors.received.at(-1)).toMatchObject({ vendor: 'dingtalk', fault: '' })
    expect(node.told.map(({ to }) => to)).toEqual(['broken', 'ok'])
    await node.pass(500)
    expect(JSON.parse((await node.store.standings()).get(first.id)!)).toMatchObject({ failures: 0, brokenSince: 0 })
  })

  test('what cannot succeed is not repeated: the fallback is asked at once', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const second = await node.channel('wecom', vendors.url)
    const first = await node.channel('slack', vendors.url, { fallback_id: second.id })
    await node.receiver('ops', first.id)
    vendors.next.push(answer(404, 'no_service'))
    expect(await node.drive(node.deliver(makeNotification()))).toBe('delivered')
    expect(vendors.received.map(({ vendor }) => vendor)).toEqual(['slack', 'wecom'])
    expect((await node.ledger()).map(({ reason }) => reason).sort()).toEqual(['', 'gone'])
  })

  test('without a fallback it is tried until the give-up time, then failed, and the ledger says after how much', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    await node.receiver('ops', (await node.channel('webhook', vendors.url, { give_up_seconds: 60 })).id)
    for (let i = 0; i < 20; i++) vendors.next.push(answer(503))
    expect(await node.drive(node.deliver(makeNotification()))).toBe('failed')
    const [row] = await node.ledger()
    expect(row).toMatchObject({ state: 'failed', reason: 'gave_up' })
    // After 1, 2, 4, 8 and 16 seconds; the next would be too late.
    expect(row!.attempts.length).toBeGreaterThan(4)
    expect(row!.attempts.length).toBeLessThanOrEqual(6)
    expect(row!.message).toContain(`after ${row!.attempts.length} attempts`)
  })

  test('the same notification is told once: at the same time, again, and by the next process', async () => {
    const vendors = await openVendors()
    const database = await open()
    const node = await openNode(database)
    await node.receiver('ops', (await node.channel('teams', vendors.url)).id)
    const notification = makeNotification()
    const both = Promise.all([node.deliver(notification), node.deliver(notification)])
    expect(await node.drive(both)).toEqual(['delivered', 'delivered'])
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    await node.stop()
    const later = await openNode(database, { clock: createManualClock(testStart + 60_000) })
    expect(await later.drive(later.deliver(notification))).toBe('delivered')
    expect(vendors.received).toHaveLength(1)
  })

  test('asked again after a failure, only what did not arrive is sent', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const [good, bad] = [
      await node.channel('telegram', vendors.url),
      await node.channel('webhook', vendors.url, { give_up_seconds: 10 }),
    ]
    await node.receiver('ops', good.id, bad.id)
    const notification = makeNotification()
    await node.configure.patchChannel(everything, bad.id, { parameters: { url: `${vendors.url}/nowhere` } })
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    await node.configure.patchChannel(everything, bad.id, {
      parameters: { url: `${vendors.url}/webhook`, secret: 'webhook-secret' },
    })
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    expect(vendors.received.map(({ vendor }) => vendor).sort()).toEqual(['nowhere', 'telegram', 'webhook'])
  })

  test('DingTalk gets twenty a minute and no more, and everything arrives in its turn', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    await node.receiver('ops', (await node.channel('dingtalk', vendors.url)).id)
    const work = Promise.all(Array.from({ length: 45 }, () => node.deliver(makeNotification())))
    expect(new Set(await node.drive(work))).toEqual(new Set(['delivered']))
    const at = (await node.ledger())
      .flatMap(({ attempts }) => attempts.map(({ started_at }) => started_at))
      .sort((a, b) => a - b)
    expect(at).toHaveLength(45)
    for (let i = 20; i < at.length; i++) expect(at[i]! - at[i - 20]!).toBeGreaterThanOrEqual(60_000)
  })

  test('a process that begins knows what the one before it sent within the minute', async () => {
    const vendors = await openVendors()
    const database = await open()
    const node = await openNode(database)
    await node.receiver('ops', (await node.channel('wecom', vendors.url)).id)
    await node.drive(Promise.all(Array.from({ length: 20 }, () => node.deliver(makeNotification()))))
    await node.stop()
    const next = await openNode(database, { clock: createManualClock(node.clock.now() + 1000) })
    expect(await next.drive(next.deliver(makeNotification()))).toBe('delivered')
    const at = (await next.ledger()).flatMap(({ attempts }) => attempts.map(({ started_at }) => started_at))
    expect(Math.max(...at) - Math.min(...at)).toBeGreaterThanOrEqual(60_000)
  })

  test('what has no turn within its time takes the fallback at once', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const second = await node.channel('webhook', vendors.url)
    const first = await node.channel('wecom', vendors.url, { fallback_id: second.id, give_up_seconds: 30 })
    await node.receiver('ops', first.id)
    await node.drive(Promise.all(Array.from({ length: 25 }, () => node.deliver(makeNotification()))))
    const count = (vendor: string) => vendors.received.filter((each) => each.vendor === vendor).length
    expect([count('wecom'), count('webhook')]).toEqual([20, 5])
    expect((await node.ledger()).filter(({ reason }) => reason === 'queue_full')).toHaveLength(5)
  })

  test('severity and working time choose channels, and the ledger says why one was not told', async () => {
    const vendors = await openVendors()
    // A Monday, ten in the morning UTC: six in the evening in Shanghai.
    const node = await openNode(await open())
    const [phone, chat, desk] = [
      await node.channel('twilio_call', vendors.url),
      await node.channel('feishu', vendors.url),
      await node.channel('ticket', vendors.url),
    ]
    await node.receiver('ops', { channel_id: phone.id, severities: ['critical'] }, chat.id, {
      channel_id: desk.id,
      times: [{ zone: 'Asia/Shanghai', from: '09:00', to: '18:00' }],
    })
    const alert = makeAlert({ severity: 'warning' })
    expect(await node.drive(node.deliver(makeNotification({ alerts: [alert] })))).toBe('delivered')
    expect(vendors.received.map(({ vendor }) => vendor)).toEqual(['feishu'])
    const rows = await node.ledger(alert.fingerprint)
    const held = rows
      .filter(({ state }) => state === 'suppressed')
      .map(({ channel_id, suppressed_by }) => [channel_id, suppressed_by])
    expect(held.sort()).toEqual(
      [
        [phone.id, 'severity'],
        [desk.id, 'working_time'],
      ].sort(),
    )
  })

  test('an end goes wherever its beginning went, at any hour, and nowhere else', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const [desk, night] = [await node.channel('webhook', vendors.url), await node.channel('slack', vendors.url)]
    const times = [{ zone: 'UTC', from: '09:00', to: '12:00' }]
    await node.receiver(
      'ops',
      { channel_id: desk.id, times },
      { channel_id: night.id, times: [{ zone: 'UTC', from: '20:00', to: '24:00' }] },
    )
    const firing = makeAlert()
    await node.drive(node.deliver(makeNotification({ alerts: [firing] })))
    expect(vendors.received.map(({ vendor }) => vendor)).toEqual(['webhook'])
    await node.clock.leap(11 * 3_600_000)
    const over = { ...firing, endsAt: node.clock.now() }
    expect(await node.drive(node.deliver(makeNotification({ alerts: [over] })))).toBe('delivered')
    expect(vendors.received.map(({ vendor }) => vendor)).toEqual(['webhook', 'webhook'])
    expect(JSON.parse(vendors.received[1]!.body)).toMatchObject({ status: 'resolved' })
    expect(
      (await node.ledger(firing.fingerprint)).find(({ suppressed_by }) => suppressed_by === 'not_told'),
    ).toMatchObject({ channel_id: night.id })
  })

  test('who stood in hears of the end as well', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const second = await node.channel('pagerduty', vendors.url)
    const first = await node.channel('slack', vendors.url, { fallback_id: second.id })
    await node.receiver('ops', first.id)
    vendors.next.push(answer(404, 'no_service'))
    await node.drive(node.deliver(makeNotification()))
    await node.drive(node.deliver(makeNotification({ alerts: [makeAlert({ endsAt: testStart })] })))
    const events = vendors.received.filter(({ vendor }) => vendor === 'pagerduty').map(({ body }) => JSON.parse(body))
    expect(events.map(({ event_action }) => event_action)).toEqual(['trigger', 'resolve'])
    expect(events[0].dedup_key).toBe(events[1].dedup_key)
    expect(vendors.received.map(({ vendor }) => vendor)).toEqual(['slack', 'pagerduty', 'pagerduty'])
  })

  test('"why was I not told?" is one query: what was sent, tried and held back about one alert', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    await node.receiver('ops', (await node.channel('webhook', vendors.url)).id)
    const notification = makeNotification()
    const { fingerprint } = notification.alerts[0]!
    await node.drive(node.deliver(notification))
    const held = { fingerprint, receiver: 'ops', groupKey: notification.groupKey }
    for (let i = 0; i < 3; i++)
      await node.delivery.suppressed({ ...held, by: 'silence', byId: 'sil_1', at: node.clock.now() + i })
    await node.delivery.suppressed([{ ...held, by: 'inhibition', byId: 'other', at: node.clock.now() }])
    await node.delivery.suppressed({ ...held, by: 'silence', byId: 'sil_1', at: node.clock.now() + 86_400_000 })
    await node.delivery.suppressed({ ...held, fingerprint: 'another', by: 'mute', byId: '', at: node.clock.now() })
    const rows = await node.ledger(fingerprint)
    expect(rows.map(({ state, suppressed_by, times }) => [state, suppressed_by, times]).sort()).toEqual([
      ['delivered', '', 1],
      ['suppressed', 'inhibition', 1],
      ['suppressed', 'silence', 1],
      ['suppressed', 'silence', 3],
    ])
  })

  test('ten thousand alerts held back at once are ten thousand reasons', async () => {
    const node = await openNode(await open())
    const at = node.clock.now()
    const storm = Array.from({ length: 10_000 }, (_, i) => ({
      ...{ fingerprint: `alert-${i}`, receiver: 'ops', groupKey: 'g', by: 'storm', byId: 'cap', at },
    }))
    await node.delivery.suppressed(storm)
    await expect
      .poll(() => node.ledger('alert-9999'), { timeout: 20_000 })
      .toMatchObject([{ suppressed_by: 'storm', times: 1 }])
  })

  test('a store that is away holds up no alert, and is told everything when it is back', async () => {
    const vendors = await openVendors()
    const database = await open()
    const node = await openNode(database)
    await node.receiver('ops', (await node.channel('webhook', vendors.url)).id)
    const tables = [
      'deliveries',
      'delivery_attempts',
      'delivery_alerts',
      'channel_standings',
      'channel_threads',
      'channels',
    ]
    const rename = async (to: (table: string) => [string, string]) => {
      for (const table of tables) {
        const [from, name] = to(table)
        await sql`alter table ${sql.table(from)} rename to ${sql.table(name)}`.execute(database.kysely)
      }
    }
    await rename((table) => [table, `${table}_gone`])
    const [one, two] = [makeNotification(), makeNotification()]
    vendors.next.push(answer(503))
    expect(await node.drive(node.deliver(one))).toBe('delivered')
    expect(await node.drive(node.deliver(two))).toBe('delivered')
    // Asked for again while nobody can look it up: it is known here.
    expect(await node.drive(node.deliver(one))).toBe('delivered')
    await node.delivery.suppressed({
      fingerprint: 'quiet',
      receiver: 'ops',
      groupKey: 'g',
      by: 'silence',
      byId: 's',
      at: testStart,
    })
    expect(vendors.received).toHaveLength(3)
    expect((await node.metrics.render()).text).toMatch(/gatehouse_alerts_ledger_backlog 3/)
    await rename((table) => [`${table}_gone`, table])
    await node.delivery.turn()
    const rows = await node.ledger()
    expect(rows.map(({ notification_id, state }) => [notification_id, state]).sort()).toEqual(
      [
        ['', 'suppressed'],
        [one.id, 'delivered'],
        [two.id, 'delivered'],
      ].sort(),
    )
    expect(
      rows.find(({ notification_id }) => notification_id === one.id)!.attempts.map(({ reason }) => reason),
    ).toEqual(['status', ''])
  })

  test('killed at any step and asked again by the next process: never lost, at most once too often', async () => {
    const vendors = await openVendors()
    const database = await open()
    const maker = await openNode(database)
    await maker.receiver('ops', (await maker.channel('webhook', vendors.url)).id)
    await maker.stop()
    const killed: string[] = []
    for (let step = 0; step < 60; step++) {
      let steps = 0
      let isDead = false
      const never = new Promise<never>(() => {})
      /** Counts what the process does to the world; at the chosen step it is gone, before or after doing it. */
      const gate = async <T>(work: () => Promise<T>): Promise<T> => {
        if (isDead) return never
        if (steps++ === step) {
          isDead = true
          return never
        }
        const result = await work()
        if (!isDead && steps++ === step) isDead = true
        return isDead ? never : result
      }
      const dying = await openNode(database, {
        clock: createManualClock(testStart + step * 3_600_000),
        isLeftDead: true,
        wrapStore: (db) =>
          new Proxy(db, {
            get(target, name) {
              const value = Reflect.get(target, name, target) as unknown
              if (name !== 'transaction') return typeof value === 'function' ? value.bind(target) : value
              return () => ({ execute: (work: never) => gate(() => target.transaction().execute(work)) })
            },
          }),
        wrapWay: (way) => ({ ...way, send: (url, options) => gate(() => way.send(url, options)) }),
      })
      const notification = makeNotification()
      let outcome = ''
      void dying.deliver(notification).then((result) => {
        outcome = result
      })
      for (let i = 0; i < 200 && outcome === '' && !isDead; i++) await dying.pass(20)
      await dying.pass(20)
      if (outcome === 'delivered') break
      killed.push(outcome)
      const next = await openNode(database, { clock: createManualClock(dying.clock.now() + 1000) })
      expect(await next.drive(next.deliver(notification)), `killed at ${step}`).toBe('delivered')
      const arrived = vendors.received.filter(({ headers }) => headers['x-hub-delivery'] === notification.id)
      expect(arrived.length, `killed at ${step}`).toBeGreaterThanOrEqual(1)
      expect(arrived.length, `killed at ${step}`).toBeLessThanOrEqual(2)
      const row = (await next.ledger()).find(({ notification_id }) => notification_id === notification.id)!
      expect(row).toMatchObject({ state: 'delivered' })
      const interrupted = row.attempts.filter(({ reason }) => reason === 'interrupted')
      expect(row.attempts.length - interrupted.length, `killed at ${step}`).toBeLessThanOrEqual(arrived.length)
      await next.stop()
    }
    // Intent, attempt, sending, result, decision: before and after each.
    expect(killed.length).toBeGreaterThanOrEqual(8)
  })

  test('7: the ancestor lost the alert whose template named what was not there: here the built-in text is sent and says so', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const { id } = await node.channel('webhook', vendors.url, { body_template: '{{#is_resolved}}over{{/is_resolved}}' })
    const other = await node.channel('slack', vendors.url, {
      body_template: '{{#is_resolved}}over{{/is_resolved}}',
      language: 'en',
    })
    await node.receiver('ops', id, other.id)
    const notification = makeNotification()
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    const slack = vendors.received.find(({ vendor }) => vendor === 'slack')!
    expect(slack.body).toContain('template failed')
    expect(slack.body).toContain('the database is away')
    expect((await node.ledger()).map(({ template_error }) => template_error)).toEqual([
      'comes to nothing',
      'comes to nothing',
    ])
  })

  test('a receiver or channel that is not there is a failure that is told, not a silence', async () => {
    const node = await openNode(await open())
    const notification = makeNotification({ receiver: 'nobody' })
    expect(await node.drive(node.deliver(notification))).toBe('failed')
    const telling = {
      channels: ['nowhere'],
      title: 't',
      text: 'x',
      severity: 'high' as const,
      traceId: 'b'.repeat(32),
      dedupeKey: 'd',
    }
    expect(await node.drive(node.delivery.tell(telling))).toBe('failed')
    expect((await node.ledger()).map(({ reason }) => reason).sort()).toEqual(['no_channel', 'no_receiver'])
  })

  test('an escalation is told by name or id, acknowledged and ended as one thing', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const pager = await node.channel('pagerduty', vendors.url, { name: 'pager' })
    const telling = {
      title: 'ALT-2026-01-05-001',
      text: 'Nobody answers',
      severity: 'critical' as const,
      traceId: 'c'.repeat(32),
      dedupeKey: 'inc_1',
    }
    for (const [action, channel] of [
      ['trigger', 'pager'],
      ['acknowledge', pager.id],
      ['resolve', 'pager'],
    ] as const) {
      const url = 'https://hub.example.com/ack/token'
      expect(await node.drive(node.delivery.tell({ ...telling, channels: [channel], action, url }))).toBe('delivered')
    }
    const events = vendors.received.map(({ body }) => JSON.parse(body))
    expect(events.map(({ event_action }) => event_action)).toEqual(['trigger', 'acknowledge', 'resolve'])
    expect(new Set(events.map(({ dedup_key }) => dedup_key)).size).toBe(1)
    expect(events[0].links).toEqual([{ href: 'https://hub.example.com/ack/token', text: 'Gatehouse' }])
    expect(events[0].payload.custom_details.text).toContain('Nobody answers')
  })

  test('a channel that an incident paged is not told of the same alert again, and the ledger says by which', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const channel = await node.channel('webhook', vendors.url)
    await node.receiver('ops', channel.id)
    const [alert, other] = [makeAlert({ startsAt: testStart }), makeAlert({ name: 'Other', startsAt: testStart })]
    const page = {
      ...{ channels: [channel.id], title: '[P1] ALT-2026-01-05-001', text: 'x', severity: 'critical' as const },
      ...{ traceId: 'b'.repeat(32), dedupeKey: 'ALT-2026-01-05-001/escalation/1.0.0', about: [alert.fingerprint] },
    }
    expect(await node.drive(node.delivery.tell(page))).toBe('delivered')
    const tell = (changes: Partial<Notification>) => node.drive(node.deliver(makeNotification(changes)))
    expect(await tell({ alerts: [alert] })).toBe('delivered')
    expect(vendors.received).toHaveLength(1)
    const held = (await node.ledger(alert.fingerprint)).find(({ state }) => state === 'suppressed')
    expect(held).toMatchObject({ suppressed_by: 'incident', suppressed_by_id: 'ALT-2026-01-05-001' })
    // What the page did not name, what begins anew, and a reminder are told.
    expect(await tell({ alerts: [alert, other], groupKey: 'g2' })).toBe('delivered')
    expect(await tell({ alerts: [{ ...alert, startsAt: testStart + 3_600_000 }], groupKey: 'g3' })).toBe('delivered')
    expect(await tell({ alerts: [alert], reason: 'repeat', groupKey: 'g4' })).toBe('delivered')
    expect(vendors.received).toHaveLength(4)
    // The end is the incident's to tell, as the beginning was.
    expect(await tell({ alerts: [{ ...alert, endsAt: testStart + 60_000 }] })).toBe('delivered')
    expect(vendors.received).toHaveLength(4)
  })

  test('a ticket is remembered over a restart, and forgotten when it is closed', async () => {
    const vendors = await openVendors()
    const database = await open()
    const node = await openNode(database)
    await node.receiver('ops', (await node.channel('ticket', vendors.url)).id)
    await node.drive(node.deliver(makeNotification()))
    await node.stop()
    const next = await openNode(database, { clock: createManualClock(node.clock.now() + 1000) })
    await next.drive(next.deliver(makeNotification({ reason: 'repeat' })))
    await next.drive(next.deliver(makeNotification({ alerts: [makeAlert({ endsAt: testStart })] })))
    await next.drive(next.deliver(makeNotification()))
    expect(vendors.received.map(({ path }) => path)).toEqual([
      '/ticket/tickets',
      '/ticket/tickets/4711/comments',
      '/ticket/tickets/4711/close',
      '/ticket/tickets',
    ])
  })

  test('every night a channel with a sandbox proves itself there, once, and a proof that fails is told', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const sandbox = { url: `${vendors.url}/wecom/send?key=wecom-key&sandbox=1` }
    const proven = await node.channel('wecom', vendors.url, { sandbox })
    await node.channel('slack', vendors.url)
    await node.delivery.turn()
    expect(vendors.received).toEqual([])
    await node.clock.leap(18 * 3_600_000)
    await node.delivery.turn()
    await node.delivery.turn()
    expect(vendors.received).toMatchObject([{ vendor: 'wecom', fault: '' }])
    const view = () => node.configure.getChannel(everything, proven.id)
    await node.pass(500)
    expect((await view()).standing).toMatchObject({ proofError: '', provenAt: expect.any(Number) })
    const { provenAt } = (await view()).standing
    await node.clock.leap(86_400_000)
    vendors.next.push(answer(200, '{"errcode":93000,"errmsg":"invalid webhook url"}'))
    await node.delivery.turn()
    await node.pass(500)
    expect((await view()).standing).toMatchObject({
      proofError: expect.stringContaining('93000'),
      provenAt,
      failures: 0,
    })
    expect(node.told).toMatchObject([{ channelId: proven.id, to: 'unproven' }])
    await node.clock.leap(86_400_000)
    await node.delivery.turn()
    expect(node.told.map(({ to }) => to)).toEqual(['unproven', 'ok'])
    expect((await node.ledger()).map(({ notify_reason }) => notify_reason)).toEqual(['test', 'test', 'test'])
  })

  test('what nobody goes on with is failed at last, and old rows are forgotten with all that belongs to them', async () => {
    const vendors = await openVendors()
    const database = await open()
    const node = await openNode(database)
    await node.receiver('ops', (await node.channel('webhook', vendors.url)).id)
    const stop = new AbortController()
    vendors.next.push(answer(503))
    const left = node.delivery.deliver(makeNotification(), { signal: stop.signal })
    await node.pass(300)
    stop.abort()
    expect(await node.drive(left)).toBe('failed')
    expect(await node.ledger()).toMatchObject([{ state: 'pending', reason: 'stopped' }])
    await node.clock.leap(2 * 86_400_000)
    await node.delivery.turn()
    expect(await node.ledger()).toMatchObject([{ state: 'failed', reason: 'abandoned' }])
    expect(await node.store.deleteOld(node.clock.now() + 1, 100)).toBe(1)
    for (const table of ['deliveries', 'delivery_attempts', 'delivery_alerts']) {
      const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(database.kysely)
      expect(Number(rows[0]!.n)).toBe(0)
    }
  })

  test('secrets lie sealed in the store, and a masked one stays when it is sent back', async () => {
    const vendors = await openVendors()
    const database = await open()
    const node = await openNode(database)
    const made = await node.channel('dingtalk', vendors.url, { sandbox: { secret: 'SECsandbox' } })
    const { rows } = await sql`select * from channels`.execute(database.kysely)
    expect(JSON.stringify(rows)).not.toMatch(/SECdingtalk|SECsandbox|dingtalk-token/)
    const parameters = { url: '********', secret: '********', mobiles: ['13900000000'] }
    const { channel } = await node.configure.patchChannel(everything, made.id, { parameters })
    expect(channel.parameters).toMatchObject({ secret: 'SECdingtalk', mobiles: ['13900000000'] })
    expect(channel.parameters.url).toContain('dingtalk-token')
  })

  test('a channel in use is not deleted, and none stands in for itself', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const second = await node.channel('slack', vendors.url)
    const first = await node.channel('webhook', vendors.url, { fallback_id: second.id })
    const named = await node.receiver('ops', first.id)
    await expect(node.configure.deleteChannel(everything, second.id)).rejects.toMatchObject({ code: 'conflict' })
    await expect(node.configure.deleteChannel(everything, first.id)).rejects.toMatchObject({ code: 'conflict' })
    await expect(node.configure.patchChannel(everything, second.id, { fallback_id: first.id })).rejects.toThrow(
      'in a circle',
    )
    await node.configure.deleteReceiver(everything, named.id)
    await node.configure.deleteChannel(everything, first.id)
    await node.configure.deleteChannel(everything, second.id)
  })
})
