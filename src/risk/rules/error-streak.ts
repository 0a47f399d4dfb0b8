import { z } from 'zod'
import { defineRule } from './rule.ts'

type Memory = { streak: number; since: number }

/** What fails for everybody at once is the provider's fault and not reported of a key. */
export const errorStreak = defineRule({
  name: 'error_streak',
  about: {
    en: 'Calls of one key fail without end while those of others do not.',
    zh: '单个密钥连续失败，而其他密钥正常。',
  },
  on: 'key',
  severity: 'medium',
  quietSeconds: 1800,
  params: z.strictObject({
    streak: z
      .number()
      .int()
      .min(3)
      .max(10_000)
      .default(40)
      .describe('Failures in a row, no more than ten minutes apart.'),
    others_share: z
      .number()
      .min(0)
      .max(1)
      .default(0.3)
      .describe('Nothing is said when more of the other calls fail too.'),
  }),
  begin: (): Memory => ({ streak: 0, since: 0 }),
  see(memory, { from, rows, others }, { streak, others_share }) {
    const isEverybody = others.requests >= 5 && others.failures > others_share * others.requests
    let most = 0
    for (const row of rows) {
      const isFailure =
        row.outcome === 'failure' || row.outcome === 'truncated' || (row.outcome === 'refused' && row.status !== 429)
      if (!isFailure || isEverybody || row.at - memory.since > 600_000) memory.streak = 0
      if (isFailure && !isEverybody) memory.streak++
      memory.since = Math.max(row.at, from)
      most = Math.max(most, memory.streak)
    }
    return most >= streak
      ? { failures: most, threshold: streak, other_requests: others.requests, other_failures: others.failures }
      : null
  },
})
