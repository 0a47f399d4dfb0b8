import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChatMessage, ChatRequest } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { readRequest } from './read-request.ts'
import { writeRequest } from './write-request.ts'

const target = (model = 'real') => ({ model, defaultMaxOutputTokens: 4096 })
const messages = [{ role: 'user', content: 'hello' }]
const through = (wire: JsonObject, model?: string) =>
  writeRequest(readRequest({ model: 'm', messages, ...wire }), target(model))
const plain: ChatRequest = readRequest({ model: 'm', messages })

test('5.2.23 a request of this protocol comes out as it went in, but for the model', () => {
  const wire = {
    model: 'm',
    messages: [
      { role: 'developer', content: 'd' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 't' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=', detail: 'original' } },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'text', text: 'x', prompt_cache_breakpoint: { mode: 'explicit' } }],
        name: 'Ann',
      },
      {
        role: 'assistant',
        content: 'a',
        reasoning_content: 'hm',
        audio: { id: 'audio_1' },
        tool_calls: [
          {
            id: 'c1',
            type: 'function',
            function: { name: 'f', arguments: '{"a":1}' },
            extra_content: { google: { thought_signature: 'sig' } },
          },
          { id: 'c2', type: 'custom', custom: { name: 'g', input: 'free text' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'r' },
      { role: 'tool', tool_call_id: 'c2', content: 'r2' },
      {
        role: 'user',
        content: [
          { type: 'input_audio', input_audio: { data: 'aGk=', format: 'mp3' } },
          { type: 'file', file: { file_id: 'f1' } },
        ],
      },
    ],
    tools: [
      { type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true } },
      { type: 'custom', custom: { name: 'g', format: { type: 'text' } } },
    ],
    tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } },
    parallel_tool_calls: false,
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } },
    reasoning_effort: 'minimal',
    max_tokens: 9,
    temperature: 0,
    top_p: 0.5,
    top_k: 3,
    stop: ['a'],
    seed: 0,
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    logit_bias: { '1': 1 },
    logprobs: true,
    top_logprobs: 2,
    n: 2,
    user: 'u',
    stream: true,
    stream_options: { include_obfuscation: false, include_usage: true },
    metadata: { k: 'v' },
    service_tier: 'flex',
  }
  expect(writeRequest(readRequest(wire), target())).toEqual({ body: { ...wire, model: 'real' }, dropped: [] })
})

test('5.2.11 a stream always asks for usage', () => {
  expect(through({ stream: true }).body).toMatchObject({ stream: true, stream_options: { include_usage: true } })
  expect(through({}).body).not.toHaveProperty('stream_options')
})

test('5.2.17 reasoning models get max_completion_tokens, others the name the caller used or every server knows', () => {
  for (const model of ['o1', 'o3-mini', 'openai/o4-mini', 'gpt-5', 'gpt-5.2-pro']) {
    expect(through({ max_tokens: 5 }, model).body).toMatchObject({ max_completion_tokens: 5 })
    expect(through({ max_tokens: 5 }, model).body).not.toHaveProperty('max_tokens')
  }
  expect(through({ max_tokens: 5 }, 'gpt-4o').body).toMatchObject({ max_tokens: 5 })
  expect(writeRequest({ ...plain, maxOutputTokens: 5 }, target('llama')).body).toMatchObject({ max_tokens: 5 })
  expect(through({ max_completion_tokens: 5, store: false }, 'gpt-4o').body).toMatchObject({ max_completion_tokens: 5 })
})

test('5.2.17 sampling that the o-series refuses is left out and named', () => {
  const { body, dropped } = through({ temperature: 0.2, top_p: 0.3 }, 'o3')
  expect(body).not.toHaveProperty('temperature')
  expect(body).not.toHaveProperty('top_p')
  expect(dropped).toEqual(['temperature', 'top_p'])
  expect(through({ temperature: 1 }, 'o3').dropped).toEqual([])
})

test.each([
  ['gpt-4.1', 'high', undefined, ['reasoning']],
  ['gpt-4.1', 'none', undefined, []],
  ['gpt-5', 'none', 'minimal', ['reasoning']],
  ['gpt-5.1', 'none', 'none', []],
  ['gpt-5.1', 'max', 'high', []],
  ['openai/gpt-5.2', 'max', 'xhigh', []],
  ['o3-mini', 'none', 'low', ['reasoning']],
  ['deepseek-reasoner', 'medium', 'medium', []],
] as const)('5.2.22 %s asked for the effort %s gets one it knows', (model, effort, sent, left) => {
  const { body, dropped } = writeRequest({ ...plain, reasoning: { effort, budgetTokens: null } }, target(model))
  expect(body.reasoning_effort).toBe(sent)
  expect(dropped).toEqual(left)
})

test('5.2.22 budgets become efforts', () => {
  const effort = (budgetTokens: number) =>
    writeRequest({ ...plain, reasoning: { effort: null, budgetTokens } }, target()).body.reasoning_effort
  expect([0, 1024, 8000, 32_000, -1].map(effort)).toEqual(['none', 'low', 'medium', 'high', undefined])
})

test('what has no member here is left out and named', () => {
  const foreign: ChatMessage[] = [
    { role: 'assistant', parts: [{ kind: 'reasoning', text: 'hm', signature: 's', redacted: false }], name: null },
    { role: 'tool', callId: 'c', toolName: 'f', parts: [{ kind: 'text', text: 'bad' }], isError: true },
  ]
  const { body, dropped } = writeRequest({ ...plain, topK: 5, messages: foreign }, target())
  expect(dropped).toEqual(['top_k', 'reasoning', 'is_error'])
  expect(JSON.stringify(body)).not.toContain('hm')
})

test('pictures in tool results follow in a user message after the last result', () => {
  const source = { kind: 'base64', mediaType: 'image/png', base64: 'aGk=' } as const
  const { body } = writeRequest(
    {
      ...plain,
      messages: [
        { role: 'tool', callId: 'c1', toolName: 'f', parts: [{ kind: 'image', source, detail: null }], isError: false },
        { role: 'tool', callId: 'c2', toolName: 'f', parts: [{ kind: 'text', text: 'r' }], isError: false },
      ],
    },
    target(),
  )
  expect(body.messages).toMatchObject([
    { role: 'tool', tool_call_id: 'c1', content: '' },
    { role: 'tool', tool_call_id: 'c2', content: 'r' },
    {
      role: 'user',
      content: [{ type: 'text' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } }],
    },
  ])
})

test('a file by URL is refused by name', () => {
  const parts = [{ kind: 'file', source: { kind: 'url', url: 'https://x.test/a.pdf' }, name: null }] as const
  expect(() =>
    writeRequest({ ...plain, messages: [{ role: 'user', parts: [...parts], name: null }] }, target()),
  ).toThrow(expect.objectContaining({ code: 'unsupported_parameter', param: 'file' }))
})

test('reading what was written gives the same request', () => {
  const message = fc.oneof(
    fc.record({ role: fc.constantFrom('system', 'developer', 'user'), content: fc.string() }),
    fc.record({
      role: fc.constant('assistant'),
      content: fc.string({ minLength: 1 }),
      refusal: fc.constantFrom(null, 'no'),
    }),
    fc.record({ role: fc.constant('tool'), tool_call_id: fc.string({ minLength: 1 }), content: fc.string() }),
  )
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 5 }),
      fc.record(
        {
          temperature: fc.double({ noNaN: true, noDefaultInfinity: true }),
          seed: fc.integer(),
          n: fc.integer({ min: 1, max: 8 }),
        },
        { requiredKeys: [] },
      ),
      (list, sampling) => {
        const chat = readRequest({ model: 'real', messages: list, ...sampling })
        const again = readRequest(JSON.parse(JSON.stringify(writeRequest(chat, target()).body)))
        expect(JSON.parse(JSON.stringify(again))).toEqual(JSON.parse(JSON.stringify(chat)))
      },
    ),
  )
})
