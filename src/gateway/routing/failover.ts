import type { Clock } from '../../kernel/clock.ts'
import type { Spent } from '../account.ts'
import type { UpstreamFailure } from '../chat.ts'
import type { Candidate } from '../models.ts'
import { blameFor } from './attribution.ts'

/**
 * What became of one attempt. `done`: the caller has been or can be answered; nothing more is to be tried. `failed`: the
 * provider was asked and failed. `skipped`: it was not asked, because it cannot serve this request or because its own
 * limit is used up (then `retryAfterMs` says until when). `wasted`: what the provider had reported or begun to answer.
 */
export type Attempted<T> =
  | { kind: 'done'; value: T }
  | { kind: 'failed'; failure: UpstreamFailure; wasted?: Spent }
  | { kind: 'skipped'; failure: UpstreamFailure }

export type FailoverLimits = {
  /** Monotonic time after which nothing new is begun. */
  deadlineAt: number
  maxAttempts: number
  maxWaitMs: number
  /** Repeats at each candidate as the caller wants them; null for what is stored. */
  retryCount: number | null
  clock: Pick<Clock, 'monotonic'>
  random: () => number
  /** The key to ask a candidate with, other than those tried; null when there is none. */
  chooseKey(candidate: Candidate, tried: readonly Candidate[]): Candidate | null
  /** Spends from the budget of repeats that all calls share; false when it is empty. */
  mayRepeat(): boolean
  /** True when nobody waits for the answer any more. */
  isAbandoned(): boolean
  /** Ends early when the call is abandoned. */
  sleep(ms: number): Promise<void>
}

/**
 * Tries candidates in order until one is done. A failure that concerns the key moves to the provider's next key at once;
 * other failures keep the key. Another provider is tried at once; the same one again only after all others had their
 * turn, after a wait with jitter that honours Retry-After, for failures that a repeat can mend, and as long as the
 * budget of repeats lasts. A request that is wrong in itself is not carried from door to door: it fails the same
 * everywhere; one that is too long goes on to those that hold more.
 *
 * Returns the last failure when everything was tried; it is never called after the first byte for the caller has left,
 * because an attempt that got so far is `done`.
 */
export async function failOver<T>(
  plan: readonly Candidate[],
  attempt: (candidate: Candidate, waitedMs: number) => Promise<Attempted<T>>,
  limits: FailoverLimits,
): Promise<{ kind: 'done'; value: T } | { kind: 'failed'; failure: UpstreamFailure }> {
  const { clock } = limits
  let turns = plan.map(openTurn)
  const drop = (gone: Turn) => {
    turns = turns.filter((turn) => turn !== gone)
  }
  let last: UpstreamFailure | undefined
  let skipped: UpstreamFailure | undefined
  let made = 0

  while (turns.length > 0 && made < limits.maxAttempts) {
    const turn = earliest(turns)
    const { candidate } = turn
    const maxRetries = limits.retryCount ?? candidate.maxRetries
    const waitMs = Math.max(0, turn.readyAt - clock.monotonic())
    if (waitMs > limits.maxWaitMs || (waitMs > 0 && turn.readyAt > limits.deadlineAt)) break
    if (turn.isRepeat && !limits.mayRepeat()) {
      drop(turn)
      continue
    }
    if (waitMs > 0) await limits.sleep(waitMs)
    if (limits.isAbandoned() || clock.monotonic() >= limits.deadlineAt) break

    const asked = turn.key ?? limits.chooseKey(candidate, turn.tried)
    if (asked === null) {
      drop(turn)
      continue
    }
    const result = await attempt(asked, waitMs)
    if (result.kind === 'done') return result
    turn.isRepeat = false
    if (result.kind === 'skipped') {
      skipped = result.failure
      turn.tried.push(asked)
      turn.key = limits.chooseKey(candidate, turn.tried)
      if (turn.key !== null) continue
      turn.tried.length = 0
      if (skipped.retryAfterMs === null) drop(turn)
      else turn.readyAt = clock.monotonic() + skipped.retryAfterMs
      // A limit that is used up again and again must not keep the call here for ever.
      if (++turn.skips > maxRetries) drop(turn)
      continue
    }
    made++
    last = result.failure
    if (isFutile(last)) break
    if (last.code === 'context_too_long') turns = turns.filter((other) => mayHoldMore(other.candidate, candidate))
    turn.key = asked
    if (blameFor(last) === 'key') {
      turn.tried.push(asked)
      turn.key = limits.chooseKey(candidate, turn.tried)
      // Its next key has its turn before anybody else.
      turn.readyAt = 0
      if (turn.key !== null) continue
      turn.tried.length = 0
    }
    turn.tries++
    if (!isRetryable(last) || turn.tries > maxRetries) drop(turn)
    else {
      turn.readyAt = clock.monotonic() + backoffMs(turn.tries, last.retryAfterMs, limits)
      turn.isRepeat = true
    }
  }
  return { kind: 'failed', failure: last ?? skipped ?? deadlinePassed() }
}

type Turn = {
  candidate: Candidate
  /** Keys that failed since the last wait, and the one to be asked next; null for whichever is chosen. */
  tried: Candidate[]
  key: Candidate | null
  tries: number
  skips: number
  readyAt: number
  isRepeat: boolean
}

function openTurn(candidate: Candidate): Turn {
  return { candidate, tried: [], key: null, tries: 0, skips: 0, readyAt: 0, isRepeat: false }
}

/** Whether `other` may take what was too long for `failed`; where nobody has said how much they hold, it may. */
function mayHoldMore(other: Candidate, failed: Candidate): boolean {
  if (other === failed) return false
  return failed.contextTokens === null || other.contextTokens === null || other.contextTokens > failed.contextTokens
}

/** Those without a wait in plan order, then whoever may be asked again soonest. */
function earliest(turns: readonly Turn[]): Turn {
  let best = turns[0]!
  for (const turn of turns) if (turn.readyAt < best.readyAt) best = turn
  return best
}

/** Wrong whoever reads it. */
function isFutile(failure: UpstreamFailure): boolean {
  return failure.code === 'invalid_request' || failure.code === 'content_filter'
}

/** 408, 409, 429, 5xx and network faults; a repeat cannot mend an empty purse or a rule of ours. */
function isRetryable(failure: UpstreamFailure): boolean {
  if (failure.code === 'insufficient_quota' || failure.code === 'forbidden_address') return false
  const { status } = failure
  return status === 0 || status === 408 || status === 409 || status === 429 || status >= 500
}

/** Half a second doubling to eight, with full jitter; a provider's own wish is a floor. */
function backoffMs(
  tries: number,
  retryAfterMs: number | null,
  { random, maxWaitMs }: Pick<FailoverLimits, 'random' | 'maxWaitMs'>,
): number {
  const jittered = random() * Math.min(8000, 500 * 2 ** (tries - 1))
  const least = Math.max(retryAfterMs ?? 0, 50)
  // Jitter alone must not push a wait over the limit that its floor keeps.
  return Math.max(least, Math.min(least + jittered, maxWaitMs))
}

function deadlinePassed(): UpstreamFailure {
  return {
    code: 'timeout',
    status: 504,
    message: 'The deadline of the call passed before a provider could be asked.',
    vendorType: null,
    vendorCode: null,
    param: null,
    retryAfterMs: null,
  }
}
