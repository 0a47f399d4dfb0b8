import { createDice } from '../../kernel/dice.ts'
import { readEntry, writeEntry } from '../entry-text.ts'
import type { RequestLogRow } from '../rows.ts'
import { outcomes } from '../schema.ts'
import { sampleEntry } from '../testing.ts'

/** `amount` rows of every kind between two times, in no order. */
export function makeRows(amount: number, from: number, to: number, seed = 1): RequestLogRow[] {
  const dice = createDice(seed)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(dice() * values.length)]!
  return Array.from({ length: amount }, (_, index) => {
    const outcome = pick([...outcomes, 'success', 'success', 'success'] as const)
    const user = Math.floor(dice() * 7)
    const isStream = dice() < 0.5
    const isServed = outcome !== 'refused'
    const row = readEntry(
      writeEntry(
        sampleEntry({
          id: `req_${seed}_${index}`,
          startedAt: Math.floor(from + dice() * (to - from)),
          tenantId: user < 4 ? 'ten_a' : 'ten_b',
          userId: dice() < 0.1 ? '' : `usr_${user}`,
          keyId: `key_${user}_${pick(['x', 'y'])}`,
          modelAsked: pick(['fast', 'smart', '=cmd()']),
          modelServed: isServed ? pick(['gpt-4o', 'claude', '模型']) : '',
          providerId: isServed ? pick(['prv_a', 'prv_b']) : '',
          providerKeyId: pick(['', 'pky_1']),
          endpoint: pick(['/v1/chat/completions', '/v1/messages']),
          ...{ outcome, status: outcome === 'success' ? 200 : pick([400, 429, 500, 502, 499]) },
          errorCode: outcome === 'success' ? '' : pick(['upstream_error', 'rate_limited']),
          ...{ stream: isStream, cacheHit: dice() < 0.1 ? 'exact' : '' },
          tokensIn: Math.floor(dice() * 4000),
          tokensOut: Math.floor(dice() * 900),
          tokensCachedRead: Math.floor(dice() * 300),
          firstTokenMs: dice() < 0.7 ? Math.floor(dice() * 2000) : null,
          latencyMs: Math.floor(dice() ** 3 * 60_000),
          tags: pick([[], ['team-a'], ['team-a', 'agent:writer'], ['agent:re"ad er', 'team-b', 'team-b']]),
          agent: dice() < 0.3 ? pick(['planner', '研究员']) : '',
          service: dice() < 0.2 ? pick(['demo-plugin', 'crawler']) : '',
          clientIp: `192.0.2.${Math.floor(dice() * 20)}`,
          isSynthetic: dice() < 0.1,
        }),
        { nanoUsd: dice() < 0.1 ? null : Math.floor(dice() * 9_000_000), priceId: '' },
        dice() < 0.9 ? 0 : Math.floor(dice() * 5000),
      ),
    )
    return row
  })
}
