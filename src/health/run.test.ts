import { expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createLog } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { type Check, type CheckParts, defineCheck } from './check.ts'
import { createRounds } from './run.ts'
import type { CheckResult } from './schema.ts'

const result = (state: CheckResult['state'], message = `It is ${state}.`): CheckResult => ({
  state,
  message,
  remedy: state === 'ok' ? '' : 'Mend it.',
  observed: {},
})

/** A check that answers what `answer` gives; the parts of the hub play no role in these tests. */
function createCheck(name: string, answer: () => CheckResult | Promise<CheckResult>): Check {
  return defineCheck({ name, isCritical: true, describe: 'A check of this test.', run: answer })
}

function open(...checks: Check[]) {
  const clock = createManualClock()
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', stream: { write: (line) => lines.push(line) } })
  const bus = createMemoryBus({ log })
  const metrics = createMetrics({ clock })
  const news: string[] = []
  bus.on('check.changed', ({ check, from, to, message }) => news.push(`${check}: ${from} → ${to}. ${message}`))
  const parts = {} as CheckParts
  const rounds = createRounds({ checks, parts, clock, bus, log, metrics, intervalMs: 10_000, timeoutMs: 5000 })
  onTestFinished(() => rounds.stop())
  const states = () => Object.fromEntries(rounds.verdicts().map(({ check, state }) => [check, state]))
  return { clock, lines, metrics, news, rounds, states }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('what was not asked yet is inconclusive, not fine', () => {
  const { states } = open(createCheck('a', () => result('ok')))
  expect(states()).toEqual({ a: 'inconclusive' })
})

test('a start asks once, and then again and again without being asked for', async () => {
  let asked = 0
  const { rounds, clock, states } = open(createCheck('a', () => result(++asked === 2 ? 'failed' : 'ok')))
  await rounds.start()
  expect(states()).toEqual({ a: 'ok' })
  await clock.advance(10_000)
  expect(states()).toEqual({ a: 'failed' })
  await clock.advance(10_000)
  expect(states()).toEqual({ a: 'ok' })
  await rounds.stop()
  await clock.advance(60_000)
  expect(asked).toBe(3)
})

test('changes are announced with what to do; to be fine from the start is no news, to be broken is', async () => {
  let state: CheckResult['state'] = 'ok'
  const { rounds, clock, news } = open(
    createCheck('a', () => result(state)),
    createCheck('b', () => result('failed')),
  )
  await rounds.start()
  await settle()
  expect(news).toEqual(['b: inconclusive → failed. It is failed. Mend it.'])
  state = 'degraded'
  await clock.advance(20_000)
  state = 'ok'
  await clock.advance(10_000)
  expect(news.slice(1)).toEqual(['a: ok → degraded. It is degraded. Mend it.', 'a: degraded → ok. It is ok.'])
})

test('a check that hangs is inconclusive, holds up no other, and is not asked again beside itself', async () => {
  let asked = 0
  let release = () => {}
  const hang = () => {
    asked++
    return new Promise<CheckResult>((resolve) => {
      release = () => resolve(result('ok'))
    })
  }
  const { rounds, clock, states } = open(
    createCheck('hangs', hang),
    createCheck('fine', () => result('ok')),
  )
  const started = rounds.start()
  await settle()
  expect(states()).toEqual({ hangs: 'inconclusive', fine: 'ok' })
  await clock.advance(5000)
  await started
  expect(rounds.verdicts()[0]).toMatchObject({
    state: 'inconclusive',
    message: 'No answer within 5000 ms.',
    latencyMs: 5000,
  })
  await clock.advance(20_000)
  expect(asked).toBe(1)
  release()
  await settle()
  await clock.advance(10_000)
  expect(asked).toBe(2)
})

test('a check that breaks is inconclusive and told to the log, not to callers', async () => {
  const { rounds, lines } = open(
    createCheck('breaks', () => {
      throw new Error('a bug of ours')
    }),
  )
  await rounds.start()
  expect(rounds.verdicts()[0]).toMatchObject({ state: 'inconclusive', message: 'The check could not look.' })
  expect(lines.join()).toContain('a bug of ours')
})

test('states are exported, one of them 1', async () => {
  const { rounds, metrics } = open(createCheck('a', () => result('degraded')))
  await rounds.start()
  const { text } = await metrics.render()
  expect(text).toContain('gatehouse_health_check_state{check="a",state="degraded"} 1')
  expect(text).toContain('gatehouse_health_check_state{check="a",state="ok"} 0')
  expect(text).toContain('gatehouse_health_check_seconds{check="a"} 0')
})
