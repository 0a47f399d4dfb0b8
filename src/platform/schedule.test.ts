import { expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Leases } from './lease/lease.ts'
import { createMemoryLeases, type LeaseBook } from './lease/memory.ts'
import { createLog } from './log.ts'
import { createSchedule } from './schedule.ts'

function createNode(clock = createManualClock(), book: LeaseBook = new Map(), leases?: Leases) {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', stream: { write: (line) => lines.push(line) } })
  const schedule = createSchedule({
    clock,
    leases: leases ?? createMemoryLeases({ clock, book }),
    log,
    random: () => 0.5,
  })
  onTestFinished(() => schedule.stop())
  return { schedule, clock, lines, book }
}

const here = { onOneNode: false, firstDelayMs: 0 }
const once = { onOneNode: true, firstDelayMs: 0 }
const settle = () => new Promise((resolve) => setImmediate(resolve))

test('a job runs every so often, first after a random part of that', async () => {
  const { schedule, clock } = createNode()
  const runs: number[] = []
  schedule.every('tick', 1000, () => void runs.push(clock.monotonic()), { onOneNode: false })
  await clock.advance(3600)
  expect(runs).toEqual([500, 1500, 2500, 3500])
})

test('a job that takes too long is not started beside itself, and missed turns are not made up for', async () => {
  const { schedule, clock } = createNode()
  const runs: number[] = []
  const job = async (signal: AbortSignal) => {
    runs.push(clock.monotonic())
    await clock.sleep(2500, signal)
  }
  schedule.every('slow', 1000, job, here)
  await settle()
  await clock.advance(7400)
  expect(runs).toEqual([0, 2500, 5000])
})

test('a job that fails is told of and runs again', async () => {
  const { schedule, clock, lines } = createNode()
  let runs = 0
  schedule.every('broken', 1000, () => Promise.reject(new Error(`run ${++runs}`)), here)
  await settle()
  await clock.advance(1000)
  expect(runs).toBe(2)
  expect(lines).toHaveLength(2)
  expect(lines[0]).toContain('The job broken failed')
  expect(lines[1]).toContain('run 2')
})

test('stopping aborts what runs, waits for it and starts nothing more', async () => {
  const { schedule, clock, lines } = createNode()
  let state = 'waiting'
  const job = async (signal: AbortSignal) => {
    state = 'running'
    await clock.sleep(60_000, signal)
    await settle()
    state = 'ended'
    signal.throwIfAborted()
  }
  schedule.every('long', 1000, job, here)
  await settle()
  expect(state).toBe('running')
  await schedule.stop()
  expect(state).toBe('ended')
  await clock.advance(10_000)
  expect(state).toBe('ended')
  expect(lines).toEqual([])
})

test('a job for one node runs on one of two, and on the other soon after the first is gone', async () => {
  const clock = createManualClock()
  const book: LeaseBook = new Map()
  const [one, two] = [createNode(clock, book), createNode(clock, book)]
  const runs: string[] = []
  one.schedule.every('settle', 60_000, () => void runs.push('one'), once)
  two.schedule.every('settle', 60_000, () => void runs.push('two'), { onOneNode: true, firstDelayMs: 1000 })
  await settle()
  await clock.advance(130_000)
  expect(runs).toEqual(['one', 'one', 'one'])
  await one.schedule.stop()
  await clock.advance(60_000)
  expect(runs).toEqual(['one', 'one', 'one', 'two'])
})

test('the lease is kept for as long as a run takes; when it is lost the run is aborted', async () => {
  const { schedule, clock, book } = createNode()
  let isAborted = false
  const job = async (signal: AbortSignal) => {
    await clock.sleep(600_000, signal)
    isAborted = signal.aborted
  }
  schedule.every('long', 60_000, job, once)
  await settle()
  await clock.advance(120_000)
  expect(book.get('job:long')!.endsAt).toBeGreaterThan(clock.monotonic())
  expect(isAborted).toBe(false)
  book.set('job:long', { holder: Symbol('another node'), endsAt: Number.POSITIVE_INFINITY })
  await clock.advance(10_000)
  await settle()
  expect(isAborted).toBe(true)
})

test('while nobody can say who holds the lease, the job for one node does not run, and others do', async () => {
  const down = () => Promise.reject(fail('unavailable', 'no Redis'))
  const { schedule, clock, lines } = createNode(undefined, undefined, {
    acquire: down,
    release: down,
    close: async () => {},
  })
  const runs: string[] = []
  schedule.every('alone', 1000, () => void runs.push('alone'), once)
  schedule.every('everywhere', 1000, () => void runs.push('everywhere'), here)
  await settle()
  await clock.advance(1000)
  expect(runs).toEqual(['everywhere', 'everywhere'])
  expect(lines.join()).toContain('job:alone could not be taken')
})
