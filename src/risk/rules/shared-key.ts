import { z } from 'zod'
import { addTo, beginHistory, type History } from '../history.ts'
import { networkOf } from '../networks.ts'
import { forgetSeen, noteSeen, type Seen } from '../seen.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000
const dayMs = 86_400_000

type Memory = { networks: Seen; usual: History }

/** What `multi_user_token` means where a token has one owner: the key was passed on. */
export const sharedKey = defineRule({
  name: 'shared_key',
  about: { en: 'One key is used from many networks within an hour.', zh: '一小时内同一密钥来自多个网络（疑似共享）。' },
  on: 'key',
  severity: 'high',
  quietSeconds: 3 * 3600,
  params: z.strictObject({
    networks_threshold: z
      .number()
      .int()
      .min(2)
      .max(1000)
      .default(5)
      .describe('Networks (IPv4 /16, IPv6 /32) in an hour.'),
    usual_factor: z
      .number()
      .min(0)
      .max(100)
      .default(2)
      .describe('And so many times the most of any day of the last 28.'),
  }),
  begin: (): Memory => ({ networks: {}, usual: beginHistory() }),
  see(memory, { from, rows }, { networks_threshold, usual_factor }) {
    for (const { ip, at } of rows) {
      const network = networkOf(ip)
      if (network !== '') noteSeen(memory.networks, network, at)
    }
    forgetSeen(memory.networks, from - hourMs)
    const networks = Object.keys(memory.networks)
    const usual = Math.max(0, ...Object.values(memory.usual.past))
    const isShared = networks.length >= networks_threshold && networks.length >= usual_factor * usual
    addTo(memory.usual, Math.floor(from / dayMs), 0, 28)
    memory.usual.amount = Math.max(memory.usual.amount, networks.length)
    if (isShared) memory.usual.learnAtMost = Math.max(usual, 1)
    return isShared
      ? {
          network_count: networks.length,
          threshold: networks_threshold,
          usual,
          networks: networks.slice(0, 20).join(','),
        }
      : null
  },
})
