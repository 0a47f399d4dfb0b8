import { describe, expect, test } from 'vitest'
import { nowhere } from '../protocol.ts'
import { readBodyOf } from '../reading.ts'
import { sealSignature } from '../signatures.ts'
import { anthropicMessages } from './index.ts'
import { passHeaders } from './pass-headers.ts'
import { readAsked } from './read-asked.ts'
import { readCountRequest } from './read-request.ts'

const least = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] }
const read = (more: object = {}) => anthropicMessages.readRequest({ ...least, ...more }, nowhere)
const say = (content: unknown, role = 'user') => ({ messages: [{ role, content }] })
const mark = { cache_control: { type: 'ephemeral', ttl: '1h' } }
const write = (more: object, model = 'claude-sonnet-4-5') =>
  anthropicMessages.writeRequest(read(more), { model, defaultMaxOutputTokens: 4096 }).body

describe('a request of Messages', () => {
  test('plain members find their place', () => {
    const chat = read({
      temperature: 0.5,
      top_p: 0.9,
      top_k: 7,
      stop_sequences: ['END'],
      metadata: { user_id: 'u1' },
      stream: true,
    })
    expect(chat).toMatchObject({
      model: 'm',
      maxOutputTokens: 10,
      temperature: 0.5,
      topP: 0.9,
      topK: 7,
      stop: ['END'],
      endUser: 'u1',
      stream: true,
      includeUsage: true,
      n: 1,
      extras: {},
    })
    expect(chat.messages).toEqual([{ role: 'user', parts: [{ kind: 'text', text: 'hi' }], name: null }])
  })

  test('what only Anthropic has a place for rides along', () => {
    const more = { service_tier: 'auto', container: 'c1', mcp_servers: [{ type: 'url', url: 'https://x', name: 'n' }] }
    expect(read(more).extras['anthropic-messages']).toEqual(more)
    expect(write(more)).toMatchObject(more)
  })

  test('5.4.33 a system text, several blocks, and instructions in the middle stay in order', () => {
    const chat = read({
      system: [
        { type: 'text', text: 'one' },
        { type: 'text', text: 'two', ...mark },
      ],
      messages: [
        { role: 'user', content: 'hi' },
        { role: 'system', content: 'three' },
        { role: 'user', content: 'and?' },
      ],
    })
    expect(chat.messages.map(({ role }) => role)).toEqual(['system', 'user', 'system', 'user'])
    expect(read({ system: 'one' }).messages[0]).toMatchObject({ role: 'system', parts: [{ text: 'one' }] })
    expect(read({ system: '' }).messages).toHaveLength(1)
  })

  test('5.4.33 cache_control is preserved through translation', () => {
    const more = {
      system: [{ type: 'text', text: 'rules', ...mark }],
      tools: [{ name: 'f', description: 'd', input_schema: { type: 'object', properties: {} }, ...mark }],
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'hi', ...mark }] },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: {}, ...mark }] },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'r' }], ...mark },
            { type: 'image', source: { type: 'url', url: 'https://x/y.png' }, ...mark },
            {
              type: 'document',
              source: { type: 'base64', media_type: 'application/pdf', data: 'aGk=' },
              title: 't',
              citations: { enabled: true },
              ...mark,
            },
          ],
        },
      ],
    }
    expect(write(more)).toMatchObject(more)
  })

  test('5.4.35 results of tools come back with errors and pictures, before what else the turn says', () => {
    const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } }
    const { messages } = read({
      messages: [
        {
          role: 'assistant',
          content: [
            { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: 1 } },
            { type: 'tool_use', id: 'gh64_Y2FsbC4x', name: 'g', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'here' },
            { type: 'tool_result', tool_use_id: 'toolu_1', is_error: true, content: 'broken' },
            { type: 'tool_result', tool_use_id: 'gh64_Y2FsbC4x', content: [{ type: 'text', text: 'ok' }, picture] },
          ],
        },
      ],
    })
    expect(messages.slice(1)).toEqual([
      { role: 'tool', callId: 'toolu_1', toolName: 'f', parts: [{ kind: 'text', text: 'broken' }], isError: true },
      {
        role: 'tool',
        callId: 'call.1',
        toolName: 'g',
        parts: [
          { kind: 'text', text: 'ok' },
          { kind: 'image', source: { kind: 'base64', mediaType: 'image/png', base64: 'aGk=' }, detail: null },
        ],
        isError: false,
      },
      { role: 'user', parts: [{ kind: 'text', text: 'here' }], name: null },
    ])
  })

  test('documents of text and results of a search become text that anybody can read', () => {
    const [message] = read(
      say([
        { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'body' }, title: 'Plan' },
        { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'inner' }] } },
        { type: 'search_result', source: 'https://x', title: 'X', content: [{ type: 'text', text: 'found' }] },
      ]),
    ).messages
    expect(message?.parts.map((part) => (part.kind === 'text' ? part.text : part.kind))).toEqual([
      'Plan\n',
      'body',
      'inner',
      'X (https://x)\n',
      'found',
    ])
  })

  test('files keep their ids, pictures among them', () => {
    const content = [
      { type: 'image', source: { type: 'file', file_id: 'file_1' } },
      { type: 'document', source: { type: 'file', file_id: 'file_2' } },
      { type: 'document', source: { type: 'url', url: 'https://x/y.pdf' } },
    ]
    expect(write(say(content)).messages).toEqual([{ role: 'user', content }])
  })

  test('blocks of tools that Anthropic ran itself are left to Anthropic', () => {
    const content = [
      { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} },
      { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] },
    ]
    const chat = read({ messages: [...least.messages, { role: 'assistant', content }] })
    expect(chat.messages[1]?.parts).toEqual(
      content.map((value) => ({ kind: 'vendor', protocol: 'anthropic-messages', value })),
    )
    expect(write({ messages: [...least.messages, { role: 'assistant', content }] }).messages).toMatchObject([
      {},
      { content },
    ])
  })

  test('tools of the caller and tools of the vendor are told apart', () => {
    const search = { type: 'web_search_20250305', name: 'web_search' }
    const own = { name: 'f', input_schema: { type: 'object', properties: {} }, strict: true, defer_loading: true }
    const chat = read({ tools: [search, own, { ...own, type: 'custom', name: 'g' }] })
    expect(chat.tools).toMatchObject([
      { name: 'f', strict: true, extras: { 'anthropic-messages': { defer_loading: true } } },
      { name: 'g' },
    ])
    expect(chat.extras['anthropic-messages']).toEqual({ tools: [search] })
    expect(write({ tools: [search, own] }).tools).toMatchObject([{ name: 'f', defer_loading: true }, search])
  })

  test("a choice among the vendor's own tools rides along with them", () => {
    const more = { tools: [{ type: 'web_search_20250305', name: 'web_search' }], tool_choice: { type: 'any' } }
    expect(read(more)).toMatchObject({ toolChoice: null, tools: [], extras: { 'anthropic-messages': more } })
    expect(write(more)).toMatchObject(more)
  })

  test.each([
    [{ type: 'auto' }, { kind: 'auto' }, null],
    [{ type: 'any', disable_parallel_tool_use: true }, { kind: 'required' }, false],
    [{ type: 'none' }, { kind: 'none' }, null],
    [{ type: 'tool', name: 'f', disable_parallel_tool_use: false }, { kind: 'tool', name: 'f' }, true],
  ])('the choice %j is read', (choice, toolChoice, parallelToolCalls) => {
    const tools = [{ name: 'f', input_schema: {} }]
    expect(read({ tools, tool_choice: choice })).toMatchObject({ toolChoice, parallelToolCalls })
  })

  test.each([
    [{}, null],
    [{ thinking: { type: 'enabled', budget_tokens: 2048 } }, { effort: null, budgetTokens: 2048 }],
    [{ thinking: { type: 'disabled' } }, { effort: 'none', budgetTokens: null }],
    [{ thinking: { type: 'adaptive' } }, { effort: 'medium', budgetTokens: null }],
    [
      { thinking: { type: 'adaptive' }, output_config: { effort: 'max' } },
      { effort: 'max', budgetTokens: null },
    ],
    [{ output_config: { effort: 'low' } }, { effort: 'low', budgetTokens: null }],
  ])('thinking %j is read', (more, reasoning) => {
    expect(read(more).reasoning).toEqual(reasoning)
  })

  test('a schema is strict where strict modes would take it', () => {
    const closed = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    }
    const open = { ...closed, required: [] }
    const format = (schema: object) => ({ type: 'json_schema', schema })
    expect(read({ output_config: { format: format(closed) } }).responseFormat).toMatchObject({
      kind: 'json_schema',
      schema: closed,
      strict: true,
    })
    expect(read({ output_format: format(open) }).responseFormat).toMatchObject({ strict: false })
    const nested = { ...closed, properties: { a: { anyOf: [open] } } }
    expect(read({ output_format: format(nested) }).responseFormat).toMatchObject({ strict: false })
  })

  test('thinking comes back to whoever signed it', () => {
    const theirs = sealSignature({ by: 'gemini', signature: 's' })
    const ofCall = sealSignature({ by: 'gemini', signature: 'c', callId: 'call_1' })
    const sealed = sealSignature({ by: 'openai-responses', signature: 'e', redacted: true })
    const chat = read({
      messages: [
        ...least.messages,
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'a', signature: 'own' },
            { type: 'thinking', thinking: 'b', signature: theirs },
            { type: 'thinking', thinking: 'c', signature: '' },
            { type: 'redacted_thinking', data: 'own' },
            { type: 'redacted_thinking', data: sealed },
            { type: 'redacted_thinking', data: ofCall },
            { type: 'tool_use', id: 'call_1', name: 'f', input: {} },
          ],
        },
      ],
    })
    const own = { kind: 'reasoning', redacted: false, signedBy: 'anthropic-messages' }
    expect(chat.messages[1]?.parts).toEqual([
      { ...own, text: 'a', signature: 'own' },
      { ...own, text: 'b', signature: 's', signedBy: 'gemini' },
      { ...own, text: 'c', signature: null },
      { ...own, text: '', signature: 'own', redacted: true },
      { ...own, text: '', signature: 'e', redacted: true, signedBy: 'openai-responses' },
      { kind: 'tool_call', id: 'call_1', name: 'f', arguments: '{}', extras: { gemini: { thoughtSignature: 'c' } } },
    ])
  })

  test.each<[object, string]>([
    [{ model: '' }, 'model'],
    [{ max_tokens: undefined }, 'max_tokens'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ messages: [] }, 'messages'],
    [{ messages: ['hi'] }, 'messages.0'],
    [say('hi', 'robot'), 'messages.0.role'],
    [say(7), 'messages.0.content'],
    [say([{ type: 'text' }]), 'messages.0.content.0.text'],
    [
      { messages: [...least.messages, ...least.messages, say([{ type: 'smell' }]).messages[0]] },
      'messages.2.content.0.type',
    ],
    [
      say([
        { type: 'text', text: 'a' },
        { type: 'image', source: { type: 'disk' } },
      ]),
      'messages.0.content.1.source.type',
    ],
    [say([{ type: 'image', source: { type: 'url', url: 'file:///etc/passwd' } }]), 'messages.0.content.0.source.url'],
    [say([{ type: 'tool_result', content: 'x' }]), 'messages.0.content.0.tool_use_id'],
    [
      say([{ type: 'tool_result', tool_use_id: 't', content: [{ type: 'thinking' }] }]),
      'messages.0.content.0.content.0.type',
    ],
    [say([{ type: 'tool_use', id: 't', name: 'f', input: 'x' }], 'assistant'), 'messages.0.content.0.input'],
    [say([{ type: 'thinking', thinking: 'x' }], 'assistant'), 'messages.0.content.0.signature'],
    [{ system: [{ type: 'image' }] }, 'system.0.type'],
    [{ tools: [{ name: 'f' }] }, 'tools.0.input_schema'],
    [{ tool_choice: { type: 'tool' } }, 'tool_choice.name'],
    [{ thinking: { type: 'enabled', budget_tokens: 5 } }, 'thinking.budget_tokens'],
    [{ output_config: { effort: 'enormous' } }, 'output_config.effort'],
    [{ output_config: { format: { type: 'xml' } } }, 'output_config.format.type'],
    [{ stop_sequences: [1] }, 'stop_sequences.0'],
    [{ metadata: { user_id: 7 } }, 'metadata.user_id'],
  ])('%j is refused, naming %s', (more, param) => {
    expect(() => read(more)).toThrow(expect.objectContaining({ code: 'invalid_request', param }))
  })

  test('a request to count needs no limit', () => {
    expect(readCountRequest({ model: 'm', messages: least.messages }).maxOutputTokens).toBeNull()
  })
})

describe('what is asked for, read without reading the conversation', () => {
  const asked = (more: object) => {
    const body = Buffer.from(JSON.stringify({ ...least, ...more }))
    return readAsked(readBodyOf(body), body)
  }

  test('needs, limit and affinity', () => {
    expect(asked({})).toMatchObject({
      model: 'm',
      stream: false,
      includeUsage: true,
      maxOutputTokens: 10,
      affinity: '',
    })
    expect(asked({ stream: true, metadata: { user_id: 'u' } })).toMatchObject({ stream: true, affinity: 'u' })
    expect(asked({}).needs).toMatchObject({ tools: false, structuredOutput: false })
    expect(asked({ tools: [{ name: 'f' }] }).needs.tools).toBe(true)
    expect(asked({ output_config: { format: { type: 'json_schema' } } }).needs.structuredOutput).toBe(true)
    expect(asked(say([{ type: 'image', source: {} }])).needs.images()).toBe(true)
    expect(asked(say('a "type":"image" in words')).needs.images()).toBe(false)
  })

  test('only the name of the model is exchanged', () => {
    expect(asked({}).changes('real')).toEqual({ model: '"real"' })
    expect(asked({}).changes('m')).toEqual({})
  })

  test('5.4.33 instructions in the middle stay for newer models and join the system text of older ones', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'system', content: 'now this' },
      { role: 'user', content: 'b' },
    ]
    const more = { system: 'first', messages }
    for (const newer of ['claude-opus-4-8', 'claude-sonnet-5', 'alias']) {
      expect(asked(more).changes(newer)).toEqual({ model: JSON.stringify(newer) })
    }
    const { system, messages: kept } = asked(more).changes('claude-sonnet-4-5')
    expect(JSON.parse(system!)).toEqual([
      { type: 'text', text: 'first' },
      { type: 'text', text: 'now this' },
    ])
    expect(JSON.parse(kept!)).toEqual([messages[0], messages[2]])
    expect(asked(say('"role":"system"')).changes('claude-sonnet-4-5')).toEqual({ model: '"claude-sonnet-4-5"' })
  })

  test.each([
    [{ model: 7 }, 'model'],
    [{ stream: 'yes' }, 'stream'],
    [{ messages: [] }, 'messages'],
  ])('%j is refused, naming %s', (more, param) => {
    expect(() => asked(more)).toThrow(expect.objectContaining({ code: 'invalid_request', param }))
  })
})

describe('5.4.34 headers for a provider of the same protocol', () => {
  test('version and features pass, nothing else does', () => {
    const headers = {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'context-1m-2025-08-07, files-api-2025-04-14',
    }
    expect(passHeaders({ ...headers, 'x-api-key': 'secret', cookie: 'c', 'anthropic-dangerous': '1' })).toEqual([
      'anthropic-version',
      '2023-06-01',
      'anthropic-beta',
      'context-1m-2025-08-07,files-api-2025-04-14',
    ])
    expect(passHeaders({})).toEqual([])
  })

  test("what speaks of the caller's credentials or is no feature stays behind", () => {
    expect(passHeaders({ 'anthropic-beta': 'oauth-2025-04-20' })).toEqual([])
    expect(passHeaders({ 'anthropic-beta': 'a b,é,ok-1', 'anthropic-version': 'latest' })).toEqual([
      'anthropic-beta',
      'ok-1',
    ])
  })
})
