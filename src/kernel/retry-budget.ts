/**
 * Bounds repeats over all calls, so that a provider in trouble is not asked several times as often just then: each call
 * earns a share of a repeat, time earns a few, and a repeat spends one. Asking another provider or key is no repeat: it
 * adds nothing to what the one in trouble bears.
 */
export type RetryBudget = {
  /** A call began. */
  earn(): void
  /** Spends one repeat; false when there is none. */
  spend(nowMs: number): boolean
  left(nowMs: number): number
}

/** `percent`: repeats earned by a hundred calls; `perSecond`: earned by time alone, so that few calls can repeat too. */
export function createRetryBudget(earned: { readonly percent: number; readonly perSecond: number }): RetryBudget {
  // Ten seconds of calm may be spent at once, however many calls there were.
  const most = () => Math.max(10, earned.perSecond * 10)
  let tokens = earned.perSecond * 10
  let seenAt = 0
  const refill = (nowMs: number) => {
    if (nowMs <= seenAt) return
    tokens = Math.min(most(), tokens + ((nowMs - seenAt) / 1000) * earned.perSecond)
    seenAt = nowMs
  }
  return {
    earn() {
      tokens = Math.min(most(), tokens + earned.percent / 100)
    },
    spend(nowMs) {
      refill(nowMs)
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
    left(nowMs) {
      refill(nowMs)
      return Math.floor(tokens)
    },
  }
}
