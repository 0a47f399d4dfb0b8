import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testBreaker as settings } from '../gateway/routing/testing.ts'
import { Breaker, type CallVerdict, type Pass } from './breaker.ts'

/** What a reader of the settings expects, kept the slow and plain way. */
type Model = {
  now: number
  state: 'closed' | 'open'
  /** Ends of calls let through while closed. */
  ended: { at: number; verdict: CallVerdict }[]
  openUntil: number
  openings: number
  /** The one probe under way. */
  probe: Pass | null
  probesOk: number
  passes: Pass[]
}
type Real = { breaker: Breaker }

class Elapse implements fc.Command<Model, Real> {
  readonly ms: number
  constructor(ms: number) {
    this.ms = ms
  }
  check = () => true
  run(model: Model): void {
    model.now += this.ms
  }
  toString = () => `elapse ${this.ms}`
}

class Admit implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, { breaker }: Real): void {
    const isExpected = model.state === 'closed' || (model.now >= model.openUntil && model.probe === null)
    expect(breaker.wouldAdmit(model.now)).toBe(isExpected)
    const pass = breaker.admit(model.now)
    expect(pass !== null).toBe(isExpected)
    if (pass === null) {
      expect(breaker.waitMs(model.now)).toBeGreaterThan(0)
      return
    }
    expect(pass === 0).toBe(model.state === 'closed')
    if (pass !== 0) model.probe = pass
    model.passes.push(pass)
  }
  toString = () => 'admit'
}

class Settle implements fc.Command<Model, Real> {
  readonly verdict: CallVerdict
  readonly which: number
  constructor(verdict: CallVerdict, which: number) {
    this.verdict = verdict
    this.which = which
  }
  check = (model: Readonly<Model>) => model.passes.length > 0
  run(model: Model, { breaker }: Real): void {
    const [pass] = model.passes.splice(this.which % model.passes.length, 1) as [Pass]
    const move = breaker.settle(pass, this.verdict, model.now)
    expect(move).toBe(this.expected(model, pass))
    expect(breaker.state(model.now)).toBe(
      model.state === 'closed' ? 'closed' : model.now < model.openUntil ? 'open' : 'half_open',
    )
  }
  expected(model: Model, pass: Pass): 'opened' | 'closed' | null {
    if (model.state === 'closed') {
      if (pass !== 0 || this.verdict === 'unrelated') return null
      model.ended.push({ at: model.now, verdict: this.verdict })
      if (this.verdict === 'ok') return null
      const slice = settings.windowMs / 10
      const oldest = Math.floor(model.now / slice) - 10
      const seen = model.ended.filter(({ at }) => Math.floor(at / slice) > oldest)
      const failed = seen.filter(({ verdict }) => verdict === 'failed').length
      return seen.length >= settings.minCalls && failed * 100 >= settings.failurePercent * seen.length
        ? this.open(model)
        : null
    }
    if (pass === 0 || pass !== model.probe) return null
    model.probe = null
    if (this.verdict === 'failed') return this.open(model)
    if (this.verdict === 'unrelated' || ++model.probesOk < settings.probes) return null
    model.state = 'closed'
    model.openings = 0
    model.ended = []
    return 'closed'
  }
  open(model: Model): 'opened' {
    model.state = 'open'
    model.openUntil = model.now + Math.min(settings.maxOpenMs, settings.openMs * 2 ** model.openings++)
    model.probe = null
    model.probesOk = 0
    return 'opened'
  }
  toString = () => `settle ${this.verdict} ${this.which}`
}

test('4.8.33 in any order of calls, ends and time the breaker does what its settings say', () => {
  const commands = [
    fc.nat({ max: 4000 }).map((ms) => new Elapse(ms)),
    fc.constant(new Admit()),
    fc.constant(new Admit()),
    fc
      .tuple(fc.constantFrom<CallVerdict>('ok', 'failed', 'failed', 'unrelated'), fc.nat({ max: 50 }))
      .map(([verdict, which]) => new Settle(verdict, which)),
  ]
  fc.assert(
    fc.property(fc.commands(commands, { size: '+1' }), (run) => {
      const start = (): { model: Model; real: Real } => ({
        model: {
          now: 0,
          state: 'closed',
          ended: [],
          openUntil: 0,
          openings: 0,
          probe: null,
          probesOk: 0,
          passes: [],
        },
        real: { breaker: new Breaker(settings, () => 0) },
      })
      fc.modelRun(start, run)
    }),
    { numRuns: 500 },
  )
})

function opened(random = () => 0): Breaker {
  const breaker = new Breaker(settings, random)
  for (let call = 0; call < 4; call++) breaker.settle(0, 'failed', 0)
  return breaker
}

test('4.8.33 each failed probe doubles the time, up to the longest, with up to a fifth less for jitter', () => {
  for (const draw of [0, 0.999]) {
    const breaker = opened(() => draw)
    let now = 0
    const held: number[] = []
    for (let probe = 0; probe < 6; probe++) {
      held.push(breaker.openMs(now))
      now += breaker.openMs(now)
      breaker.settle(breaker.admit(now)!, 'failed', now)
    }
    const expected = [1000, 2000, 4000, 8000, 8000, 8000].map((ms) => ms * (1 - 0.2 * draw))
    for (const [i, ms] of expected.entries()) expect(held[i]).toBeCloseTo(ms, 3)
  }
})

test('4.8.33 a probe that says nothing of the provider frees its place and decides nothing', () => {
  const breaker = opened()
  breaker.settle(breaker.admit(1000)!, 'unrelated', 1000)
  expect(breaker.state(1000)).toBe('half_open')
  expect(breaker.wouldAdmit(1000)).toBe(true)
})

test('failures that left the window are forgotten', () => {
  const breaker = new Breaker(settings, () => 0)
  for (let call = 0; call < 3; call++) breaker.settle(0, 'failed', 0)
  expect(breaker.settle(0, 'failed', 11_000)).toBeNull()
  expect(breaker.counts(11_000)).toEqual({ ok: 0, failed: 1 })
})

test('what another node found opens and closes it, and an opening heard again prolongs nothing', () => {
  const breaker = new Breaker(settings, () => 0)
  breaker.follow('opened', 1000, 0)
  expect(breaker.state(999)).toBe('open')
  breaker.follow('opened', 1000, 900)
  expect(breaker.state(1000)).toBe('half_open')
  breaker.follow('closed', 0, 1000)
  expect(breaker.admit(1000)).toBe(0)
})

test('a probe under way when another node closes the breaker says nothing any more', () => {
  const breaker = new Breaker(settings, () => 0)
  breaker.follow('opened', 1000, 0)
  const probe = breaker.admit(1000)!
  breaker.follow('closed', 0, 1001)
  expect(breaker.settle(probe, 'failed', 1002)).toBeNull()
  expect(breaker.state(1002)).toBe('closed')
})
