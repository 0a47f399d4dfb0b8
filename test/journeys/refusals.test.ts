import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Json, openStage, type Stage } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

describe('5.2.21 errors have OpenAI’s four members', () => {
  test.each<[string, () => Json, Json, number, Json]>([
    ['a wrong key', () => ({ model: 'm' }), { apiKey: 'sk-gh-wrong' }, 401, { code: 'invalid_api_key', param: null }],
    ['no model', () => ({}), {}, 400, { param: 'model' }],
    ['a model that is no text', () => ({ model: 5 }), {}, 400, { param: 'model' }],
    ['no messages', () => ({ model: 'm', messages: [] }), {}, 400, { param: 'messages' }],
    ['messages that are no list', () => ({ model: 'm', messages: 'hi' }), {}, 400, { param: 'messages' }],
    ['a stream that is text', () => ({ model: 'm', stream: 'yes' }), {}, 400, { param: 'stream' }],
    ['an unknown model', () => ({ model: 'm-absent' }), {}, 404, { code: 'model_not_found', param: 'model' }],
    [
      'a role nobody knows',
      () => ({ model: 'shared-anthropic', messages: [{ role: 'judge', content: 'x' }] }),
      {},
      400,
      {},
    ],
  ])('%s', async (_, body, options, status, expected) => {
    await stage.shared('anthropic')
    const reply = await stage.ask(body(), options)
    expect(reply.status).toBe(status)
    expect(reply.json.error).toMatchObject({ type: 'invalid_request_error', message: expect.any(String), ...expected })
    expect(Object.keys(reply.json.error).sort()).toEqual(['code', 'message', 'param', 'type'])
    expect(reply.headers.get('x-request-id')).toMatch(/^req_/)
    expect(reply.headers.get('x-should-retry')).toBe('false')
    if (status === 401) expect(reply.headers.get('www-authenticate')).toBe('Bearer')
  })

  test('a GET is 405 and says what is served', async () => {
    const response = await fetch(`${stage.hub.url}/v1/chat/completions`)
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('POST')
    expect(await response.json()).toMatchObject({ error: { code: 'method_not_allowed' } })
  })
})
