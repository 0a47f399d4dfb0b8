import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { Announcements } from '../../kernel/events.ts'
import { createHeartbeats } from '../../kernel/heartbeats.ts'
import { everything } from '../../kernel/scope.ts'
import { migrations } from '../../migrations/index.ts'
import { createMemoryBus } from '../../platform/bus/memory.ts'
import { engines, type TestEngine } from '../../platform/database/testing.ts'
import { createUpstreams } from '../../platform/fetch.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import { createMemoryLeases } from '../../platform/lease/memory.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createSecrets } from '../../platform/secrets.ts'
import { silentLog } from '../../platform/testing.ts'
import { healthConfig } from '../config.ts'
import type { Verdict } from '../schema.ts'
import { readHistory } from './history.ts'
import { createChecks } from './index.ts'
import { monitorCreate } from './schema.ts'
import { createMonitorStore } from './store.ts'
import { describeSum, hourMs, minuteMs } from './sums.ts'

const dayMs = 24 * hourMs
const secrets = createSecrets(randomBytes(32))
const start = Date.UTC(2026, 2, 1)

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

type Store = Awaited<ReturnType<TestEngine['open']>>

/** A node that runs checks of type hub, whose verdicts the test sets, without a loop of its own. */
function openNode(database: Store, options: { clock?: ReturnType<typeof createManualClock>; leases?: Leases } = {}) {
  const clock = options.clock ?? createManualClock(start)
  const bus = createMemoryBus({ log: silentLog })
  const heartbeats = createHeartbeats(clock)
  const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 1000, log: silentLog })
  onTestFinished(() => way.close(0))
  const states = new Map<string, Verdict['state']>()
  const metrics = createMetrics({ clock })
  const told: Announcements['check.changed'][] = []
  bus.on('check.changed', (news) => void told.push(news))
  const checks = createChecks(
    {
      ...{ db: database.kysely, secrets, heartbeats, bus, clock, log: silentLog, metrics },
      leases: options.leases ?? createMemoryLeases({ clock }),
      ways: { hub: way, tenant: way },
      world: {
        own: (check) => {
          const common = { check, isCritical: false, checkedAt: 1, message: 'told', remedy: '', observed: {} }
          return { ...common, state: states.get(check) ?? 'ok', latencyMs: 20 }
        },
        provider: () => null,
        askProvider: async () => {},
        service: () => null,
      },
      tenantIdOf: async () => null,
      spend: async () => ({ canaryNanoUsd: 0, limitNanoUsd: 0 }),
    },
    healthConfig.parse({}),
  )
  const store = createMonitorStore(database.kysely)
  /** Turns of a second each for so long. */
  async function pass(ms: number) {
    for (let left = ms; left > 0; left -= 1000) {
      await clock.leap(Math.min(left, 1000))
      await checks.runner.turn()
      await checks.runner.idle()
    }
    await checks.runner.turn()
  }
  const make = async (wish: object) => {
    const whole = { type: 'hub', interval_seconds: 30, retry_interval_seconds: 5, ...wish }
    const { view } = await checks.monitors.create('', monitorCreate.parse(whole))
    // Nobody listens to the bus without the loop.
    await clock.leap(6000)
    return view.monitor
  }
  const stateOf = async (id: string) => (await checks.monitors.get(everything, id)).standing.state
  return { clock, bus, checks, metrics, store, states, told, pass, make, stateOf, heartbeats }
}

describe.each(engines())('checks on $name', ({ open }) => {
  test('a check is asked at its interval, sooner while it fails, and told once with reason and duration', async () => {
    const node = openNode(await open(migrations))
    const { id } = await node.make({ name: 'shop', parameters: { part: 'shop' } })
    await node.pass(61_000)
    const rows = async () => await node.store.results(id, 0, Number.MAX_SAFE_INTEGER, 1000)
    expect(await rows()).toHaveLength(3)
    node.states.set('shop', 'failed')
    await node.pass(60_000)
    expect(await node.stateOf(id)).toBe('down')
    const gaps = (await rows()).map(({ at }) => at).reverse()
    expect(gaps.slice(1).map((at, i) => at - gaps[i]!)).toEqual([30_000, 30_000, 30_000, 5000, 5000])
    expect(node.told).toMatchObject([
      {
        ...{ check: 'shop', from: 'up', to: 'down' },
        configured: { id, tenantId: '', level: 'service', reason: 'unhealthy', durationMs: 100_000, suppressedBy: '' },
      },
    ])
    node.states.set('shop', 'ok')
    await node.pass(40_000)
    expect(node.told.map(({ to }) => to)).toEqual(['down', 'up'])
  })

  test('the series of a check end with it, and those of its old name when it is renamed', async () => {
    const node = openNode(await open(migrations))
    const { id } = await node.make({ name: 'shop', parameters: { part: 'shop' } })
    const told = async () => {
      await node.clock.leap(2000)
      const { text } = await node.metrics.render()
      return text.split('\n').filter((line) => line.includes(id))
    }
    await node.pass(31_000)
    expect(await told()).toEqual([
      `gatehouse_check_state{check="${id}",name="shop"} 1`,
      `gatehouse_check_seconds{check="${id}",name="shop"} 0.02`,
    ])
    await node.checks.monitors.patch(everything, id, { name: 'till' })
    await node.clock.leap(6000)
    await node.pass(61_000)
    expect((await told()).every((line) => line.includes('name="till"'))).toBe(true)
    await node.checks.monitors.delete(everything, id)
    await node.clock.leap(6000)
    await node.pass(31_000)
    expect(await told()).toEqual([])
  })

  test('state and counts survive a restart: nothing is told twice, nothing begins anew', async () => {
    const database = await open(migrations)
    const leases = createMemoryLeases({ clock: createManualClock(start) })
    const first = openNode(database, { leases })
    const { id } = await first.make({ name: 'shop', parameters: { part: 'shop' } })
    first.states.set('shop', 'failed')
    await first.pass(60_000)
    expect(first.told.map(({ to }) => to)).toEqual(['down'])
    const later = createManualClock(first.clock.now() + 3000)
    const second = openNode(database, { clock: later })
    second.states.set('shop', 'failed')
    await second.pass(60_000)
    expect(second.told).toEqual([])
    expect(await second.stateOf(id)).toBe('down')
    second.states.set('shop', 'ok')
    await second.pass(60_000)
    expect(second.told).toMatchObject([{ from: 'down', to: 'up' }])
  })

  test('one node of two runs a check, and the other goes on when it is gone', async () => {
    const database = await open(migrations)
    const clock = createManualClock(start)
    let holder = ''
    const leasesOf = (name: string): Leases => ({
      acquire: async () => {
        holder ||= name
        return holder === name
      },
      release: async () => {},
      close: async () => {},
    })
    const [a, b] = [
      openNode(database, { clock, leases: leasesOf('a') }),
      openNode(database, { clock, leases: leasesOf('b') }),
    ]
    const { id } = await a.make({ name: 'shop', parameters: { part: 'shop' } })
    await a.pass(31_000)
    await b.pass(31_000)
    expect([a.checks.runner.isHolding(), b.checks.runner.isHolding()]).toEqual([true, false])
    const seen = (await b.store.results(id, 0, Number.MAX_SAFE_INTEGER, 100)).length
    expect(seen).toBe(2)
    holder = 'b'
    await b.pass(40_000)
    expect((await b.store.results(id, 0, Number.MAX_SAFE_INTEGER, 100)).length).toBeGreaterThan(seen)
  })

  test('a check that depends on one that is down is down quietly, and says on whom', async () => {
    const node = openNode(await open(migrations))
    const parent = await node.make({ name: 'postgres', parameters: { part: 'db' }, interval_seconds: 60 })
    const child = await node.make({ name: 'shop', parameters: { part: 'shop' }, failures: 1, depends_on: [parent.id] })
    await node.pass(61_000)
    node.states.set('db', 'failed').set('shop', 'failed')
    await node.pass(120_000)
    expect([await node.stateOf(parent.id), await node.stateOf(child.id)]).toEqual(['down', 'down'])
    const heard = node.told.map(({ check, configured }) => [check, configured!.suppressedBy])
    expect(heard).toContainEqual(['postgres', ''])
    expect(heard.filter(([check]) => check === 'shop').every(([, by]) => by === 'postgres')).toBe(true)
  })

  test('sums are made once however often, in minutes and hours, and single results go after a week', async () => {
    const node = openNode(await open(migrations))
    const id = 'chk_test'
    const result = (at: number, state: string, inMaintenance = 0) => ({
      ...{
        check_id: id,
        at,
        span_ms: 30_000,
        state,
        in_maintenance: inMaintenance,
        latency_ms: 100,
        reason: '',
        message: '',
      },
    })
    const rows = Array.from({ length: 2 * 120 }, (_, i) => {
      const minute = Math.floor(i / 2)
      const state = minute < 12 ? 'down' : minute < 18 ? 'inconclusive' : 'up'
      return result(
        start + i * 30_000 + 15_000,
        minute >= 60 && minute < 66 ? 'down' : state,
        minute >= 60 && minute < 66 ? 1 : 0,
      )
    })
    await node.store.keep([], rows)
    await node.clock.leap(3 * hourMs)
    const now = node.clock.now()
    await node.pass(31_000)
    const told = async (from: number, to: number) => describeSum((await readHistory(node.store, id, from, to)).total)
    const raw = await told(start, start + 3 * hourMs)
    expect(raw).toMatchObject({
      uptime: 96 / 108,
      uptime_with_maintenance: 96 / 114,
      inconclusive_seconds: 360,
      maintenance_seconds: 360,
      results: 240,
    })
    expect(raw.p50_ms).toBeGreaterThan(90)
    expect(raw.p95_ms).toBeLessThan(110)
    expect(await told(start, start + dayMs)).toEqual(raw)
    expect(await told(start - 30 * dayMs, now)).toEqual(raw)
    const minutes = await node.store.sums(minuteMs, id, 0, now)
    expect(minutes).toHaveLength(120)
    await node.store.putSums(minuteMs, minutes, start)
    await node.store.putSums(hourMs, [], start)
    await node.pass(61_000)
    expect(await told(start - 30 * dayMs, now)).toEqual(raw)
    await node.clock.leap(8 * dayMs)
    for (let i = 0; i < 12; i++) await node.pass(31_000)
    expect(await node.store.results(id, 0, now, 1000)).toEqual([])
    expect(await told(start - dayMs, start + 3 * dayMs)).toEqual(raw)
    await node.clock.leap(30 * dayMs)
    for (let i = 0; i < 40; i++) await node.pass(31_000)
    expect(await node.store.sums(minuteMs, id, 0, now)).toEqual([])
    expect((await node.store.sums(hourMs, id, 0, now)).length).toBe(2)
    expect(await told(start - 30 * dayMs, now)).toEqual(raw)
  })

  test('secrets lie sealed in the store, and a push token as a hash', async () => {
    const database = await open(migrations)
    const node = openNode(database)
    const parameters = { host: 'db', user: 'me', password: 'hunter22' }
    await node.checks.monitors.create('', monitorCreate.parse({ name: 'db', type: 'postgres', parameters }))
    const push = monitorCreate.parse({ name: 'job', type: 'push', parameters: { every_seconds: 60 } })
    const { pushToken } = await node.checks.monitors.create('', push)
    const stored = JSON.stringify(await database.kysely.selectFrom('checks').selectAll().execute())
    expect(stored).not.toContain('hunter22')
    expect(stored).not.toContain(pushToken)
  })

  test('the first checks are made once, and one that was removed stays away', async () => {
    const database = await open(migrations)
    const first = openNode(database)
    await first.checks.start()
    await first.checks.stop()
    const { data } = await first.checks.monitors.list(everything, 100)
    expect(data).toHaveLength(11)
    await first.checks.monitors.delete(everything, data[0]!.monitor.id)
    const second = openNode(database)
    await second.checks.start()
    await second.checks.stop()
    expect((await second.checks.monitors.list(everything, 100)).data).toHaveLength(10)
  })

  test('a store that is away for a while loses no result and no news', async () => {
    const database = await open(migrations)
    const node = openNode(database)
    const { id } = await node.make({ name: 'shop', parameters: { part: 'shop' } })
    await node.pass(1000)
    const rename = (from: string, to: string) => sql.raw(`alter table ${from} rename to ${to}`).execute(database.kysely)
    await rename('check_results', 'away')
    node.states.set('shop', 'failed')
    for (let i = 0; i < 90; i++) await node.pass(1000).catch(() => {})
    expect(node.told.map(({ to }) => to)).toEqual(['down'])
    await rename('away', 'check_results')
    await node.pass(1000)
    expect(await node.stateOf(id)).toBe('down')
    const rows = await node.store.results(id, 0, Number.MAX_SAFE_INTEGER, 100)
    expect(
      rows
        .map(({ state }) => state)
        .reverse()
        .slice(0, 4),
    ).toEqual(['up', 'pending', 'pending', 'down'])
  })
})

describe('with a real server', () => {
  const [sqlite] = engines()
  test('a check that hangs holds up no other, and its own time is kept', async () => {
    const port = await listen(createServer(() => {}))
    const node = openNode(await sqlite!.open(migrations))
    const hanging = await node.make({
      name: 'hangs',
      type: 'http',
      timeout_seconds: 0.2,
      failures: 1,
      parameters: { url: `http://127.0.0.1:${port}/` },
    })
    const other = await node.make({ name: 'other', parameters: { part: 'other' } })
    await node.pass(10_000)
    expect(await node.stateOf(hanging.id)).toBe('down')
    expect(await node.stateOf(other.id)).toBe('up')
  })
})

test('a turn of checks that never ends is told by name within two intervals', async () => {
  const [sqlite] = engines()
  const stuck: Leases = { acquire: () => new Promise(() => {}), release: async () => {}, close: async () => {} }
  const node = openNode(await sqlite!.open(migrations), { leases: stuck })
  await node.checks.start()
  await node.clock.advance(119_000)
  expect(node.heartbeats.stalled()).toEqual([])
  await node.clock.advance(2000)
  expect(node.heartbeats.stalled()).toMatchObject([{ worker: 'checks', allowedMs: 120_000 }])
})
