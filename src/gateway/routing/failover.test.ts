import { expect, test } from 'vitest'
import { failure } from '../failures.ts'
import type { Candidate } from '../models.ts'
import { type Attempted, failOver } from './failover.ts'
import { testCandidate } from './testing.ts'

function candidate(id: string, maxRetries = 0, keys = 1, over: Partial<Candidate> = {}): Candidate {
  const named = Array.from({ length: keys }, (_, place) => ({ id: keys === 1 ? id : `${id}${place}` }))
  return testCandidate(id, { maxRetries, ...over }, named)
}

/** Runs a script of answers per candidate against a clock that only sleeping moves. */
async function run(
  plan: Candidate[],
  script: Record<string, Attempted<string>[]>,
  over: {
    maxAttempts?: number
    maxWaitMs?: number
    deadlineAt?: number
    abandonAfter?: number
    retryCount?: number
    repeats?: number
  } = {},
) {
  let now = 0
  const asked: string[] = []
  const slept: number[] = []
  let repeats = over.repeats ?? Number.POSITIVE_INFINITY
  const result = await failOver<string>(
    plan,
    async ({ key }) => {
      asked.push(key.id)
      return script[key.id]!.shift()!
    },
    {
      deadlineAt: over.deadlineAt ?? 1_000_000,
      maxAttempts: over.maxAttempts ?? 10,
      maxWaitMs: over.maxWaitMs ?? 20_000,
      retryCount: over.retryCount ?? null,
      chooseKey: ({ siblings }, tried) => siblings.find((sibling) => !tried.includes(sibling)) ?? null,
      mayRepeat: () => repeats-- > 0,
      clock: { monotonic: () => now },
      random: () => 0.5,
      isAbandoned: () => asked.length >= (over.abandonAfter ?? Number.POSITIVE_INFINITY),
      sleep: async (ms) => {
        slept.push(ms)
        now += ms
      },
    },
  )
  return { result, asked, slept }
}
const done: Attempted<string> = { kind: 'done', value: 'answer' }
const failed = (
  status: number,
  code: Parameters<typeof failure>[0] = 'server_error',
  retryAfterMs: number | null = null,
) => ({ kind: 'failed', failure: failure(code, status, 'x', retryAfterMs) }) as Attempted<string>

test('another provider is asked at once, without a wait', async () => {
  const { result, asked, slept } = await run([candidate('a', 3), candidate('b', 3)], { a: [failed(500)], b: [done] })
  expect(result).toEqual(done)
  expect(asked).toEqual(['a', 'b'])
  expect(slept).toEqual([])
})

test('all errors were retried, also 400: a bad request is carried to nobody else', async () => {
  const { result, asked } = await run([candidate('a', 3), candidate('b', 3)], {
    a: [failed(400, 'invalid_request')],
    b: [done],
  })
  expect(asked).toEqual(['a'])
  expect(result).toMatchObject({ kind: 'failed', failure: { status: 400 } })
})

test.each([401, 403, 404, 422])(
  'a %i of one provider is not repeated there, and another one is asked',
  async (status) => {
    const code = status === 404 ? 'not_found' : 'authentication'
    const { asked } = await run([candidate('a', 3), candidate('b')], { a: [failed(status, code)], b: [done] })
    expect(asked).toEqual(['a', 'b'])
  },
)

test.each([0, 408, 409, 429, 500, 502, 503, 529])(
  'status %i is repeated as often as the provider allows',
  async (status) => {
    const { asked, result } = await run([candidate('a', 2)], {
      a: [failed(status), failed(status), failed(status), done],
    })
    expect(asked).toEqual(['a', 'a', 'a'])
    expect(result.kind).toBe('failed')
  },
)

test('retry_count 0 was turned into 3: no repeats means one attempt', async () => {
  expect((await run([candidate('a', 0)], { a: [failed(500), done] })).asked).toEqual(['a'])
})

test('Retry-After was ignored: it is the least that is waited', async () => {
  const { slept } = await run([candidate('a', 1)], { a: [failed(429, 'rate_limited', 3000), done] })
  expect(slept).toEqual([3250])
})

test('a wait that the limit allows is not lost to its jitter', async () => {
  const script = { a: [failed(429, 'rate_limited', 1900), done] }
  expect((await run([candidate('a', 1)], script, { maxWaitMs: 2000 })).slept).toEqual([2000])
})

test('a provider that asks for more than the longest wait is not waited for', async () => {
  const { asked, result } = await run([candidate('a', 1)], { a: [failed(429, 'rate_limited', 60_000), done] })
  expect(asked).toEqual(['a'])
  expect(result).toMatchObject({ failure: { retryAfterMs: 60_000 } })
})

test('an empty purse is not knocked at twice', async () => {
  expect((await run([candidate('a', 3)], { a: [failed(429, 'insufficient_quota'), done] })).asked).toEqual(['a'])
})

test('attempts and time are bounded over all providers', async () => {
  const many = Array.from({ length: 5 }, () => failed(500))
  expect((await run([candidate('a', 9)], { a: [...many] }, { maxAttempts: 3 })).asked).toHaveLength(3)
  expect((await run([candidate('a', 9)], { a: [...many] }, { deadlineAt: 400 })).asked).toHaveLength(2)
})

test('nothing more is asked once the caller has gone', async () => {
  expect(
    (await run([candidate('a'), candidate('b')], { a: [failed(500)], b: [done] }, { abandonAfter: 1 })).asked,
  ).toEqual(['a'])
})

test('a provider that was not asked costs no attempt, and its reason is told only when there is no better one', async () => {
  const skipped: Attempted<string> = { kind: 'skipped', failure: failure('invalid_request', 400, 'no audio') }
  const some = await run([candidate('a'), candidate('b')], { a: [skipped], b: [failed(500)] })
  expect(some.result).toMatchObject({ failure: { status: 500 } })
  const none = await run([candidate('a')], { a: [skipped] })
  expect(none.result).toMatchObject({ failure: { message: 'no audio' } })
})

test('a used-up limit is waited for when it ends soon', async () => {
  const limited: Attempted<string> = { kind: 'skipped', failure: failure('rate_limited', 429, 'x', 2000) }
  const { asked, slept } = await run([candidate('a', 1)], { a: [limited, done] })
  expect(asked).toEqual(['a', 'a'])
  expect(slept).toEqual([2000])
})

test.each([
  [429, 'rate_limited'],
  [429, 'insufficient_quota'],
  [401, 'authentication'],
  [403, 'permission'],
] as const)('%i %s moves to the provider’s next key at once, before any other provider', async (status, code) => {
  const script = { a0: [failed(status, code)], a1: [done], b: [done] }
  const { asked, slept } = await run([candidate('a', 0, 2), candidate('b')], script)
  expect(asked).toEqual(['a0', 'a1'])
  expect(slept).toEqual([])
})

test('5xx and network faults keep the key and repeat with it', async () => {
  const { asked } = await run([candidate('a', 2, 2)], { a0: [failed(500), failed(0), done], a1: [done] })
  expect(asked).toEqual(['a0', 'a0', 'a0'])
})

test('when every key is limited the wait is for the first of them, and all may be asked again', async () => {
  const limited = () => failed(429, 'rate_limited', 1000)
  const { asked, slept } = await run([candidate('a', 1, 2)], { a0: [limited(), done], a1: [limited()] })
  expect(asked).toEqual(['a0', 'a1', 'a0'])
  expect(slept).toHaveLength(1)
})

test('what is too long goes on to those that hold more, and to nobody who holds as little', async () => {
  const holds = (id: string, contextTokens: number | null) => candidate(id, 3, 1, { contextTokens })
  const plan = [holds('a', 1000), holds('b', 1000), holds('c', 500), holds('d', null), holds('e', 2000)]
  const script = { a: [failed(400, 'context_too_long')], d: [failed(400, 'context_too_long')], e: [done] }
  expect((await run(plan, script)).asked).toEqual(['a', 'd', 'e'])
})

test('each candidate has its own repeats, and the caller’s count wins over what is stored, 0 included', async () => {
  const many = () => Array.from({ length: 9 }, () => failed(500))
  const plan = () => [candidate('a', 1), candidate('b', 2)]
  const count = (asked: string[], id: string) => asked.filter((one) => one === id).length
  const stored = await run(plan(), { a: many(), b: many() })
  expect([count(stored.asked, 'a'), count(stored.asked, 'b')]).toEqual([2, 3])
  expect((await run(plan(), { a: many(), b: many() }, { retryCount: 0 })).asked).toEqual(['a', 'b'])
})

test('5.6.42 an empty retry budget stops repeats, and never the way to another provider', async () => {
  const script = { a: [failed(500), done], b: [failed(500), done] }
  const { asked, slept } = await run([candidate('a', 3), candidate('b', 3)], script, { repeats: 0 })
  expect(asked).toEqual(['a', 'b'])
  expect(slept).toEqual([])
})
