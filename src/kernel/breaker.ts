/**
 * A circuit breaker as a pure state machine: time is an argument, randomness too, and nothing is announced from here.
 *
 * closed → open when, within the window, at least `minCalls` ended and `failurePercent` of them failed;
 * open → half-open by itself after a time that doubles with each opening in a row;
 * half-open → closed after `probes` successes, → open at the first failure. One probe is under way at a time.
 */
export type BreakerSettings = {
  windowMs: number
  minCalls: number
  failurePercent: number
  /** The first time it stays open, and the longest. */
  openMs: number
  maxOpenMs: number
  /** Successes in a row that close it again. */
  probes: number
}

export type BreakerState = 'closed' | 'open' | 'half_open'

/** `unrelated`: the call ended in a way that says nothing about the provider. */
export type CallVerdict = 'ok' | 'failed' | 'unrelated'

/** What `settle` is to be told of: 0 is a call that was let through in the closed state, others are probes. */
export type Pass = number

const slices = 10
const never = Number.NEGATIVE_INFINITY

export class Breaker {
  private readonly settings: BreakerSettings
  private readonly random: () => number
  /** Calls that ended, by slice of the window; `sliceAt` tells which turn of the ring a slice belongs to. */
  private readonly ok = new Uint32Array(slices)
  private readonly failed = new Uint32Array(slices)
  private readonly sliceAt = new Float64Array(slices).fill(never)
  private isClosed = true
  private openUntil = 0
  private openedInARow = 0
  private generation = 0
  private isProbing = false
  private probesOk = 0

  constructor(settings: BreakerSettings, random: () => number) {
    this.settings = settings
    this.random = random
  }

  state(nowMs: number): BreakerState {
    if (this.isClosed) return 'closed'
    return nowMs < this.openUntil ? 'open' : 'half_open'
  }

  /** Whether a call would be let through now. */
  wouldAdmit(nowMs: number): boolean {
    return this.isClosed || (nowMs >= this.openUntil && !this.isProbing)
  }

  /** Milliseconds until a call may be let through; 0 when it may be now. */
  waitMs(nowMs: number): number {
    return this.wouldAdmit(nowMs) ? 0 : Math.max(1, this.openUntil - nowMs)
  }

  /** Lets a call through, or null. Each pass must be settled, or given back as `unrelated`. */
  admit(nowMs: number): Pass | null {
    if (this.isClosed) return 0
    if (!this.wouldAdmit(nowMs)) return null
    this.isProbing = true
    return this.generation
  }

  /** How a call ended. Returns what the breaker did because of it. */
  settle(pass: Pass, verdict: CallVerdict, nowMs: number): 'opened' | 'closed' | null {
    if (pass !== 0) return this.settleProbe(pass, verdict, nowMs)
    // Let through before it opened: what it says is known by now.
    if (!this.isClosed || verdict === 'unrelated') return null
    const slice = this.sliceOf(nowMs)
    if (verdict === 'ok') {
      this.ok[slice]!++
      return null
    }
    this.failed[slice]!++
    const { ok, failed } = this.counts(nowMs)
    const isTooMuch =
      ok + failed >= this.settings.minCalls && failed * 100 >= this.settings.failurePercent * (ok + failed)
    return isTooMuch ? this.open(nowMs) : null
  }

  /** Another node found that it is to be left alone for so long, or asked again: believed where this one knew better. */
  follow(move: 'opened' | 'closed', openMs: number, nowMs: number): void {
    if (this.isClosed !== (move === 'opened')) return
    this.isClosed = move === 'closed'
    this.openUntil = nowMs + Math.min(openMs, this.settings.maxOpenMs)
    this.openedInARow = move === 'opened' ? 1 : 0
    this.generation++
    this.isProbing = false
    this.probesOk = 0
    this.sliceAt.fill(never)
  }

  /** Calls of the window by how they ended. */
  counts(nowMs: number): { ok: number; failed: number } {
    const oldest = this.turnOf(nowMs) - slices
    let [ok, failed] = [0, 0]
    for (let i = 0; i < slices; i++) {
      if (this.sliceAt[i]! <= oldest) continue
      ok += this.ok[i]!
      failed += this.failed[i]!
    }
    return { ok, failed }
  }

  /** Time for which the last opening holds; 0 while closed. */
  openMs(nowMs: number): number {
    return this.isClosed ? 0 : Math.max(0, this.openUntil - nowMs)
  }

  private settleProbe(pass: Pass, verdict: CallVerdict, nowMs: number): 'opened' | 'closed' | null {
    if (this.isClosed || pass !== this.generation) return null
    this.isProbing = false
    if (verdict === 'unrelated') return null
    if (verdict === 'failed') return this.open(nowMs)
    if (++this.probesOk < this.settings.probes) return null
    this.isClosed = true
    this.openedInARow = 0
    this.sliceAt.fill(never)
    return 'closed'
  }

  private open(nowMs: number): 'opened' {
    const { openMs, maxOpenMs } = this.settings
    const longest = Math.min(maxOpenMs, openMs * 2 ** Math.min(this.openedInARow, 20))
    // Up to a fifth less: nodes and pairs that opened together do not knock together.
    this.openUntil = nowMs + longest * (1 - 0.2 * this.random())
    this.isClosed = false
    this.openedInARow++
    this.generation++
    this.isProbing = false
    this.probesOk = 0
    return 'opened'
  }

  private turnOf(nowMs: number): number {
    return Math.floor((nowMs * slices) / this.settings.windowMs)
  }

  private sliceOf(nowMs: number): number {
    const turn = this.turnOf(nowMs)
    const slice = turn % slices
    if (this.sliceAt[slice] !== turn) {
      this.sliceAt[slice] = turn
      this.ok[slice] = 0
      this.failed[slice] = 0
    }
    return slice
  }
}
