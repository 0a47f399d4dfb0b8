import type { Clock } from '../../kernel/clock.ts'
import {
  type Admission,
  type BudgetKey,
  type Charge,
  type Demand,
  type Spending,
  type Standing,
  settledMs,
  type Tallies,
  windowParts,
} from './counter.ts'

type Window = { parts: Map<number, number>; endsAt: number }
/** Leases last equally long and are put at the end when renewed: the first is always the next to end. */
type Leases<T> = Map<string, { endsAt: number } & T>
type Budget = {
  spent: number
  held: number
  isKnown: boolean
  reserved: Leases<{ amount: number }>
  settled: Leases<unknown>
  /** By limit: a budget that was changed tells its percents anew. */
  toldPercent: Map<number, number>
  endsAt: number
}

/** Tallies of this process. Beyond `maxWindows` the oldest windows go, so that a flood of addresses costs no memory. */
export function createMemoryTallies(options: { clock: Clock; maxWindows?: number }): Tallies & { clear(): void } {
  const { clock, maxWindows = 100_000 } = options
  const windows = new Map<string, Window>()
  const slots = new Map<string, Leases<unknown>>()
  const budgets = new Map<string, Budget>()
  let sweepAt = Math.min(1000, maxWindows)
  let sweptMs = 0

  function makeRoom(now: number): void {
    if (windows.size >= sweepAt && (windows.size < maxWindows || now - sweptMs >= 1000)) {
      for (const [key, window] of windows) if (window.endsAt <= now) windows.delete(key)
      for (const [key, budget] of budgets) if (budget.endsAt <= now) budgets.delete(key)
      sweepAt = Math.min(Math.max(1000, 2 * windows.size), maxWindows)
      sweptMs = now
    }
    for (const oldest of windows.keys()) {
      if (windows.size < maxWindows) break
      windows.delete(oldest)
    }
  }

  function findWindow(key: string, now: number): Window {
    let window = windows.get(key)
    if (window === undefined) {
      makeRoom(now)
      window = { parts: new Map(), endsAt: now }
      windows.set(key, window)
    }
    return window
  }

  function findSlots(key: string, now: number): Leases<unknown> {
    const held: Leases<unknown> = slots.get(key) ?? new Map()
    slots.set(key, held)
    for (const [holder, { endsAt }] of held) {
      if (endsAt > now) break
      held.delete(holder)
    }
    return held
  }

  function findBudget(key: string, now: number): Budget {
    let budget = budgets.get(key)
    if (budget === undefined || budget.endsAt <= now) {
      for (const [other, { endsAt }] of budgets) if (endsAt <= now) budgets.delete(other)
      budget = {
        ...{ spent: 0, held: 0, isKnown: false, endsAt: Number.POSITIVE_INFINITY },
        ...{ reserved: new Map(), settled: new Map(), toldPercent: new Map() },
      }
      budgets.set(key, budget)
    }
    for (const [holder, { endsAt }] of budget.reserved) {
      if (endsAt > now) break
      unreserve(budget, holder)
    }
    for (const [holder, { endsAt }] of budget.settled) {
      if (endsAt > now) break
      budget.settled.delete(holder)
    }
    return budget
  }

  function look(demand: Demand, holder: string, now: number): Standing {
    const { key, limit } = demand
    if (demand.kind === 'slot') {
      const held = findSlots(key, now)
      const isMet = held.has(holder) || held.size < limit
      return { isMet, isKnown: true, remaining: Math.max(0, limit - held.size), resetMs: 0 }
    }
    if (demand.kind === 'budget') {
      const { spent, held, isKnown } = findBudget(key, now)
      const left = limit - spent - held
      return { isMet: left > 0 && demand.cost <= left, isKnown, remaining: Math.max(0, left), resetMs: 0 }
    }
    return lookAtWindow(findWindow(key, now), demand, now)
  }

  function count(demand: Demand, holder: string, now: number, leaseMs: number, standing: Standing): void {
    const { key } = demand
    if (demand.kind === 'slot') {
      const held = findSlots(key, now)
      keep(held, holder, { endsAt: now + leaseMs })
      standing.remaining = Math.max(0, demand.limit - held.size)
    } else if (demand.kind === 'budget') {
      const budget = findBudget(key, now)
      reserve(budget, holder, demand.cost, now + leaseMs)
      budget.endsAt = now + demand.lifeMs
      standing.remaining = Math.max(0, demand.limit - budget.spent - budget.held)
    } else if (demand.cost > 0) {
      add(findWindow(key, now), demand.windowMs, now, demand.cost)
      standing.remaining = Math.max(0, standing.remaining - demand.cost)
      standing.resetMs = leavesAt(partOf(now, demand.windowMs), demand.windowMs) - now
    }
  }

  function charge(charged: Charge, holder: string, now: number): Spending | null {
    const { key } = charged
    if (charged.kind === 'slot') {
      const held = findSlots(key, now)
      held.delete(holder)
      if (held.size === 0) slots.delete(key)
    } else if (charged.kind === 'unreserve') {
      unreserve(findBudget(key, now), holder)
    } else if (charged.kind === 'window') {
      correct(findWindow(key, now), charged, now)
    } else {
      const budget = findBudget(key, now)
      budget.endsAt = now + charged.lifeMs
      if (!budget.settled.has(holder)) {
        unreserve(budget, holder)
        budget.settled.set(holder, { endsAt: now + settledMs })
        budget.spent += charged.cost
      }
      return tell(budget, charged.limit)
    }
    return null
  }

  return {
    admit(holder, demands, leaseMs): Admission {
      const now = clock.now()
      const standings = demands.map((demand) => look(demand, holder, now))
      if (standings.some(({ isKnown }) => !isKnown)) return { result: 'unknown', at: now, standings }
      if (standings.some(({ isMet }) => !isMet)) return { result: 'refused', at: now, standings }
      for (const [place, demand] of demands.entries()) count(demand, holder, now, leaseMs, standings[place]!)
      return { result: 'admitted', at: now, standings }
    },
    settle(holder, charges) {
      const now = clock.now()
      return charges.map((each) => charge(each, holder, now))
    },
    renew(holds, leaseMs) {
      const now = clock.now()
      for (const hold of holds) {
        if (hold.kind === 'slot') keep(findSlots(hold.key, now), hold.holder, { endsAt: now + leaseMs })
        else {
          const budget = findBudget(hold.key, now)
          if (budget.settled.has(hold.holder)) continue
          reserve(budget, hold.holder, hold.cost, now + leaseMs)
          budget.endsAt = now + hold.lifeMs
        }
      }
    },
    raise({ key, limit, lifeMs }: BudgetKey, spent) {
      const now = clock.now()
      const budget = findBudget(key, now)
      budget.spent = Math.max(budget.spent, spent)
      budget.isKnown = true
      budget.endsAt = now + lifeMs
      return tell(budget, limit)
    },
    read: (keys) =>
      keys.map((key) => {
        const { spent, held } = budgets.has(key) ? findBudget(key, clock.now()) : nothing
        return { spent, held }
      }),
    clear() {
      windows.clear()
      slots.clear()
      budgets.clear()
    },
  }
}

const nothing = { spent: 0, held: 0 }

const partOf = (at: number, windowMs: number) => Math.floor(at / (windowMs / windowParts))
/** A part may hold what came at its very end: it leaves a whole window after that. */
const leavesAt = (part: number, windowMs: number) => (part + windowParts + 1) * (windowMs / windowParts)

function lookAtWindow(
  { parts }: Window,
  { limit, cost, windowMs }: { limit: number; cost: number; windowMs: number },
  now: number,
): Standing {
  let sum = 0
  let newest = Number.NEGATIVE_INFINITY
  for (const [part, counted] of parts) {
    if (leavesAt(part, windowMs) <= now) parts.delete(part)
    else {
      sum += counted
      newest = Math.max(newest, part)
    }
  }
  const remaining = Math.max(0, limit - sum)
  const isMet = sum + cost <= limit
  if (isMet) return { isMet, isKnown: true, remaining, resetMs: sum === 0 ? 0 : leavesAt(newest, windowMs) - now }
  let left = sum
  for (const part of [...parts.keys()].sort((a, b) => a - b)) {
    left -= parts.get(part)!
    if (left + cost <= limit) return { isMet, isKnown: true, remaining, resetMs: leavesAt(part, windowMs) - now }
  }
  // More than there is room for at any time.
  return { isMet, isKnown: true, remaining, resetMs: windowMs }
}

function add(window: Window, windowMs: number, now: number, amount: number): void {
  const part = partOf(now, windowMs)
  window.parts.set(part, (window.parts.get(part) ?? 0) + amount)
  window.endsAt = leavesAt(part, windowMs)
}

function correct(window: Window, charged: Extract<Charge, { kind: 'window' }>, now: number): void {
  const { windowMs, at, reserved, used } = charged
  const part = partOf(at, windowMs)
  const counted = window.parts.get(part)
  if (used > reserved) add(window, windowMs, now, used - reserved)
  else if (counted !== undefined) window.parts.set(part, Math.max(0, counted - (reserved - used)))
}

function keep<T>(leases: Leases<T>, holder: string, lease: { endsAt: number } & T): void {
  leases.delete(holder)
  leases.set(holder, lease)
}

function reserve(budget: Budget, holder: string, amount: number, endsAt: number): void {
  budget.held += amount - (budget.reserved.get(holder)?.amount ?? 0)
  keep(budget.reserved, holder, { amount, endsAt })
}

function unreserve(budget: Budget, holder: string): void {
  budget.held -= budget.reserved.get(holder)?.amount ?? 0
  budget.reserved.delete(holder)
}

function tell(budget: Budget, limit: number): Spending {
  const { spent, toldPercent } = budget
  const fromPercent = toldPercent.get(limit) ?? 0
  const toPercent = Math.max(fromPercent, limit > 0 ? Math.min(100, Math.floor((spent * 100) / limit)) : 100)
  toldPercent.set(limit, toPercent)
  return { spent, fromPercent, toPercent }
}
