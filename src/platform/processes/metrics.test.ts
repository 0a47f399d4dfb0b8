import { expect, test, vi } from 'vitest'
import { createManualClock, systemClock } from '../../kernel/clock.ts'
import { createMetrics } from '../metrics.ts'
import { showMetrics, tellMetrics } from './metrics.ts'
import { createSwitchboard } from './switchboard.ts'
import { joinSwitchboard } from './testing.ts'

function open() {
  const clock = createManualClock()
  const switchboard = createSwitchboard({ clock: systemClock })
  const joinControl = () => {
    const shown = createMetrics({ clock })
    showMetrics(shown, joinSwitchboard(switchboard, 'control').link)
    return shown
  }
  const shown = joinControl()
  const work = () => {
    const joined = joinSwitchboard(switchboard)
    const metrics = createMetrics({ clock })
    const calls = metrics.counter('gatehouse_test_calls_total', 'Calls.', ['model'])
    const stopTelling = tellMetrics(metrics, joined.link, clock)
    return { ...joined, metrics, calls, stopTelling }
  }
  const tell = (names: readonly string[], controlPid = 1) =>
    switchboard.tell([
      { name: 'control', kind: 'control', state: 'running', pid: controlPid, restarts: 0 },
      ...names.map((name) => ({ name, kind: 'worker', state: 'running', pid: 1, restarts: 0 }) as const),
    ])
  return { clock, shown, work, tell, joinControl }
}

const lines = async (shown: ReturnType<typeof createMetrics>) =>
  (await shown.render()).text.split('\n').filter((line) => /^gatehouse_test_calls_total/.test(line))

test('the metrics of all workers stand on one page, each with its process, its own family told once', async () => {
  const { clock, shown, work, tell } = open()
  shown.counter('gatehouse_test_calls_total', 'Calls.', ['model']).with({ model: 'a' }).inc(1)
  const [one, two] = [work(), work()]
  tell([one.name, two.name])
  one.calls.with({ model: 'a' }).inc(2)
  two.calls.with({ model: 'a' }).inc(3)
  await clock.advance(2000)
  await vi.waitFor(async () => {
    await clock.advance(1000)
    expect(await lines(shown)).toEqual([
      'gatehouse_test_calls_total{model="a"} 1',
      `gatehouse_test_calls_total{model="a",process="${one.name}"} 2`,
      `gatehouse_test_calls_total{model="a",process="${two.name}"} 3`,
    ])
  })
  const { text } = await shown.render()
  expect(text.match(/# TYPE gatehouse_test_calls_total counter/g)).toHaveLength(1)
})

test('a sample of a worker is the same object from one reading to the next, with the value of now', async () => {
  const { clock, shown, work, tell } = open()
  const { calls, name } = work()
  tell([name])
  const read = () =>
    shown
      .collect()
      .flatMap(({ samples }) => samples)
      .find(({ labels }) => labels.process === name && labels.model === 'a')
  calls.with({ model: 'a' }).inc()
  await vi.waitFor(async () => {
    await clock.advance(2000)
    expect(read()?.value).toBe(1)
  })
  const before = read()
  calls.with({ model: 'a' }).inc()
  await vi.waitFor(async () => {
    await clock.advance(2000)
    expect(read()?.value).toBe(2)
  })
  expect(read()).toBe(before)
})

test('what a process that has ended had counted is no longer shown', async () => {
  const { clock, shown, work, tell } = open()
  const { name, calls, stopTelling } = work()
  tell([name])
  calls.with({ model: 'a' }).inc()
  await vi.waitFor(async () => {
    await clock.advance(2000)
    expect(await lines(shown)).toHaveLength(1)
  })
  stopTelling()
  tell([])
  await vi.waitFor(async () => {
    await clock.advance(1000)
    expect(await lines(shown)).toEqual([])
  })
})

test('a control process that begins anew is told everything again, not only the numbers', async () => {
  const { clock, work, tell, joinControl } = open()
  const { name, calls } = work()
  tell([name])
  calls.with({ model: 'a' }).inc()
  await clock.advance(2000)
  const later = joinControl()
  tell([name], 2)
  await vi.waitFor(async () => {
    await clock.advance(2000)
    expect(await lines(later)).toEqual([`gatehouse_test_calls_total{model="a",process="${name}"} 1`])
  })
})
