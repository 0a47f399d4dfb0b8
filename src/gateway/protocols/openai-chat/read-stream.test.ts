import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '../../chat.ts'
import { createStreamReader } from './read-stream.ts'

const fixture = (name: string) => readFileSync(new URL(`./__fixtures__/${name}`, import.meta.url))

function read(...chunks: (Buffer | string)[]): ChatEvent[] {
  const reader = createStreamReader()
  return [...chunks.flatMap((chunk) => reader.push(Buffer.from(chunk))), ...reader.close()]
}

const sse = (...wires: unknown[]) => wires.map((wire) => `data: ${JSON.stringify(wire)}\n\n`).join('')
const done = 'data: [DONE]\n\n'
const chunk = (delta: unknown, finish_reason: string | null = null, index = 0) => ({
  id: 'x',
  model: 'm',
  choices: [{ index, delta, finish_reason }],
})
const kinds = (events: ChatEvent[]) => events.map((event) => event.kind)
const start = { kind: 'start', id: 'x', model: 'm', usage: null }

test('a recorded text stream', () => {
  expect(read(fixture('stream-text.sse'))).toEqual([
    { kind: 'start', id: 'chatcmpl-CkV2mQ7tXw0', model: 'gpt-4o-2024-08-06', usage: null },
    { kind: 'text', index: 0, text: 'Grüße' },
    { kind: 'text', index: 0, text: ' aus 北京' },
    { kind: 'text', index: 0, text: ' 😀 "quoted"\n' },
    { kind: 'finish', index: 0, finish: 'stop', stopSequence: null },
    {
      kind: 'usage',
      usage: { tokensIn: 19, tokensOut: 10, tokensCachedRead: 8, tokensCachedWrite: 0, tokensReasoning: 0 },
    },
    { kind: 'end' },
  ])
})

test('5.2.13 tool calls of two choices interleave and keep their places', () => {
  const events = read(fixture('stream-tools-n2.sse')).filter(({ kind }) => kind !== 'usage')
  expect(events.slice(1, -1)).toEqual([
    { kind: 'tool_call_start', index: 0, call: 0, id: 'call_a0', name: 'get_weather' },
    { kind: 'tool_call_arguments', index: 0, call: 0, text: '{"city":' },
    { kind: 'tool_call_start', index: 1, call: 0, id: 'call_b0', name: 'get_time' },
    { kind: 'tool_call_start', index: 0, call: 1, id: 'call_a1', name: 'get_time' },
    { kind: 'tool_call_arguments', index: 0, call: 0, text: '"Paris"}' },
    { kind: 'tool_call_arguments', index: 0, call: 1, text: '{"zone":"UTC"}' },
    { kind: 'finish', index: 0, finish: 'tool_calls', stopSequence: null },
    { kind: 'finish', index: 1, finish: 'tool_calls', stopSequence: null },
  ])
})

test('5.2.22 a DeepSeek stream gives reasoning, text and its cache counts', () => {
  const events = read(fixture('stream-reasoning.sse'))
  expect(kinds(events)).toEqual(['start', 'reasoning', 'reasoning', 'text', 'finish', 'usage', 'end'])
  expect(events[5]).toMatchObject({ usage: { tokensIn: 12, tokensCachedRead: 4, tokensReasoning: 20 } })
})

test("Azure's opening chunk without id or choices starts nothing", () => {
  expect(read(fixture('stream-azure.sse'))[0]).toMatchObject({ kind: 'start', id: 'chatcmpl-CkV2mQ7tXw0' })
})

test('5.1.1 any cutting of a stream gives the same events', () => {
  const bytes = Buffer.concat([fixture('stream-text.sse'), fixture('stream-tools-n2.sse')])
  const cuts = fc.array(fc.nat(bytes.length), { maxLength: 40 })
  fc.assert(
    fc.property(cuts, (places) => {
      const sorted = [0, ...places.sort((a, b) => a - b), bytes.length]
      const pieces = sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
      expect(read(...pieces)).toEqual(read(bytes))
    }),
  )
})

describe('the end', () => {
  test('4.5.14 a stream cut at any byte before its last finish_reason has no end and no finish', () => {
    const bytes = fixture('stream-text.sse')
    const last = bytes.indexOf('"stop"')
    for (let cut = 0; cut < last; cut += 7) {
      const events = kinds(read(bytes.subarray(0, cut)))
      expect(events).not.toContain('end')
      expect(events).not.toContain('finish')
    }
  })

  test('5.1.7 a finish_reason and then the end of the connection is an end, [DONE] or not, blank line or not', () => {
    const whole = sse(chunk({ content: 'a' }), chunk({}, 'stop'))
    expect(kinds(read(whole))).toEqual(['start', 'text', 'finish', 'end'])
    expect(kinds(read(whole.trimEnd()))).toEqual(['start', 'text', 'finish', 'end'])
    expect(kinds(read(whole + done.trimEnd()))).toEqual(['start', 'text', 'finish', 'end'])
  })

  test('5.2.15 one choice of two finished is no end', () => {
    expect(
      kinds(read(sse(chunk({ content: 'a' }), chunk({ content: 'b' }, null, 1), chunk({}, 'stop')))),
    ).not.toContain('end')
  })

  test('nothing follows the end', () => {
    expect(kinds(read(sse(chunk({ content: 'a' }, 'stop')) + done + sse(chunk({ content: 'late' })) + done))).toEqual([
      'start',
      'text',
      'finish',
      'end',
    ])
  })

  test('4.5.14 a reason nobody knows is a stop only when the stream ends after it', () => {
    expect(read(sse(chunk({ content: 'a' }, 'weird')) + done).slice(2)).toEqual([
      { kind: 'finish', index: 0, finish: 'stop', stopSequence: null },
      { kind: 'end' },
    ])
    expect(kinds(read(sse(chunk({ content: 'a' }, 'weird'))))).toEqual(['start', 'text'])
    expect(kinds(read(sse(chunk({}, 'weird'), chunk({ content: 'b' })) + done))).toEqual(['start', 'text', 'end'])
  })

  test('an empty reason in every chunk, as some servers send it, is none', () => {
    expect(kinds(read(sse(chunk({ content: 'a' }, ''), chunk({}, 'stop'), chunk({}, 'stop')) + done))).toEqual([
      'start',
      'text',
      'finish',
      'end',
    ])
  })
})

describe('errors', () => {
  test('4.5.15 an error event ends the stream, without end, finish or the words of its key', () => {
    const events = read(Buffer.concat([fixture('stream-error.sse'), Buffer.from(sse(chunk({}, 'stop')) + done)]))
    expect(kinds(events)).toEqual(['start', 'text', 'text', 'error'])
    expect(JSON.stringify(events)).not.toContain('CANARY')
    expect(events.at(-1)).toMatchObject({ error: { code: 'server_error', status: 500 } })
  })

  test('an error says what it is by code, type or number', () => {
    const failed = (wire: unknown) => read(sse(wire)).at(-1)
    expect(failed({ error: { message: 'x', code: 'rate_limit_exceeded' } })).toMatchObject({
      error: { code: 'rate_limited', status: 429, vendorCode: 'rate_limit_exceeded' },
    })
    expect(failed({ error: { message: 'x', code: 503 } })).toMatchObject({ error: { code: 'overloaded', status: 503 } })
    expect(failed({ object: 'error', message: 'too long', type: 'BadRequestError', code: 400 })).toMatchObject({
      error: { code: 'invalid_request', status: 400 },
    })
    expect(failed({ error: 'just words' })).toMatchObject({ error: { code: 'server_error', message: 'just words' } })
    expect(kinds(read(`event: error\n${sse({ message: 'x' })}`))).toEqual(['error'])
    expect(kinds(read(sse({ ...chunk({ content: 'a' }), error: null })))).toEqual(['start', 'text'])
  })

  test('an event that is no JSON is garbled in the stream, and only the cut at its end', () => {
    expect(() => read('data: {"id":\n\ndata: x\n\n')).toThrow(expect.objectContaining({ code: 'upstream_garbled' }))
    expect(kinds(read(`${sse(chunk({ content: 'a' }))}data: {"id":`))).toEqual(['start', 'text'])
  })
})

describe('what imitators send', () => {
  const call = (index: number | undefined, id: string | undefined, name: string | undefined, args: unknown) =>
    chunk({ tool_calls: [{ index, id, function: { name, arguments: args } }] })
  const calls = (...wires: unknown[]) =>
    read(sse(...wires, chunk({}, 'tool_calls')) + done).filter(({ kind }) => kind.startsWith('tool_call'))

  test('4.5.19 calls without index, or all with index 0, are told apart by their ids', () => {
    const expected = [
      { kind: 'tool_call_start', index: 0, call: 0, id: 'a', name: 'f' },
      { kind: 'tool_call_arguments', index: 0, call: 0, text: '{}' },
      { kind: 'tool_call_start', index: 0, call: 1, id: 'b', name: 'g' },
      { kind: 'tool_call_arguments', index: 0, call: 1, text: '{"x":1}' },
    ]
    expect(calls(call(undefined, 'a', 'f', '{}'), call(undefined, 'b', 'g', '{"x":1}'))).toEqual(expected)
    expect(calls(call(0, 'a', 'f', '{}'), call(0, 'b', 'g', '{"x":1}'))).toEqual(expected)
    expect(calls(call(3, 'a', 'f', '{}'), call(9, 'b', 'g', { x: 1 }))).toEqual(expected)
    expect(calls(call(undefined, 'a', 'f', ''), call(undefined, undefined, undefined, '{}'))).toEqual(
      expected.slice(0, 2),
    )
  })

  test('id and name repeated with every piece start a call once', () => {
    expect(calls(call(0, 'a', 'f', '{"x"'), call(0, 'a', 'f', ':1}')).map(({ kind }) => kind)).toEqual([
      'tool_call_start',
      'tool_call_arguments',
      'tool_call_arguments',
    ])
  })

  test('arguments before the name wait for it', () => {
    expect(calls(call(0, 'a', undefined, '{"x"'), call(0, undefined, 'f', ':1}'))).toEqual([
      { kind: 'tool_call_start', index: 0, call: 0, id: 'a', name: 'f' },
      { kind: 'tool_call_arguments', index: 0, call: 0, text: '{"x":1}' },
    ])
  })

  test('4.5.21 signatures are read once, from calls and from reasoning', () => {
    const details = [{ type: 'reasoning.text', index: 0, text: 'hm', signature: 's1' }]
    const wires = [
      chunk({ reasoning_content: 'hm' }),
      chunk({ reasoning_details: details }),
      chunk({ reasoning_details: [...details, { type: 'reasoning.encrypted', index: 1, data: 'sealed' }] }),
      chunk({
        tool_calls: [
          { index: 0, id: 'a', function: { name: 'f' }, extra_content: { google: { thought_signature: 't' } } },
        ],
      }),
    ]
    expect(read(sse(...wires))).toEqual([
      start,
      { kind: 'reasoning', index: 0, text: 'hm' },
      { kind: 'reasoning_signature', index: 0, signature: 's1' },
      { kind: 'reasoning_signature', index: 0, signature: 'sealed', redacted: true },
      { kind: 'tool_call_start', index: 0, call: 0, id: 'a', name: 'f', extras: { gemini: { thoughtSignature: 't' } } },
    ])
  })

  test('a whole message instead of deltas, legacy calls, refusals and Groq counts are read', () => {
    const whole = { id: 'x', model: 'm', choices: [{ index: 0, message: { content: 'a' }, finish_reason: 'stop' }] }
    expect(kinds(read(sse(whole) + done))).toEqual(['start', 'text', 'finish', 'end'])
    expect(
      kinds(
        read(
          sse(chunk({ function_call: { name: 'f', arguments: '{' } }), chunk({ function_call: { arguments: '}' } })),
        ),
      ),
    ).toEqual(['start', 'tool_call_start', 'tool_call_arguments', 'tool_call_arguments'])
    expect(read(sse(chunk({ refusal: 'no' })))[1]).toEqual({ kind: 'refusal', index: 0, text: 'no' })
    const groq = { ...chunk({}, 'stop'), x_groq: { usage: { prompt_tokens: 1, completion_tokens: 2 } } }
    expect(read(sse(groq)).find(({ kind }) => kind === 'usage')).toMatchObject({ usage: { tokensIn: 1, tokensOut: 2 } })
  })
})
