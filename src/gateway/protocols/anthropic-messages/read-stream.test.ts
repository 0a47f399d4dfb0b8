import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '../../chat.ts'
import { createStreamReader } from './read-stream.ts'
import { answerToolName } from './write-tools.ts'

const fixture = (name: string) => readFileSync(new URL(`./__fixtures__/${name}.sse`, import.meta.url))
const names = ['text', 'tools', 'overloaded']

function read(...chunks: Uint8Array[]): ChatEvent[] {
  const reader = createStreamReader()
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.close()]
}

const sse = (events: object[]) =>
  Buffer.from(
    events.map((data) => `event: ${(data as { type: string }).type}\ndata: ${JSON.stringify(data)}\n\n`).join(''),
  )
const started = {
  type: 'message_start',
  message: { id: 'm', model: 'c', usage: { input_tokens: 5, output_tokens: 1 } },
}
const kinds = (events: ChatEvent[]) => events.map((event) => event.kind)

// The ancestor knew text and the end only: always "stop", no usage, no id.
test('max_tokens, usage and id were lost in streams: all of them arrive', () => {
  expect(read(fixture('text'))).toEqual([
    {
      kind: 'start',
      id: 'msg_01Text',
      model: 'claude-sonnet-4-5-20250929',
      usage: { tokensIn: 2125, tokensOut: 1, tokensCachedRead: 2000, tokensCachedWrite: 100, tokensReasoning: 0 },
    },
    { kind: 'text', index: 0, text: 'Grüße, ' },
    { kind: 'text', index: 0, text: '世界 🌍' },
    { kind: 'finish', index: 0, finish: 'stop', stopSequence: 'END' },
    {
      kind: 'usage',
      usage: { tokensIn: 2125, tokensOut: 15, tokensCachedRead: 2000, tokensCachedWrite: 100, tokensReasoning: 0 },
    },
    { kind: 'end' },
  ])
  const cut = [started, { type: 'message_delta', delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 9 } }]
  expect(read(sse(cut))).toContainEqual({ kind: 'finish', index: 0, finish: 'length', stopSequence: null })
})

test('thinking, signatures and parallel calls arrive; calls count from 0 whatever their block', () => {
  const events = read(fixture('tools'))
  expect(events.slice(1)).toEqual([
    { kind: 'reasoning', index: 0, text: 'Two cities,' },
    { kind: 'reasoning', index: 0, text: ' two calls.' },
    {
      kind: 'reasoning_signature',
      index: 0,
      signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk=',
      signedBy: 'anthropic-messages',
    },
    {
      kind: 'reasoning_signature',
      index: 0,
      signature: 'EmwKAhgBEgy3va3pzix',
      signedBy: 'anthropic-messages',
      redacted: true,
    },
    { kind: 'text', index: 0, text: 'Let me look.' },
    { kind: 'tool_call_start', index: 0, call: 0, id: 'toolu_01A', name: 'get_weather' },
    { kind: 'tool_call_arguments', index: 0, call: 0, text: '{"city":' },
    { kind: 'tool_call_arguments', index: 0, call: 0, text: ' "Zürich"}' },
    { kind: 'tool_call_start', index: 0, call: 1, id: 'toolu_01B', name: 'now' },
    { kind: 'tool_call_arguments', index: 0, call: 1, text: '{}' },
    { kind: 'finish', index: 0, finish: 'tool_calls', stopSequence: null },
    {
      kind: 'usage',
      usage: { tokensIn: 500, tokensOut: 89, tokensCachedRead: 20, tokensCachedWrite: 0, tokensReasoning: 31 },
    },
    { kind: 'end' },
  ])
})

test('a failure inside the stream is the last thing heard', () => {
  const events = read(fixture('overloaded'))
  expect(kinds(events)).toEqual(['start', 'text', 'error'])
  expect(events.at(-1)).toMatchObject({ error: { code: 'overloaded', status: 529, vendorType: 'overloaded_error' } })
})

test('a truncated stream never ends in a stop', () => {
  const bytes = fixture('tools')
  const whole = read(bytes)
  // Up to the message_stop event: from there on the answer is complete.
  const last = bytes.indexOf('event: message_stop')
  for (let length = 0; length <= last; length += 7) {
    const events = read(bytes.subarray(0, length))
    expect(kinds(events)).not.toContain('end')
    expect(whole.slice(0, events.length)).toEqual(events)
  }
})

test('a whole block in its first event counts once, deltas or not', () => {
  const block = { type: 'tool_use', id: 't', name: 'f', input: { a: 1 } }
  const events = read(
    sse([
      started,
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'hi' } },
      { type: 'content_block_start', index: 1, content_block: block },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 3 } },
      { type: 'message_stop' },
    ]),
  )
  expect(events).toContainEqual({ kind: 'text', index: 0, text: 'hi' })
  expect(events).toContainEqual({ kind: 'tool_call_arguments', index: 0, call: 0, text: '{"a":1}' })
  expect(kinds(events).slice(-3)).toEqual(['finish', 'usage', 'end'])
})

test('the tool that stands for a JSON answer streams as text and ends as a stop', () => {
  const events = read(
    sse([
      started,
      {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'tool_use', id: 't', name: answerToolName, input: {} },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: '{"a":1}' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 3 } },
      { type: 'message_stop' },
    ]),
  )
  expect(events).toContainEqual({ kind: 'text', index: 0, text: '{"a":1}' })
  expect(events).toContainEqual({ kind: 'finish', index: 0, finish: 'stop', stopSequence: null })
  expect(kinds(events)).not.toContain('tool_call_start')
})

test('a second message_start, as a retry behind a proxy makes, starts nothing anew', () => {
  const events = read(sse([started, started, { type: 'message_stop' }]))
  expect(kinds(events).filter((kind) => kind === 'start')).toHaveLength(1)
})

test('arguments without a call and events that are no JSON are failures, not silence', () => {
  const stray = { type: 'content_block_delta', index: 7, delta: { type: 'input_json_delta', partial_json: '{' } }
  expect(read(sse([started, stray, { type: 'message_stop' }])).at(-1)).toMatchObject({ kind: 'error' })
  expect(read(sse([started]), Buffer.from('data: <html>\n\n')).at(-1)).toMatchObject({
    kind: 'error',
    error: { code: 'server_error', status: 502 },
  })
})

describe('for any bytes', () => {
  for (const name of names) {
    test(`${name}: the cuts between chunks do not matter`, () => {
      const bytes = fixture(name)
      const whole = read(bytes)
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
          const ends = [0, ...cuts.sort((a, b) => a - b), bytes.length]
          const chunks = ends.slice(1).map((end, i) => bytes.subarray(ends[i], end))
          expect(read(...chunks)).toEqual(whole)
        }),
      )
    })
  }

  test('whatever the order of events, calls begin before their arguments and nothing follows the end', () => {
    const index = fc.integer({ min: 0, max: 3 })
    const content = fc.constantFrom(
      { type: 'text', text: 'x' },
      { type: 'thinking', thinking: 'y', signature: 'z' },
      { type: 'redacted_thinking', data: 'd' },
      { type: 'tool_use', id: 't', name: 'f', input: {} },
      { type: 'tool_use', id: 'j', name: answerToolName, input: { a: 1 } },
      { type: 'server_tool_use', id: 's', name: 'w', input: {} },
      { type: 'constructor' },
    )
    const delta = fc.constantFrom(
      { type: 'text_delta', text: 'a' },
      { type: 'thinking_delta', thinking: 'b' },
      { type: 'signature_delta', signature: 'c' },
      { type: 'input_json_delta', partial_json: '{}' },
      { type: 'input_json_delta', partial_json: '' },
      { type: 'citations_delta', citation: {} },
    )
    const event = fc.oneof(
      { weight: 4, arbitrary: fc.record({ type: fc.constant('content_block_start'), index, content_block: content }) },
      { weight: 6, arbitrary: fc.record({ type: fc.constant('content_block_delta'), index, delta }) },
      { weight: 4, arbitrary: fc.record({ type: fc.constant('content_block_stop'), index }) },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          started,
          { type: 'ping' },
          { type: 'toString' },
          { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 3 } },
          { type: 'message_delta', delta: {}, usage: {} },
          { type: 'message_stop' },
          { type: 'error', error: { type: 'api_error', message: 'no' } },
        ),
      },
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        expectLegal(read(sse(events)))
      }),
      { numRuns: 500 },
    )
  })
})

/** The order that chat.ts promises to every writer. */
function expectLegal(events: ChatEvent[]): void {
  let begun = 0
  let finished = false
  for (const [at, event] of events.entries()) {
    if (event.kind === 'error' && at === 0) expect(events).toHaveLength(1)
    else expect(event.kind === 'start').toBe(at === 0)
    if (event.kind === 'tool_call_start') expect(event.call).toBe(begun++)
    if (event.kind === 'tool_call_arguments') expect(event.call).toBeLessThan(begun)
    if (finished) expect(['usage', 'end', 'error']).toContain(event.kind)
    if (event.kind === 'finish') finished = true
    if (event.kind === 'end') expect(finished).toBe(true)
    if (event.kind === 'end' || event.kind === 'error') expect(at).toBe(events.length - 1)
  }
}
