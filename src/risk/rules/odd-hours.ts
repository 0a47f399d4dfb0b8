import { z } from 'zod'
import { addTo, beginHistory, type History, median, quantile, sameHourOfWeeks, spread } from '../history.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000

/** By the same hour of former weeks: a batch job every Sunday night is at home there. */
export const oddHours = defineRule({
  name: 'odd_hours',
  about: { en: 'A key is busy at an hour of the week at which it sleeps.', zh: '密钥在一周中通常静默的时段活跃。' },
  on: 'key',
  severity: 'medium',
  quietSeconds: 2 * 3600,
  params: z.strictObject({
    min_requests: z.number().int().min(1).max(1_000_000).default(30).describe('Fewer calls in the hour never count.'),
    sigma: z.number().min(1).max(100).default(6).describe('Distance from the median, in robust standard deviations.'),
    quiet_share: z.number().min(0).max(1).default(0.1).describe('An hour is quiet below this part of the busy ones.'),
    weeks: z.number().int().min(2).max(4).default(2).describe('Weeks that are to be known before anything is judged.'),
  }),
  begin: beginHistory,
  see(memory: History, { from, rows }, { min_requests, sigma, quiet_share, weeks }) {
    const hour = Math.floor(from / hourMs)
    addTo(memory, hour, rows.length, 28 * 24 + 2)
    if (memory.amount < min_requests) return null
    const before = sameHourOfWeeks(memory, 4)
    if (before.length < weeks) return null
    const usual = median(before)
    const threshold = usual + sigma * Math.max(1, spread(before, usual))
    if (memory.amount <= threshold) return null
    // Of the same time as those hours: what has grown since makes no hour of then a quiet one.
    const then: number[] = []
    for (const slot in memory.past) if (Number(slot) <= hour - 167) then.push(memory.past[slot]!)
    const busy = quantile(then, 0.75)
    if (Math.max(...before) > quiet_share * busy) return null
    memory.learnAtMost = usual
    return { requests: memory.amount, usual, threshold: Math.round(threshold), weeks_known: before.length }
  },
})
