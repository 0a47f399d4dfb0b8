import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStage, type Stage } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ 'gateway.cache': 'key' })
})

afterAll(() => stage?.close())

test.each([false, true])(
  'the very same request gets the same bytes again, no provider asked, streamed: %s',
  async (stream) => {
    const fake = await stage.upstream('openai')
    const model = await stage.serve(fake)
    const body = { model, stream, messages: [{ role: 'user', content: 'Hello' }] }
    const first = await stage.ask(body)
    const again = await stage.ask(body)
    expect(first.status).toBe(200)
    expect(again.status).toBe(200)
    expect(first.headers.get('x-gatehouse-cache')).toBe('miss')
    expect(again.headers.get('x-gatehouse-cache')).toBe('hit')
    expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'))
    expect(again.text).toBe(first.text)
    expect(first.text).not.toBe('')
    expect(await stage.row(model)).toMatchObject({
      cache_hit: 'exact',
      outcome: 'success',
      tokens_in: 0,
      tokens_out: 0,
      usage_source: 'none',
    })
    const refused = await stage.ask(body, { headers: { 'x-gatehouse-cache': 'off' } })
    expect(refused.headers.get('x-gatehouse-cache')).toBeNull()
  },
)
