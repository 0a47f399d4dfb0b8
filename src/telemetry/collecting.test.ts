import { expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { createRecordingLog } from '../platform/database/testing-log.ts'
import type { Collector } from './collectors/collector.ts'
import { runCollectors } from './collectors/testing.ts'

type Answer = () => number | Promise<number>

function createCollector(answer: { now: Answer }, name = 'redis'): Collector {
  return {
    name,
    open({ metrics }) {
      const level = metrics.readings('gauge', `gatehouse_${name}_level`, 'Level.')
      return [{ target: 't', when: 'interval', read: async () => [[level, await answer.now()]] }]
    },
  }
}

test('what cannot be read has no numbers, and the log says why once', async () => {
  const log = createRecordingLog()
  const answer: { now: Answer } = { now: () => 7 }
  const run = runCollectors([createCollector(answer)], { parts: { log: { ...log, child: () => log } } })
  expect(await run.read()).toMatchObject({
    gatehouse_redis_level: 7,
    'gatehouse_collector_up{collector="redis",target="t"}': 1,
  })
  answer.now = () => Promise.reject(new Error('it is away'))
  for (let round = 0; round < 3; round++) {
    const found = await run.read()
    expect(found).not.toHaveProperty('gatehouse_redis_level')
    expect(found['gatehouse_collector_up{collector="redis",target="t"}']).toBe(0)
    expect(found).toHaveProperty(['gatehouse_collector_seconds{collector="redis",target="t"}'])
  }
  expect(log.lines).toMatchObject([{ level: 'warn', fields: { error: { message: 'it is away' } } }])
  answer.now = () => 8
  expect(await run.read()).toMatchObject({ gatehouse_redis_level: 8 })
  expect(log.lines.map(({ level }) => level)).toEqual(['warn', 'info'])
})

test('one that stalls is given up and holds up no other; its late answer is not believed', async () => {
  const clock = createManualClock()
  let settle = (_: number) => {}
  const stalled: { now: Answer } = {
    now: () =>
      new Promise((resolve) => {
        settle = resolve
      }),
  }
  const run = runCollectors([createCollector(stalled), createCollector({ now: () => 1 }, 'sqlite')], {
    parts: { clock },
    timeoutMs: 5000,
  })
  const reading = run.read()
  await clock.advance(5000)
  const found = await reading
  expect(found).toMatchObject({
    gatehouse_sqlite_level: 1,
    'gatehouse_collector_up{collector="redis",target="t"}': 0,
    'gatehouse_collector_seconds{collector="redis",target="t"}': 5,
  })
  settle(3)
  await new Promise((resolve) => setImmediate(resolve))
  expect(await run.render()).not.toMatch(/^gatehouse_redis_level /m)
})

test('one that hangs for good is restarted: its connections are closed, and what it reads then is there', async () => {
  const clock = createManualClock()
  let closed = 0
  let isStuck = true
  const stuck: Collector = {
    name: 'redis',
    open({ metrics }) {
      const level = metrics.readings('gauge', 'gatehouse_redis_level', 'Level.')
      const read = () => (isStuck ? new Promise<never>(() => {}) : Promise.resolve([[level, 4] as const]))
      return [{ target: 't', when: 'interval', read, close: async () => void closed++ }]
    },
  }
  const run = runCollectors([stuck], { parts: { clock }, timeoutMs: 5000 })
  const up = 'gatehouse_collector_up{collector="redis",target="t"}'
  const round = async () => {
    const reading = run.read()
    await clock.advance(5000)
    return reading
  }
  expect(await round()).toMatchObject({ [up]: 0 })
  isStuck = false
  // What hangs is waited for at every turn, and never ends.
  expect(await round()).toMatchObject({ [up]: 0 })
  await run.collecting.restart('redis')
  expect(closed).toBe(1)
  expect(await round()).toMatchObject({ [up]: 1, gatehouse_redis_level: 4 })
  isStuck = true
  const failing = run.collecting.restart('redis')
  failing.catch(() => {})
  await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(5000)
  await expect(failing).rejects.toMatchObject({ code: 'unavailable' })
})

test('a collector that is off is not even opened', async () => {
  const never: Collector = {
    name: 'redis',
    open() {
      throw new Error('opened')
    },
  }
  expect(await runCollectors([never], { config: { off: ['redis'] } }).read()).toEqual({})
})

test('a thousand series are the most that a reading may have; what is more is counted', async () => {
  const flood: Collector = {
    name: 'redis',
    open({ metrics }) {
      const level = metrics.readings('gauge', 'gatehouse_redis_level', 'Level.', ['n'])
      const readings = Array.from({ length: 1200 }, (_, n) => [level, n, { n: String(n) }] as const)
      return [{ target: '', when: 'interval', read: () => readings }]
    },
  }
  const found = await runCollectors([flood]).read()
  expect(Object.keys(found).filter((name) => name.startsWith('gatehouse_redis_level'))).toHaveLength(1000)
  expect(found['gatehouse_metrics_overflow_total{metric="gatehouse_redis_level"}']).toBe(200)
})
