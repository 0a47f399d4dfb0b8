import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { incidentsMigration } from '../migrations/0026-incidents.ts'
import { incidentActionsMigration } from '../migrations/0031-incident-actions.ts'
import { engines } from '../platform/database/testing.ts'
import { admin, createAlertWorld, createSetClock, minuteMs, openNode, startAt } from './testing.ts'

describe.each(engines())('incidents on $name', ({ open }) => {
  async function start(options: Parameters<typeof openNode>[3] = {}) {
    const { kysely } = await open([incidentsMigration, incidentActionsMigration])
    const clock = createSetClock()
    const alerts = createAlertWorld(clock)
    return { db: kysely, clock, alerts, ...(await openNode(kysely, clock, alerts, options)) }
  }
  const list = async (node: { ask: (method: string, path: string) => Promise<{ data: Record<string, unknown>[] }> }) =>
    (await node.ask('GET', '/api/incidents?limit=200')).data

  test('ids of a day have no gap, however many are opened at once, on several nodes, with failures among them', async () => {
    const { kysely } = await open([incidentsMigration, incidentActionsMigration])
    const clock = createSetClock()
    const alerts = createAlertWorld(clock)
    const nodes = await Promise.all([1, 2, 3].map(() => openNode(kysely, clock, alerts)))
    const wishes = Array.from({ length: 45 }, async (_, index) => {
      const follows = index % 5 === 4 ? 'ALT-1999-01-01-001' : ''
      const body = { title: `fault ${index}`, severity: 'P2', follows }
      return nodes[index % 3]!.ask('POST', '/api/incidents', { body }).catch(() => null)
    })
    for (let index = 0; index < 12; index++) alerts.fire('Down', { provider: `p${index}` })
    // Each node sees each alert, at the same time.
    await Promise.all([...wishes, ...nodes.map(({ room }) => room.tick())])
    const ids = (await list(nodes[0]!)).map(({ id }) => id as string).sort()
    expect(ids).toEqual(
      Array.from({ length: 36 + 12 }, (_, index) => `ALT-2026-03-02-${String(index + 1).padStart(3, '0')}`),
    )
  })

  test('the day of an id is that of the zone', async () => {
    const node = await start({ settings: { zone: 'Asia/Shanghai' } })
    node.clock.set(Date.UTC(2026, 2, 2, 16, 30))
    const made = await node.ask('POST', '/api/incidents', { body: { title: 'late', severity: 'P3' } })
    expect(made.id).toBe('ALT-2026-03-03-001')
  })

  test('alerts of one cause are one incident, also where one names it closer; children are listed in it', async () => {
    const node = await start()
    node.alerts.fire('ProviderDown', { provider: 'openai' }, { fingerprint: 'parent' })
    node.alerts.fire('KeyFailing', { provider: 'openai', key: 'pky_1' })
    node.alerts.fire('ServiceDown', { service: 'agent' }, { inhibitedBy: 'parent' })
    node.alerts.fire('DiskFull', { instance: 'a' })
    await node.room.tick()
    const found = await list(node)
    expect(found.map(({ cause }) => cause)).toEqual([{ alertname: 'DiskFull', instance: 'a' }, { provider: 'openai' }])
    const { alerts } = await node.ask('GET', `/api/incidents/${found[1]!.id}`)
    expect(
      alerts
        .map((each: { labels: { alertname: string }; inhibited_by: string }) => [
          each.labels.alertname,
          each.inhibited_by,
        ])
        .sort(),
    ).toEqual([
      ['KeyFailing', ''],
      ['ProviderDown', ''],
      ['ServiceDown', 'parent'],
    ])
  })

  test('below the threshold nothing is opened; an alert without a severity is not taken for harmless', async () => {
    const node = await start()
    node.alerts.fire('Slow', { severity: 'warning' })
    node.alerts.fire('Odd', { severity: '' })
    await node.room.tick()
    expect((await list(node)).map(({ cause }) => cause)).toEqual([{ alertname: 'Odd' }])
  })

  test('from the first alert to closed: what ends by itself is mitigated, then resolved after it was quiet', async () => {
    const node = await start()
    const alert = node.alerts.fire('ProviderDown', { provider: 'openai' })
    await node.room.tick()
    const [{ id }] = (await list(node)) as [{ id: string }]
    expect(node.told.map(({ channels, severity }) => [channels, severity])).toEqual([
      [['phone', 'im', 'mail'], 'critical'],
    ])
    node.clock.pass(5 * minuteMs)
    await node.ask('POST', `/api/incidents/${id}/ack`)
    await expect(node.ask('POST', `/api/incidents/${id}/resolve`)).rejects.toMatchObject({ code: 'conflict' })
    node.clock.pass(10 * minuteMs)
    node.alerts.end(alert)
    node.clock.pass(20_000)
    await node.room.tick()
    expect(await node.ask('GET', `/api/incidents/${id}`)).toMatchObject({
      ...{ state: 'mitigated', mitigated_at: new Date(startAt + 15 * minuteMs).toISOString() },
    })
    node.clock.pass(15 * minuteMs)
    await node.room.tick()
    const over = await node.ask('GET', `/api/incidents/${id}`)
    expect(over).toMatchObject({ state: 'resolved', resolved_at: new Date(startAt + 30 * minuteMs).toISOString() })
    expect(over.sla.map((each: { state: string }) => each.state)).toEqual(['met', 'met', 'met'])
    expect(node.told.at(-1)).toMatchObject({ channels: ['im', 'mail'], severity: 'info' })
    node.clock.pass(8 * 24 * 60 * minuteMs)
    await node.room.tick()
    expect(await node.ask('GET', `/api/incidents/${id}`)).toMatchObject({ state: 'closed' })
  })

  test('the same cause opens it again for a while, so often, and is then a new incident that follows it', async () => {
    const node = await start({ settings: { most_reopens: 1, quiet_minutes: 0 } })
    const flap = async () => {
      const alert = node.alerts.fire('ProviderDown', { provider: 'openai' })
      await node.room.tick()
      node.clock.pass(minuteMs)
      node.alerts.end(alert)
      await node.room.tick()
      node.clock.pass(5 * minuteMs)
    }
    await flap()
    await flap()
    expect(await list(node)).toMatchObject([{ reopens: 1, state: 'resolved' }])
    await flap()
    expect(await list(node)).toMatchObject([{ reopens: 0, follows: 'ALT-2026-03-02-001' }, { reopens: 1 }])
    await expect(
      node.ask('POST', '/api/incidents/ALT-2026-03-02-001/reopen', { body: { reason: 'x' } }),
    ).rejects.toMatchObject({ code: 'conflict' })
    await expect(node.ask('POST', '/api/incidents/ALT-2026-03-02-001/reopen')).rejects.toThrow()
  })

  test('whom it hurts makes it severer, with the arithmetic; a choice of people stands', async () => {
    let share = 0.02
    const blastRadius = async () => ({ requests: 1000, failed: 400, users: 40, tenants: 3, share })
    const node = await start({ parts: { blastRadius } })
    node.alerts.fire('ProviderDown', { provider: 'openai' })
    await node.room.tick()
    const [first] = await list(node)
    expect(first).toMatchObject({ severity: 'P1', arithmetic: expect.stringContaining('400 of 1000 calls failed') })
    share = 0.97
    node.clock.pass(2 * minuteMs)
    await node.room.tick()
    expect(await list(node)).toMatchObject([{ severity: 'P0', severity_by: 'alerts' }])
    await node.ask('POST', `/api/incidents/${first!.id}/severity`, {
      body: { severity: 'P3', reason: 'a test tenant' },
    })
    node.clock.pass(2 * minuteMs)
    await node.room.tick()
    expect(await list(node)).toMatchObject([{ severity: 'P3', severity_by: 'person' }])
  })

  test('what was changed shortly before stands first among the suspects where it touches the cause', async () => {
    const change = (minutes: number, what: string, target: string) => ({
      ...{ at: startAt - minutes * minuteMs, kind: what.split('.')[0]!, what, target, by: 'bob' },
    })
    const changes = async () => [
      ...[change(1, 'prices.create', 'prc_1'), change(4, 'providers.update', 'openai'), change(3, 'keys.update', 'k')],
      change(500, 'providers.update', 'openai'),
    ]
    const node = await start({ parts: { changes } })
    node.alerts.fire('ProviderDown', { provider: 'openai' })
    await node.room.tick()
    const { suspects } = await node.ask('GET', '/api/incidents/ALT-2026-03-02-001')
    expect(suspects.map(({ what }: { what: string }) => what)).toEqual([
      ...['providers.update', 'deploy', 'keys.update', 'prices.create'],
    ])
  })

  test('nobody comes: the next step, again and again, until somebody acknowledges; a link is of its time only', async () => {
    const node = await start()
    const member = (name: string) => ({ name, channels: [`phone-${name}`] })
    await node.ask('PUT', '/api/on-call/schedules/primary', {
      body: { members: [member('ann'), member('bob')], starts_on: '2026-02-23' },
    })
    node.alerts.fire('ProviderDown', { provider: 'openai', priority: 'P0' })
    for (let minute = 0; minute < 12; minute++) {
      await node.room.tick()
      node.clock.pass(minuteMs)
    }
    // The turn of 2 March is bob's; each step tells him, with a link of his own, and the channels.
    expect(node.told.map(({ channels }) => channels[0])).toEqual([
      ...['phone', 'phone-bob', 'phone', 'phone-bob', 'phone', 'phone-bob'],
    ])
    const ofBob = node.told.find(({ channels }) => channels[0] === 'phone-bob')!
    const url = new URL(ofBob.url!)
    const token = url.searchParams.get('token')!
    const read = (text: string) =>
      node.ask('GET', `${url.pathname}?token=${encodeURIComponent(text)}`, { principal: null })
    const press = (text: string) => node.ask('POST', url.pathname, { body: { token: text }, principal: null })
    const state = async () => (await list(node))[0]!.state

    // Scanners follow links, twice if need be.
    const page = await read(token)
    await read(token)
    expect([page.status, page.body.includes('<form method="post"'), await state()]).toEqual([200, true, 'open'])
    // Changed, of another incident, too old: none of them.
    const [payload, signature] = token.split('.')
    const forged = Buffer.from(JSON.stringify(['ALT-2026-03-02-001', 1, 'eve', 9e15])).toString('base64url')
    for (const wrong of [`${forged}.${signature}`, `${payload}.`, `${payload}.${'A'.repeat(43)}`, '', 'a.b.c']) {
      await expect(press(wrong)).rejects.toMatchObject({ code: 'invalid_token' })
    }
    await expect(
      node.ask('POST', '/api/incidents/ALT-2026-03-02-002/acknowledge', { body: { token }, principal: null }),
    ).rejects.toMatchObject({ code: 'invalid_token' })

    expect((await press(token)).status).toBe(200)
    expect(await state()).toBe('acknowledged')
    expect((await press(token)).body).toContain('already')
    const { data } = await node.ask('GET', '/api/incidents/ALT-2026-03-02-001/timeline')
    expect(data.find((each: { kind: string }) => each.kind === 'acknowledged').by).toBe('bob')

    // Nothing is heard of it for half an hour: it is open again, and the old link is worth nothing.
    const before = node.told.length
    node.clock.pass(31 * minuteMs)
    await node.room.tick()
    expect(await state()).toBe('open')
    expect(node.told.length).toBeGreaterThan(before)
    expect((await press(token)).status).toBe(409)
    expect(await state()).toBe('open')
    node.clock.pass(25 * 60 * minuteMs)
    await expect(press(token)).rejects.toMatchObject({ code: 'invalid_token' })
  })

  test('whoever acknowledged and says nothing more loses it: it is open again and told anew; a word keeps it', async () => {
    const node = await start()
    const steps = [{ channels: ['phone'] }]
    await node.ask('PUT', '/api/on-call/policies/P1', { body: { steps, unacknowledge_minutes: 30 } })
    const { id } = await node.ask('POST', '/api/incidents', { body: { title: 'slow', severity: 'P1' } })
    const tell = async (minutes: number) => {
      node.clock.pass(minutes * minuteMs)
      await node.room.tick()
      return node.told.filter(({ dedupeKey }) => dedupeKey.includes('/escalation/')).length
    }
    expect(await tell(0)).toBe(1)
    await node.ask('POST', `/api/incidents/${id}/ack`)
    expect(await tell(29)).toBe(1)
    await node.ask('POST', `/api/incidents/${id}/notes`, { body: { text: 'at it' } })
    expect(await tell(29)).toBe(1)
    expect(await tell(2)).toBe(2)
    expect(await node.ask('GET', `/api/incidents/${id}`)).toMatchObject({ state: 'open' })
    // The clock of the response stands: somebody had it in time.
    const shown = await node.ask('GET', `/api/incidents/${id}`)
    expect(shown.sla[0]).toMatchObject({ clock: 'response', state: 'met' })
    const { data } = await node.ask('GET', `/api/incidents/${id}/timeline?limit=1000`)
    expect(data.map(({ kind }: { kind: string }) => kind)).toContain('unacknowledged')
  })

  test('a hub that stops does not wait for a channel that is away, and whoever goes on tells what was to be told', async () => {
    const ending = new AbortController()
    let isAway = true
    const node = await start({
      async tell({ signal }) {
        if (!isAway) return 'delivered'
        // Tries go on until somebody says that it is enough.
        await new Promise((resolve) => signal!.addEventListener('abort', resolve, { once: true }))
        return 'failed'
      },
    })
    node.alerts.fire('ProviderDown', { provider: 'openai', severity: 'critical' })
    const turn = node.room.tick(ending.signal)
    setTimeout(() => ending.abort(), 50)
    await turn
    const [incident] = await list(node)
    const kinds = async () => {
      const { data } = await node.ask('GET', `/api/incidents/${incident!.id}/timeline`)
      return data.map(({ kind }: { kind: string }) => kind)
    }
    expect(await kinds()).not.toContain('not_told')
    isAway = false
    await node.room.tick()
    expect((await kinds()).filter((kind: string) => kind === 'told')).toHaveLength(1)
  })

  test('what could not be handed over is tried again, told once, and said in the timeline when nobody took it', async () => {
    const keys: string[] = []
    const node = await start({
      settings: { urgent_channels: ['phone'] },
      async tell({ dedupeKey }) {
        keys.push(dedupeKey)
        if (keys.length < 3) throw new Error('the network is away')
        return keys.length === 3 ? 'failed' : 'delivered'
      },
    })
    node.alerts.fire('ProviderDown', { provider: 'openai' })
    for (let turn = 0; turn < 4; turn++) {
      await node.room.tick()
      node.clock.pass(20_000)
    }
    // Three times the same message; that it failed brings the next step forward.
    expect(keys.slice(0, 3)).toEqual(Array(3).fill('ALT-2026-03-02-001/escalation/1.0.0'))
    const { data } = await node.ask('GET', '/api/incidents/ALT-2026-03-02-001/timeline')
    expect(data.map(({ kind }: { kind: string }) => kind)).toContain('not_told')
    node.clock.pass(minuteMs)
    await node.room.tick()
    expect(keys[3]).toBe('ALT-2026-03-02-001/escalation/1.0.1')
  })

  test('a timeline that was changed, cut, or added to is found out', async () => {
    const node = await start()
    await node.ask('POST', '/api/incidents', { body: { title: 'x', severity: 'P2' } })
    for (const text of ['one', 'two', 'three']) {
      await node.ask('POST', '/api/incidents/ALT-2026-03-02-001/notes', { body: { text } })
    }
    const chain = async () => (await node.ask('GET', '/api/incidents/ALT-2026-03-02-001/timeline')).chain
    const entries = (await chain()).entries
    expect(await chain()).toMatchObject({ is_whole: true, message: '' })
    const { db } = node
    const run = (text: string) => sql.raw(text).execute(db)
    await run("update incident_timeline set text = 'owt' where text = 'two'")
    expect(await chain()).toMatchObject({ is_whole: false, message: expect.stringContaining('not as it was written') })
    await run("update incident_timeline set text = 'two' where text = 'owt'")
    expect((await chain()).is_whole).toBe(true)
    await run(`update incident_timeline set at = at + 1 where seq = ${entries}`)
    expect((await chain()).is_whole).toBe(false)
    await run(`delete from incident_timeline where seq = ${entries}`)
    expect(await chain()).toMatchObject({ is_whole: false, message: expect.stringContaining('it ended with line') })
    // Nor may the end be said to have been there.
    await run(
      `update incidents set timeline_seq = ${entries - 1}, timeline_hash = (select hash from incident_timeline where seq = ${entries - 1})`,
    )
    expect(await chain()).toMatchObject({ is_whole: false, message: expect.stringContaining('not signed') })
  })

  test("the report has the seed's headings, in every format; what was written cannot become markup", async () => {
    const node = await start({ settings: { zone: 'Asia/Shanghai' } })
    const body = {
      title: '<b>数据库</b> *down*',
      severity: 'P1',
      description: '=1+1',
      reporter: '张三',
      contact: '138',
    }
    await node.ask('POST', '/api/incidents', { body })
    const report = async (query: string) =>
      (await node.ask('GET', `/api/incidents/ALT-2026-03-02-001/report?${query}`)).body
    const text = (await report('format=md&language=zh')) as string
    expect(text.match(/^#.*$/gm)).toEqual([
      ...[
        '# 故障报告',
        '## 基本信息',
        '## 故障描述',
        '## 影响范围',
        '## 初步诊断',
        '## 排查过程',
        '## 当前状态',
        '## 备注',
        '## SLA',
      ],
    ])
    for (const line of [
      '- 故障ID: ALT-2026-03-02-001',
      '- 故障级别: P1',
      '- 发现时间: 2026-03-02 18:00:00',
      '- 上报人: 张三',
    ]) {
      expect(text).toContain(line)
    }
    expect(text).toMatch(/2026-03-02 18:00:00 创建: /)
    expect(text).toContain('- [ ] 已定位')
    expect(text).not.toContain('<b>')
    expect(await report('format=html')).not.toContain('<b>数据库')
    expect(await report('format=csv')).toContain(",'=1+1")
    expect(JSON.parse((await report('format=json')) as string)).toMatchObject({ id: 'ALT-2026-03-02-001' })
    const pdf = (await report('format=pdf&language=zh')) as Buffer
    expect(pdf.subarray(0, 8).toString()).toBe('%PDF-1.4')
    // Latin letters in Helvetica, which has their widths; the others in the reader's Chinese font.
    const drawn = pdf.toString('latin1')
    expect(drawn).toContain(`/F2 10 Tf <${Buffer.from('ID: ALT-2026-03-02-001').toString('hex')}> Tj`)
    expect(drawn).toContain(`/F1 10 Tf <${Buffer.from('张三', 'utf16le').swap16().toString('hex').toUpperCase()}> Tj`)
    expect((await report('kind=postmortem&language=zh')) as string).toMatch(
      /确认故障[\s\S]*评估影响[\s\S]*启动恢复[\s\S]*验证结果[\s\S]*总结改进/,
    )
  })

  test('a storm of causes is gathered in one incident, and no cause is without', async () => {
    const node = await start({ settings: { most_open: 3 } })
    for (let index = 0; index < 40; index++) node.alerts.fire('Down', { provider: `p${index}` })
    await node.room.tick()
    const found = await list(node)
    expect(found.length).toBe(4)
    expect(found[0]!.cause).toEqual({ storm: 'alerts' })
    const { alerts } = await node.ask('GET', `/api/incidents/${found[0]!.id}`)
    expect(alerts.length).toBe(37)
    expect(node.told.length).toBe(4)
  })

  test('a pause needs a reason and somebody who has it; the recovery flow and the statistics record themselves', async () => {
    const node = await start()
    const { id } = await node.ask('POST', '/api/incidents', {
      body: { title: 'slow', severity: 'P1', category: 'performance' },
    })
    const act = (verb: string, body = {}) => node.ask('POST', `/api/incidents/${id}/${verb}`, { body })
    await expect(act('pause', { reason: 'the provider' })).rejects.toMatchObject({ code: 'conflict' })
    node.clock.pass(10 * minuteMs)
    await act('ack')
    await expect(act('pause')).rejects.toThrow()
    await act('pause', { reason: 'the provider' })
    node.clock.pass(60 * minuteMs)
    expect((await act('resume')).paused).toBe(null)
    await act('recovery', { step: 'verify', note: 'probes are green' })
    await act('resolve', { note: 'more nodes' })
    const shown = await node.ask('GET', `/api/incidents/${id}`)
    expect(shown.sla[2]).toMatchObject({ state: 'met', gross_ms: 70 * minuteMs, net_ms: 10 * minuteMs })
    const done = shown.recovery.filter((each: { is_done: boolean }) => each.is_done)
    expect(done.map(({ step }: { step: string }) => step)).toEqual(['found', 'verify', 'solved', 'monitoring'])
    expect(shown.recovery[2].title.zh).toBe('扩容资源')
    node.clock.pass(minuteMs)
    const { data } = await node.ask('GET', '/api/sla')
    expect(data[0]).toMatchObject({ severity: 'all', opened: 1, mtta_ms: 10 * minuteMs, mttr_ms: 70 * minuteMs })
  })

  test("a tenant's administrator sees that tenant's incidents and no others", async () => {
    const node = await start()
    node.alerts.fire('Down', { provider: 'p' }, { tenantId: 'ten_a' })
    node.alerts.fire('Down', { provider: 'q' })
    await node.room.tick()
    const principal = { ...admin, role: 'tenant_admin' as const, tenantId: 'ten_a' }
    const { data } = await node.ask('GET', '/api/incidents', { principal })
    expect(data.map(({ tenant_id }: { tenant_id: string }) => tenant_id)).toEqual(['ten_a'])
    await expect(
      node.ask('GET', '/api/incidents/ALT-2026-03-02-002', { principal: { ...principal, tenantId: 'ten_b' } }),
    ).rejects.toMatchObject({ code: 'not_found' })
  })

  test('the digest of a week is told once, on Monday at nine, whatever node is there', async () => {
    const node = await start({ settings: { digest_channels: ['mail'], zone: 'Europe/Berlin' } })
    node.clock.set(Date.UTC(2026, 2, 8, 22))
    await node.ask('POST', '/api/incidents', { body: { title: 'x', severity: 'P3' } })
    node.clock.set(Date.UTC(2026, 2, 9, 7, 59))
    await node.room.tick()
    const digests = () => node.told.filter(({ dedupeKey }) => dedupeKey.startsWith('digest'))
    expect(digests()).toEqual([])
    node.clock.set(Date.UTC(2026, 2, 9, 8, 1))
    const other = await openNode(node.db, node.clock, node.alerts, {
      settings: { digest_channels: ['mail'], zone: 'Europe/Berlin' },
    })
    await node.room.tick()
    await other.room.tick()
    expect([digests().length, other.told.length]).toEqual([1, 0])
    expect(digests()[0]!.text).toContain('Incidents: 1')
  })
})
