import { z } from 'zod'
import { forgetSeen, noteSeen, type Seen } from '../seen.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

type Memory = { first: Seen; last: Seen }

/** Many people behind one address are an office when they have been there for a while, and a farm when all are new. */
export const ipManyUsers = defineRule({
  name: 'ip_many_users',
  about: { en: 'Many people who are new there call from one address.', zh: '同一 IP 短时间内出现大量新用户。' },
  on: 'ip',
  severity: 'medium',
  quietSeconds: 3 * 3600,
  params: z.strictObject({
    users_threshold: z.number().int().min(2).max(1000).default(5).describe('People within an hour.'),
    known_after_hours: z
      .number()
      .min(0)
      .max(720)
      .default(24)
      .describe(
        'Whoever was first seen there longer ago is at home and not counted; as long the hub only learns. 0: all count.',
      ),
  }),
  begin: (): Memory => ({ first: {}, last: {} }),
  see({ first, last }, { from, rows, since }, { users_threshold, known_after_hours }) {
    const knownMs = known_after_hours * hourMs
    for (const { userId, at } of rows) {
      if (userId === '') continue
      noteSeen(last, userId, at)
      first[userId] ??= at
    }
    forgetSeen(last, from - 60 * dayMs)
    for (const user of Object.keys(first)) if (last[user] === undefined) delete first[user]
    const here = Object.keys(last).filter((user) => last[user]! >= from - hourMs)
    const fresh = knownMs === 0 ? here : here.filter((user) => first[user]! > from - knownMs)
    if (fresh.length < users_threshold || from - since < knownMs) return null
    return {
      user_count: fresh.length,
      threshold: users_threshold,
      known_users: here.length - fresh.length,
      users: fresh.slice(0, 20).join(','),
    }
  },
})
