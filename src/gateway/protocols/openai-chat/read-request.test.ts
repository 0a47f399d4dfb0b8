import { describe, expect, test } from 'vitest'
import type { HubError } from '../../../kernel/errors.ts'
import type { JsonObject } from '../protocol.ts'
import { readRequest } from './read-request.ts'

const hello = [{ role: 'user', content: 'hello' }]
const read = (more: JsonObject = {}) => readRequest({ model: 'm', messages: hello, ...more })
const messages = (...list: unknown[]) => readRequest({ model: 'm', messages: list }).messages

function refusal(wire: JsonObject): { message: string; param: string | undefined } {
  try {
    readRequest(wire)
  } catch (error) {
    const { code, message, param } = error as HubError
    expect(code).toBe('invalid_request')
    return { message, param }
  }
  throw new Error('was not refused')
}

test('the smallest request has defaults and nothing else', () => {
  expect(read()).toEqual({
    model: 'm',
    messages: [{ role: 'user', parts: [{ kind: 'text', text: 'hello' }], name: null }],
    tools: [],
    toolChoice: null,
    parallelToolCalls: null,
    responseFormat: null,
    reasoning: null,
    maxOutputTokens: null,
    temperature: null,
    topP: null,
    topK: null,
    stop: [],
    seed: null,
    presencePenalty: null,
    frequencyPenalty: null,
    logitBias: null,
    logprobs: null,
    n: 1,
    endUser: null,
    stream: false,
    includeUsage: false,
    extras: {},
  })
})

test('every plain parameter is read', () => {
  expect(
    read({
      temperature: 0.5,
      top_p: 0.9,
      stop: 'END',
      seed: 7,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { '50256': -100 },
      n: 2,
      user: 'u',
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: false },
      parallel_tool_calls: false,
      reasoning_effort: 'xhigh',
    }),
  ).toMatchObject({
    temperature: 0.5,
    topP: 0.9,
    stop: ['END'],
    seed: 7,
    presencePenalty: 1,
    frequencyPenalty: -1,
    logitBias: { '50256': -100 },
    n: 2,
    endUser: 'u',
    stream: true,
    includeUsage: true,
    parallelToolCalls: false,
    reasoning: { effort: 'xhigh', budgetTokens: null },
    extras: { 'openai-chat': { stream_options: { include_obfuscation: false } } },
  })
  expect(read({ stop: ['a', 'b'] }).stop).toEqual(['a', 'b'])
})

test('5.2.16 logprobs and top_logprobs are one number', () => {
  expect(read({ logprobs: true }).logprobs).toBe(0)
  expect(read({ logprobs: true, top_logprobs: 3 }).logprobs).toBe(3)
  expect(read({ logprobs: false, top_logprobs: 3 }).logprobs).toBeNull()
})

test('5.2.17 both names of the output limit are read, the newer wins', () => {
  expect(read({ max_tokens: 5 }).maxOutputTokens).toBe(5)
  expect(read({ max_completion_tokens: 6 }).maxOutputTokens).toBe(6)
  expect(read({ max_tokens: 5, max_completion_tokens: 6 }).maxOutputTokens).toBe(6)
})

test('5.2.18 response formats keep schema and strict', () => {
  expect(read({ response_format: { type: 'json_object' } }).responseFormat).toEqual({ kind: 'json' })
  const schema = { type: 'object', properties: {}, additionalProperties: false }
  expect(
    read({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } } }).responseFormat,
  ).toEqual({ kind: 'json_schema', name: 'x', description: null, schema, strict: true })
})

test('5.2.23 members without a place of their own ride in extras', () => {
  const rare = {
    metadata: { a: 'b' },
    store: true,
    service_tier: 'flex',
    verbosity: 'low',
    prompt_cache_key: 'k',
    safety_identifier: 's',
    prediction: { type: 'content', content: 'x' },
    modalities: ['text'],
    audio: { voice: 'alloy', format: 'wav' },
    web_search_options: {},
    something_new: [1],
  }
  expect(read(rare).extras['openai-chat']).toEqual(rare)
})

test('null and the text "[undefined]" mean absent for optional members', () => {
  const names = [
    'temperature',
    'max_tokens',
    'stop',
    'tools',
    'tool_choice',
    'response_format',
    'user',
    'n',
    'stream',
    'seed',
  ]
  for (const absent of [null, '[undefined]']) {
    const wire = Object.fromEntries([...names, 'stream_options', 'metadata'].map((name) => [name, absent]))
    const { extras, ...rest } = read(wire)
    expect(rest).toEqual((({ extras: _, ...plain }) => plain)(read()))
    if (absent !== null) expect(extras).toEqual({})
  }
})

describe('messages', () => {
  test('5.2.19 every role is read, developer as a system message that remembers it', () => {
    expect(
      messages(
        { role: 'system', content: 's' },
        { role: 'developer', content: [{ type: 'text', text: 'd' }] },
        { role: 'user', content: 'u', name: 'Ann' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'r' },
      ),
    ).toEqual([
      { role: 'system', parts: [{ kind: 'text', text: 's' }], developer: false },
      { role: 'system', parts: [{ kind: 'text', text: 'd' }], developer: true },
      { role: 'user', parts: [{ kind: 'text', text: 'u' }], name: 'Ann' },
      { role: 'assistant', parts: [{ kind: 'tool_call', id: 'c1', name: 'f', arguments: '{}' }], name: null },
      { role: 'tool', callId: 'c1', toolName: 'f', parts: [{ kind: 'text', text: 'r' }], isError: false },
    ])
  })

  test('5.2.19 every content part is read', () => {
    const [message] = messages({
      role: 'user',
      content: [
        { type: 'text', text: 't' },
        { type: 'image_url', image_url: { url: 'https://x.test/a.png', detail: 'low' } },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=', detail: 'original' } },
        { type: 'input_audio', input_audio: { data: 'aGk=', format: 'wav' } },
        { type: 'file', file: { file_id: 'file-1' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,aGk=' } },
        { type: 'file', file: { filename: 'b.pdf', file_data: 'aGk=' } },
      ],
    })
    expect(message?.parts).toEqual([
      { kind: 'text', text: 't' },
      { kind: 'image', source: { kind: 'url', url: 'https://x.test/a.png' }, detail: 'low' },
      {
        kind: 'image',
        source: { kind: 'base64', mediaType: 'image/png', base64: 'aGk=' },
        detail: null,
        extras: { 'openai-chat': { detail: 'original' } },
      },
      { kind: 'audio', base64: 'aGk=', format: 'wav' },
      { kind: 'file', source: { kind: 'id', id: 'file-1' }, name: null },
      {
        kind: 'file',
        source: { kind: 'base64', mediaType: 'application/pdf', base64: 'aGk=' },
        name: 'a.pdf',
        at: 'messages[0].content[5].file',
      },
      {
        kind: 'file',
        source: { kind: 'base64', mediaType: 'application/pdf', base64: 'aGk=' },
        name: 'b.pdf',
        at: 'messages[0].content[6].file',
      },
    ])
  })

  test('5.2.19 an assistant message may have parts, a refusal, or nothing', () => {
    expect(
      messages(
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'a' },
            { type: 'refusal', refusal: 'no' },
          ],
        },
        { role: 'assistant', content: null, refusal: 'never' },
        { role: 'assistant' },
      ).map((message) => message.parts),
    ).toEqual([
      [
        { kind: 'text', text: 'a' },
        { kind: 'refusal', text: 'no' },
      ],
      [{ kind: 'refusal', text: 'never' }],
      [],
    ])
  })

  test('5.2.22 reasoning_content comes first and is kept as sent for a provider that wants it back', () => {
    const [message] = messages({ role: 'assistant', reasoning_content: 'hm', content: 'a' })
    expect(message).toMatchObject({
      parts: [
        { kind: 'reasoning', text: 'hm', signature: null, redacted: false },
        { kind: 'text', text: 'a' },
      ],
      extras: { 'openai-chat': { reasoning_content: 'hm' } },
    })
  })

  test('legacy function calls, answers, functions and choices are read as tools', () => {
    const chat = readRequest({
      model: 'm',
      messages: [
        { role: 'user', content: 'u' },
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
        { role: 'function', name: 'f', content: 'r' },
      ],
      functions: [{ name: 'f', parameters: { type: 'object' } }],
      function_call: { name: 'f' },
    })
    const call = chat.messages[1]?.parts[0]
    expect(call).toMatchObject({ kind: 'tool_call', name: 'f', arguments: '{"a":1}' })
    expect(chat.messages[2]).toMatchObject({ role: 'tool', toolName: 'f', callId: (call as { id: string }).id })
    expect(chat.tools).toEqual([{ name: 'f', description: null, parameters: { type: 'object' }, strict: null }])
    expect(chat.toolChoice).toEqual({ kind: 'tool', name: 'f' })
  })

  test("Anthropic's cache marks find their way to Anthropic", () => {
    const cache_control = { type: 'ephemeral' }
    const [message] = messages({ role: 'user', content: [{ type: 'text', text: 't', cache_control }] })
    expect(message?.parts[0]).toMatchObject({ extras: { 'anthropic-messages': { cache_control } } })
  })
})

describe('tools', () => {
  test('5.2.18 a tool keeps its schema and strict', () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } } }
    expect(
      read({ tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters, strict: true } }] })
        .tools,
    ).toEqual([{ name: 'f', description: 'd', parameters, strict: true }])
  })

  test('every tool_choice is read, those of OpenAI alone as extras', () => {
    expect(read({ tool_choice: 'required' }).toolChoice).toEqual({ kind: 'required' })
    expect(read({ tool_choice: { type: 'function', function: { name: 'f' } } }).toolChoice).toEqual({
      kind: 'tool',
      name: 'f',
    })
    const allowed = { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } }
    expect(read({ tool_choice: allowed })).toMatchObject({
      toolChoice: null,
      extras: { 'openai-chat': { tool_choice: allowed } },
    })
  })
})

describe('what is wrong is named by its path', () => {
  const cases: [param: string, rule: string, wire: JsonObject][] = [
    ['model', 'must be a non-empty string', { messages: hello }],
    ['messages', 'must be an array', { model: 'm' }],
    ['messages', 'must hold at least one message', { model: 'm', messages: [] }],
    ['messages[1].role', 'must be one of', { model: 'm', messages: [...hello, { role: 'robot' }] }],
    [
      'messages[0].content',
      'must be a string or an array of parts',
      { model: 'm', messages: [{ role: 'user', content: null }] },
    ],
    [
      'messages[2].content[0].image_url.url',
      'must be a string',
      {
        model: 'm',
        messages: [...hello, ...hello, { role: 'user', content: [{ type: 'image_url', image_url: { url: 5 } }] }],
      },
    ],
    [
      'messages[0].content[0].image_url.url',
      'must be an https URL or a base64 data URL',
      {
        model: 'm',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] }],
      },
    ],
    [
      'messages[0].content[0].type',
      'must be one of',
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'video' }] }] },
    ],
    [
      'messages[0].content[0].type',
      'must be text in a system message',
      {
        model: 'm',
        messages: [{ role: 'system', content: [{ type: 'image_url', image_url: { url: 'https://x.test' } }] }],
      },
    ],
    [
      'messages[1].tool_call_id',
      'must be a non-empty string',
      { model: 'm', messages: [...hello, { role: 'tool', content: 'x' }] },
    ],
    [
      'messages[0].tool_calls[0].id',
      'must be a non-empty string',
      { model: 'm', messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f' } }] }] },
    ],
    [
      'messages[0].name',
      'must be the name of a function that was called before',
      { model: 'm', messages: [{ role: 'function', name: 'f', content: '' }] },
    ],
    ['temperature', 'must be a number', { model: 'm', messages: hello, temperature: '1' }],
    ['max_tokens', 'must be at least 1', { model: 'm', messages: hello, max_tokens: 0 }],
    ['n', 'must be a whole number', { model: 'm', messages: hello, n: 1.5 }],
    ['n', 'must be at most 128', { model: 'm', messages: hello, n: 129 }],
    ['stream', 'must be true or false', { model: 'm', messages: hello, stream: 'yes' }],
    ['stop[1]', 'must be a string', { model: 'm', messages: hello, stop: ['a', 2] }],
    [
      'tools[0].function.name',
      'must be a non-empty string',
      { model: 'm', messages: hello, tools: [{ type: 'function', function: {} }] },
    ],
    ['tool_choice', 'must be one of auto, none, required', { model: 'm', messages: hello, tool_choice: 'any' }],
    [
      'response_format.json_schema',
      'must be an object',
      { model: 'm', messages: hello, response_format: { type: 'json_schema' } },
    ],
    ['reasoning_effort', 'must be one of', { model: 'm', messages: hello, reasoning_effort: 'huge' }],
    ['logit_bias.7', 'must be a number', { model: 'm', messages: hello, logit_bias: { 7: 'x' } }],
  ]
  test.each(cases)('%s %s', (param, rule, wire) => {
    const refused = refusal(wire)
    expect(refused.param).toBe(param)
    expect(refused.message.startsWith(`${param} ${rule}`)).toBe(true)
  })
})
