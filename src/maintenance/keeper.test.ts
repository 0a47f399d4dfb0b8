import { hostname } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/testing.ts'
import { readCalendar } from './calendar.ts'
import { defineJob, type Running } from './job.ts'
import { createKeeper } from './keeper.ts'
import type { Told } from './schema.ts'
import { listJobs } from './show.ts'
import { createStore } from './store.ts'
import { worldOf } from './testing.ts'
import { createTimings } from './timings.ts'

const hourMs = 3_600_000
const fine: Told = { outcome: 'ok', message: { en: 'Fine.', zh: '正常。' }, figures: { rows: 1 }, evidence: ['seen'] }
const told = (change: Partial<Told> = {}): Told => ({ ...fine, ...change })

describe.each(engines())('maintenance on $name', ({ open }) => {
  let opened: ReturnType<typeof open> | undefined

  /** Two nodes on one empty store; `act` is what the job of this test does. */
  async function start(act: (running: Running) => Promise<Told> | Told = () => fine) {
    opened ??= open(migrations)
    const { kysely } = await opened
    for (const table of ['maintenance_runs', 'maintenance_jobs', 'checks']) await kysely.deleteFrom(table).execute()
    const clock = createManualClock(Date.UTC(2026, 10, 28, 12))
    const bus = createMemoryBus({ log: silentLog })
    const news: string[] = []
    bus.on('maintenance.failed', ({ job, outcome, reason }) => news.push(`${job} ${outcome}: ${reason}`))
    bus.on('maintenance.finished', ({ job, outcome }) => news.push(`${job} ${outcome}`))
    const jobs = [
      defineJob({
        ...{ name: 'sweep', rhythm: 'daily', cron: '0 3 * * *', windowMinutes: 60 },
        summary: { en: 'Sweeps', zh: '清扫' },
        run: (_, running) => act(running),
      }),
    ]
    const store = createStore(kysely)
    const timings = createTimings({ store, jobs, now: clock.now }, { enabled: true, zone: 'UTC' })
    const node = (name: string) =>
      createKeeper({
        ...{ store, timings, jobs, clock, bus, log: silentLog, node: name, keepDays: 100, noted() {} },
        world: worldOf(clock),
      })
    const keepers = { one: node('other-machine:1:1'), two: node('another-machine:1:1'), named: node }
    onTestFinished(async () => {
      await keepers.one.stop()
      await keepers.two.stop()
    })
    await timings.see()
    const runs = () => store.list({ limit: 50 })
    const listed = async () => (await listJobs({ store, timings, jobs, now: clock.now() }, true))[0]!
    return { ...keepers, kysely, clock, store, timings, news, runs, listed }
  }

  test('a job runs at its turn and not before; its row is there before anything is done, its result after', async () => {
    const seen: string[] = []
    const { one, clock, runs, news } = await start(async () => {
      seen.push(...(await runs()).map(({ state }) => state))
      return fine
    })
    await one.turn(true)
    expect(await runs()).toEqual([])
    await clock.advance(15 * hourMs)
    await one.turn(true)
    await one.idle()
    expect(seen).toEqual(['running'])
    expect(await runs()).toMatchObject([
      { job: 'sweep', state: 'ok', reason: '', figures: { rows: 1 }, evidence: ['seen'], wantedBy: '' },
    ])
    expect(news).toEqual(['sweep ok'])
    await one.turn(true)
    await one.idle()
    expect(await runs()).toHaveLength(1)
  })

  test('two nodes share a turn: one of them runs it, once', async () => {
    let count = 0
    const { one, two, clock, runs } = await start(() => {
      count += 1
      return fine
    })
    await clock.advance(15 * hourMs)
    await Promise.all([one.turn(true), two.turn(true)])
    await Promise.all([one.idle(), two.idle()])
    expect(count).toBe(1)
    expect(await runs()).toHaveLength(1)
  })

  test.each(['ok', 'warn', 'fail', 'inconclusive'] as const)('%s is kept as what it is', async (outcome) => {
    const { one, runs, news } = await start(() => told({ outcome }))
    const wish = await one.want('sweep', 'usr_1')
    expect(wish).toMatchObject({ state: 'waiting', wantedBy: 'usr_1' })
    await one.turn(false)
    await one.idle()
    expect((await runs())[0]).toMatchObject({ state: outcome, reason: outcome === 'inconclusive' ? 'job' : '' })
    expect(news).toHaveLength(1)
  })

  test('a job that breaks is inconclusive with what broke it, and not a failure of what it looks at', async () => {
    const { one, runs } = await start(() => Promise.reject(new Error('no such table')))
    await one.want('sweep', 'usr_1')
    await one.turn(false)
    await one.idle()
    expect((await runs())[0]).toMatchObject({
      ...{ state: 'inconclusive', reason: 'error' },
      message: { en: 'It could not look: no such table' },
    })
  })

  test('a wish for what waits or runs is a conflict, and one for no job is told the names', async () => {
    const { one } = await start()
    await one.want('sweep', 'usr_1')
    await expect(one.want('sweep', 'usr_2')).rejects.toMatchObject({ code: 'conflict' })
    await expect(one.want('sweeep', 'usr_2')).rejects.toMatchObject({ code: 'not_found', message: /sweep/ })
  })

  test('a killed run is found at the next start of its machine, and said so at once', async () => {
    const { one, named, store, clock, news, runs } = await start()
    await one.want('sweep', 'usr_1')
    // The process id of this very test with another start: it was here before, and is gone.
    const killed = `${hostname()}:${process.pid}:1`
    expect(await store.take((await runs())[0]!.id, killed, clock.now())).toBe(true)
    await store.beat((await runs())[0]!.id, killed, clock.now(), { done: 3, total: 9, note: 'api_keys' })
    const next = named(`${hostname()}:${process.pid}:2`)
    await next.turn(true)
    expect((await runs())[0]).toMatchObject({ state: 'inconclusive', reason: 'killed' })
    expect(news).toEqual([expect.stringContaining('ended before it was done (api_keys)')])
  })

  test('a run on another machine is taken for dead when it has been silent, and its late result changes nothing', async () => {
    let finish = (_: Told) => {}
    const { one, two, clock, store, runs, news } = await start(
      () =>
        new Promise((resolve) => {
          finish = resolve
        }),
    )
    await one.want('sweep', 'usr_1')
    await one.turn(false)
    const { id } = (await runs())[0]!
    await two.turn(true)
    expect((await runs())[0]).toMatchObject({ state: 'running' })
    // Node one hangs: the clock goes on, and it does not get to say that it lives.
    await clock.leap(61_000)
    await store.beat(id, 'other-machine:1:1', clock.now() - 61_000, { done: 0, total: 0, note: '' })
    await two.turn(true)
    expect((await runs())[0]).toMatchObject({ state: 'inconclusive', reason: 'killed' })
    finish(fine)
    await one.idle()
    expect((await runs())[0]).toMatchObject({ state: 'inconclusive', reason: 'killed' })
    expect(news).toHaveLength(1)
  })

  test('what was taken for dead changes nothing more: it asks before each step', async () => {
    let next = () => {}
    const steps: string[] = []
    const { one, store, clock, runs } = await start(async (running) => {
      await running.assertHeld()
      steps.push('first')
      await new Promise<void>((resolve) => {
        next = resolve
      })
      await running.assertHeld()
      steps.push('second')
      return fine
    })
    await one.want('sweep', 'usr_1')
    await one.turn(false)
    while (steps.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const [run] = await runs()
    await store.end(run!, { ...told({ outcome: 'inconclusive' }), reason: 'killed' }, clock.now())
    next()
    await one.idle()
    expect(steps).toEqual(['first'])
    expect((await runs())[0]).toMatchObject({ reason: 'killed' })
  })

  test('a window that ends before its job does ends the job, and nobody knows', async () => {
    let heard: AbortSignal | undefined
    const { one, clock, runs } = await start(({ signal }) => {
      heard = signal
      return new Promise(() => {})
    })
    await clock.advance(15 * hourMs)
    await one.turn(true)
    let isOver = false
    const ended = one.idle().then(() => {
      isOver = true
    })
    await clock.leap(hourMs)
    while (!isOver) {
      await clock.advance(5000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await ended
    expect(heard!.aborted).toBe(true)
    expect((await runs())[0]).toMatchObject({ state: 'inconclusive', reason: 'window' })
  })

  test('a turn that nobody took in its window is missed, and counts as late until somebody knows again', async () => {
    const { one, clock, runs, listed } = await start()
    await clock.advance(17 * hourMs)
    await one.turn(true)
    await one.idle()
    expect(await runs()).toMatchObject([{ state: 'inconclusive', reason: 'missed' }])
    expect(await listed()).toMatchObject({ late_seconds: 2 * 3600, last: { reason: 'missed' } })
    await clock.advance(1)
    await one.want('sweep', 'usr_1')
    await one.turn(false)
    await one.idle()
    expect(await listed()).toMatchObject({ late_seconds: 0, last: { state: 'ok' } })
  })

  test('a hub that was away for a month makes up for the last turn alone', async () => {
    const { one, clock, runs } = await start()
    await clock.leap(30 * 24 * hourMs + 15.5 * hourMs)
    await one.turn(true)
    await one.idle()
    expect(await runs()).toMatchObject([{ state: 'ok', dueAt: Date.UTC(2026, 11, 29, 3) }])
  })

  test('a stopped hub ends what runs and says so', async () => {
    const { one, runs } = await start(() => new Promise(() => {}))
    await one.want('sweep', 'usr_1')
    await one.turn(false)
    await one.stop()
    expect((await runs())[0]).toMatchObject({ state: 'inconclusive', reason: 'stopped' })
  })

  test('when a job runs can be changed, in the time zone that is said, over a change of the clocks', async () => {
    const { timings, listed, one, clock, runs } = await start()
    await timings.change('sweep', { cron: '30 2 * * *', zone: 'Asia/Shanghai', window_minutes: 30 })
    expect(await listed()).toMatchObject({ is_changed: true, next_at: Date.UTC(2026, 10, 28, 18, 30) })
    await timings.change('sweep', { enabled: false })
    expect(await listed()).toMatchObject({ enabled: false, next_at: null })
    await clock.advance(48 * hourMs)
    await one.turn(true)
    expect(await runs()).toEqual([])
    await expect(timings.change('nothing', {})).rejects.toMatchObject({ code: 'not_found' })
  })

  test('the history pages by id, and old results go', async () => {
    const { one, store, clock } = await start()
    for (let count = 0; count < 5; count++) {
      await clock.advance(1000)
      await one.want('sweep', 'usr_1')
      await one.turn(false)
      await one.idle()
    }
    const first = await store.list({ limit: 3 })
    const rest = await store.list({ limit: 3, before: first.at(-1)!.id })
    expect([...first, ...rest].map(({ dueAt }) => dueAt)).toEqual(
      [5, 4, 3, 2, 1].map((at) => Date.UTC(2026, 10, 28, 12) + at * 1000),
    )
    await store.forget(clock.now() - 1500)
    expect(await store.list({ limit: 10 })).toHaveLength(2)
  })

  test('the calendar has what was done, what is planned and the windows of checks', async () => {
    const { one, clock, store, timings, kysely } = await start()
    await one.want('sweep', 'usr_1')
    await one.turn(false)
    await one.idle()
    const windows = [{ kind: 'cron', cron: '0 4 * * 0', zone: 'UTC', minutes: 60 }]
    await kysely
      .insertInto('checks')
      .values({
        ...{ id: 'chk_1', tenant_id: '', name: 'shop', type: 'http', level: 'business', description: '' },
        ...{ parameters: '{}', sealed: '', interval_ms: 1, retry_interval_ms: 1, timeout_ms: 1, retries: 0 },
        ...{ failures: 1, successes: 1, enabled: 1, is_public: 0, is_upside_down: 0, depends_on: '' },
        ...{ windows: JSON.stringify(windows), push_hash: null, created_at: 1, updated_at: 1 },
      })
      .execute()
    const now = clock.now()
    const { data } = await readCalendar({ store, timings, now }, { from: now - hourMs, to: now + 48 * hourMs })
    expect(data.map(({ kind, name, from }) => [kind, name, new Date(from).toISOString().slice(0, 16)])).toEqual([
      ['run', 'sweep', '2026-11-28T12:00'],
      ['planned', 'sweep', '2026-11-29T03:00'],
      ['window', 'shop', '2026-11-29T04:00'],
      ['planned', 'sweep', '2026-11-30T03:00'],
    ])
    await expect(readCalendar({ store, timings, now }, { from: 0, to: now })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })
})
