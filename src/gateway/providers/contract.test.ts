import { describe, expect, test } from 'vitest'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { gemini } from '../protocols/gemini/index.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import { providerOfType, providers, providerTypes, splitBaseUrl } from './index.ts'
import type { Wiring } from './provider.ts'

const examples: Record<string, JsonObject> = {
  bedrock: { region: 'us-east-1' },
  'vertex-anthropic': { project: 'my-project' },
  'vertex-gemini': { project: 'my-project', location: 'europe-west1' },
}
const wire = (type: string, options: JsonObject = {}): Wiring =>
  providerOfType(type)!.wire({ ...examples[type], ...options })
const chat = (wiring: Wiring, model: string, stream = false, betas: string[] = []) => {
  const [protocol] = wiring.protocols
  return wiring.address({ protocol, path: protocol.chatPath(model, stream), model, stream, betas })
}

test('the list of types is the list of providers', () => {
  expect(providers.map(({ type }) => type)).toEqual([...providerTypes])
})

describe.each(providers.map((provider) => [provider.type, provider] as const))('%s', (type, provider) => {
  test('is wired with its example, and speaks no more than it says', () => {
    const wiring = wire(type)
    for (const protocol of wiring.protocols) expect(provider.protocols).toContain(protocol)
    expect(provider.protocol).toBe(provider.protocols[0])
  })

  test('refuses unknown options by name', () => {
    expect(() => wire(type, { nonsense: 1 })).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  test('every option has words in both languages', () => {
    for (const field of Object.values(provider.options.shape) as { description?: string; meta(): JsonObject }[]) {
      expect(field.description).toMatch(/\w/)
      expect(field.meta()?.zh).toMatch(/\S/)
    }
  })

  test('a chat call has an address that begins with a slash, whatever the model is called', () => {
    for (const model of ['m', 'org/model:free', '../../up', 'a b?c#d', 'ü']) {
      const { path } = chat(wire(type), model)!
      expect(path.startsWith('/')).toBe(true)
      const url = new URL(`https://host${path}`)
      expect(url.pathname + url.search).toBe(path)
    }
  })

  test('a refusal with any body is a failure that can be told', () => {
    const wiring = wire(type)
    for (const body of ['', '<html>', '{}', '[]', 'null', '{"error":null}', '[{"error":{"status":"X"}}]']) {
      expect(wiring.readRefusal(wiring.protocols[0], 500, {}, body)).toMatchObject({
        status: 500,
        code: 'server_error',
      })
    }
  })
})

describe('addresses', () => {
  test.each([
    ['openai', 'https://api.openai.com/v1'],
    ['anthropic', 'https://api.anthropic.com'],
    ['gemini', 'https://generativelanguage.googleapis.com'],
    ['azure-openai', null],
    ['openai-compatible', null],
    ['bedrock', 'https://bedrock-runtime.us-east-1.amazonaws.com'],
    ['vertex-anthropic', 'https://aiplatform.googleapis.com'],
    ['vertex-gemini', 'https://europe-west1-aiplatform.googleapis.com'],
  ])('of %s are at %s unless told', (type, url) => {
    expect(wire(type).baseUrl).toBe(url)
  })

  test('of multi-regions and other partitions are their own', () => {
    expect(wire('vertex-anthropic', { location: 'eu' }).baseUrl).toBe('https://aiplatform.eu.rep.googleapis.com')
    expect(wire('bedrock', { region: 'cn-north-1' }).baseUrl).toBe(
      'https://bedrock-runtime.cn-north-1.amazonaws.com.cn',
    )
  })

  test.each([
    ['anthropic', 'https://proxy.example.com/claude/v1/', '/claude'],
    ['gemini', 'https://proxy.example.com/v1beta', ''],
    ['openai', 'https://proxy.example.com/v1', '/v1'],
    ['azure-openai', 'https://name.openai.azure.com/', ''],
    ['azure-openai', 'https://name.openai.azure.com/openai/v1/', ''],
    ['azure-openai', 'https://name.openai.azure.com/openai/deployments', ''],
    ['openai-compatible', 'http://box:8000/v1/chat/completions', '/v1'],
  ])('of %s at %s begin with "%s"', (type, url, path) => {
    expect(splitBaseUrl(url, providerOfType(type)!).path).toBe(path)
  })

  test('of Azure name the deployment in the path or in the body', () => {
    const dated = wire('azure-openai', { api_version: '2024-10-21' })
    expect(chat(dated, 'gpt-4o')!.path).toBe('/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21')
    const call = { protocol: openaiChat, model: 'gpt-4o', stream: false }
    expect(dated.address({ ...call, path: '/responses' })!.path).toBe('/openai/responses?api-version=2024-10-21')
    const newer = wire('azure-openai', { deployment_names: 'without_dots' })
    expect(chat(newer, 'gpt-3.5-turbo')).toMatchObject({
      path: '/openai/v1/chat/completions',
      edit: { set: { model: '"gpt-35-turbo"' } },
    })
  })

  test('of Bedrock take model and stream out of the body and let known betas in', () => {
    const address = chat(wire('bedrock'), 'arn:aws:bedrock:us-east-1:1:inference-profile/x', true, [
      'context-1m-2025-08-07',
      'unknown-1',
    ])
    expect(address).toEqual({
      path: '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/invoke-with-response-stream',
      edit: {
        set: { anthropic_version: '"bedrock-2023-05-31"', anthropic_beta: '["context-1m-2025-08-07"]' },
        remove: ['model', 'stream'],
      },
      headers: [],
    })
  })

  test('of Vertex keep the model in the body where tokens are counted, and there only', () => {
    const wiring = wire('vertex-anthropic')
    const base = '/v1/projects/my-project/locations/global/publishers/anthropic/models'
    const count = { protocol: anthropicMessages, path: '/v1/messages/count_tokens', model: 'claude', stream: false }
    expect(wiring.address(count)).toMatchObject({ path: `${base}/count-tokens:rawPredict`, edit: { remove: [] } })
    expect(chat(wiring, 'claude', true, ['a', 'b'])).toMatchObject({
      path: `${base}/claude:streamRawPredict`,
      edit: { set: { anthropic_version: '"vertex-2023-10-16"' }, remove: ['model'] },
      headers: ['anthropic-beta', 'a,b'],
    })
  })

  test('that a vendor does not have are none', () => {
    const batches = { protocol: anthropicMessages, path: '/v1/messages/batches', model: 'claude', stream: false }
    expect(wire('bedrock').address(batches)).toBeNull()
    expect(wire('vertex-anthropic').address(batches)).toBeNull()
    const embed = { protocol: gemini, path: '/v1beta/models/x:embedContent', model: 'x', stream: false }
    expect(wire('vertex-gemini').address(embed)).toBeNull()
  })
})

describe('refusals', () => {
  const bedrock = (status: number, type: string, message: string) =>
    wire('bedrock').readRefusal(anthropicMessages, status, { 'x-amzn-errortype': type }, JSON.stringify({ message }))

  test.each([
    [429, 'ThrottlingException:http://internal', 'Too many requests', 'rate_limited'],
    [400, 'ValidationException', 'Input is too long for requested model.', 'context_too_long'],
    [400, 'ValidationException', 'messages: bad', 'invalid_request'],
    [403, 'ExpiredTokenException', 'expired', 'authentication'],
    [403, 'AccessDeniedException', 'no access to the model', 'permission'],
    [404, 'ResourceNotFoundException', 'no such model', 'not_found'],
    [400, 'ServiceQuotaExceededException', 'quota', 'insufficient_quota'],
    [424, 'ModelErrorException', 'the model broke', 'server_error'],
    [503, 'ServiceUnavailableException', 'later', 'overloaded'],
  ])('of Bedrock: %i %s "%s" is %s', (status, type, message, code) => {
    expect(bedrock(status, type, message)).toMatchObject({ status, code })
  })

  test('of Vertex come in two envelopes', () => {
    const { readRefusal } = wire('vertex-anthropic')
    const google = '[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]'
    expect(readRefusal(anthropicMessages, 429, {}, google)).toMatchObject({
      code: 'rate_limited',
      vendorType: 'RESOURCE_EXHAUSTED',
    })
    const claude = '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    expect(readRefusal(anthropicMessages, 529, {}, claude)).toMatchObject({
      code: 'overloaded',
      vendorType: 'overloaded_error',
    })
  })

  test("of Azure's own gateway are read too", () => {
    const body = '{"statusCode":429,"message":"Token rate limit is exceeded. Try again in 3 seconds."}'
    expect(wire('azure-openai').readRefusal(openaiChat, 429, { 'retry-after': '3' }, body)).toMatchObject({
      ...{ code: 'rate_limited', retryAfterMs: 3000 },
      message: 'Token rate limit is exceeded. Try again in 3 seconds.',
    })
  })
})
