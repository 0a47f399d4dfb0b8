import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '../../chat.ts'
import { createStreamReader } from './read-stream.ts'

const fixture = (name: string) => readFileSync(new URL(`./__fixtures__/${name}.sse`, import.meta.url))
const names = ['text', 'tools', 'blocked']

function read(...chunks: Uint8Array[]): ChatEvent[] {
  const reader = createStreamReader()
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.close()]
}

const sse = (...chunks: object[]) => Buffer.from(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join(''))
const said = (text: string, rest: object = {}) => ({ candidates: [{ content: { parts: [{ text }] }, ...rest }] })
const kinds = (events: ChatEvent[]) => events.map((event) => event.kind)

// The ancestor mapped text and the finish only.
test('usage and thoughts were lost in streams: they arrive, and the last usage is the whole', () => {
  const events = read(fixture('text'))
  expect(kinds(events)).toEqual(['start', 'reasoning', 'usage', 'text', 'usage', 'text', 'usage', 'finish', 'end'])
  expect(events[0]).toMatchObject({
    id: 'xR-1aMbT_A',
    model: 'gemini-2.5-flash',
    usage: { tokensIn: 12, tokensOut: 28 },
  })
  expect(events.filter((event) => event.kind === 'text').map((event) => event.text)).toEqual(['Grüße, ', '世界 🌍'])
  expect(events.findLast((event) => event.kind === 'usage')?.usage).toEqual({
    tokensIn: 16,
    tokensOut: 35,
    tokensCachedRead: 5,
    tokensCachedWrite: 0,
    tokensReasoning: 28,
  })
})

test('calls over several chunks are numbered through, keep their signature, and make STOP a tool_calls', () => {
  const extras = { gemini: { thoughtSignature: 'CiQB0e2Kb7+/Zg==' } }
  expect(read(fixture('tools')).filter((event) => event.kind !== 'usage' && event.kind !== 'start')).toEqual([
    { kind: 'tool_call_start', index: 0, call: 0, id: 'call_gemini_tools_1_0', name: 'get_weather', extras },
    { kind: 'tool_call_arguments', index: 0, call: 0, text: '{"city":"Zürich"}' },
    { kind: 'tool_call_start', index: 0, call: 1, id: 'call_gemini_tools_1_1', name: 'get_weather' },
    { kind: 'tool_call_arguments', index: 0, call: 1, text: '{"city":"Basel"}' },
    { kind: 'tool_call_start', index: 0, call: 2, id: 'fc-9', name: 'now' },
    { kind: 'tool_call_arguments', index: 0, call: 2, text: '{}' },
    { kind: 'finish', index: 0, finish: 'tool_calls', stopSequence: null },
    { kind: 'end' },
  ])
})

test('a signed thought says whose proof it carries', () => {
  const signed = { candidates: [{ content: { parts: [{ text: 'hm', thought: true, thoughtSignature: 'Ci+/' }] } }] }
  expect(read(sse(signed, said('x', { finishReason: 'STOP' })))).toContainEqual({
    kind: 'reasoning_signature',
    index: 0,
    signature: 'Ci+/',
    signedBy: 'gemini',
    extras: { gemini: { thoughtSignature: 'Ci+/' } },
  })
})

test('a blocked prompt ends as filtered', () => {
  expect(read(fixture('blocked')).slice(-2)).toEqual([
    { kind: 'finish', index: 0, finish: 'content_filter', stopSequence: null },
    { kind: 'end' },
  ])
})

test('a truncated stream never ends in a stop', () => {
  const bytes = fixture('text')
  const last = bytes.lastIndexOf('data:')
  for (let length = 0; length <= last; length += 5) {
    expect(kinds(read(bytes.subarray(0, length)))).not.toContain('finish')
  }
  const half = sse({
    candidates: [
      { index: 0, finishReason: 'STOP' },
      { index: 1, content: { parts: [{ text: 'x' }] } },
    ],
  })
  expect(kinds(read(half))).toEqual(['start', 'text'])
})

test('several candidates finish each by its own reason', () => {
  const chunk = {
    candidates: [
      { index: 1, finishReason: 'MAX_TOKENS' },
      { index: 0, finishReason: 'STOP' },
    ],
  }
  expect(read(sse(chunk)).slice(1)).toEqual([
    { kind: 'finish', index: 0, finish: 'stop', stopSequence: null },
    { kind: 'finish', index: 1, finish: 'length', stopSequence: null },
    { kind: 'end' },
  ])
})

test('a failure inside the stream is the last thing heard, alone or in an array', () => {
  const error = { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }
  for (const failure of [error, [error]]) {
    const events = read(sse(said('half'), failure, said('more', { finishReason: 'STOP' })))
    expect(kinds(events)).toEqual(['start', 'text', 'error'])
    expect(events.at(-1)).toMatchObject({ error: { code: 'overloaded', status: 503, vendorType: 'UNAVAILABLE' } })
  }
})

test('a call the model broke and events that are no JSON are failures, not silence', () => {
  expect(kinds(read(sse(said('x', { finishReason: 'MALFORMED_FUNCTION_CALL' }))))).toEqual(['start', 'text', 'error'])
  expect(kinds(read(sse(said('x')), Buffer.from('data: <html>\n\n')))).toEqual(['start', 'text', 'error'])
})

describe('for any bytes', () => {
  for (const name of names) {
    test(`${name}: the cuts between chunks do not matter`, () => {
      const bytes = fixture(name)
      const whole = read(bytes)
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
          const ends = [0, ...cuts.sort((a, b) => a - b), bytes.length]
          expect(read(...ends.slice(1).map((end, i) => bytes.subarray(ends[i], end)))).toEqual(whole)
        }),
      )
    })
  }
})

test('4.5.21 the signature of a text, of an empty one too, is a sealed thought behind it', () => {
  const signed = {
    candidates: [{ content: { parts: [{ text: '', thoughtSignature: 'Ci+/' }] }, finishReason: 'STOP' }],
  }
  const events = read(sse(said('Hi'), signed))
  expect(kinds(events)).toEqual(['start', 'text', 'reasoning_signature', 'finish', 'end'])
  expect(events[2]).toEqual({
    kind: 'reasoning_signature',
    index: 0,
    signature: 'Ci+/',
    signedBy: 'gemini',
    redacted: true,
  })
})
