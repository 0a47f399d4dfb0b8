import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { windowEnd } from '../../kernel/windows.ts'
import { failed, ok } from '../probes/probe.ts'
import { createDoubt } from './doubt.ts'
import { type Circumstances, isUnsettled, judge, type Rules, type Standing, untouched } from './judge.ts'

const rules: Rules = { failures: 3, successes: 2, isUpsideDown: false }
const usual: Circumstances = { isMaintenance: false, isNetworkDown: false, downParent: '', isParentFailing: false }
const up = ok('Answers.')
const down = failed('timeout', 'Silent.')
const blind = { outcome: 'unknown', reason: 'broken', message: 'Broke.', observed: {} } as const

/** Runs findings through the judge, ten seconds apart. */
function run(
  steps: readonly (readonly [finding: typeof up, change?: Partial<Circumstances>])[],
  how: Partial<Rules> = {},
) {
  let standing: Standing = untouched
  let now = 1_000_000
  return steps.map(([finding, change]) => {
    now += 10_000
    const judged = judge(standing, finding, { now, latencyMs: 5 }, { ...rules, ...how }, { ...usual, ...change })
    standing = judged.standing
    const news = judged.news && `${judged.news.from}>${judged.news.to}`
    return { state: standing.state, news, durationMs: judged.news?.durationMs, counted: judged.counted, standing }
  })
}
const states = (told: ReturnType<typeof run>) => told.map(({ state }) => state)
const news = (told: ReturnType<typeof run>) => told.map((each) => each.news)

describe('a state changes after enough of the same', () => {
  test('a check is up at its first answer, down after three failures, and up again after two answers', () => {
    const told = run([[up], [down], [down], [down], [down], [up], [up]])
    expect(states(told)).toEqual(['up', 'pending', 'pending', 'down', 'down', 'down', 'up'])
    expect(news(told)).toEqual([null, null, null, 'up>down', null, null, 'down>up'])
    expect(told[6]!.durationMs).toBe(30_000)
  })

  test('one that flaps below its limits is never told', () => {
    expect(news(run([[up], [down], [up], [down], [down], [up]]))).toEqual([null, null, null, null, null, null])
  })

  test('one that was never up is told when it is down', () => {
    expect(news(run([[down], [down], [down]]))).toEqual([null, null, 'pending>down'])
  })

  test('it is asked sooner while nothing is settled', () => {
    const told = run([[up], [down], [down], [down], [up], [up]])
    expect(told.map(({ standing }) => isUnsettled(standing, rules))).toEqual([false, true, true, false, true, false])
  })

  test('an unsettled failure counts as down in the history: it was', () => {
    expect(run([[up], [down]])[1]!.counted).toBe('pending')
  })
})

describe('what cannot be told is not called down', () => {
  test('while our own network is down what cannot be reached is inconclusive, and nothing is counted against it', () => {
    const doubted = { isNetworkDown: true }
    const told = run([[up], [down, doubted], [down, doubted], [down, doubted], [down, doubted], [up]])
    expect(states(told)).toEqual(['up', 'inconclusive', 'inconclusive', 'inconclusive', 'inconclusive', 'up'])
    expect(told.map(({ counted }) => counted)).not.toContain('down')
  })

  test('a wrong answer is wrong whatever the network does', () => {
    const wrong = failed('status', 'Answers 500.')
    expect(states(run([[wrong, { isNetworkDown: true }]], { failures: 1 }))).toEqual(['down'])
  })

  test('a check that broke itself says nothing of the other side', () => {
    expect(states(run([[up], [blind as never], [up]]))).toEqual(['up', 'inconclusive', 'up'])
    expect(states(run([[blind as never]]))).toEqual(['pending'])
  })
})

describe('maintenance', () => {
  const maintained = { isMaintenance: true }
  test('nobody is told of what is down in it, and everybody of what still is after it', () => {
    const told = run([[up], [down, maintained], [down, maintained], [down, maintained], [down]])
    expect(states(told)).toEqual(['up', 'maintenance', 'maintenance', 'maintenance', 'down'])
    expect(news(told)).toEqual([null, 'up>maintenance', null, null, 'maintenance>down'])
    expect(told.map(({ counted }) => counted)).toEqual(['up', 'pending', 'pending', 'down', 'down'])
  })

  test('a window by cron holds in its zone, also over the change of the clocks', () => {
    const nightly = [{ kind: 'cron', cron: '30 2 * * *', zone: 'Asia/Shanghai', minutes: 60 }] as const
    expect(windowEnd(nightly, Date.parse('2026-03-01T18:29:59Z'))).toBe(null)
    expect(windowEnd(nightly, Date.parse('2026-03-01T18:30:00Z'))).toBe(Date.parse('2026-03-01T19:30:00Z'))
    expect(windowEnd(nightly, Date.parse('2026-03-01T19:29:59Z'))).toBe(Date.parse('2026-03-01T19:30:00Z'))
    expect(windowEnd(nightly, Date.parse('2026-03-01T19:30:00Z'))).toBe(null)
    const summer = [{ kind: 'cron', cron: '0 4 * * *', zone: 'Europe/Berlin', minutes: 30 }] as const
    expect(windowEnd(summer, Date.parse('2026-03-28T03:10:00Z'))).not.toBe(null)
    expect(windowEnd(summer, Date.parse('2026-03-29T02:10:00Z'))).not.toBe(null)
    expect(windowEnd(summer, Date.parse('2026-03-29T03:10:00Z'))).toBe(null)
  })

  test('a window may be once', () => {
    const once = [{ kind: 'once', from: '2026-03-01T10:00:00+08:00', to: '2026-03-01T11:00:00+08:00' }] as const
    expect(windowEnd(once, Date.parse('2026-03-01T02:30:00Z'))).toBe(Date.parse('2026-03-01T03:00:00Z'))
    expect(windowEnd(once, Date.parse('2026-03-01T03:00:00Z'))).toBe(null)
  })
})

describe('what it depends on', () => {
  test('a check whose parent is down is down quietly and says so, and is told once the parent is back and it is not', () => {
    const told = run([
      [up],
      [down],
      [down],
      [down, { downParent: 'postgres' }],
      [down, { downParent: 'postgres' }],
      [down],
    ])
    expect(states(told).slice(-3)).toEqual(['down', 'down', 'down'])
    expect(told[3]!.standing.suppressedBy).toBe('postgres')
    expect(news(told)).toEqual([null, null, null, 'up>down', null, 'down>down'])
  })

  test('while a parent fails and is not settled, the check waits for it', () => {
    const waiting = { isParentFailing: true }
    const told = run([[up], [down], [down], [down, waiting], [down, waiting], [down, { downParent: 'postgres' }]])
    expect(states(told)).toEqual(['up', 'pending', 'pending', 'pending', 'pending', 'down'])
    expect(told[5]!.standing.suppressedBy).toBe('postgres')
  })
})

test('what has to fail is down when it answers; an address it may not ask proves nothing', () => {
  const shut = { isUpsideDown: true, failures: 1 }
  expect(states(run([[down], [up]], shut))).toEqual(['up', 'down'])
  expect(states(run([[failed('refused_address', 'No.')]], shut))).toEqual(['down'])
})

describe('doubt in our own network', () => {
  const open = (references: string[] = [], isReached = true) => {
    const clock = createManualClock()
    const reach = () => (isReached ? Promise.resolve() : Promise.reject(new Error('away')))
    return { clock, doubt: createDoubt({ clock, references, reach, longestMs: 300_000 }) }
  }

  test('begins when three hosts or more fail and none answers', async () => {
    const { doubt } = open()
    for (const host of ['a', 'b']) doubt.note(host, true)
    expect(await doubt.isNetworkDown()).toBe(false)
    doubt.note('c', true)
    expect(await doubt.isNetworkDown()).toBe(true)
    doubt.note('d', false)
    expect(await doubt.isNetworkDown()).toBe(false)
  })

  test('does not come of this machine itself', async () => {
    const { doubt } = open()
    for (const host of ['localhost', '127.0.0.1', '127.0.0.2', '::1']) doubt.note(host, true)
    expect(await doubt.isNetworkDown()).toBe(false)
  })

  test('ends after a time: a network that lost everything must not stay a mystery', async () => {
    const { doubt, clock } = open()
    const fail = () => ['a', 'b', 'c'].map((host) => doubt.note(host, true))
    fail()
    expect(await doubt.isNetworkDown()).toBe(true)
    await clock.leap(300_000)
    fail()
    expect(await doubt.isNetworkDown()).toBe(false)
  })

  test('is settled by references where there are any', async () => {
    expect(await open(['1.1.1.1:53'], false).doubt.isNetworkDown()).toBe(true)
    const { doubt } = open(['1.1.1.1:53'], true)
    for (const host of ['a', 'b', 'c']) doubt.note(host, true)
    expect(await doubt.isNetworkDown()).toBe(false)
  })
})
