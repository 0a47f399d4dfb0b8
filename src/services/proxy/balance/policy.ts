import type { BalancePolicy } from '../../directory.ts'

/** What a policy may know of an instance, and the credit that is its to keep. */
export type Weighed = {
  id: string
  /** 1 to 1000. */
  weight: number
  /** Calls under way, from this node. */
  pending: number
  /** Milliseconds to the first byte, recent calls first; 0 before any. */
  latencyMs: number
  /** Of smooth weighted round-robin. */
  credit: number
}

export type BalanceAsk = {
  /** [0, 1) */
  random(): number
  /** What belongs together; '' for nothing. */
  hashKey: string
}

/** Decides which of several fit instances takes a call. A member of this shelf. */
export type Balance = {
  name: BalancePolicy
  /** One of `members`, which holds at least one. */
  pick<M extends Weighed>(members: readonly M[], ask: BalanceAsk): M
}
