import { Breaker, type CallVerdict, type Pass } from '../../kernel/breaker.ts'
import { lookUp } from '../../kernel/derive.ts'
import type { Instance } from '../directory.ts'
import type { Weighed } from './balance/index.ts'
import type { ServiceProxyConfig } from './config.ts'
import type { InstancePool } from './pools.ts'

/** One instance as this node sees it: its connections, what is under way there, and how its calls went. */
export class Member implements Weighed {
  readonly id: string
  readonly pool: InstancePool
  instance: Instance
  pending = 0
  latencyMs = 0
  credit = 0
  private readonly settings: ServiceProxyConfig
  private readonly breaker: Breaker
  private failuresInARow = 0
  private ejectionsInARow = 0
  private ejectedUntil = 0

  constructor(instance: Instance, pool: InstancePool, settings: ServiceProxyConfig, random: () => number) {
    this.id = instance.id
    this.instance = instance
    this.pool = pool
    this.settings = settings
    this.breaker = new Breaker(
      lookUp({
        windowMs: () => 10_000,
        minCalls: () => 20,
        failurePercent: () => settings.eject_failure_percent,
        openMs: () => settings.eject_seconds * 1000,
        maxOpenMs: () => settings.eject_max_seconds * 1000,
        probes: () => 1,
      }),
      random,
    )
  }

  get weight(): number {
    return this.instance.weight
  }

  /** Whether its calls have gone well enough to be sent more. */
  isTrusted(nowMs: number): boolean {
    return nowMs >= this.ejectedUntil && this.breaker.wouldAdmit(nowMs)
  }

  /** Milliseconds until it is asked again; 0 when it may be now. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.ejectedUntil - nowMs, this.breaker.waitMs(nowMs))
  }

  begin(nowMs: number): Pass {
    this.pending++
    // Null only when nobody else was left to ask: then the breaker learns nothing from it.
    return this.breaker.admit(nowMs) ?? -1
  }

  /**
   * How a call ended. `mayEject` says whether one more may be out; when not, failures are counted and nothing follows.
   * True when the instance is out because of it.
   */
  end(pass: Pass, verdict: CallVerdict, nowMs: number, mayEject: () => boolean): boolean {
    this.pending--
    if (verdict === 'unrelated') {
      this.breaker.settle(pass, verdict, nowMs)
      return false
    }
    if (verdict === 'ok') {
      this.failuresInARow = 0
      if (nowMs >= this.ejectedUntil) this.ejectionsInARow = 0
      this.breaker.settle(pass, verdict, nowMs)
      return false
    }
    this.failuresInARow++
    // A probe is settled in any case: an open breaker waits for it.
    if (pass === 0 && !mayEject()) return false
    const isOpened = this.breaker.settle(pass, verdict, nowMs) === 'opened'
    const isEjected = this.failuresInARow >= this.settings.eject_after_failures && nowMs >= this.ejectedUntil
    if (isEjected) this.eject(nowMs)
    return isOpened || isEjected
  }

  /** Time to the first byte of an answer; a fifth of what is known from then on is of this call. */
  noteLatency(ms: number): void {
    this.latencyMs = this.latencyMs === 0 ? ms : this.latencyMs * 0.8 + ms * 0.2
  }

  private eject(nowMs: number): void {
    const { eject_seconds, eject_max_seconds } = this.settings
    const ms = Math.min(eject_max_seconds, eject_seconds * 2 ** Math.min(this.ejectionsInARow, 20)) * 1000
    this.ejectedUntil = nowMs + ms
    this.ejectionsInARow++
    this.failuresInARow = 0
  }
}
