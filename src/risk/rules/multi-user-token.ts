import { z } from 'zod'
import { forgetSeen, noteSeen, type Seen } from '../seen.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000

/** Calls without a token (id '' or 0: top-ups, log-ins, tests) are nobody's token and never get here. */
export const multiUserToken = defineRule({
  name: 'multi_user_token',
  about: { en: 'One token is used in the name of several people.', zh: '同一令牌被多个用户使用。' },
  on: 'key',
  severity: 'high',
  quietSeconds: 3600,
  params: z.strictObject({
    users_threshold: z.number().int().min(2).max(1000).default(2).describe('People within an hour.'),
  }),
  begin: (): Seen => ({}),
  see(memory, { from, rows }, { users_threshold }) {
    for (const row of rows) if (row.userId !== '') noteSeen(memory, row.userId, row.at)
    forgetSeen(memory, from - hourMs)
    const users = Object.keys(memory)
    return users.length >= users_threshold
      ? { user_count: users.length, threshold: users_threshold, users: users.slice(0, 20).join(',') }
      : null
  },
})
