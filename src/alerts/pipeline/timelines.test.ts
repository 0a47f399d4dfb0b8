import type { Kysely } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { alertPipelineMigration } from '../../migrations/0028-alert-pipeline.ts'
import { engines } from '../../platform/database/testing.ts'
import type { PipelineTables } from './index.ts'
import { parseMatchers } from './matchers.ts'
import { createPipelineStore } from './store.ts'
import { emptyTables, openRig, type Rig, shortRoute } from './testing.ts'

const x = { alertname: 'X', job: 'j' }
const y = { alertname: 'Y', job: 'j' }
const hour = 3_600_000

describe.each(engines())("Alertmanager's acceptance scenarios on $name", ({ open }) => {
  let db: Kysely<PipelineTables>
  beforeAll(async () => {
    db = (await open([alertPipelineMigration])).kysely
  })
  beforeEach(() => emptyTables(db))
  const start = async (settings: Record<string, unknown> = {}, kept: Parameters<typeof openRig>[2] = {}) => {
    const rig = openRig(db, { route: shortRoute, ...settings }, kept)
    return { ...rig, store: createPipelineStore(db), db }
  }
  async function silence(rig: Rig & { store: ReturnType<typeof createPipelineStore> }, text: string, forMs: number) {
    const at = rig.clock.now()
    const matchers = parseMatchers(text).map(({ name, op, value }) => ({ name, op, value }))
    const row = { id: `sil_${text}`, tenantId: '', matchers, startsAt: at, endsAt: at + forMs, recurrence: null }
    await rig.store.writeSilences([{ ...row, author: 'me', comment: '', createdAt: at, updatedAt: at }])
  }

  test('batching: what fires within group_wait is one message, what follows waits for group_interval', async () => {
    const rig = await start()
    await rig.fire(x)
    await rig.turn()
    await rig.fire(y)
    await rig.run(2)
    await rig.fire({ alertname: 'Z', job: 'j' })
    await rig.run(4)
    expect(rig.lines()).toEqual(['1s a first firing X,Y', '3s a new_alerts firing X,Y,Z'])
  })

  test('resolved: an end is told once, and what ends before the first message is told by nobody but the ledger', async () => {
    const rig = await start()
    await rig.fire(x)
    await rig.run(2)
    await rig.end(x)
    await rig.run(6)
    expect(rig.lines()).toEqual(['1s a first firing X', '3s a all_resolved resolved X!'])
    await rig.run(60)
    await rig.fire(y)
    await rig.turn()
    await rig.end(y)
    await rig.run(5)
    expect(rig.told).toHaveLength(2)
    expect(rig.ledger.at(-1)).toMatchObject({ by: 'ended', receiver: 'a' })
    expect(rig.heard.map(({ name }) => name)).toEqual([
      'alert.fired',
      'alert.resolved',
      'alert.fired',
      'alert.resolved',
    ])
  })

  test('repeat: nothing new is told again after repeat_interval, and no sooner', async () => {
    const rig = await start({ route: { ...shortRoute, repeat_interval: '10s' } })
    await rig.fire(x)
    await rig.run(26)
    expect(rig.lines()).toEqual(['1s a first firing X', '13s a repeat firing X', '25s a repeat firing X'])
  })

  test('retry: a receiver that fails is told at the next interval, and keeps no other waiting', async () => {
    const routes = [{ receiver: 'a', continue: true }, { receiver: 'b' }]
    const rig = await start({ route: { ...shortRoute, routes } })
    let failures = 2
    rig.answers.next = ({ receiver }) => (receiver === 'a' && failures-- > 0 ? 'failed' : 'delivered')
    await rig.fire(x)
    await rig.run(8)
    expect(rig.lines()).toEqual(['1s b first firing X', '5s a first firing X'])
  })

  test('time-out: a receiver that never answers is given up after the interval, and told again', async () => {
    const rig = await start({ route: { ...shortRoute, group_interval: '20s' } })
    const begun: number[] = []
    rig.answers.next = () => {
      begun.push(rig.now())
      return begun.length === 1 ? new Promise(() => {}) : 'delivered'
    }
    await rig.fire(x)
    for (let i = 0; i < 60; i++) {
      await rig.clock.leap(1000)
      await rig.pipeline.tick()
    }
    await rig.pipeline.idle()
    expect(begun).toEqual([1, 31])
    expect(rig.lines()).toEqual(['31s a first firing X'])
  })

  test('a receiver whose messages all hang holds up no other: one that never answered had filled every place', async () => {
    const routes = ['a', 'b'].map((receiver) => ({ receiver, matchers: [`to="${receiver}"`] }))
    const rig = await start({ route: { ...shortRoute, group_by: ['...'], group_interval: '1h', routes } })
    rig.answers.next = ({ receiver }) => (receiver === 'a' ? new Promise(() => {}) : 'delivered')
    const post = (to: string, count: number) =>
      rig.pipeline.post(
        Array.from({ length: count }, (_, i) => ({
          ...{ labels: { alertname: 'X', to, i: String(i) }, annotations: {}, generatorUrl: '', tenantId: '' },
          ...{ startsAt: rig.clock.now(), endsAt: null, expiresAt: null },
        })),
      )
    await post('a', 100)
    for (let i = 0; i < 4; i++) {
      await rig.clock.leap(1000)
      await rig.pipeline.tick()
    }
    await post('b', 3)
    for (let i = 0; i < 4; i++) {
      await rig.clock.leap(1000)
      await rig.pipeline.tick()
    }
    await expect.poll(() => rig.told.map(({ receiver }) => receiver)).toEqual(['b', 'b', 'b'])
  })

  test('merging: what is said again is one alert with the earliest start and the newest words', async () => {
    const rig = await start()
    await rig.fire(x, { annotations: { summary: 'old' }, expiresInMs: hour })
    await rig.clock.leap(1000)
    await rig.fire(x, { annotations: { summary: 'new' }, expiresInMs: 2 * hour })
    await rig.run(3)
    expect(rig.told).toHaveLength(1)
    expect(rig.told[0]!.alerts).toMatchObject([
      { startsAt: rig.startMs, annotations: { summary: 'new' }, endsAt: null },
    ])
  })

  test('resolve time-out: what is not said again is over when it said so', async () => {
    const rig = await start()
    await rig.fire(x, { expiresInMs: 5000 })
    await rig.run(9)
    expect(rig.lines()).toEqual(['1s a first firing X', '5s a all_resolved resolved X!'])
  })

  test('silencing: nobody is told while it holds, it is tracked all the same, and told afterwards', async () => {
    const rig = await start()
    await silence(rig, 'alertname=X', 6000)
    await rig.fire(x)
    await rig.run(5)
    expect(rig.told).toEqual([])
    expect(rig.heard.map(({ name }) => name)).toEqual(['alert.fired'])
    expect(rig.ledger).toMatchObject([{ by: 'silence', byId: 'sil_alertname=X', receiver: 'a' }])
    await rig.run(5)
    expect(rig.lines()).toEqual(['7s a first firing X'])
  })

  test('the end of what was told is told, silenced or not', async () => {
    const rig = await start()
    await rig.fire(x)
    await rig.run(2)
    await silence(rig, 'job=j', hour)
    await rig.fire(y)
    await rig.run(4)
    await rig.end(x)
    await rig.end(y)
    await rig.run(4)
    expect(rig.lines()).toEqual(['1s a first firing X', '7s a all_resolved resolved X!'])
  })

  test('what ends beside something that is hidden and was told is not the end of all', async () => {
    const rig = await start()
    await rig.fire(x)
    await rig.fire(y)
    await rig.run(2)
    await silence(rig, 'alertname=X', hour)
    await rig.end(y)
    await rig.run(3)
    await rig.end(x)
    await rig.run(3)
    expect(rig.lines()).toEqual([
      '1s a first firing X,Y',
      '3s a new_resolved resolved Y!',
      '7s a all_resolved resolved X!',
    ])
  })

  test('inhibiting: the source is told with what it hides; afterwards what is left is told', async () => {
    const inhibit_rules = [{ source_matchers: ['alertname=X'], target_matchers: ['alertname=~"Y|X"'], equal: ['job'] }]
    const rig = await start({ inhibit_rules })
    await rig.fire(y)
    await rig.fire(x)
    await rig.fire({ alertname: 'Y', job: 'other' })
    await rig.run(3)
    expect(rig.lines()).toEqual(['1s a first firing X', '1s a first firing Y'])
    const parent = rig.told.find(({ alerts }) => alerts[0]!.labels.alertname === 'X')!
    expect(parent.hidden.map(({ labels }) => labels)).toEqual([y])
    expect(rig.ledger).toMatchObject([{ by: 'inhibition', byId: parent.alerts[0]!.fingerprint }])
    const hidden = (await rig.pipeline.active()).filter(
      ({ inhibitedBy }) => inhibitedBy === parent.alerts[0]!.fingerprint,
    )
    expect(hidden.map(({ labels }) => labels)).toEqual([y])
    await rig.end(x)
    await rig.run(2)
    expect(rig.lines().at(-1)).toBe('5s a new_alerts firing X!,Y')
  })

  test('a check is hidden by the one it depends on, without a rule', async () => {
    const rig = await start()
    await rig.fire({ alertname: 'CheckDown', check: 'web', job: 'j' }, { annotations: { depends_on: 'postgres' } })
    await rig.fire({ alertname: 'CheckDown', check: 'postgres', job: 'j' })
    await rig.run(2)
    expect(rig.told).toHaveLength(1)
    expect(rig.told[0]).toMatchObject({
      alerts: [{ labels: { check: 'postgres' } }],
      hidden: [{ labels: { check: 'web' } }],
    })
  })

  test('ten plugins over one database are one message: what depends on what is down is listed behind the deepest cause', async () => {
    const graph: Record<string, string[]> = { shop: ['service:orders'], orders: ['check:orders database'] }
    for (let i = 0; i < 8; i++) graph[`plugin-${i}`] = ['service:orders', 'check:orders database']
    const dependenciesOf = ({ service = '' }: Readonly<Record<string, string>>) => graph[service] ?? []
    const rig = await start({}, { dependenciesOf })
    // In any order: the cause is heard of last.
    for (const service of Object.keys(graph)) {
      await rig.fire({ alertname: 'ServiceInstanceDown', service, instance: `ins_${service}`, job: 'j' })
    }
    await rig.fire({ alertname: 'CheckDown', check: 'orders database', check_id: 'chk_1', job: 'j' })
    await rig.run(2)
    expect(rig.told).toHaveLength(1)
    expect(rig.told[0]!.alerts.map(({ labels }) => labels.check)).toEqual(['orders database'])
    expect(rig.told[0]!.hidden.map(({ labels }) => labels.service).sort()).toEqual(Object.keys(graph).sort())
    expect(await rig.pipeline.active()).toHaveLength(11)
  })

  test('services that depend on each other in a circle: one of them is told of, and never none', async () => {
    const dependenciesOf = ({ service }: Readonly<Record<string, string>>) =>
      service === 'a' ? ['service:b'] : service === 'b' ? ['service:a'] : ['service:a']
    const rig = await start({}, { dependenciesOf })
    for (const service of ['a', 'b', 'c']) {
      await rig.fire({ alertname: 'ServiceInstanceDown', service, instance: `ins_${service}`, job: 'j' })
    }
    await rig.run(2)
    expect(rig.told).toHaveLength(1)
    expect(rig.told[0]!.alerts).toHaveLength(1)
    expect(rig.told[0]!.hidden).toHaveLength(2)
  })

  test('mute times: nobody is told in them, and ends that are owed come after', async () => {
    const time_intervals = [
      { name: 'night', time_intervals: [{ times: [{ start_time: '00:01', end_time: '00:02' }] }] },
    ]
    const routes = [{ receiver: 'b', mute_time_intervals: ['night'] }]
    const rig = await start({ time_intervals, route: { ...shortRoute, routes } })
    await rig.fire(x)
    await rig.run(61)
    await rig.fire(y)
    await rig.end(x)
    await rig.run(63)
    expect(rig.lines()).toEqual(['1s b first firing X', '121s b new_alerts firing X!,Y'])
    expect(rig.ledger.map(({ by, byId }) => `${by} ${byId}`)).toContain('mute night')
  })

  test('a receiver that wants no ends gets none', async () => {
    const rig = await start()
    rig.quiet.add('a')
    await rig.fire(x)
    await rig.run(2)
    await rig.end(x)
    await rig.run(4)
    expect(rig.lines()).toEqual(['1s a first firing X'])
    expect(rig.ledger.map(({ by }) => by)).toEqual(['send_resolved'])
  })

  test('reload: what was told stays told, an end owed to a receiver that lost its route is told there', async () => {
    const rig = await start()
    await rig.fire(x)
    await rig.run(2)
    const settings = JSON.stringify({
      route: { ...shortRoute, routes: [{ receiver: 'b', matchers: ['alertname=X'] }] },
    })
    await rig.store.writeRouting({ settings, by: 'me', at: rig.clock.now() })
    await rig.run(3)
    await rig.end(x)
    await rig.run(4)
    expect(rig.lines().toSorted()).toEqual([
      '1s a first firing X',
      '3s b first firing X',
      '7s a all_resolved resolved X!',
      '7s b all_resolved resolved X!',
    ])
  })

  test('cold start: another node goes on where the first one stopped, and tells nothing twice', async () => {
    const rig = await start()
    await rig.fire(x)
    await rig.run(2)
    const next = openRig(rig.db, { route: shortRoute }, rig)
    await next.run(4)
    await next.end(x)
    await next.run(4)
    // The first one is fenced off: what it has in memory it may not write.
    await rig.turn()
    await rig.run(2)
    expect(rig.lines().map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'a first firing X',
      'a all_resolved resolved X!',
    ])
  })

  test('a storm is told in one digest, and the ledger says of each alert that it was', async () => {
    const rig = await start({
      ...{ route: { ...shortRoute, group_by: ['...'] }, storm_max_notifications: 3, storm_window_seconds: 10 },
    })
    for (let i = 0; i < 8; i++) await rig.fire({ alertname: `S${i}`, job: 'j' })
    await rig.run(12)
    expect(rig.told.map(({ reason, alerts }) => `${reason} ${alerts.length}`)).toEqual([
      ...['first 1', 'first 1', 'first 1', 'digest 5'],
    ])
    const digest = rig.told.at(-1)!
    expect(rig.ledger.filter(({ by, byId }) => by === 'storm' && byId === digest.id)).toHaveLength(5)
    await rig.end({ alertname: 'S7', job: 'j' })
    await rig.run(3)
    expect(rig.lines().at(-1)).toMatch(/all_resolved resolved S7!/)
  })

  test('a node whose clock is ahead says that something is in order: nothing fires until our clock has come as far', async () => {
    const rig = await start()
    const ahead = openRig(db, { route: shortRoute }, { clock: createManualClock(rig.clock.now() + 90_000) })
    const say = (alertname: string, isOver: boolean) => {
      const at = ahead.clock.now()
      const times = { startsAt: at, endsAt: isOver ? at : null, expiresAt: null }
      const labels = { alertname, job: 'j' }
      return ahead.pipeline.post([{ labels, annotations: {}, generatorUrl: '', tenantId: '', ...times }])
    }
    await say('X', true)
    await rig.run(5)
    expect(rig.heard).toEqual([])
    await say('Y', false)
    await rig.run(5)
    expect(rig.lines()).toEqual(['7s a first firing Y'])
    expect(rig.told[0]!.alerts[0]!.startsAt).toBeLessThanOrEqual(rig.clock.now())
    await say('Y', true)
    await rig.run(5)
    expect(rig.lines().at(-1)).toMatch(/all_resolved resolved Y!/)
  })

  test('a clock set back keeps nobody waiting, and one set forward ends nothing that could not be said again', async () => {
    const rig = await start()
    await rig.fire(x, { expiresInMs: 300_000 })
    await rig.run(2)
    await rig.clock.leap(hour / 2)
    await rig.run(100)
    expect(rig.lines()).toEqual(['1s a first firing X'])
    await rig.clock.leap(-hour)
    await rig.fire(y)
    await rig.run(5)
    expect(rig.lines().at(-1)).toMatch(/new_alerts firing X,Y$/)
  })
})
