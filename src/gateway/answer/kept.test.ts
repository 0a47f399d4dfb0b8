import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { Principal } from '../../kernel/principal.ts'
import { createMemoryCache } from '../../platform/cache/memory.ts'
import { nowhere } from '../protocols/protocol.ts'
import { createKeptAnswers, type KeepWish, type KeptSettings, type Question, readKeepWish } from './kept.ts'

const principalOf = (keyId: string, tenantId = 'ten_1') => ({ keyId, tenantId }) as Principal
const question = (body: string, over: Partial<Question> = {}): Question => ({
  endpoint: '/v1/chat/completions',
  place: nowhere,
  body: Buffer.from(body),
  ...over,
})

function start(settings: Partial<KeptSettings> = {}) {
  const clock = createManualClock()
  const cache = createMemoryCache({ clock, maxBytes: 10_000_000 })
  const answers = createKeptAnswers(cache, { scope: 'key', ttlMs: () => 60_000, ...settings })
  const keep = (asked: Question, who: Principal, pieces: (Buffer | string)[], wish: KeepWish = 'default') => {
    const kept = answers.open(asked, who, wish)!
    for (const piece of pieces) kept.add(piece)
    kept.keep('text/event-stream')
  }
  const read = async (asked: Question, who: Principal, wish: KeepWish = 'default') =>
    (await answers.open(asked, who, wish)?.read())?.body.toString() ?? null
  return { clock, answers, keep, read }
}

test('the same question gets the same bytes again, until its time is over', async () => {
  const { clock, answers, keep, read } = start()
  const me = principalOf('key_1')
  expect(await read(question('{"a":1}'), me)).toBeNull()
  keep(question('{"a":1}'), me, ['data: 你', Buffer.from('好\n\n')])
  const again = await answers.open(question('{"a":1}'), me, 'default')!.read()
  expect(again).toEqual({ contentType: 'text/event-stream', body: Buffer.from('data: 你好\n\n') })
  await clock.advance(60_001)
  expect(await read(question('{"a":1}'), me)).toBeNull()
})

test('another body, path, model or framing is another question', async () => {
  const { keep, read } = start()
  const me = principalOf('key_1')
  keep(question('{"a":1}'), me, ['x'])
  const others = [
    question('{"a": 1}'),
    question('{"a":1}', { endpoint: '/v1/messages' }),
    question('{"a":1}', { place: { ...nowhere, model: 'm' } }),
    question('{"a":1}', { place: { ...nowhere, stream: true } }),
    question('{"a":1}', { place: { ...nowhere, framing: 'json-array' } }),
  ]
  for (const other of others) expect(await read(other, me)).toBeNull()
})

test("nobody reads another key's answers, nor another tenant's when keys share", async () => {
  const own = start({ scope: 'key' })
  own.keep(question('{}'), principalOf('key_1'), ['mine'])
  expect(await own.read(question('{}'), principalOf('key_2'))).toBeNull()
  const shared = start({ scope: 'tenant' })
  shared.keep(question('{}'), principalOf('key_1', 'ten_1'), ['ours'])
  expect(await shared.read(question('{}'), principalOf('key_2', 'ten_1'))).toBe('ours')
  expect(await shared.read(question('{}'), principalOf('key_3', 'ten_2'))).toBeNull()
})

test('nothing is kept unless it is switched on, and a caller may stay out or ask anew', async () => {
  expect(start({ scope: 'off' }).answers.open(question('{}'), principalOf('key_1'), 'default')).toBeNull()
  const { answers, keep, read } = start()
  const me = principalOf('key_1')
  expect(answers.open(question('{}'), me, 'off')).toBeNull()
  keep(question('{}'), me, ['old'])
  expect(await read(question('{}'), me, 'refresh')).toBeNull()
  keep(question('{}'), me, ['new'], 'refresh')
  expect(await read(question('{}'), me)).toBe('new')
  expect([readKeepWish('off'), readKeepWish('refresh'), readKeepWish('on'), readKeepWish(undefined)]).toEqual([
    'off',
    'refresh',
    'default',
    'default',
  ])
})

test('an answer too large to keep is let go while it passes', async () => {
  const { keep, read } = start()
  const me = principalOf('key_1')
  keep(question('{}'), me, [Buffer.alloc(700_000), Buffer.alloc(700_000), 'end'])
  expect(await read(question('{}'), me)).toBeNull()
})

test('whatever pieces an answer came in, its bytes are those of the pieces', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(fc.string(), fc.uint8Array().map(Buffer.from))), async (pieces) => {
      const { answers, keep } = start()
      keep(question('{}'), principalOf('k'), pieces)
      const kept = await answers.open(question('{}'), principalOf('k'), 'default')!.read()
      expect(kept?.body).toEqual(Buffer.concat(pieces.map((piece) => Buffer.from(piece as string))))
    }),
  )
})
