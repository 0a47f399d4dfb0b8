/**
 * Shared counting for limits and budgets. One process counts in memory; many nodes count in Redis, where one Lua script
 * does the whole of each verb in one round trip. Both behave alike (`tallies.contract.test.ts`).
 */
export type Counter = Tallies & {
  close(): Promise<void>
}

/**
 * What callers may still do, held against several limits at once. A holder is one call, named by its request id; what it
 * holds ends by itself after `leaseMs` unless renewed, so a lost process keeps nothing. Amounts are integers below 2^53.
 */
export type Tallies = {
  /** Meets all demands, or counts for none of them. All leases of one counter last equally long. */
  admit(holder: string, demands: readonly Demand[], leaseMs: number): Admission | Promise<Admission>
  /**
   * Says what was really used. Slots and budgets are settled once for each holder, however often this is called and
   * whether or not its lease has ended meanwhile. One answer for each charge, null where it is no budget.
   */
  settle(holder: string, charges: readonly Charge[]): (Spending | null)[] | Promise<(Spending | null)[]>
  /** Prolongs slots and reservations; what had ended meanwhile is taken again, limit or no limit. */
  renew(holds: readonly Hold[], leaseMs: number): void | Promise<void>
  /** Lets a budget have spent at least so much, and known it since. What is counted already is never lowered. */
  raise(budget: BudgetKey, spent: number): Spending | Promise<Spending>
  /** What budgets have spent and hold in reserve; 0 for those nobody counted yet. */
  read(keys: readonly string[]): Balance[] | Promise<Balance[]>
}

export type Demand =
  /** At most `limit` within any `windowMs`; what is counted leaves up to a thirtieth of that later. */
  | { kind: 'window'; key: string; limit: number; cost: number; windowMs: number }
  /** One of `limit` places, until settled. */
  | { kind: 'slot'; key: string; limit: number }
  /** `cost` is reserved if what is spent and reserved leaves room for it. */
  | ({ kind: 'budget'; cost: number } & BudgetKey)

/** `lifeMs` is how long the counter of this period is of use to anybody. */
export type BudgetKey = { key: string; limit: number; lifeMs: number }

export type Admission = {
  /** `unknown`: nothing was counted, because a budget does not know yet what was spent: `raise` it and ask again. */
  result: 'admitted' | 'refused' | 'unknown'
  /** The counter's own time, for settling windows. */
  at: number
  /** In the order of the demands, after they were counted. */
  standings: Standing[]
}

export type Standing = {
  isMet: boolean
  /** False for a budget that was never raised. */
  isKnown: boolean
  remaining: number
  /** Of a window: until it has room for a demand that is not met, else until it is empty again. Otherwise 0. */
  resetMs: number
}

export type Charge =
  /** `at` is the admission's. What was reserved too much returns; what was used more counts from now on. */
  | { kind: 'window'; key: string; windowMs: number; at: number; reserved: number; used: number }
  | { kind: 'slot'; key: string }
  /** The reservation of this holder, if any, becomes `cost` spent. */
  | ({ kind: 'budget'; cost: number } & BudgetKey)
  /** Gives the reservation back; the holder may reserve and settle again. */
  | { kind: 'unreserve'; key: string }

export type Hold = { holder: string; key: string } & (
  | { kind: 'slot' }
  | { kind: 'budget'; cost: number; lifeMs: number }
)

/** Whole percents of the limit, at most 100: as told before, and now. Each percent is passed once for each limit. */
export type Spending = { spent: number; fromPercent: number; toPercent: number }

export type Balance = { spent: number; held: number }

/** A window is counted in so many parts. */
export const windowParts = 30

/** How long a settled holder is remembered, so that settling it again changes nothing. */
export const settledMs = 120_000
