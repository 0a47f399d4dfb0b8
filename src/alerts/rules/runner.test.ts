import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { unwatched } from '../../kernel/heartbeats.ts'
import { alertRulesMigration } from '../../migrations/0027-alert-rules.ts'
import { engines } from '../../platform/database/testing.ts'
import { silentLog } from '../../platform/database/testing-log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createSampleBench, type SampleBench } from '../../telemetry/index.ts'
import type { PostedAlert } from '../alert.ts'
import { backtest, createEpisodes } from './backtest.ts'
import { createRuleBook, toGroup } from './book.ts'
import { emptyMemory, evaluate } from './evaluate.ts'
import { createRunner } from './runner.ts'
import { type RuleWish, ruleWishSchema } from './schema.ts'
import { createRuleStore, type RuleStore, readElement } from './store.ts'

const minuteMs = 60_000
const startAt = Date.UTC(2026, 5, 1)

/** A process that evaluates rules: what it remembers is gone with it, the store and the samples are not. */
async function startNode(
  world: { store: RuleStore; bench: SampleBench; now: number; isAway?: boolean },
  options: { post?: (alerts: readonly PostedAlert[]) => Promise<void> } = {},
) {
  const { store, bench } = world
  const clock = { ...createManualClock(), now: () => world.now, monotonic: () => world.now }
  const posted: PostedAlert[] = []
  const metrics = createMetrics()
  const book = createRuleBook({ store, source: () => ({ files: [], isPack: false, packOff: [] }), log: silentLog })
  await book.open()
  const runner = createRunner(
    {
      ...{ book, store, clock, metrics, log: silentLog, heartbeats: unwatched },
      async ask(expression, at) {
        if (world.isAway) throw new Error('the samples are away')
        const result = bench.query(expression, at)
        return result.type === 'vector' ? result.series : []
      },
      keep: async (samples, at) => bench.append(samples, at),
      post: options.post ?? (async (alerts) => void posted.push(...alerts)),
      leases: { acquire: async () => true, release: async () => {}, close: async () => {} },
    },
    {
      ...{ intervalMs: minuteMs, resendDelayMs: minuteMs, groupsAtOnce: 4, maxAlertsPerRule: 100 },
      ...{ noData: 'keep_state', onError: 'keep_state', externalUrl: 'https://hub.example' },
    },
  )
  return {
    posted,
    metrics,
    /** Goes on minute by minute; `values` are samples of `load{host}` by minute, null where there is none. */
    async run(minutes: number, values: Readonly<Record<string, number | null>>) {
      for (let i = 0; i < minutes; i++) {
        const some = Object.entries(values).flatMap(([host, value]) =>
          value === null ? [] : [{ labels: { __name__: 'load', host }, value }],
        )
        bench.append(some, world.now)
        await runner.tick(world.now + 59_000)
        world.now += minuteMs
      }
    },
    tick: runner.tick,
  }
}

const wish = (change: Partial<RuleWish> = {}): RuleWish =>
  ruleWishSchema.parse({
    ...{ alert: 'Loaded', expr: 'load > 5', for: '3m', labels: { severity: 'high' } },
    annotations: { summary: '{{ $labels.host }} at {{ $value }}' },
    ...change,
  })

describe.each(engines())('alert rules on $name', ({ open }) => {
  async function openWorld(change: Partial<RuleWish> = {}) {
    const store = createRuleStore((await open([alertRulesMigration])).kysely)
    await store.put({ id: 'alr_one', source: 'api', wish: wish(change), createdAt: 1, updatedAt: 1 })
    const states = async () =>
      (await store.states('alr_one'))
        .filter(({ fingerprint }) => fingerprint !== '')
        .map(({ memory }) => readElement(memory))
    const health = async () => {
      const own = (await store.states('alr_one')).find(({ fingerprint }) => fingerprint === '')
      return [own!.state, (JSON.parse(own!.memory) as { health: string }).health]
    }
    return { store, bench: createSampleBench(), now: startAt, states, health, isAway: false }
  }

  test('what fired fires after a kill, with its times, and is told anew only when that is due', async () => {
    const world = await openWorld({ keep_firing_for: '10m' })
    const first = await startNode(world)
    await first.run(7, { a: 9 })
    const before = (await world.states())[0]!
    expect(before).toMatchObject({ state: 'firing', labels: { alertname: 'Loaded', host: 'a', severity: 'high' } })
    expect(first.posted[0]).toMatchObject({
      startsAt: before.firedAt,
      endsAt: null,
      annotations: { summary: 'a at 9' },
    })
    expect(first.posted[0]!.expiresAt! - before.firedAt!).toBe(4 * minuteMs)

    const second = await startNode(world)
    await second.run(1, { a: 9 })
    expect((await world.states())[0]).toMatchObject({
      state: 'firing',
      activeAt: before.activeAt,
      firedAt: before.firedAt,
    })
    await second.run(3, { a: 1 })
    const { keepFiringSince } = (await world.states())[0]!
    expect(keepFiringSince).not.toBeNull()
    const third = await startNode(world)
    await third.run(4, { a: 1 })
    expect((await world.states())[0]).toMatchObject({ state: 'firing', keepFiringSince })
    await third.run(6, { a: 1 })
    const ended = (await world.states())[0]!
    expect(ended.state).toBe('inactive')
    expect(third.posted.at(-1)).toMatchObject({ startsAt: before.firedAt, endsAt: ended.resolvedAt, expiresAt: null })
  })

  test('a kill between writing down and passing on loses no alert', async () => {
    const world = await openWorld()
    const dying = await startNode(world, {
      post: async () => {
        throw new Error('the process died')
      },
    })
    await dying.run(6, { a: 9 })
    expect((await world.states())[0]).toMatchObject({ state: 'firing', lastSentAt: null })
    const next = await startNode(world)
    await next.run(1, { a: 9 })
    expect(next.posted).toHaveLength(1)
    expect((await world.states())[0]!.lastSentAt).not.toBeNull()
  })

  test('time in which nobody looked does not count as pending', async () => {
    const world = await openWorld({ for: '5m' })
    await (await startNode(world)).run(3, { a: 9 })
    expect((await world.states())[0]!.state).toBe('pending')
    world.now += 60 * minuteMs
    const next = await startNode(world)
    await next.run(1, { a: 9 })
    expect((await world.states())[0]!.state).toBe('pending')
    await next.run(4, { a: 9 })
    expect((await world.states())[0]!.state).toBe('firing')
  })

  test('prometheus ends an alert whose series vanish: here missing data ends nothing, and is told as what it is', async () => {
    const world = await openWorld()
    const node = await startNode(world)
    await node.run(6, { a: 9, b: 2 })
    await node.run(30, { a: null, b: 2 })
    expect((await world.states())[0]).toMatchObject({ state: 'firing', noDataSince: expect.any(Number) })
    expect(await world.health()).toEqual(['firing', 'ok'])
    await node.run(30, { a: null, b: null })
    expect((await world.states())[0]!.state).toBe('firing')
    expect(await world.health()).toEqual(['firing', 'nodata'])
    expect(node.posted.every(({ endsAt }) => endsAt === null)).toBe(true)
    await node.run(2, { a: 1, b: 2 })
    expect((await world.states())[0]!.state).toBe('inactive')
    expect(node.posted.at(-1)!.endsAt).not.toBeNull()
  })

  test('what is pending neither fires nor is forgotten while its data is missing', async () => {
    const world = await openWorld({ for: '10m' })
    const node = await startNode(world)
    await node.run(4, { a: 9 })
    await node.run(30, { a: null })
    expect((await world.states())[0]!.state).toBe('pending')
    await node.run(3, { a: 9 })
    expect((await world.states())[0]!.state).toBe('pending')
    // Within the look-back of five minutes the last sample still counted.
    await node.run(4, { a: 9 })
    expect((await world.states())[0]!.state).toBe('firing')
  })

  test('no policy for missing data but resolve ends what fires; alert tells of the data itself', async () => {
    const told: Record<string, string[]> = {}
    for (const no_data of ['keep_state', 'alert', 'ok', 'resolve'] as const) {
      const world = await openWorld({ no_data, for: '1m' })
      const node = await startNode(world)
      await node.run(4, { a: 9 })
      await node.run(12, { a: null })
      const [state] = await world.health()
      const alerts = (await world.states()).filter((each) => each.state === 'firing')
      told[no_data] = [state!, ...alerts.map(({ labels }) => labels.gatehouse_state ?? labels.host!).sort()]
      await node.run(2, { a: 1 })
      expect((await world.states()).filter((each) => each.state === 'firing')).toEqual([])
    }
    expect(told).toEqual({
      ...{ keep_state: ['firing', 'a'], alert: ['firing', 'a', 'nodata'], ok: ['firing', 'a'], resolve: ['inactive'] },
    })
  })

  test('a node that has just begun has no data of anything, and tells nobody so', async () => {
    const world = await openWorld({ no_data: 'alert', for: '0s' })
    const node = await startNode(world)
    const firing = async () => (await world.states()).filter(({ state }) => state === 'firing')
    await node.run(2, { a: null })
    expect(await world.health()).toEqual(['pending', 'nodata'])
    expect(await firing()).toEqual([])
    await node.run(6, { a: null })
    expect((await firing()).map(({ about }) => about)).toEqual(['nodata'])
  })

  test('a failed evaluation changes nothing, is counted, and is an alert where that is asked for', async () => {
    for (const on_error of ['keep_state', 'alert'] as const) {
      const world = await openWorld({ on_error, for: '1m' })
      const node = await startNode(world)
      await node.run(4, { a: 9 })
      world.isAway = true
      await node.run(60, { a: 1 })
      const firing = (await world.states()).filter(({ state }) => state === 'firing')
      expect(firing.map(({ about }) => about).sort()).toEqual(on_error === 'alert' ? ['error', 'row'] : ['row'])
      expect(await world.health()).toEqual(['firing', 'error'])
      expect(node.posted.every(({ endsAt }) => endsAt === null)).toBe(true)
      const failures = node.metrics.collect().find(({ name }) => name === 'gatehouse_alerts_evaluation_failures_total')
      expect(failures!.samples[0]!.value).toBe(60)
      world.isAway = false
      await node.run(2, { a: 1 })
      expect((await world.states()).every(({ state }) => state === 'inactive')).toBe(true)
    }
  })

  test('a rule that is taken away or switched off takes its alerts with it, and their end is told', async () => {
    const world = await openWorld({ for: '0s' })
    const node = await startNode(world)
    await node.run(2, { a: 9 })
    await world.store.put({ id: 'alr_one', source: 'api', wish: wish({ enabled: false }), createdAt: 1, updatedAt: 2 })
    await node.run(1, { a: 9 })
    expect(node.posted.at(-1)).toMatchObject({ endsAt: expect.any(Number), labels: { alertname: 'Loaded' } })
    expect(await world.store.states('alr_one')).toEqual([])
  })

  test('a longer `for` holds back what it would not have let fire; a clock that is set back ends and loses nothing', async () => {
    const world = await openWorld({ for: '1m' })
    const node = await startNode(world)
    await node.run(4, { a: 9 })
    await world.store.put({ id: 'alr_one', source: 'api', wish: wish({ for: '30m' }), createdAt: 1, updatedAt: 2 })
    await node.run(1, { a: 9 })
    expect((await world.states())[0]!.state).toBe('pending')
    await node.run(30, { a: 9 })
    expect((await world.states())[0]!.state).toBe('firing')
    world.now -= 20 * minuteMs
    const sent = node.posted.length
    await node.run(3, { a: 9 })
    expect((await world.states())[0]!.state).toBe('firing')
    expect(node.posted.length).toBeGreaterThan(sent)
  })

  test('alerts are series too, which end when they do', async () => {
    const world = await openWorld({ for: '2m' })
    const node = await startNode(world)
    await node.run(2, { a: 9 })
    const seen = (at: number) => {
      const result = world.bench.query('ALERTS{alertname="Loaded"}', at)
      return result.type === 'vector' ? result.series.map(({ labels }) => labels.alertstate) : []
    }
    expect(seen(world.now)).toEqual(['pending'])
    await node.run(3, { a: 9 })
    expect(seen(world.now)).toEqual(['firing'])
    await node.run(2, { a: 1 })
    expect(seen(world.now)).toEqual([])
  })

  test('a tick that came too late is counted and not made up for', async () => {
    const world = await openWorld()
    const node = await startNode(world)
    await node.run(2, { a: 1 })
    world.now += 10 * minuteMs
    await node.run(1, { a: 1 })
    const missed = node.metrics.collect().find(({ name }) => name === 'gatehouse_alerts_evaluations_missed_total')
    expect(missed!.samples[0]!.value).toBe(10)
  })
})

test('a backtest says what the rule, evaluated live over the same samples, has said', async () => {
  const bench = createSampleBench()
  const [toMs, stepMs] = [startAt + 1500 * minuteMs, minuteMs]
  let level = 0
  for (let at = startAt; at <= toMs; at += stepMs) {
    level = (level * 7 + 11) % 13
    if (level !== 4) bench.append([{ labels: { __name__: 'load', host: 'a' }, value: level }], at)
  }
  const { rule } = toGroup(
    wish({ expr: 'avg_over_time(load[3m]) > 6', for: '1m', keep_firing_for: '2m' }),
    'alr_x',
    'api',
    '',
  )
  const rows = (expression: string, at: number) => {
    const result = bench.query(expression, at)
    return result.type === 'vector' ? result.series : []
  }
  const settings = {
    ...({ noData: 'keep_state', onError: 'keep_state', externalUrl: '', externalLabels: {} } as const),
    ...{ limit: 100, queryOffsetMs: 0, ask: async (expression: string, at: number) => rows(expression, at) },
  }
  const memory = emptyMemory()
  const live = createEpisodes()
  for (let ts = startAt; ts <= toMs; ts += stepMs) {
    await evaluate(rule, memory, ts, settings)
    live.see(memory, ts)
  }
  let asked = 0
  const told = await backtest(
    rule,
    { fromMs: startAt, toMs, stepMs },
    {
      ...settings,
      queryRange(expression, range) {
        asked++
        return bench.queryRange(expression, range)
      },
    },
  )
  expect(told.episodes).toEqual(live.all())
  expect(told.episodes.length).toBeGreaterThan(50)
  expect(told.evaluations).toBe(1501)
  expect(asked).toBeLessThan(20)
  const byFor = new Map(told.alternatives.map(({ forMs, fired }) => [forMs, fired]))
  expect(byFor.get(0)).toBeGreaterThanOrEqual(told.episodes.length)
  expect(byFor.get(900_000)).toBe(0)
})
