import type { Clock } from '../../kernel/clock.ts'
import type { UpstreamFailure } from '../chat.ts'
import type { Candidate } from '../models.ts'

/**
 * What became of one attempt. `done`: the caller has been or can be answered; nothing more is to be tried. `failed`: the
 * provider was asked and failed. `skipped`: it was not asked, because it cannot serve this request or because its own
 * limit is used up (then `retryAfterMs` says until when).
 */
export type Attempted<T> =
  | { kind: 'done'; value: T }
  | { kind: 'failed'; failure: UpstreamFailure }
  | { kind: 'skipped'; failure: UpstreamFailure }

export type FailoverLimits = {
  /** Monotonic time after which nothing new is begun. */
  deadlineAt: number
  maxAttempts: number
  maxWaitMs: number
  clock: Pick<Clock, 'monotonic'>
  random: () => number
  /** True when nobody waits for the answer any more. */
  isAbandoned(): boolean
  /** Ends early when the call is abandoned. */
  sleep(ms: number): Promise<void>
}

/**
 * Tries candidates in order until one is done. Another provider is tried at once; the same one again only after all
 * others had their turn, after a wait with jitter that honours Retry-After, and only for failures that a repeat can
 * mend. A request that is wrong in itself is not carried from door to door: it fails the same everywhere.
 *
 * Returns the last failure when everything was tried; it is never called after the first byte for the caller has left,
 * because an attempt that got so far is `done`.
 */
export async function failOver<T>(
  plan: readonly Candidate[],
  attempt: (candidate: Candidate) => Promise<Attempted<T>>,
  limits: FailoverLimits,
): Promise<{ kind: 'done'; value: T } | { kind: 'failed'; failure: UpstreamFailure }> {
  const { clock } = limits
  let turns: Turn[] = plan.map((candidate) => ({ candidate, tries: 0, skips: 0, readyAt: 0 }))
  const drop = (gone: Turn) => {
    turns = turns.filter((turn) => turn !== gone)
  }
  let last: UpstreamFailure | undefined
  let skipped: UpstreamFailure | undefined
  let made = 0

  while (turns.length > 0 && made < limits.maxAttempts) {
    const turn = earliest(turns)
    const { candidate } = turn
    const waitMs = turn.readyAt - clock.monotonic()
    if (waitMs > 0) {
      if (waitMs > limits.maxWaitMs || turn.readyAt > limits.deadlineAt) break
      await limits.sleep(waitMs)
    }
    if (limits.isAbandoned() || clock.monotonic() >= limits.deadlineAt) break

    const result = await attempt(candidate)
    if (result.kind === 'done') return result
    if (result.kind === 'skipped') {
      skipped = result.failure
      if (skipped.retryAfterMs === null) drop(turn)
      else turn.readyAt = clock.monotonic() + skipped.retryAfterMs
      // A limit that is used up again and again must not keep the call here for ever.
      if (++turn.skips > candidate.maxRetries) drop(turn)
      continue
    }
    made++
    last = result.failure
    if (isFutile(last)) break
    turn.tries++
    if (!isRetryable(last) || turn.tries > candidate.maxRetries) drop(turn)
    else turn.readyAt = clock.monotonic() + backoffMs(turn.tries, last.retryAfterMs, limits)
  }
  return { kind: 'failed', failure: last ?? skipped ?? deadlinePassed() }
}

type Turn = { candidate: Candidate; tries: number; skips: number; readyAt: number }

/** Untried ones in plan order, then whoever may be asked again soonest. */
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
