import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GoogleGenAI } from '@google/genai'
import fc from 'fast-check'
import { GoogleGenAI as GoogleGenAI2 } from 'genai2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import { createSseReader } from '../../../kernel/sse.ts'
import type { ChatEvent } from '../../chat.ts'
import type { Framing } from '../protocol.ts'
import { openSignature } from '../signatures.ts'
import { createStreamWriter } from './write-stream.ts'

// biome-ignore lint/suspicious/noExplicitAny: the wire, read as a client without our types would
type Wire = any

const context = (framing: Framing) => ({ id: 'req_1', model: 'alias', createdMs: 0, includeUsage: true, framing })

function write(events: ChatEvent[], framing: Framing = 'sse'): string {
  const writer = createStreamWriter(context(framing))
  return events.map((event) => writer.write(event)).join('')
}

function read(text: string, framing: Framing): Wire[] {
  if (framing === 'json-array') return JSON.parse(text)
  const reader = createSseReader()
  const events = reader.push(Buffer.from(text))
  // Nothing may be left without its blank line: clients of Google take that for a broken answer.
  expect(reader.close()).toEqual([])
  return events.map(({ data }) => JSON.parse(data))
}

const partsOf = (chunks: Wire[], index = 0): Wire[] =>
  chunks
    .flatMap(({ candidates }) => candidates ?? [])
    .filter((candidate) => candidate.index === index)
    .flatMap(({ content }) => content.parts)

const usage = { tokensIn: 30, tokensOut: 12, tokensCachedRead: 4, tokensCachedWrite: 0, tokensReasoning: 5 }
const start: ChatEvent = { kind: 'start', id: 'r1', model: 'm', usage: null }
const text = (said: string, index = 0): ChatEvent => ({ kind: 'text', index, text: said })
const begin = (call: number, name: string, id = `c${call}`): ChatEvent => ({
  kind: 'tool_call_start',
  index: 0,
  call,
  id,
  name,
})
const args = (call: number, piece: string): ChatEvent => ({ kind: 'tool_call_arguments', index: 0, call, text: piece })
const finish = (reason: Extract<ChatEvent, { kind: 'finish' }>['finish'], index = 0): ChatEvent => ({
  kind: 'finish',
  index,
  finish: reason,
  stopSequence: null,
})
const end: ChatEvent = { kind: 'end' }

describe.each(['sse', 'json-array'] as const)('%s', (framing) => {
  test('each chunk names the model that was asked for, and only the last says how it ended', () => {
    const chunks = read(
      write([start, text('Hel'), text('lo'), finish('stop'), { kind: 'usage', usage }, end], framing),
      framing,
    )
    expect(chunks).toHaveLength(3)
    for (const chunk of chunks) expect(chunk).toMatchObject({ modelVersion: 'alias', responseId: 'r1' })
    expect(chunks.map((chunk) => chunk.candidates[0].finishReason)).toEqual([undefined, undefined, 'STOP'])
    expect(partsOf(chunks).map((part) => part.text)).toEqual(['Hel', 'lo', ''])
    expect(chunks.at(-1)?.usageMetadata).toEqual({
      promptTokenCount: 30,
      candidatesTokenCount: 7,
      thoughtsTokenCount: 5,
      cachedContentTokenCount: 4,
      totalTokenCount: 42,
    })
  })

  test('4.5.18 a call is written whole, with its id, where its arguments came piece by piece', () => {
    const events = [
      start,
      begin(0, 'f'),
      begin(1, 'g'),
      args(0, '{"a"'),
      args(1, '{}'),
      args(0, ':"}"}'),
      begin(2, 'h'),
    ]
    const chunks = read(write([...events, finish('tool_calls'), end], framing), framing)
    const calls = partsOf(chunks).flatMap((part) => part.functionCall ?? [])
    expect(calls).toEqual([
      { id: 'c0', name: 'f', args: { a: '}' } },
      { id: 'c1', name: 'g', args: {} },
      { id: 'c2', name: 'h', args: {} },
    ])
    expect(chunks.at(-1)?.candidates[0].finishReason).toBe('STOP')
  })

  test('5.1.6 a failure is the last thing said, closes the stream and no end is made up', () => {
    for (const before of [[], [start, text('Hi')]]) {
      const writer = createStreamWriter(context(framing))
      const said = before.map((event) => writer.write(event)).join('')
      const chunks = read(said + writer.fail(fail('upstream_truncated', 'cut')), framing)
      expect(chunks.at(-1)).toEqual({
        error: expect.objectContaining({ code: 502, status: 'INTERNAL', message: 'cut' }),
      })
      expect(JSON.stringify(chunks)).not.toContain('finishReason')
      expect([writer.write(end), writer.fail(fail('internal')), writer.keepAlive()]).toEqual(['', '', ''])
    }
  })

  test('keep-alives stand anywhere between chunks', () => {
    const writer = createStreamWriter(context(framing))
    const pieces = [start, text('a'), text('b'), finish('stop'), end].map(
      (event) => writer.keepAlive() + writer.write(event),
    )
    expect(partsOf(read(pieces.join(''), framing)).map((part) => part.text)).toEqual(['a', 'b', ''])
  })
})

test('5.5.37 what another vendor signed is sealed, Gemini keeps its own, and unsigned calls say that they are', () => {
  const chunks = read(
    write([
      start,
      { kind: 'reasoning', index: 0, text: 'hm' },
      { kind: 'reasoning_signature', index: 0, signature: 'theirs', signedBy: 'anthropic-messages' },
      { kind: 'reasoning_signature', index: 0, signature: 'sealed', signedBy: 'anthropic-messages', redacted: true },
      { kind: 'reasoning_signature', index: 0, signature: 'own', signedBy: 'gemini', redacted: true },
      begin(0, 'f'),
      { ...begin(1, 'g'), extras: { gemini: { thoughtSignature: 'ours' } } } as ChatEvent,
      finish('tool_calls'),
      end,
    ]),
    'sse',
  )
  const [thought, proof, redacted, own, first, second] = partsOf(chunks)
  expect(thought).toEqual({ text: 'hm', thought: true })
  expect(openSignature(proof.thoughtSignature)).toEqual({ by: 'anthropic-messages', signature: 'theirs' })
  expect(openSignature(redacted.thoughtSignature)).toEqual({
    by: 'anthropic-messages',
    signature: 'sealed',
    redacted: true,
  })
  expect(own).toEqual({ text: '', thoughtSignature: 'own' })
  expect(first.thoughtSignature).toBe('skip_thought_signature_validator')
  expect(second.thoughtSignature).toBe('ours')
})

test('5.5.38 a filtered prompt has a reason and no candidate; several answers end together', () => {
  expect(read(write([start, finish('content_filter'), end]), 'sse')).toEqual([
    { promptFeedback: { blockReason: 'SAFETY' }, modelVersion: 'alias', responseId: 'r1' },
  ])
  const two = read(write([start, text('b', 1), finish('length', 1), text('a'), finish('stop'), end]), 'sse')
  expect(two.at(-1)?.candidates.map((one: Wire) => [one.index, one.finishReason])).toEqual([
    [0, 'STOP'],
    [1, 'MAX_TOKENS'],
  ])
})

type Step = { text: string } | { thought: string; isSigned: boolean } | { calls: string[][]; order: number[] }
const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify({ value }))
const pieces = json.chain((whole) =>
  fc.array(fc.nat(whole.length), { maxLength: 3 }).map((cuts) => {
    const at = [0, ...cuts.toSorted((a, b) => a - b), whole.length]
    return at.slice(1).map((to, i) => whole.slice(at[i], to))
  }),
)
const said = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
const step: fc.Arbitrary<Step> = fc.oneof(
  said.map((text) => ({ text })),
  fc.record({ thought: said, isSigned: fc.boolean() }),
  fc.record({ calls: fc.array(pieces, { minLength: 1, maxLength: 3 }), order: fc.array(fc.nat(2), { maxLength: 12 }) }),
)

/** Events in an order the step allows, and what a client must put together from them. */
function play(steps: Step[]) {
  const events: ChatEvent[] = [start]
  const meant = { text: '', thoughts: '', calls: [] as unknown[], proofs: 0 }
  let call = 0
  for (const one of steps) {
    if ('text' in one) {
      events.push(text(one.text))
      meant.text += one.text
    } else if ('thought' in one) {
      events.push({ kind: 'reasoning', index: 0, text: one.thought })
      meant.thoughts += one.thought
      if (!one.isSigned) continue
      events.push({ kind: 'reasoning_signature', index: 0, signature: 's', signedBy: 'anthropic-messages' })
      meant.proofs++
    } else {
      const left = one.calls.map((arguments_) => [...arguments_])
      one.calls.forEach((arguments_, i) => {
        events.push(begin(call + i, `f${call + i}`))
        meant.calls.push(JSON.parse(arguments_.join('')))
      })
      for (const at of [...one.order, ...left.flatMap((rest, i) => rest.map(() => i))]) {
        const piece = left[at]?.shift()
        if (piece !== undefined) events.push(args(call + at, piece))
      }
      call += one.calls.length
    }
  }
  events.push(finish(meant.calls.length > 0 ? 'tool_calls' : 'stop'), { kind: 'usage', usage }, end)
  return { events, meant }
}

function understand(parts: Wire[]) {
  const meant = { text: '', thoughts: '', calls: [] as unknown[], proofs: 0 }
  for (const part of parts) {
    if (part.functionCall) meant.calls.push(part.functionCall.args)
    else if (part.thought) {
      meant.thoughts += part.text
      if (part.thoughtSignature) meant.proofs++
    } else meant.text += part.text
  }
  return meant
}

test('4.5.18 whatever the order of events, a client puts together what was meant, in both framings', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.constantFrom<Framing>('sse', 'json-array'), (steps, framing) => {
      const { events, meant } = play(steps)
      expect(understand(partsOf(read(write(events, framing), framing)))).toEqual(meant)
    }),
    { numRuns: 300 },
  )
})

describe('4.5.19 through the clients of Google', () => {
  let body = Buffer.alloc(0)
  let cuts: number[] = []
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let at = 0
    for (const to of [...cuts, body.length]) {
      response.write(body.subarray(at, to))
      at = to
    }
    response.end()
  })
  let baseUrl: string
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => void server.close())

  test.each([
    ['3', GoogleGenAI],
    ['2', GoogleGenAI2 as unknown as typeof GoogleGenAI],
  ])('major %s reads every stream, cut anywhere', async (_, Client) => {
    const client = new Client({ apiKey: 'k', httpOptions: { baseUrl } })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (steps, places) => {
          const { events, meant } = play(steps)
          body = Buffer.from(write(events))
          cuts = places.map((place) => place % body.length).toSorted((a, b) => a - b)
          const parts: Wire[] = []
          for await (const chunk of await client.models.generateContentStream({ model: 'm', contents: 'x' })) {
            parts.push(
              ...partsOf([chunk].map((one) => ({ candidates: one.candidates?.map((c) => ({ index: 0, ...c })) }))),
            )
          }
          expect(understand(parts)).toEqual(meant)
        },
      ),
      { numRuns: 25 },
    )
  })
})
