import { expect, test } from 'vitest'
import type { Candidate } from '../models.ts'
import { Pair } from '../routing/traffic.ts'
import { showPair } from './traffic-routes.ts'

const settings = { windowMs: 10_000, minCalls: 2, failurePercent: 50, openMs: 30_000, maxOpenMs: 60_000, probes: 1 }
const candidate = { provider: { name: 'one' }, key: { id: 'key_1' }, providerModel: 'small' } as Candidate

test('an open breaker says for how long it stays so, and what opened it', () => {
  const pair = new Pair(candidate, settings, () => 0)
  pair.sawLatency(12.345, 0)
  expect(showPair(pair, 'own', 0)).toMatchObject({ breaker: 'closed', opens_in_ms: 0, failed: 0, latency_ms: 12.3 })
  for (const _ of [1, 2]) pair.breaker.settle(pair.breaker.admit(0)!, 'failed', 0)
  expect(showPair(pair, 'own', 10_000)).toMatchObject({
    key: 'own',
    model: 'small',
    breaker: 'open',
    opens_in_ms: 20_000,
  })
  expect(showPair(pair, 'own', 1)).toMatchObject({ succeeded: 0, failed: 2 })
  expect(showPair(pair, 'own', 30_000)).toMatchObject({ breaker: 'half_open', opens_in_ms: 0 })
})
