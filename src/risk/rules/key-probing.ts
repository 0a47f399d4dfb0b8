import { z } from 'zod'
import { defineRule } from './rule.ts'

const minuteMs = 60_000

/** Somebody tries keys, or tries what a key opens. */
export const keyProbing = defineRule({
  name: 'key_probing',
  about: {
    en: 'An address is refused again and again: it tries keys or models.',
    zh: '同一地址反复被拒，疑似探测密钥或模型。',
  },
  on: 'ip',
  severity: 'high',
  quietSeconds: 3600,
  params: z.strictObject({
    refusals: z.number().int().min(3).max(10_000).default(20).describe('Answers 401, 403 or 404 within ten minutes.'),
    share: z.number().min(0).max(1).default(0.5).describe('And such a part of all its calls.'),
  }),
  begin: (): { minutes: [at: number, refused: number, all: number][] } => ({ minutes: [] }),
  see(memory, { from, rows }, { refusals, share }) {
    const refused = rows.filter(({ status }) => status === 401 || status === 403 || status === 404).length
    memory.minutes = [...memory.minutes, [from, refused, rows.length] as [number, number, number]].filter(
      ([at]) => at > from - 10 * minuteMs,
    )
    const count = memory.minutes.reduce((sum, each) => sum + each[1], 0)
    const all = memory.minutes.reduce((sum, each) => sum + each[2], 0)
    return count >= refusals && count >= share * all ? { refused: count, requests: all, threshold: refusals } : null
  },
})
