import { z } from 'zod'
import { costOf } from '../cost.ts'
import { addTo, beginHistory, type History } from '../history.ts'
import { defineRule } from './rule.ts'

const dayMs = 86_400_000

type Memory = { days: History; sum: number; judged: number }

/**
 * CUSUM over the logarithm of each day by the same day a week before: weekends cancel out, a few per cent a day add up,
 * and a step, which the other rules see, adds nothing. https://en.wikipedia.org/wiki/CUSUM
 */
export const slowLeak = defineRule({
  name: 'slow_leak',
  about: { en: 'What a key spends creeps up day after day.', zh: '密钥花费逐日缓慢攀升（CUSUM）。' },
  on: 'key',
  severity: 'medium',
  quietSeconds: 3 * 86_400,
  params: z.strictObject({
    drift: z.number().min(0.01).max(1).default(0.17).describe('Growth over a week, as a logarithm, that is no leak.'),
    threshold: z.number().min(0.1).max(10).default(0.9).describe('Sum of what is beyond it.'),
    step: z.number().min(0.2).max(5).default(0.9).describe('More than this within a week is a step and not a leak.'),
    min_usd: z
      .number()
      .min(0)
      .max(1_000_000)
      .default(1)
      .describe('A day of less is not told, one of less than a quarter of it is left out.'),
  }),
  begin: (): Memory => ({ days: beginHistory(), sum: 0, judged: -1 }),
  see(memory, { from, rows }, { drift, threshold, step, min_usd }) {
    const day = Math.floor(from / dayMs)
    addTo(memory.days, day, costOf(rows), 30)
    const ended = day - 1
    // The day it was first seen is no whole one.
    if (memory.judged >= ended || ended - 7 <= memory.days.since) return null
    memory.judged = ended
    const now = memory.days.past[ended]
    const before = memory.days.past[ended - 7]
    if (now === undefined || before === undefined) return null
    // Of cents a single call is half a day's growth. A leak that is small yet is followed all the same, and told when it costs.
    if (Math.min(now, before) < (min_usd * 1e9) / 4) return null
    const growth = Math.log(now / before)
    if (growth > step) return null
    memory.sum = Math.min(3 * threshold, Math.max(0, memory.sum + growth - drift))
    if (memory.sum <= threshold || now < min_usd * 1e9) return null
    return {
      day_nano_usd: now,
      week_before_nano_usd: before,
      growth_percent: Math.round((Math.exp(growth) - 1) * 100),
      cusum: Math.round(memory.sum * 100) / 100,
      threshold,
    }
  },
})
