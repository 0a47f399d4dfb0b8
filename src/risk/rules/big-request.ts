import { z } from 'zod'
import { median, spread } from '../history.ts'
import { defineRule } from './rule.ts'

type Memory = { sizes: number[]; count: number; largest: number }
const kept = 100

/**
 * Against the median and its spread on a logarithmic scale, for each person and model: lengths are heavy-tailed, and a
 * mean that holds the outlier hides it.
 */
export const bigRequest = defineRule({
  name: 'big_request',
  about: {
    en: 'A call is far larger than this person makes of this model.',
    zh: '单次请求远大于该用户在该模型上的常态。',
  },
  on: 'user_model',
  severity: 'low',
  quietSeconds: 3600,
  params: z.strictObject({
    sigma: z.number().min(1).max(50).default(4).describe('Distance from the median, in robust standard deviations.'),
    min_samples: z.number().int().min(5).max(kept).default(50).describe('Calls before anything is judged.'),
    min_tokens: z.number().int().min(0).max(100_000_000).default(100_000).describe('Smaller calls never count.'),
    min_factor: z.number().min(1).max(1000).default(12).describe('And so many times the median.'),
  }),
  begin: (): Memory => ({ sizes: [], count: 0, largest: 0 }),
  see(memory, { rows }, { sigma, min_samples, min_tokens, min_factor }) {
    let found: {
      token_count: number
      median_tokens: number
      deviation: number
      threshold: number
      sigma: number
    } | null = null
    for (const row of rows) {
      const tokens = row.tokensIn + row.tokensOut
      if (tokens <= 0) continue
      let isBig = false
      if (memory.count >= min_samples && tokens >= min_tokens) {
        const logs = memory.sizes.map(Math.log)
        const centre = median(logs)
        // A caller that always sends the same has no spread at all: half a nat is the least.
        const deviation = Math.max(0.5, spread(logs, centre))
        const usual = Math.exp(centre)
        const threshold = Math.max(
          Math.exp(centre + sigma * deviation),
          min_factor * usual,
          min_tokens,
          2 * memory.largest,
        )
        isBig = tokens > threshold
        if (isBig && tokens > (found?.token_count ?? 0)) {
          found = {
            token_count: tokens,
            median_tokens: Math.round(usual),
            deviation: Math.round(deviation * 1000) / 1000,
            threshold: Math.round(threshold),
            sigma,
          }
        }
      }
      // A size is news once: the next is to be twice as large.
      memory.largest = Math.max(memory.largest, tokens)
      if (isBig) continue
      memory.sizes.push(tokens)
      if (memory.sizes.length > kept) memory.sizes.shift()
      memory.count++
    }
    return found
  },
})
