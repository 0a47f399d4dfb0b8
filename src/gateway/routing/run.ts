import type { CallVerdict, Pass } from '../../kernel/breaker.ts'
import type { Clock } from '../../kernel/clock.ts'
import { hashUnit } from '../../kernel/hash-unit.ts'
import type { UpstreamFailure } from '../chat.ts'
import type { Candidate, ServedModel } from '../models.ts'
import { blameFor, Suspicion } from './attribution.ts'
import { describeRoute, type ToldAttempt } from './decision.ts'
import type { Plan, RouteAsk } from './plan.ts'
import type { Pair, Traffic } from './traffic.ts'

/** What a run tells of what it finds out. */
export type RunListener = {
  /** `traceId` is that of the call that showed it, '' for none. */
  breakerMoved(pair: Pair, move: 'opened' | 'closed', reason: string, traceId: string): void
  keyDied(candidate: Candidate, failure: UpstreamFailure, traceId: string): void
}

export type RunParts = { traffic: Traffic; clock: Clock; random: () => number; listener: RunListener }

/** One call on its way through its plan: which keys it takes, what its attempts say of those who were asked. */
export class RouteRun {
  readonly model: ServedModel
  readonly ask: RouteAsk
  readonly plan: Plan
  readonly parts: RunParts
  private suspicion: Suspicion<Trip> | null = null
  private told: ToldAttempt[] | null = null
  private served: Candidate | null = null

  constructor(model: ServedModel, ask: RouteAsk, plan: Plan, parts: RunParts) {
    this.model = model
    this.ask = ask
    this.plan = plan
    this.parts = parts
  }

  get traceId(): string {
    return this.ask.traceId ?? ''
  }

  /**
   * The key to ask a candidate with: one that is ready, drawn by weight, or for a sticky model always the same for what
   * belongs together; else the one that rests the shortest time; null when all others are dead, left alone or tried.
   */
  chooseKey({ siblings }: Candidate, tried: readonly Candidate[]): Candidate | null {
    if (siblings.length === 1) return tried.length === 0 ? siblings[0]! : null
    const pinned = siblings.find(({ key }) => key.id === this.ask.pinnedKey)
    if (pinned !== undefined) return tried.includes(pinned) ? null : pinned
    const { traffic, clock } = this.parts
    const nowMs = clock.monotonic()
    const open = siblings.filter(
      (sibling) =>
        !tried.includes(sibling) &&
        traffic.keyOf(sibling).state(nowMs) !== 'dead' &&
        traffic.pairOf(sibling).breaker.wouldAdmit(nowMs),
    )
    if (open.length === 0) return null
    const ready = open.filter((sibling) => traffic.keyOf(sibling).state(nowMs) === 'ready')
    if (ready.length > 0) return this.drawKey(ready)
    return open.reduce((a, b) => (traffic.keyOf(b).restMs(nowMs) < traffic.keyOf(a).restMs(nowMs) ? b : a))
  }

  /** Begins an attempt; null when a breaker has closed the way since the plan was made. */
  begin(candidate: Candidate, waitedMs: number): Trip | null {
    const { traffic, clock } = this.parts
    const pair = traffic.pairOf(candidate)
    const nowMs = clock.monotonic()
    const pass = pair.breaker.admit(nowMs)
    return pass === null ? null : new Trip(this, candidate, pair, pass, nowMs, waitedMs)
  }

  /** A candidate that was not asked after all. */
  skipped(candidate: Candidate, failure: UpstreamFailure, waitedMs: number): void {
    this.tell(candidate, failure, waitedMs, 0, true)
  }

  answered(trip: Trip): void {
    this.served = trip.candidate
    this.suspicion?.judge(true, tellSuspect)
  }

  suspect(trip: Trip, failure: UpstreamFailure): void {
    this.suspicion ??= new Suspicion()
    this.suspicion.add(trip, trip.candidate.id, failure)
  }

  tell(
    { provider, key, providerModel }: Candidate,
    failure: UpstreamFailure | null,
    waitedMs: number,
    durationMs: number,
    isSkipped = false,
  ): void {
    if (failure === null && this.told === null && this.isPlain()) return
    this.told ??= []
    this.told.push({
      provider: provider.name,
      key: key.name,
      model: providerModel,
      status: failure === null ? 200 : failure.status,
      code: failure === null ? '' : failure.code,
      waited_ms: Math.round(waitedMs),
      duration_ms: Math.round(durationMs),
      ...(isSkipped ? { skipped: true } : {}),
    })
  }

  /** The call is over: what is still undecided is decided, and how it was routed is told. */
  close(): string {
    this.suspicion?.judge(false, tellSuspect)
    if (this.told === null && this.served !== null && this.isPlain()) {
      return `{"plain":true,"model":${this.model.told},"policy":"${this.plan.policy.name}","served":${this.served.told}}`
    }
    return describeRoute(this.model, this.ask, this.plan, this.told ?? [], this.served)
  }

  private isPlain(): boolean {
    return this.plan.order.length === 1 && this.plan.excluded.length === 0
  }

  private drawKey(ready: readonly Candidate[]): Candidate {
    const { affinity } = this.ask
    const isSticky = this.plan.policy.name === 'sticky' && affinity !== ''
    const total = ready.reduce((sum, { key }) => sum + key.weight, 0)
    let point = (isSticky ? hashUnit(`${affinity}\nkey`) : this.parts.random()) * total
    for (const sibling of ready) {
      point -= sibling.key.weight
      if (point < 0) return sibling
    }
    return ready[0]!
  }
}

/** One attempt at one candidate, from its start to what it shows of the provider and the key. */
export class Trip {
  readonly candidate: Candidate
  private readonly run: RouteRun
  private readonly pair: Pair
  private readonly pass: Pass
  private readonly startedAt: number
  private readonly waitedMs: number
  private isCommitted = false
  private isOver = false

  constructor(run: RouteRun, candidate: Candidate, pair: Pair, pass: Pass, startedAt: number, waitedMs: number) {
    this.run = run
    this.candidate = candidate
    this.pair = pair
    this.pass = pass
    this.startedAt = startedAt
    this.waitedMs = waitedMs
    pair.inFlight++
  }

  /** The first content has come: the provider works and the key is good. */
  committed(): void {
    if (this.isCommitted) return
    const nowMs = this.now()
    this.pair.sawLatency(nowMs - this.startedAt, nowMs)
    this.works()
  }

  /** Answered to the end, by a call too small to say how fast it is. */
  proved(): void {
    this.works()
    if (this.finish()) this.run.tell(this.candidate, null, this.waitedMs, this.now() - this.startedAt)
  }

  /** Answered to the end. */
  succeeded(): void {
    this.committed()
    if (this.finish()) this.run.tell(this.candidate, null, this.waitedMs, this.now() - this.startedAt)
  }

  /** The caller left, or something broke on our side: it says nothing of the provider. */
  left(): void {
    if (!this.finish()) return
    if (!this.isCommitted) this.settle('unrelated', '')
    this.run.tell(this.candidate, null, this.waitedMs, this.now() - this.startedAt)
  }

  failed(failure: UpstreamFailure): void {
    if (!this.finish()) return
    const nowMs = this.now()
    this.pair.heardAt = nowMs
    this.run.tell(this.candidate, failure, this.waitedMs, nowMs - this.startedAt)
    const blame = blameFor(failure)
    if (blame === 'provider') {
      // A stream that broke off is nobody else's doing; whether an attempt was is shown by the others.
      if (this.isCommitted) this.settle('failed', failure.code, 0)
      else this.run.suspect(this, failure)
      return
    }
    if (!this.isCommitted) this.settle('unrelated', '')
    if (blame === 'key' && this.run.parts.traffic.keyOf(this.candidate).failed(failure, nowMs)) {
      this.run.parts.listener.keyDied(this.candidate, failure, this.run.traceId)
    }
  }

  private works(): void {
    if (this.isCommitted) return
    this.isCommitted = true
    this.pair.heardAt = this.now()
    this.run.parts.traffic.keyOf(this.candidate).succeeded()
    this.settle('ok', '')
    this.run.answered(this)
  }

  settle(verdict: CallVerdict, reason: string, pass: Pass = this.pass): void {
    const move = this.pair.breaker.settle(pass, verdict, this.now())
    if (move !== null) this.run.parts.listener.breakerMoved(this.pair, move, reason, this.run.traceId)
  }

  private now(): number {
    return this.run.parts.clock.monotonic()
  }

  /** True for the first end. */
  private finish(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.pair.inFlight--
    return true
  }
}

function tellSuspect(trip: Trip, isProviders: boolean): void {
  trip.settle(isProviders ? 'failed' : 'unrelated', 'failures')
}
