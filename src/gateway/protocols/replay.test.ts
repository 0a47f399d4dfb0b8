import { globSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSseReader } from '../../kernel/sse.ts'
import type { ChatEvent, ChatUsage } from '../chat.ts'
import { anthropicMessages } from './anthropic-messages/index.ts'
import { gemini } from './gemini/index.ts'
import { outbound } from './index.ts'
import { openaiChat } from './openai-chat/index.ts'
import { openaiResponses } from './openai-responses/index.ts'
import type { Framing, InboundProtocol, OutboundProtocol } from './protocol.ts'

/** What one answer of a stream means, however it was cut into events. */
type Answer = {
  text: string
  reasoning: string
  /** Arguments as canonical JSON. */
  calls: { id: string; name: string; args: string }[]
  finish: string
}
type Meaning = { answers: { [index: number]: Answer }; usage: Partial<ChatUsage> | null; ending: string }

/** A way to stream to callers, and what it cannot say: such things are left out of the comparison and of nothing else. */
type Form = {
  protocol: InboundProtocol & OutboundProtocol
  framing: Framing
  /** Gives the answer with index 0 only. */
  isSingle?: true
  /** Gives an estimate where the provider counted nothing. */
  estimates?: true
  /** Has no word for what was written to a cache. */
  hidesCacheWrites?: true
  /** Has one word for an answer that a filter held back and for one the model refused. */
  filterRefuses?: true
}

const forms: [string, Form][] = [
  ['openai-chat', { protocol: openaiChat, framing: 'sse' }],
  ['openai-responses', { protocol: openaiResponses, framing: 'sse', isSingle: true }],
  [
    'anthropic-messages',
    { protocol: anthropicMessages, framing: 'sse', isSingle: true, estimates: true, filterRefuses: true },
  ],
  ['gemini as events', { protocol: gemini, framing: 'sse', hidesCacheWrites: true }],
  ['gemini as an array', { protocol: gemini, framing: 'json-array', hidesCacheWrites: true }],
]

const recordings = globSync('*/__fixtures__/*.sse', { cwd: import.meta.dirname }).map((file) => {
  const protocol = outbound.find(({ name }) => name === dirname(dirname(file)))!
  const events = readAll(protocol, [readFileSync(`${import.meta.dirname}/${file}`)])
  return { name: `${protocol.name} ${basename(file)}`, events }
})

describe.each(forms)('4.5.23 recorded streams are replayed without loss to callers of %s', (_, form) => {
  test.each(recordings)('$name', ({ events }) => {
    const bytes = writeAll(form, events)
    expectSame(form, events, [bytes])
    expectSame(form, events, singly(bytes))
  })
})

test('each protocol of a provider has recordings that say something, and one failure and one tool call at least', () => {
  const kinds = new Set(recordings.flatMap(({ events }) => events.map(({ kind }) => kind)))
  for (const kind of ['text', 'reasoning', 'tool_call_start', 'usage', 'error', 'end']) expect(kinds).toContain(kind)
  expect(new Set(recordings.map(({ name }) => name.split(' ')[0]))).toEqual(new Set(outbound.map(({ name }) => name)))
})

const words = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })
const tokens = fc.nat(100_000)

/** Cuts a text into pieces between its characters. */
const piecesOf = (text: string) => {
  const characters = Array.from(text)
  return fc.array(fc.nat(characters.length), { maxLength: 5 }).map((places) => {
    const cuts = [0, ...places.toSorted((a, b) => a - b), characters.length]
    return cuts
      .slice(1)
      .map((end, at) => characters.slice(cuts[at], end).join(''))
      .filter((piece) => piece !== '')
  })
}

const argumentTexts = fc.oneof(
  fc.constant(''),
  fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value)),
  fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value, null, 1)),
)

const callEvents = (call: number) =>
  fc
    .record({
      id: fc.constantFrom('call_', 'toolu_', 'functions.f:', 'id with space '),
      name: fc.constantFrom('f', 'get_weather', 'mcp__files__read'),
      pieces: argumentTexts.chain(piecesOf),
    })
    .map(({ id, name, pieces }): ChatEvent[] => [
      { kind: 'tool_call_start', index: 0, call, id: `${id}${call}`, name },
      ...pieces.map((text): ChatEvent => ({ kind: 'tool_call_arguments', index: 0, call, text })),
    ])

const spoken = (kind: 'text' | 'reasoning') =>
  fc.array(words, { maxLength: 5 }).map((texts) => texts.map((text): ChatEvent => ({ kind, index: 0, text })))

/** Text, reasoning and up to four calls, each in its own order and all of them side by side. */
const contents = fc
  .nat(4)
  .chain((count) =>
    fc.tuple(spoken('text'), spoken('reasoning'), fc.tuple(...Array.from({ length: count }, (_, n) => callEvents(n)))),
  )
  .chain(([text, reasoning, calls]) => {
    const threads = [text, reasoning, ...calls]
    const turns = threads.flatMap((thread, n) => thread.map(() => n))
    return fc.shuffledSubarray(turns, { minLength: turns.length, maxLength: turns.length }).map((order) => {
      const next = threads.map((thread) => thread[Symbol.iterator]())
      return { calls, events: order.map((n) => next[n]!.next().value as ChatEvent) }
    })
  })

const usages = fc.record({ fresh: tokens, read: tokens, written: tokens, said: tokens, thought: tokens })

const streams = fc
  .record({ content: contents, isCut: fc.boolean(), usage: usages })
  .map(({ content: { events, calls }, isCut, usage }): ChatEvent[] => {
    // The order in which calls begin is their number: `call` counts from 0.
    const numbers = new Map<number, number>()
    const numbered = events.map((event) => {
      if (!('call' in event)) return event
      if (!numbers.has(event.call)) numbers.set(event.call, numbers.size)
      return { ...event, call: numbers.get(event.call)! }
    })
    const finish = isCut ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop'
    const { fresh, read, written, said, thought } = usage
    return [
      { kind: 'start', id: 'a1', model: 'm', usage: null },
      ...numbered,
      { kind: 'finish', index: 0, finish, stopSequence: null },
      {
        kind: 'usage',
        usage: {
          tokensIn: fresh + read + written,
          tokensOut: said + thought,
          tokensCachedRead: read,
          tokensCachedWrite: written,
          tokensReasoning: thought,
        },
      },
      { kind: 'end' },
    ]
  })

test.each(forms)(
  '4.5.18, 5.1.1 whatever a model says and however it is cut, callers of %s read the same',
  (_, form) => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 20 }), (events, places) => {
        const bytes = writeAll(form, events)
        const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
        const chunks = cuts.slice(1).map((end, at) => bytes.subarray(cuts[at], end))
        expectSame(form, events, chunks)
        expectSame(form, events, singly(bytes))
      }),
      { numRuns: 60 },
    )
  },
)

test('4.5.18, 5.3.24 the response that ends a Responses stream says what was streamed', () => {
  const [, form] = forms.find(([name]) => name === 'openai-responses')!
  fc.assert(
    fc.property(streams, (events) => {
      const last = createSseReader().push(writeAll(form, events)).at(-1)!
      const { choices, usage } = openaiResponses.readResult(JSON.parse(last.data).response)
      let call = 0
      const told = choices[0]!.parts.flatMap((part): ChatEvent[] => {
        if (part.kind === 'text' || part.kind === 'reasoning') return [{ kind: part.kind, index: 0, text: part.text }]
        if (part.kind !== 'tool_call') return []
        const start: ChatEvent = { kind: 'tool_call_start', index: 0, call, id: part.id, name: part.name }
        return [start, { kind: 'tool_call_arguments', index: 0, call: call++, text: part.arguments }]
      })
      const { finish } = choices[0]!
      told.push(
        { kind: 'finish', index: 0, finish, stopSequence: null },
        { kind: 'usage', usage: usage! },
        { kind: 'end' },
      )
      expect(meaningOf(told)).toEqual(meaningOf(events))
    }),
  )
})

/** What a caller is sent; an array that is whole, as the events it is made of. */
function writeAll({ protocol, framing }: Form, events: ChatEvent[]): Buffer {
  const writer = protocol.createStreamWriter({
    id: 'req_1',
    model: 'asked',
    createdMs: 0,
    includeUsage: true,
    framing,
    estimateTokensIn: () => 5,
  })
  const shown = events.map((event) => writer.write(event)).join('')
  if (framing === 'sse') return Buffer.from(shown)
  const pieces: unknown[] = JSON.parse(shown)
  return Buffer.from(pieces.map((piece) => `data: ${JSON.stringify(piece)}\n\n`).join(''))
}

/** A chunk for each byte: every place where a stream can be cut, at once. */
function singly(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_byte, at) => bytes.subarray(at, at + 1))
}

function readAll(protocol: OutboundProtocol, chunks: Buffer[]): ChatEvent[] {
  const reader = protocol.createStreamReader()
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.close()]
}

function expectSame(form: Form, source: ChatEvent[], chunks: Buffer[]): void {
  const wanted = sayable(form, meaningOf(source))
  const read = sayable(form, meaningOf(readAll(form.protocol, chunks)))
  if (form.estimates && wanted.usage === null) read.usage = null
  expect(read).toEqual(wanted)
}

/** As much of a meaning as the form has words for. What a failed answer cost is not told in most of them. */
function sayable(form: Form, { answers, usage, ending }: Meaning): Meaning {
  const counted: Meaning['usage'] = usage === null || ending !== 'end' ? null : { ...usage }
  if (counted !== null && form.hidesCacheWrites) delete counted.tokensCachedWrite
  const shown = form.isSingle && answers[0] !== undefined ? { 0: answers[0] } : answers
  for (const answer of Object.values(shown)) {
    if (form.filterRefuses && answer.finish === 'content_filter') answer.finish = 'refusal'
  }
  return { answers: shown, usage: counted, ending }
}

function meaningOf(events: ChatEvent[]): Meaning {
  const answers: Meaning['answers'] = {}
  let usage: ChatUsage | null = null
  let ending = 'cut'
  const answerAt = (index: number) => (answers[index] ??= { text: '', reasoning: '', calls: [], finish: '' })
  for (const event of events) {
    switch (event.kind) {
      case 'start':
        usage = event.usage
        break
      case 'text':
      case 'reasoning':
        answerAt(event.index)[event.kind] += event.text
        break
      case 'tool_call_start':
        answerAt(event.index).calls[event.call] = { id: event.id, name: event.name, args: '' }
        break
      case 'tool_call_arguments':
        answerAt(event.index).calls[event.call]!.args += event.text
        break
      case 'finish':
        answerAt(event.index).finish = event.finish
        break
      case 'usage':
        usage = event.usage
        break
      case 'error':
        ending = event.error.code
        break
      case 'end':
        ending = 'end'
    }
  }
  for (const call of Object.values(answers).flatMap(({ calls }) => calls)) {
    call.args = JSON.stringify(JSON.parse(call.args === '' ? '{}' : call.args))
  }
  return { answers, usage, ending }
}
