import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent, ChatRequest } from '../chat.ts'
import { inbound, outbound } from './index.ts'
import { openaiChat } from './openai-chat/index.ts'
import { type JsonObject, nowhere, type OutboundProtocol } from './protocol.ts'

/** What the gateway relies on in every protocol that it speaks to providers. */
const sse = (wires: JsonObject[]) =>
  wires
    .map((wire) => `${typeof wire.type === 'string' ? `event: ${wire.type}\n` : ''}data: ${JSON.stringify(wire)}\n\n`)
    .join('')

/** OpenAI's Responses repeat in the last event what they streamed before it. */
const responsesMessage = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text: 'Hello 你好', annotations: [] }],
}
const responsesAnswer = {
  id: 'resp_1',
  object: 'response',
  model: 'gpt-5.1',
  status: 'completed',
  output: [responsesMessage],
  usage: { input_tokens: 7, output_tokens: 3, total_tokens: 10 },
}

/** One answer, "Hello 你好" for 7 tokens in and 3 out, as each vendor streams it and as it sends it whole. */
const samples: { [protocol: string]: { stream: string; result: JsonObject; model: string } } = {
  'openai-chat': {
    model: 'gpt-4o',
    stream: `${sse([
      {
        id: 'c1',
        model: 'gpt-4o',
        choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
      },
      { id: 'c1', model: 'gpt-4o', choices: [{ index: 0, delta: { content: 'Hello ' }, finish_reason: null }] },
      { id: 'c1', model: 'gpt-4o', choices: [{ index: 0, delta: { content: '你好' }, finish_reason: null }] },
      { id: 'c1', model: 'gpt-4o', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { id: 'c1', model: 'gpt-4o', choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } },
    ])}data: [DONE]\n\n`,
    result: {
      id: 'c1',
      model: 'gpt-4o',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello 你好' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    },
  },
  'openai-responses': {
    model: 'gpt-5.1',
    stream: sse(
      [
        { type: 'response.created', response: { id: 'resp_1', model: 'gpt-5.1', status: 'in_progress', output: [] } },
        {
          type: 'response.output_item.added',
          output_index: 0,
          item: { id: 'msg_1', type: 'message', role: 'assistant', status: 'in_progress', content: [] },
        },
        {
          type: 'response.content_part.added',
          item_id: 'msg_1',
          output_index: 0,
          content_index: 0,
          part: { type: 'output_text', text: '', annotations: [] },
        },
        ...['Hello ', '你好'].map((delta) => ({
          type: 'response.output_text.delta',
          item_id: 'msg_1',
          output_index: 0,
          content_index: 0,
          delta,
        })),
        {
          type: 'response.output_text.done',
          item_id: 'msg_1',
          output_index: 0,
          content_index: 0,
          text: 'Hello 你好',
        },
        { type: 'response.output_item.done', output_index: 0, item: responsesMessage },
        { type: 'response.completed', response: responsesAnswer },
      ].map((event, place) => ({ ...event, sequence_number: place })),
    ),
    result: responsesAnswer,
  },
  'anthropic-messages': {
    model: 'claude-sonnet-4-5',
    stream: sse([
      {
        type: 'message_start',
        message: {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          model: 'claude-sonnet-4-5',
          content: [],
          usage: { input_tokens: 7, output_tokens: 1 },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'ping' },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello ' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: '你好' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 3 } },
      { type: 'message_stop' },
    ]),
    result: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5',
      content: [{ type: 'text', text: 'Hello 你好' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 7, output_tokens: 3 },
    },
  },
  gemini: {
    model: 'gemini-2.5-flash',
    stream: sse([
      {
        candidates: [{ content: { role: 'model', parts: [{ text: 'Hello ' }] }, index: 0 }],
        modelVersion: 'gemini-2.5-flash',
        responseId: 'r1',
      },
      {
        candidates: [{ content: { role: 'model', parts: [{ text: '你好' }] }, finishReason: 'STOP', index: 0 }],
        usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3, totalTokenCount: 10 },
        modelVersion: 'gemini-2.5-flash',
        responseId: 'r1',
      },
    ]),
    result: {
      candidates: [{ content: { role: 'model', parts: [{ text: 'Hello 你好' }] }, finishReason: 'STOP', index: 0 }],
      usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3, totalTokenCount: 10 },
      modelVersion: 'gemini-2.5-flash',
      responseId: 'r1',
    },
  },
}

const chat: ChatRequest = openaiChat.readRequest(
  {
    model: 'alias',
    messages: [
      { role: 'system', content: 'one' },
      { role: 'developer', content: 'two' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'MARK-RESULT' },
    ],
    tools: [
      {
        type: 'function',
        function: {
          name: 'f',
          description: 'MARK-TOOL',
          parameters: { type: 'object', properties: { a: { type: 'integer' } } },
        },
      },
    ],
    tool_choice: 'auto',
    max_tokens: 77,
  },
  nowhere,
)

test('names are unique and each shelf has a sample here', () => {
  const names = outbound.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(names.toSorted()).toEqual(Object.keys(samples).toSorted())
  expect(new Set(inbound.map(({ name }) => name)).size).toBe(inbound.length)
})

describe.each(outbound.map((protocol) => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  const sample = samples[name]!
  const target = { model: sample.model, defaultMaxOutputTokens: 4096 }
  const bytes = Buffer.from(sample.stream)

  test('a conversation with tools, pictures and two system messages is written without loss', () => {
    const { body } = protocol.writeRequest(chat, target)
    const text = JSON.stringify(body)
    for (const mark of ['one', 'two', 'look', 'aGk=', 'MARK-RESULT', 'MARK-TOOL', '77']) expect(text).toContain(mark)
    expect(JSON.parse(text)).toEqual(body)
    expect(text).not.toContain('alias')
  })

  test('writing leaves the request untouched, as a second provider may need it', () => {
    const before = structuredClone(chat)
    protocol.writeRequest(chat, target)
    protocol.writeRequest(chat, target)
    expect(chat).toEqual(before)
  })

  test('a whole answer is read', () => {
    expect(protocol.readResult(sample.result)).toMatchObject({
      choices: [{ index: 0, parts: [{ kind: 'text', text: 'Hello 你好' }], finish: 'stop' }],
      usage: { tokensIn: 7, tokensOut: 3 },
    })
  })

  test('what is no answer is garbled', () => {
    for (const wire of [{}, { choices: 1, content: 1, candidates: 1 }]) {
      expect(() => protocol.readResult(wire as JsonObject)).toThrow(
        expect.objectContaining({ code: 'upstream_garbled' }),
      )
    }
  })

  test('5.1.1 a stream gives the same events however it is cut', () => {
    const whole = readAll(protocol, [bytes])
    expect(textOf(whole)).toBe('Hello 你好')
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), (places) => {
        const cuts = [0, ...places.toSorted((a, b) => a - b), bytes.length]
        expect(
          readAll(
            protocol,
            cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end)),
          ),
        ).toEqual(whole)
      }),
      { numRuns: 50 },
    )
  })

  test('start comes first, end last, each once; usage and one finish lie between', () => {
    const events = readAll(protocol, [bytes])
    const kinds = events.map(({ kind }) => kind)
    expect(kinds[0]).toBe('start')
    expect(kinds.at(-1)).toBe('end')
    for (const kind of ['start', 'finish', 'end']) expect(kinds.filter((other) => other === kind)).toHaveLength(1)
    expect(events.findLast(({ kind }) => kind === 'usage')).toMatchObject({ usage: { tokensIn: 7, tokensOut: 3 } })
  })

  test('4.5.14 a stream cut at any byte has no end, unless all that was cut is what says nothing more', () => {
    const whole = readAll(protocol, [bytes])
    for (let cut = 0; cut < bytes.length; cut += 3) {
      const events = readAll(protocol, [bytes.subarray(0, cut)])
      if (!events.some(({ kind }) => kind === 'end')) continue
      expect(events.filter(({ kind }) => kind !== 'usage')).toEqual(whole.filter(({ kind }) => kind !== 'usage'))
    }
    expect(readAll(protocol, []).map(({ kind }) => kind)).not.toContain('end')
  })

  test('4.5.19 what it streams, our callers can read', () => {
    const writer = openaiChat.createStreamWriter({
      id: 'req_1',
      model: 'alias',
      createdMs: 0,
      includeUsage: true,
      framing: 'sse',
    })
    const wire = readAll(protocol, [bytes])
      .map((event) => writer.write(event))
      .join('')
    const again = readAll(openaiChat, [Buffer.from(wire)])
    expect(textOf(again)).toBe('Hello 你好')
    expect(again.at(-1)).toEqual({ kind: 'end' })
  })

  test('5.6.44 an error is read whatever it looks like, keeps its status class and holds no secret', () => {
    const secret = 'sk-proj-CANARY0123456789abcdef'
    const shape = fc.constantFrom<(text: string) => string>(
      (text) =>
        JSON.stringify({
          error: { message: text, type: 'invalid_request_error', status: 'INVALID_ARGUMENT', code: 400 },
        }),
      (text) => JSON.stringify({ type: 'error', error: { type: 'api_error', message: text } }),
      (text) => JSON.stringify([{ error: { message: text } }]),
      (text) => `<html>${text}</html>`,
      (text) => text,
      () => '',
      () => '{"error":',
    )
    fc.assert(
      fc.property(fc.integer({ min: 400, max: 599 }), shape, fc.string(), (status, wrap, noise) => {
        const failed = protocol.readError(status, {}, wrap(`${noise} ${secret}`))
        expect(failed.message).not.toContain('CANARY')
        expect(failed.message).not.toBe('')
        expect(failed.status).toBeGreaterThanOrEqual(400)
      }),
    )
  })

  test('5.6.42 the common kinds of refusal and the wait are told apart', () => {
    const kind = (status: number) => protocol.readError(status, { 'retry-after': '3' }, '')
    expect(kind(429)).toMatchObject({ code: 'rate_limited', status: 429, retryAfterMs: 3000 })
    expect(kind(401)).toMatchObject({ code: 'authentication', status: 401 })
    expect(kind(404)).toMatchObject({ code: 'not_found', status: 404 })
    expect(kind(500)).toMatchObject({ code: 'server_error', status: 500 })
    expect(kind(503)).toMatchObject({ code: 'overloaded' })
  })

  test('paths begin with a slash and no model name can leave its place', () => {
    for (const stream of [true, false]) {
      const path = protocol.chatPath('../../evil?x=1#y', stream)
      expect(path.startsWith('/')).toBe(true)
      expect(new URL(`https://x.test/v1${path}`).pathname.startsWith('/v1/')).toBe(true)
      expect(path).not.toContain('?x=1')
    }
    expect(protocol.modelsPath(null).startsWith('/')).toBe(true)
  })
})

function readAll(protocol: OutboundProtocol, chunks: Buffer[]): ChatEvent[] {
  const reader = protocol.createStreamReader()
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.close()]
}

function textOf(events: ChatEvent[]): string {
  return events.map((event) => (event.kind === 'text' ? event.text : '')).join('')
}
