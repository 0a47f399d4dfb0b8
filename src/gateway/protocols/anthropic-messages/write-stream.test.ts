import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Anthropic from '@anthropic-ai/sdk'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import type { ChatEvent, ChatUsage } from '../../chat.ts'
import { openSignature } from '../signatures.ts'
import { createStreamWriter } from './write-stream.ts'

const reply = { id: 'req_1', model: 'asked', createdMs: 0, includeUsage: true, framing: 'sse' as const }
const usage: ChatUsage = { tokensIn: 30, tokensOut: 9, tokensCachedRead: 20, tokensCachedWrite: 4, tokensReasoning: 3 }

const startEvent: ChatEvent = { kind: 'start', id: 'msg_1', model: 'real', usage: null }
const text = (words: string): ChatEvent => ({ kind: 'text', index: 0, text: words })
const thought = (words: string): ChatEvent => ({ kind: 'reasoning', index: 0, text: words })
const begin = (call: number, name = `f${call}`): ChatEvent => ({
  kind: 'tool_call_start',
  index: 0,
  call,
  id: `call_${call}`,
  name,
})
const args = (call: number, piece: string): ChatEvent => ({ kind: 'tool_call_arguments', index: 0, call, text: piece })
const finish = (how: 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'refusal' = 'stop'): ChatEvent => ({
  kind: 'finish',
  index: 0,
  finish: how,
  stopSequence: null,
})
const end: ChatEvent = { kind: 'end' }

function write(events: ChatEvent[], more: object = {}): string {
  const writer = createStreamWriter({ ...reply, ...more })
  return events.map((event) => writer.write(event)).join('')
}

// biome-ignore lint/suspicious/noExplicitAny: read as a program without our types would
type Wire = any

function eventsOf(wire: string): Wire[] {
  return wire
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const [head, data] = block.split('\ndata: ')
      const parsed = JSON.parse(data!)
      expect(head).toBe(`event: ${parsed.type}`)
      return parsed
    })
}

/** Throws for an order that https://platform.claude.com/docs/en/build-with-claude/streaming does not allow. */
function checkOrder(events: Wire[]): void {
  let open = -1
  let next = 0
  events.forEach((event, i) => {
    if (event.type === 'ping') return
    if ((event.type === 'message_start') !== (i === 0)) throw new Error(`message_start at ${i}`)
    if (event.type === 'content_block_start') {
      if (open !== -1 || event.index !== next) throw new Error(`block ${event.index} begins inside ${open}`)
      open = next++
    } else if (event.type === 'content_block_delta' && event.index !== open) throw new Error(`stray delta at ${i}`)
    else if (event.type === 'content_block_stop') {
      if (event.index !== open) throw new Error(`stray stop at ${i}`)
      open = -1
    } else if (event.type === 'message_delta' && (open !== -1 || i !== events.length - 2))
      throw new Error('early delta')
  })
  expect(events.at(-1).type).toBe('message_stop')
}

describe('a stream as Anthropic would send it', () => {
  test('5.4.28 events come in their order and end with message_stop', () => {
    const events = eventsOf(write([startEvent, text('Hel'), text('lo'), finish(), { kind: 'usage', usage }, end]))
    checkOrder(events)
    expect(events.map(({ type }) => type)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(events[0].message).toMatchObject({ id: 'msg_1', model: 'asked', role: 'assistant', content: [] })
    expect(events.at(-2)).toMatchObject({
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: {
        input_tokens: 6,
        cache_creation_input_tokens: 4,
        cache_read_input_tokens: 20,
        output_tokens: 9,
        output_tokens_details: { thinking_tokens: 3 },
      },
    })
  })

  test('a second start changes nothing, and without any the message begins all the same', () => {
    for (const events of [
      [startEvent, startEvent, text('a'), finish(), end],
      [text('a'), finish(), end],
      [finish(), end],
      [end],
    ]) {
      checkOrder(eventsOf(write(events)))
    }
  })

  test('4.5.22 message_start usage is never 0/0', () => {
    const zero = { ...usage, tokensIn: 0, tokensOut: 0, tokensCachedRead: 0, tokensCachedWrite: 0 }
    for (const [told, more] of [
      [null, {}],
      [zero, {}],
      [null, { estimateTokensIn: () => 0 }],
    ] as const) {
      const [first] = eventsOf(write([{ ...startEvent, usage: told } as ChatEvent, text('a')], more))
      expect(first.message.usage.input_tokens).toBeGreaterThan(0)
      expect(first.message.usage.output_tokens).toBeGreaterThan(0)
    }
  })

  test('5.4.29 the estimate seeds message_start, what the provider counted overwrites it at the end', () => {
    const events = eventsOf(
      write([startEvent, text('a'), finish(), { kind: 'usage', usage }, end], { estimateTokensIn: () => 77 }),
    )
    expect(events[0].message.usage.input_tokens).toBe(77)
    expect(events.at(-2).usage).toMatchObject({ input_tokens: 6, output_tokens: 9 })
    const told = eventsOf(write([{ ...startEvent, usage } as ChatEvent], { estimateTokensIn: () => 77 }))
    expect(told[0].message.usage).toMatchObject({ input_tokens: 6, cache_read_input_tokens: 20 })
  })

  test('without any counts of the provider the end tells an estimate', () => {
    const events = eventsOf(write([startEvent, text('a'), text('b'), finish(), end], { estimateTokensIn: () => 7 }))
    expect(events.at(-2).usage).toMatchObject({ input_tokens: 7, output_tokens: 2 })
  })

  test('5.4.30 calls streamed side by side become blocks one after another', () => {
    const events = eventsOf(
      write([
        startEvent,
        begin(0),
        args(0, '{"a"'),
        begin(1),
        args(1, '{"b":'),
        args(0, ':1}'),
        args(1, '2}'),
        finish('tool_calls'),
        end,
      ]),
    )
    checkOrder(events)
    const inputs = [0, 1].map((index) =>
      events.filter((event) => event.index === index && event.delta).map((event) => event.delta.partial_json),
    )
    expect(inputs.map((pieces) => pieces.join(''))).toEqual(['{"a":1}', '{"b":2}'])
  })

  test('a call that follows a complete one is streamed as it comes', () => {
    const writer = createStreamWriter(reply)
    writer.write(startEvent)
    writer.write(begin(0))
    writer.write(args(0, '{"a":"}{"}'))
    expect(writer.write(begin(1))).toContain('"name":"f1"')
    expect(writer.write(args(1, '{"b"'))).toContain('input_json_delta')
  })

  test('a call without arguments says {}', () => {
    const events = eventsOf(write([startEvent, begin(0), begin(1), args(1, '{}'), finish('tool_calls'), end]))
    checkOrder(events)
    const deltas = events.filter(({ type }) => type === 'content_block_delta')
    expect(deltas.map(({ index, delta }) => [index, delta.partial_json])).toEqual([
      [0, '{}'],
      [1, '{}'],
    ])
  })

  test('arguments that come before their call wait for it', () => {
    const events = eventsOf(write([startEvent, args(0, '{"a":1}'), begin(0), finish('tool_calls'), end]))
    checkOrder(events)
    expect(events.find(({ delta }) => delta?.partial_json)?.delta.partial_json).toBe('{"a":1}')
  })

  test.each([
    ['stop', 'end_turn'],
    ['length', 'max_tokens'],
    ['tool_calls', 'end_turn'],
    ['content_filter', 'refusal'],
    ['refusal', 'refusal'],
  ] as const)('5.4.31 %s is told as %s', (how, reason) => {
    expect(eventsOf(write([startEvent, text('a'), finish(how), end])).at(-2).delta.stop_reason).toBe(reason)
  })

  test('5.4.31 the stop sequence is named, calls are told whatever the provider said, a refusal explains itself', () => {
    const stopped = { ...finish(), stopSequence: 'END' } as ChatEvent
    expect(eventsOf(write([startEvent, text('a'), stopped, end])).at(-2).delta).toEqual({
      stop_reason: 'stop_sequence',
      stop_sequence: 'END',
    })
    expect(eventsOf(write([startEvent, begin(0), finish('stop'), end])).at(-2).delta.stop_reason).toBe('tool_use')
    const refused = eventsOf(write([startEvent, { kind: 'refusal', index: 0, text: 'No.' }, finish(), end]))
    expect(refused.at(-2).delta).toMatchObject({ stop_reason: 'refusal', stop_details: { explanation: 'No.' } })
  })

  test('5.1.6 a failure in the middle is an error event without message_stop', () => {
    const writer = createStreamWriter(reply)
    const wire = writer.write(startEvent) + writer.write(text('Half')) + writer.fail(fail('upstream_truncated'))
    const events = eventsOf(wire)
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { type: 'api_error' }, request_id: 'req_1' })
    expect(wire).not.toContain('message_stop')
    expect(writer.write(end)).toBe('')
    expect(writer.keepAlive()).toBe('')
  })

  test('5.1.4 what keeps a connection open is a ping', () => {
    expect(createStreamWriter(reply).keepAlive()).toBe('event: ping\ndata: {"type": "ping"}\n\n')
  })

  test("another vendor's signatures travel sealed, Anthropic's as they are", () => {
    const events = eventsOf(
      write([
        startEvent,
        thought('Hm.'),
        { kind: 'reasoning_signature', index: 0, signature: 'own', signedBy: 'anthropic-messages' },
        thought('Hm?'),
        { kind: 'reasoning_signature', index: 0, signature: 'theirs', signedBy: 'gemini' },
        { ...begin(0), extras: { gemini: { thoughtSignature: 'of the call' } } } as ChatEvent,
        finish('tool_calls'),
        end,
      ]),
    )
    checkOrder(events)
    const signatures = events.flatMap(({ delta }) => (delta?.signature === undefined ? [] : [delta.signature]))
    expect(signatures[0]).toBe('own')
    expect(openSignature(signatures[1])).toEqual({ by: 'gemini', signature: 'theirs' })
    const sealed = events.find(({ content_block }) => content_block?.type === 'redacted_thinking')
    expect(openSignature(sealed.content_block.data)).toEqual({
      by: 'gemini',
      signature: 'of the call',
      callId: 'call_0',
    })
  })
})

describe('what the official client makes of it', () => {
  let server: Server
  let client: Anthropic
  let body: Buffer
  let cuts: number[]

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const places = [0, ...cuts, body.length]
      for (let i = 1; i < places.length; i++) response.write(body.subarray(places[i - 1], places[i]))
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    client = new Anthropic({ apiKey: 'x', baseURL, maxRetries: 0 })
  })
  afterAll(() => {
    server.close()
  })

  const ask = () =>
    client.messages
      .stream({ model: 'asked', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] })
      .finalMessage()

  const words = fc.string({ unit: fc.constantFrom('a', ' ', '"', '\\', '\n', '\r', '}', '{', 'é', '模', '👋') })
  const said = words.filter((some) => some !== '')
  const part = fc.oneof(
    fc.record({ kind: fc.constant('text' as const), text: said }),
    fc.record({ kind: fc.constant('reasoning' as const), text: said, signature: fc.option(said) }),
    fc.record({ kind: fc.constant('redacted' as const), signature: said }),
    fc.record({
      kind: fc.constant('call' as const),
      input: fc.oneof(fc.constant(null), fc.dictionary(words, fc.oneof(words, fc.integer(), fc.array(words)))),
    }),
  )

  /** Random answers with their calls streamed one after another or all at once, pieces cut at random. */
  const answer = fc.record({
    parts: fc.array(part, { maxLength: 6 }),
    pieces: fc.integer({ min: 1, max: 5 }),
    seed: fc.array(fc.nat(99), { minLength: 40, maxLength: 40 }),
    isInterleaved: fc.boolean(),
  })

  type Answer = typeof answer extends fc.Arbitrary<infer T> ? T : never

  function toEvents({ parts, pieces, seed, isInterleaved }: Answer): ChatEvent[] {
    const streams: ChatEvent[][] = []
    let call = 0
    for (const one of parts) {
      const events: ChatEvent[] = []
      if (one.kind === 'text') events.push(...cut(one.text, pieces).map(text))
      else if (one.kind === 'reasoning') {
        events.push(...cut(one.text, pieces).map(thought))
        if (one.signature !== null) {
          events.push({ kind: 'reasoning_signature', index: 0, signature: one.signature })
        }
      } else if (one.kind === 'redacted') {
        events.push({ kind: 'reasoning_signature', index: 0, signature: one.signature, redacted: true })
      } else {
        events.push(begin(call))
        if (one.input !== null) {
          for (const piece of cut(JSON.stringify(one.input), pieces)) events.push(args(call, piece))
        }
        call++
      }
      streams.push(events)
    }
    return [
      startEvent,
      ...(isInterleaved ? weave(streams, seed) : streams.flat()),
      finish(call > 0 ? 'tool_calls' : 'stop'),
      end,
    ]
  }

  /** Blocks begin in their order; what is left of a call's arguments may come at any later time. */
  function weave(streams: ChatEvent[][], seed: number[]): ChatEvent[] {
    const out: ChatEvent[] = []
    let late: ChatEvent[][] = []
    streams.forEach((events, i) => {
      if (events[0]?.kind !== 'tool_call_start') out.push(...events)
      else {
        out.push(events[0])
        late.push(events.slice(1))
      }
      for (let n = seed[i]! % 4; n > 0 && late.length > 0; n--) {
        const from = late[seed[i + n]! % late.length]!
        if (from.length > 0) out.push(from.shift()!)
      }
    })
    for (let i = 0; late.length > 0; i++) {
      late = late.filter((events) => events.length > 0)
      if (late.length > 0) out.push(late[seed[i % seed.length]! % late.length]!.shift()!)
    }
    return out
  }

  function cut(whole: string, pieces: number): string[] {
    const points = [...whole]
    const size = Math.max(1, Math.ceil(points.length / pieces))
    return Array.from({ length: Math.ceil(points.length / size) }, (_, i) =>
      points.slice(i * size, (i + 1) * size).join(''),
    )
  }

  /** What the answer means, whichever way it was cut: neighbours that say the same kind of thing are one. */
  function meaning(parts: Answer['parts']): unknown[] {
    const out: Wire[] = []
    let call = 0
    let isOpen = false
    for (const one of parts) {
      const last = out.at(-1)
      if (one.kind === 'call')
        out.push({ type: 'tool_use', id: `call_${call}`, name: `f${call++}`, input: one.input ?? {} })
      else if (one.kind === 'redacted') out.push({ type: 'redacted_thinking', data: one.signature })
      else if (one.kind === 'text') {
        if (last?.type === 'text') last.text += one.text
        else out.push({ type: 'text', text: one.text, citations: null })
      } else {
        if (last?.type === 'thinking' && isOpen) Object.assign(last, { thinking: last.thinking + one.text })
        else out.push({ type: 'thinking', thinking: one.text, signature: '' })
        if (one.signature !== null) out.at(-1).signature = one.signature
      }
      isOpen = one.kind === 'reasoning' && one.signature === null
    }
    return out
  }

  const plain = (content: unknown): unknown => JSON.parse(JSON.stringify(content))

  test('5.4.30 whatever the order of events, blocks are in order and say what was meant', () => {
    fc.assert(
      fc.property(answer, (one) => {
        const events = eventsOf(write(toEvents(one)))
        checkOrder(events)
        const content: Wire[] = []
        const json: string[] = []
        for (const { type, index, content_block, delta } of events) {
          if (type === 'content_block_start') content[index] = content_block
          if (type !== 'content_block_delta') continue
          if (delta.type === 'text_delta') content[index].text += delta.text
          else if (delta.type === 'thinking_delta') content[index].thinking += delta.thinking
          else if (delta.type === 'signature_delta') content[index].signature = delta.signature
          else json[index] = (json[index] ?? '') + delta.partial_json
        }
        json.forEach((input, i) => {
          content[i].input = JSON.parse(input)
        })
        expect(content).toEqual(plain(meaning(one.parts)))
      }),
      { numRuns: 300 },
    )
  })

  test('5.4.28 the client gathers what was meant, wherever the bytes are cut and however lines end', async () => {
    await fc.assert(
      fc.asyncProperty(
        answer,
        fc.array(fc.nat(4000), { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        async (one, places, newline) => {
          body = Buffer.from(write(toEvents(one)).replaceAll('\n', newline))
          cuts = places.filter((place) => place < body.length).toSorted((a, b) => a - b)
          const message = await ask()
          expect(plain(message.content)).toEqual(plain(meaning(one.parts)))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('5.1.1 a cut at any byte changes nothing', async () => {
    const parts: Answer['parts'] = [
      { kind: 'reasoning', text: 'Hm 模.', signature: 'sig' },
      { kind: 'text', text: 'Grüße 👋' },
      { kind: 'call', input: { city: 'Zürich' } },
    ]
    body = Buffer.from(write(toEvents({ parts, pieces: 2, seed: [], isInterleaved: false })))
    for (let place = 0; place < body.length; place += 29) {
      cuts = [place]
      expect(plain((await ask()).content)).toEqual(meaning(parts))
    }
  })
})
