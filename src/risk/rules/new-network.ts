import { z } from 'zod'
import { addTo, beginHistory, type History } from '../history.ts'
import { networkOf } from '../networks.ts'
import { forgetSeen, noteSeen, type Seen } from '../seen.ts'
import { defineRule } from './rule.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

type Memory = { first: Seen; last: Seen; calls: Record<string, number>; hour: number; usual: History; since: number }

/** Somebody who travels leaves home; a thief is in a second place, or far busier than the owner. */
export const newNetwork = defineRule({
  name: 'new_network',
  about: {
    en: 'An old key is used from a network it never came from, beside its own or far more.',
    zh: '老密钥突然来自从未出现的网络。',
  },
  on: 'key',
  severity: 'medium',
  quietSeconds: 3 * 3600,
  params: z.strictObject({
    min_requests: z.number().int().min(1).max(1_000_000).default(30).describe('Calls from there within an hour.'),
    known_after_days: z.number().min(1).max(90).default(7).describe('Age of the key, as far as it is known.'),
    volume_factor: z.number().min(1).max(1000).default(3).describe('Enough alone: so many times its busiest hours.'),
  }),
  begin: (): Memory => ({ first: {}, last: {}, calls: {}, hour: 0, usual: beginHistory(), since: 0 }),
  see(memory, { from, rows }, { min_requests, known_after_days, volume_factor }) {
    memory.since ||= from
    const hour = Math.floor(from / hourMs)
    if (hour !== memory.hour) Object.assign(memory, { hour, calls: {} })
    addTo(memory.usual, hour, rows.length, 168)
    for (const { ip, at } of rows) {
      const network = networkOf(ip)
      if (network === '') continue
      noteSeen(memory.last, network, at)
      memory.first[network] ??= at
      memory.calls[network] = (memory.calls[network] ?? 0) + 1
    }
    forgetSeen(memory.last, from - 60 * dayMs)
    for (const network of Object.keys(memory.first))
      if (memory.last[network] === undefined) delete memory.first[network]
    if (from - memory.since < known_after_days * dayMs) return null
    const isFresh = (network: string) => memory.first[network]! > from - dayMs
    const found = Object.entries(memory.calls)
      .filter(([network, count]) => count >= min_requests && isFresh(network))
      .sort((a, b) => b[1] - a[1])[0]
    if (found === undefined) return null
    const old = Object.keys(memory.first).filter((network) => !isFresh(network))
    if (old.length === 0) return null
    // Calls of both within the hour: one person is not in two places.
    const beside = old.reduce((sum, network) => sum + (memory.calls[network] ?? 0), 0)
    const busiest = Math.max(0, ...Object.values(memory.usual.past))
    const [network, count] = found
    if (beside < 5 && count < volume_factor * busiest) return null
    memory.usual.learnAtMost = busiest
    return { network, requests: count, threshold: min_requests, beside, busiest, known_networks: old.length }
  },
})
