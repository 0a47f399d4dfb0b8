import { expect, test } from 'vitest'
import { fail } from '../../kernel/errors.ts'
import type { LiveProvider } from '../models.ts'
import { createHealthBook, probeProviders } from './probe-providers.ts'

const named = (...names: string[]) => names.map((name) => ({ name }) as LiveProvider)

function stage(answers: Record<string, () => unknown> = {}) {
  let now = 0
  const health = createHealthBook({ monotonic: () => now })
  const asked: string[] = []
  const probe = (providers: LiveProvider[], signal = new AbortController().signal) =>
    probeProviders({
      providers,
      health,
      signal,
      async askOne({ name }) {
        asked.push(name)
        return answers[name]?.()
      },
    })
  return {
    health,
    asked,
    probe,
    pass(ms: number) {
      now += ms
    },
  }
}

test('who answers real calls is not asked; who failed, was idle or never called is', async () => {
  const { health, asked, probe, pass } = stage()
  health.saw('idle', true)
  pass(600_000)
  health.saw('busy', true)
  health.saw('failed', false)
  await probe(named('idle', 'busy', 'failed', 'new'))
  expect(asked).toEqual(['idle', 'failed', 'new'])
  expect(health.isFailing('failed')).toBe(false)
})

test('a provider that cannot be reached or refuses our key is failing before any caller finds out', async () => {
  const { health, probe } = stage({
    away: () => Promise.reject(fail('upstream_unreachable')),
    locked: () => Promise.reject(fail('upstream_unauthorized')),
    listless: () => Promise.reject(fail('upstream_refused', 'x', { status: 404 })),
    unlisted: () => Promise.reject(fail('invalid_request')),
  })
  await probe(named('away', 'locked', 'listless', 'unlisted'))
  expect(['away', 'locked', 'listless', 'unlisted'].map((name) => health.isFailing(name))).toEqual([
    true,
    true,
    false,
    false,
  ])
})

test('a stop ends the round, and what is gone is forgotten', async () => {
  const { health, asked, probe } = stage()
  await probe(named('a'), AbortSignal.abort())
  expect(asked).toEqual([])
  health.saw('a', false)
  health.follow(named('b'))
  expect(health.isFailing('a')).toBe(false)
})
