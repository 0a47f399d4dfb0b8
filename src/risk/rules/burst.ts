import { z } from 'zod'
import { addTo, beginHistory, type History } from '../history.ts'
import { defineRule } from './rule.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000

type Memory = { times: number[]; peaks: History; recent: History }

/** The busiest stretch of `window_sec`, wherever it begins; a key that always works in bursts is measured by its own. */
export const burst = defineRule({
  name: 'burst',
  about: { en: 'A key calls far more often than a limit and its own custom.', zh: '密钥调用频率突增（真滑动窗口）。' },
  on: 'key',
  severity: 'medium',
  quietSeconds: 600,
  params: z.strictObject({
    window_sec: z.number().int().min(1).max(3600).default(60).describe('Length of the sliding window.'),
    limit_per_token: z.number().int().min(2).max(10_000).default(120).describe('Calls in it.'),
    usual_factor: z
      .number()
      .min(0)
      .max(100)
      .default(3)
      .describe(
        'And so many times what the key did at most in the last 28 days or 3 hours; 0 looks at the limit alone.',
      ),
  }),
  begin: (): Memory => ({ times: [], peaks: beginHistory(), recent: beginHistory() }),
  see(memory, { from, rows }, { window_sec, limit_per_token, usual_factor }) {
    const spanMs = window_sec * 1000
    const times = [...memory.times, ...rows.map((row) => row.at)].sort((a, b) => a - b)
    // A stretch that ends before these calls was judged with those it ends in.
    const fresh = rows.reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY)
    let [most, start, end] = [0, 0, 0]
    for (let [first, last] = [0, 0]; last < times.length; last++) {
      while (times[first]! <= times[last]! - spanMs) first++
      if (times[last]! < fresh || last - first + 1 <= most) continue
      most = last - first + 1
      ;[start, end] = [times[first]!, times[last]!]
    }
    // Whatever the next minute adds, calls older than one window can no longer count; nor does it need more than the limit.
    memory.times = times.filter((at) => at > times.at(-1)! - spanMs).slice(-limit_per_token)
    const usual = Math.max(0, ...Object.values(memory.peaks.past), ...Object.values(memory.recent.past))
    const isBurst = most >= limit_per_token && most >= usual_factor * usual
    for (const [history, slotMs, keep] of [
      [memory.peaks, dayMs, 28],
      [memory.recent, hourMs, 3],
    ] as const) {
      addTo(history, Math.floor(from / slotMs), 0, keep)
      history.amount = Math.max(history.amount, most)
      if (isBurst) history.learnAtMost = Math.max(usual, limit_per_token)
    }
    return isBurst
      ? { request_count: most, window_sec, threshold: limit_per_token, usual, first_request: start, last_request: end }
      : null
  },
})
