import { z } from 'zod'
import { costOf } from '../cost.ts'
import { addTo, amountAt, beginHistory, type History } from '../history.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const weekHours = 168
const keptHours = 2 * weekHours + 24

type Memory = { hours: History; startsAt: number; seen: number; isWhole: boolean }

/**
 * What is still to come is what the same hours of the week before cost, by how much busier the last stretch was than it was
 * then; where that is not known, the mean of the last stretch. A stretch is a week of a month, and six hours of a day.
 */
export const budgetRunway = defineRule({
  name: 'budget_runway',
  about: {
    en: 'At its pace a budget is spent before its period is over.',
    zh: '按当前速度，预算将在周期结束前用完。',
  },
  on: 'budget',
  severity: 'medium',
  quietSeconds: 86_400,
  params: z.strictObject({
    min_spent_percent: z
      .number()
      .min(0)
      .max(100)
      .default(20)
      .describe('A budget of which less is spent is not judged.'),
    spare_percent: z
      .number()
      .min(0)
      .max(90)
      .default(5)
      .describe('It is to end so much of its period before the period does.'),
  }),
  /** A day and three days before the end of what is left, where the budget is of a month. */
  severityOf: ({ days_left, period_days }) =>
    Number(days_left) <= Number(period_days) / 30
      ? 'high'
      : Number(days_left) <= Number(period_days) / 10
        ? 'medium'
        : 'low',
  begin: (): Memory => ({ hours: beginHistory(), startsAt: 0, seen: 0, isWhole: false }),
  see(memory, { from, rows, budget, since }, { min_spent_percent, spare_percent }) {
    if (budget === undefined) return null
    const { startsAt, endsAt, limitNanoUsd } = budget
    const hour = Math.floor(from / hourMs)
    const cost = costOf(rows)
    addTo(memory.hours, hour, cost, keptHours)
    if (memory.startsAt !== startsAt) {
      const isWhole = memory.startsAt !== 0 || since <= startsAt
      Object.assign(memory, { startsAt, seen: 0, isWhole })
    }
    memory.seen += cost
    if (budget.spentNanoUsd === null && !memory.isWhole) return null
    const spent = Math.max(budget.spentNanoUsd ?? 0, memory.seen)
    if (spent * 100 < limitNanoUsd * min_spent_percent) return null

    const periodMs = endsAt - startsAt
    const stretch = Math.min(weekHours, Math.round(periodMs / 4 / hourMs))
    const pace = paceOf(memory.hours, stretch) ?? spent / Math.max(1, (from - startsAt) / hourMs)
    const isYoung = hour - memory.hours.since < stretch / 4 && from - startsAt < (stretch * hourMs) / 4
    if (isYoung || pace <= 0) return null
    const runsOutAt = endOf(memory.hours, { from, endsAt, left: limitNanoUsd - spent, pace, stretch })
    if (runsOutAt === null || runsOutAt > endsAt - (periodMs * spare_percent) / 100) return null
    return {
      ...{ budget_of: budget.of, budget_of_id: budget.ofId, limit_nano_usd: limitNanoUsd },
      spent_nano_usd: spent,
      spent_percent: Math.round((spent * 100) / limitNanoUsd),
      pace_nano_usd_a_day: Math.round(pace * 24),
      ...{ runs_out_at: new Date(runsOutAt).toISOString(), period_ends_at: new Date(endsAt).toISOString() },
      days_left: Math.round(((runsOutAt - from) / dayMs) * 100) / 100,
      period_days: Math.round(periodMs / dayMs),
    }
  },
})

/** Nano-USD an hour of the last stretch; null before half of it is known. */
function paceOf(hours: History, stretch: number): number | null {
  const known = Math.min(stretch, hours.slot - hours.since)
  if (known < stretch / 2) return null
  return sumBefore(hours, hours.slot, known) / known
}

/** When what is left is gone; null when that is not within the period. */
function endOf(
  hours: History,
  { from, endsAt, left, pace, stretch }: { from: number; endsAt: number; left: number; pace: number; stretch: number },
): number | null {
  if (left <= 0) return from
  const known = hours.slot - hours.since
  // Of a day nothing is told by its mean: mornings are no nights. Before a week is known the day before has to do.
  const season = known >= weekHours ? weekHours : stretch < 24 ? 24 : null
  if (season !== null && known < season) return null
  const busier = season === null ? null : busierThan(hours, season, Math.min(stretch, known - season))
  let rest = left
  for (let ahead = 0; ; ahead++) {
    const at = Math.max(from, (hours.slot + ahead) * hourMs)
    if (at >= endsAt) return null
    // What lies further ahead than a week is as that week.
    const same = season === null ? 0 : hours.slot + (ahead % season) - season
    const share = (Math.min((hours.slot + ahead + 1) * hourMs, endsAt) - at) / hourMs
    const cost = (busier === null ? pace : busier * amountAt(hours, same)) * share
    if (cost >= rest) return at + (rest / cost) * share * hourMs
    rest -= cost
  }
}

/** A quiet or a wild stretch is no measure of the next: the factor stays between a third and three. */
function busierThan(hours: History, season: number, stretch: number): number {
  const then = sumBefore(hours, hours.slot - season, stretch)
  return then > 0 ? Math.min(3, Math.max(1 / 3, sumBefore(hours, hours.slot, stretch) / then)) : 1
}

function sumBefore(hours: History, slot: number, count: number): number {
  let sum = 0
  for (let ago = 1; ago <= count; ago++) sum += amountAt(hours, slot - ago)
  return sum
}
