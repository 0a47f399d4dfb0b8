import { z } from 'zod'
import { costOf } from '../cost.ts'
import { addTo, amountAt, beginHistory, type History, quantile, sameHourOfWeeks } from '../history.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000

/** Measured by what is usual, by the same hour of former weeks and by the hours just before: growth is no spike. */
export const costSpike = defineRule({
  name: 'cost_spike',
  about: { en: 'A key spends in an hour many times what it ever does.', zh: '密钥一小时内的花费数倍于常态。' },
  on: 'key',
  severity: 'high',
  quietSeconds: 2 * 3600,
  params: z.strictObject({
    factor: z.number().min(1.5).max(1000).default(4).describe('Times the usual most.'),
    min_usd: z.number().min(0).max(1_000_000).default(1).describe('Less in an hour never counts.'),
    warm_up_hours: z
      .number()
      .int()
      .min(1)
      .max(720)
      .default(192)
      .describe('A younger key is not judged; a week and a day, so that weekly jobs are known.'),
  }),
  begin: beginHistory,
  see(memory: History, { from, rows }, { factor, min_usd, warm_up_hours }) {
    const hour = Math.floor(from / hourMs)
    addTo(memory, hour, costOf(rows), 28 * 24)
    if (hour - memory.since < warm_up_hours || memory.amount < min_usd * 1e9) return null
    const lately = Math.max(...sameHourOfWeeks(memory, 4), ...[1, 2, 3].map((ago) => amountAt(memory, hour - ago)))
    if (memory.amount <= factor * lately) return null
    const week = Object.entries(memory.past).filter(([at]) => Number(at) >= hour - 168)
    const usual = Math.max(
      quantile(
        week.map(([, amount]) => amount),
        0.95,
      ),
      lately,
    )
    if (memory.amount <= factor * usual) return null
    // What stays must become the custom in the end, abuse shall not at once.
    memory.learnAtMost = factor * usual
    return { cost_nano_usd: memory.amount, usual_nano_usd: Math.round(usual), factor }
  },
})
