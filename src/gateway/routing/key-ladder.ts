import type { UpstreamFailure } from '../chat.ts'

/**
 * Where one key of a provider stands: ready → resting (a limit, an empty purse, a doubtful refusal) → one probe at a
 * time → ready; or dead, which only a person ends. Pure: time and randomness are arguments.
 *
 * Resting means that other keys come first. A key that is all there is may be asked all the same: that it rests is our
 * guess, and the provider's answer is better than one.
 */
export type KeyState = 'ready' | 'resting' | 'dead'

/** Why it rests: too many calls, an empty purse, or a refusal that a second one would make final. */
export type RestReason = '' | 'rate_limited' | 'insufficient_quota' | 'refused'

const firstRestMs = 1000
const longestRestMs = 5 * 60_000
/** Nobody says when an empty purse is filled: it is looked at seldom. */
const firstPurseRestMs = 60_000
const longestPurseRestMs = 60 * 60_000
/** A provider that names a later time is not believed for longer than this. */
const longestNamedMs = 24 * 60 * 60_000
const refusedRestMs = 5000

export class KeyLadder {
  private readonly random: () => number
  private reason: RestReason = ''
  private restsUntil = 0
  private inARow = 0
  private isDead = false

  constructor(random: () => number, isDead = false) {
    this.random = random
    this.isDead = isDead
  }

  state(nowMs: number): KeyState {
    if (this.isDead) return 'dead'
    return nowMs < this.restsUntil ? 'resting' : 'ready'
  }

  /** Milliseconds until it is asked again by its own turn. */
  restMs(nowMs: number): number {
    return Math.max(0, this.restsUntil - nowMs)
  }

  restReason(nowMs: number): RestReason {
    return nowMs < this.restsUntil ? this.reason : ''
  }

  succeeded(): void {
    this.reason = ''
    this.restsUntil = 0
    this.inARow = 0
  }

  /** True when this failure was the key's end. Failures that say nothing of the key change nothing. */
  failed({ code, retryAfterMs }: Pick<UpstreamFailure, 'code' | 'retryAfterMs'>, nowMs: number): boolean {
    if (this.isDead) return false
    if (code === 'authentication') {
      // One refusal may be a proxy in between or a moment of the vendor's; the next in a row is the truth.
      if (this.reason === 'refused') {
        this.isDead = true
        return true
      }
      this.rest('refused', refusedRestMs, nowMs)
    } else if (code === 'insufficient_quota') {
      this.rest('insufficient_quota', retryAfterMs ?? this.doubled(firstPurseRestMs, longestPurseRestMs), nowMs)
    } else if (code === 'rate_limited') {
      this.rest('rate_limited', retryAfterMs ?? this.doubled(firstRestMs, longestRestMs), nowMs)
    }
    return false
  }

  private doubled(first: number, longest: number): number {
    return Math.min(longest, first * 2 ** Math.min(this.inARow, 20))
  }

  private rest(reason: RestReason, leastMs: number, nowMs: number): void {
    // Calls that were under way together tell one story, not many.
    const isSameStory = this.reason === reason && nowMs < this.restsUntil
    if (!isSameStory) this.inARow++
    this.reason = reason
    const least = Math.min(leastMs, longestNamedMs)
    // Up to a fifth more: never earlier than the provider said, and not all nodes at once.
    this.restsUntil = Math.max(this.restsUntil, nowMs + least * (1 + 0.2 * this.random()))
  }
}
