import type { Clock } from '../kernel/clock.ts'
import { type Heartbeats, unwatched } from '../kernel/heartbeats.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Check, CheckParts } from './check.ts'
import { type CheckResult, checkStates, type Verdict } from './schema.ts'

/** Asks every check in the background, so that a request for health costs nothing and waits for nothing. */
export type Rounds = {
  /** The last verdict of each check, in the order of the shelf. */
  verdicts(): readonly Verdict[]
  /** Asks now and again every `intervalMs`. Resolves when each check has answered once or has had its time. */
  start(): Promise<void>
  /** Does not wait for a check that hangs. */
  stop(): Promise<void>
}

export type RoundsOptions = {
  checks: readonly Check[]
  parts: CheckParts
  clock: Clock
  bus: Bus
  log: Log
  metrics: Metrics
  intervalMs: number
  timeoutMs: number
  heartbeats?: Heartbeats
}

export function createRounds({
  checks,
  parts,
  clock,
  bus,
  log,
  metrics,
  intervalMs,
  timeoutMs,
  heartbeats = unwatched,
}: RoundsOptions): Rounds {
  const latest = new Map<string, Verdict>(checks.map((check) => [check.name, notAskedYet(check)]))
  const unanswered = new Set<string>()
  const tell = createGauges(metrics)
  const stopping = new AbortController()
  let repeating: Promise<void> = Promise.resolve()

  async function askOne(check: Check): Promise<void> {
    // One that hangs is not asked again until it comes back: a second question would hang beside it.
    if (unanswered.has(check.name)) return
    const startedAt = clock.monotonic()
    unanswered.add(check.name)
    const answer = answerOf(check).finally(() => unanswered.delete(check.name))
    const ended = new AbortController()
    const late = clock
      .sleep(timeoutMs, AbortSignal.any([ended.signal, stopping.signal]))
      .then((): CheckResult => hanging(timeoutMs))
    const result = await Promise.race([answer, late])
    ended.abort()
    if (stopping.signal.aborted) return
    record(check, result, clock.monotonic() - startedAt)
  }

  async function answerOf(check: Check): Promise<CheckResult> {
    try {
      return await check.run(parts)
    } catch (error) {
      log.error(`The health check ${check.name} could not look`, { error, check: check.name })
      return { state: 'inconclusive', message: 'The check could not look.', remedy: 'The log tells why.', observed: {} }
    }
  }

  function record(check: Check, result: CheckResult, latencyMs: number): void {
    const before = latest.get(check.name)!
    const checkedAt = clock.now()
    const verdict = { ...result, check: check.name, isCritical: check.isCritical, checkedAt, latencyMs }
    latest.set(check.name, verdict)
    tell(verdict)
    // To be found in order at the first look is no news.
    const isFirstAndFine = before.checkedAt === 0 && (result.state === 'ok' || result.state === 'disabled')
    if (result.state === before.state || isFirstAndFine) return
    bus.announce('check.changed', {
      check: check.name,
      from: before.state,
      to: result.state,
      message: result.remedy === '' ? result.message : `${result.message} ${result.remedy}`,
    })
  }

  async function ask(): Promise<void> {
    await Promise.all(checks.map(askOne))
  }

  return {
    verdicts: () => [...latest.values()],
    async start() {
      await ask()
      const heart = heartbeats.watch('health', intervalMs + timeoutMs)
      repeating = (async () => {
        for (;;) {
          await clock.sleep(intervalMs, stopping.signal)
          if (stopping.signal.aborted) return heart.end()
          await ask()
          heart.beat()
        }
      })()
    },
    async stop() {
      stopping.abort()
      await repeating
    },
  }
}

function notAskedYet({ name, isCritical }: Check): Verdict {
  const result: CheckResult = { state: 'inconclusive', message: 'Not asked yet.', remedy: '', observed: {} }
  return { ...result, check: name, isCritical, checkedAt: 0, latencyMs: 0 }
}

function hanging(timeoutMs: number): CheckResult {
  return {
    state: 'inconclusive',
    message: `No answer within ${timeoutMs} ms.`,
    remedy: 'Look at what it asks: it neither answers nor refuses.',
    observed: { timeoutMs },
  }
}

function createGauges(metrics: Metrics): (verdict: Verdict) => void {
  const states = metrics.gauge('gatehouse_health_check_state', '1 for the state a health check is in, 0 for others.', [
    'check',
    'state',
  ])
  const seconds = metrics.gauge('gatehouse_health_check_seconds', 'How long the last answer of a check took.', [
    'check',
  ])
  return ({ check, state, latencyMs }) => {
    for (const each of checkStates) states.with({ check, state: each }).set(each === state ? 1 : 0)
    seconds.with({ check }).set(latencyMs / 1000)
  }
}
