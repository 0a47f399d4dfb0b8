import { describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import type { ChatAssistantPart, ChatFinish, ChatResult } from '../../chat.ts'
import { failure, toCallerError } from '../../failures.ts'
import { openSignature } from '../signatures.ts'
import { anthropicMessages } from './index.ts'
import { writeError, writeFailure } from './write-error.ts'

const reply = { id: 'req_1', model: 'asked', createdMs: 0, includeUsage: true, framing: 'sse' as const }
const usage = { tokensIn: 30, tokensOut: 9, tokensCachedRead: 20, tokensCachedWrite: 4, tokensReasoning: 0 }

// biome-ignore lint/suspicious/noExplicitAny: read as a program without our types would
const write = (parts: ChatAssistantPart[], finish: ChatFinish = 'stop', more: Partial<ChatResult> = {}): any =>
  anthropicMessages.writeResult(
    {
      id: '',
      model: 'real',
      choices: [{ index: 0, parts, finish, stopSequence: null, logprobs: null }],
      usage,
      extras: {},
      ...more,
    },
    reply,
  )

describe('a Message', () => {
  test('has the shape clients know, the name that was asked for, and usage as Anthropic counts', () => {
    expect(write([{ kind: 'text', text: 'Hello' }])).toEqual({
      id: 'msg_req_1',
      type: 'message',
      role: 'assistant',
      model: 'asked',
      content: [{ type: 'text', text: 'Hello', citations: null }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      stop_details: null,
      usage: {
        input_tokens: 6,
        cache_creation_input_tokens: 4,
        cache_read_input_tokens: 20,
        output_tokens: 9,
      },
    })
  })

  test('what Anthropic wrote is read and written without loss', () => {
    const wire = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'asked',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 'sig' },
        { type: 'redacted_thinking', data: 'sealed' },
        { type: 'text', text: 'Look.', citations: null },
        { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: [1, 'é'] } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      stop_details: null,
      usage: { input_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 2, output_tokens: 4 },
    }
    expect(anthropicMessages.writeResult(anthropicMessages.readResult(wire), reply)).toEqual(wire)
  })

  test('5.4.35 ids of other vendors fit and come back as they were', () => {
    const call: ChatAssistantPart = { kind: 'tool_call', id: 'call.1:2', name: 'f', arguments: '' }
    const wire = write([call], 'tool_calls')
    expect(wire.content[0]).toMatchObject({
      type: 'tool_use',
      input: {},
      id: expect.stringMatching(/^[a-zA-Z0-9_-]+$/),
    })
    const again = anthropicMessages.readRequest(
      {
        model: 'm',
        max_tokens: 1,
        messages: [
          { role: 'user', content: 'q' },
          { role: 'assistant', content: wire.content },
        ],
      },
      { model: '', stream: false, framing: 'sse' },
    )
    expect(again.messages[1]?.parts[0]).toMatchObject({ kind: 'tool_call', id: 'call.1:2' })
    expect(write([{ ...call, id: '' }]).content[0].id).toBe('toolu_req1_0')
  })

  test("a call keeps another vendor's proof in a sealed block before it", () => {
    const call: ChatAssistantPart = {
      kind: 'tool_call',
      id: 'call_1',
      name: 'f',
      arguments: '{}',
      extras: { gemini: { thoughtSignature: 's' } },
    }
    const { content } = write([call], 'tool_calls')
    expect(content.map(({ type }: { type: string }) => type)).toEqual(['redacted_thinking', 'tool_use'])
    expect(openSignature(content[0].data)).toEqual({ by: 'gemini', signature: 's', callId: 'call_1' })
  })

  test.each([
    [[{ kind: 'text', text: 'a' }], 'stop', null, 'end_turn'],
    [[{ kind: 'text', text: 'a' }], 'stop', 'END', 'stop_sequence'],
    [[{ kind: 'text', text: 'a' }], 'length', null, 'max_tokens'],
    [[{ kind: 'text', text: 'a' }], 'content_filter', null, 'refusal'],
    [[{ kind: 'refusal', text: 'No.' }], 'stop', null, 'refusal'],
    [[{ kind: 'tool_call', id: 'c', name: 'f', arguments: '' }], 'stop', null, 'tool_use'],
  ] as [ChatAssistantPart[], ChatFinish, string | null, string][])(
    '5.4.31 %j, %s, %s is %s',
    (parts, finish, stop, reason) => {
      const wire = write([], finish, { choices: [{ index: 0, parts, finish, stopSequence: stop, logprobs: null }] })
      expect(wire.stop_reason).toBe(reason)
      expect(wire.stop_sequence).toBe(reason === 'stop_sequence' ? stop : null)
    },
  )

  test('4.5.22 usage that nobody counted is estimated, never 0/0', () => {
    const { usage: told } = write([{ kind: 'text', text: 'Hello' }], 'stop', { usage: null })
    expect(told.input_tokens).toBeGreaterThan(0)
    expect(told.output_tokens).toBeGreaterThan(0)
  })
})

describe('5.4.34 errors in the envelope of Anthropic', () => {
  test.each([
    ['invalid_request', 'invalid_request_error'],
    ['invalid_json', 'invalid_request_error'],
    ['invalid_api_key', 'authentication_error'],
    ['model_not_allowed', 'permission_error'],
    ['model_not_found', 'not_found_error'],
    ['body_too_large', 'request_too_large'],
    ['rate_limited', 'rate_limit_error'],
    ['upstream_rate_limited', 'rate_limit_error'],
    ['internal', 'api_error'],
    ['upstream_failed', 'api_error'],
    ['upstream_unauthorized', 'api_error'],
    ['upstream_timeout', 'timeout_error'],
    ['upstream_overloaded', 'overloaded_error'],
    ['shutting_down', 'overloaded_error'],
    ['ledger_unavailable', 'api_error'],
  ] as const)('%s is %s', (code, type) => {
    expect(writeError(fail(code, 'why'), 'req_1')).toEqual({
      type: 'error',
      error: { type, message: 'why' },
      request_id: 'req_1',
    })
  })

  test('what a provider of Anthropic says it was is kept, but for our own credentials', () => {
    const said = (type: string, code: Parameters<typeof failure>[0], status: number) =>
      writeFailure({ ...failure(code, status, 'x'), vendorType: type }, '')
    expect(said('overloaded_error', 'overloaded', 529)).toMatchObject({ error: { type: 'overloaded_error' } })
    expect(said('timeout_error', 'timeout', 504)).toMatchObject({ error: { type: 'timeout_error' } })
    expect(said('authentication_error', 'authentication', 401)).toMatchObject({ error: { type: 'api_error' } })
    expect(said('billing_error', 'insufficient_quota', 402)).toMatchObject({ error: { type: 'billing_error' } })
  })

  test('a conversation that is too long says it in the words clients look for', () => {
    const message = (text: string) =>
      (writeError(toCallerError(failure('context_too_long', 400, text)), '') as { error: { message: string } }).error
        .message
    expect(message('This model has 8192 tokens.')).toBe('prompt is too long: This model has 8192 tokens.')
    expect(message('prompt is too long: 9 > 8')).toBe('prompt is too long: 9 > 8')
  })
})
