import { expect, test } from 'vitest'
import { createManualClock } from './clock.ts'
import { createHeartbeats } from './heartbeats.ts'

test('a worker without a turn for two intervals stands still, until its next turn', async () => {
  const clock = createManualClock()
  const hearts = createHeartbeats(clock)
  const settler = hearts.watch('settler', 1000)
  const sampler = hearts.watch('sampler', 5000)
  await clock.advance(2000)
  expect(hearts.stalled()).toEqual([])
  await clock.advance(1)
  expect(hearts.stalled()).toEqual([{ worker: 'settler', ageMs: 2001, allowedMs: 2000 }])
  settler.beat()
  expect(hearts.stalled()).toEqual([])
  settler.end()
  await clock.advance(10_000)
  expect(hearts.stalled().map(({ worker }) => worker)).toEqual(['sampler'])
  sampler.beat()
  expect(hearts.list()).toEqual([{ worker: 'sampler', ageMs: 0, everyMs: 5000 }])
})

test('one that began anew is not ended by the one before it', () => {
  const hearts = createHeartbeats(createManualClock())
  const first = hearts.watch('settler', 1000)
  hearts.watch('settler', 1000)
  first.end()
  expect(hearts.list()).toHaveLength(1)
})
