import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import OpenAI from 'openai'
import type { Response } from 'openai/resources/responses/responses'
import OpenAI6 from 'openai6'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import { createSseReader } from '../../../kernel/sse.ts'
import type { ChatEvent } from '../../chat.ts'
import type { JsonObject, ReplyContext } from '../protocol.ts'
import { openSignature } from '../signatures.ts'
import { createStreamReader } from './read-stream.ts'
import { createEditor } from './relay-edit.ts'
import { repeatOf } from './write-response.ts'
import { createResponseWriter } from './write-stream.ts'

const reply: ReplyContext = {
  id: 'req_01test',
  model: 'asked-model',
  createdMs: 1_700_000_000_000,
  includeUsage: true,
  framing: 'sse',
}
const usage = { tokensIn: 21, tokensOut: 9, tokensCachedRead: 3, tokensCachedWrite: 0, tokensReasoning: 0 }

/** What the next caller of the local server is sent, a write each. */
let pieces: Buffer[] = []
const server = createServer(async (_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const piece of pieces) response.write(piece)
  response.end()
})
let baseURL: string
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
})
afterAll(() => {
  server.close()
})

const clients = [
  { name: 'openai 7', Client: OpenAI },
  { name: 'openai 6', Client: OpenAI6 as unknown as typeof OpenAI },
]

/** What the official accumulator makes of a stream. */
async function accumulate(text: string, Client: typeof OpenAI, size = 1 << 20): Promise<Response> {
  const bytes = Buffer.from(text)
  pieces = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  const client = new Client({ apiKey: 'x', baseURL, maxRetries: 0 })
  return (await client.responses.stream({ model: 'm', input: 'x' }).finalResponse()) as Response
}

function writeAll(events: ChatEvent[], request: JsonObject = {}): string {
  const writer = createResponseWriter(reply, request)
  return events.map((event) => writer.write(event)).join('')
}

function outputOf(text: string): JsonObject[] {
  return (eventsOf(text).at(-1)!.response as { output: JsonObject[] }).output
}

function eventsOf(text: string): JsonObject[] {
  return createSseReader()
    .push(Buffer.from(text))
    .map(({ event, data }) => {
      const wire = JSON.parse(data) as JsonObject
      expect(wire.type).toBe(event)
      return wire
    })
}

type Block =
  | { kind: 'text' | 'refusal' | 'reasoning'; pieces: string[] }
  | { kind: 'calls'; calls: { name: string; pieces: string[] }[]; order: number[] }

const words = fc.array(fc.string({ minLength: 1, unit: 'binary' }), { minLength: 1, maxLength: 4 })
const name = fc.stringMatching(/^[a-z_]{1,8}$/)
const block: fc.Arbitrary<Block> = fc.oneof(
  fc.record({ kind: fc.constantFrom('text' as const, 'refusal' as const, 'reasoning' as const), pieces: words }),
  fc.record({
    kind: fc.constant('calls' as const),
    calls: fc.array(fc.record({ name, pieces: words }), { minLength: 1, maxLength: 3 }),
    order: fc.array(fc.nat({ max: 2 }), { maxLength: 12 }),
  }),
)

const start: ChatEvent = { kind: 'start', id: 'up-1', model: 'served', usage: null }
const ending: ChatEvent[] = [
  { kind: 'usage', usage },
  { kind: 'finish', index: 0, finish: 'stop', stopSequence: null },
  { kind: 'end' },
]

/** Blocks as events; the pieces of calls that stand together come in any order. */
function toEvents(blocks: Block[]): ChatEvent[] {
  let call = 0
  const told = blocks.flatMap((one): ChatEvent[] => {
    if (one.kind !== 'calls') return one.pieces.map((text) => ({ kind: one.kind, index: 0, text }))
    const first = call
    call += one.calls.length
    const left = one.calls.map((each) => [...each.pieces])
    const grown: ChatEvent[] = []
    for (const turn of [...one.order, ...one.calls.flatMap((each, i) => each.pieces.map(() => i))]) {
      const text = left[turn % one.calls.length]?.shift()
      if (text !== undefined) {
        grown.push({ kind: 'tool_call_arguments', index: 0, call: first + (turn % one.calls.length), text })
      }
    }
    const starts = one.calls.map((each, i): ChatEvent => {
      return { kind: 'tool_call_start', index: 0, call: first + i, id: `call_${first + i}`, name: each.name }
    })
    return [...starts, ...grown]
  })
  return [start, ...told, ...ending]
}

function meant(events: ChatEvent[]) {
  const join = (kind: string) =>
    events.map((event) => (event.kind === kind && 'text' in event ? event.text : '')).join('')
  const calls = new Map<number, { id: string; name: string; text: string }>()
  for (const event of events) {
    if (event.kind === 'tool_call_start') calls.set(event.call, { id: event.id, name: event.name, text: '' })
    if (event.kind === 'tool_call_arguments') calls.get(event.call)!.text += event.text
  }
  // What holds nothing but space is the empty object.
  const all = [...calls.values()].map((call) => ({ ...call, text: call.text.trim() === '' ? '{}' : call.text }))
  return { text: join('text'), refusal: join('refusal'), reasoning: join('reasoning'), calls: all }
}

function shown({ output }: Response) {
  const parts = output.flatMap((item) => (item.type === 'message' ? item.content : []))
  return {
    text: parts.map((part) => (part.type === 'output_text' ? part.text : '')).join(''),
    refusal: parts.map((part) => (part.type === 'refusal' ? part.refusal : '')).join(''),
    reasoning: output
      .flatMap((item) => (item.type === 'reasoning' ? item.summary.map(({ text }) => text) : []))
      .join(''),
    calls: output.flatMap((item) =>
      item.type === 'function_call' ? [{ id: item.call_id, name: item.name, text: item.arguments }] : [],
    ),
  }
}

test.each(clients)('what $name puts together is what was said, however events and bytes fall', async ({ Client }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(block, { maxLength: 5 }), fc.integer({ min: 1, max: 4000 }), async (blocks, size) => {
      const events = toEvents(blocks)
      const response = await accumulate(writeAll(events), Client, size)
      expect(shown(response)).toEqual(meant(events))
      expect(response.usage?.total_tokens).toBe(30)
    }),
    { numRuns: 40 },
  )
})

test('5.3.24 every event has the next sequence number, items keep id and place, and the order is the grammar', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 6 }), (blocks) => {
      const events = eventsOf(writeAll(toEvents(blocks)))
      expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i))
      expect(events.slice(0, 2).map(({ type }) => type)).toEqual(['response.created', 'response.in_progress'])
      expect(events.at(-1)?.type).toBe('response.completed')
      const open = new Map<number, string>()
      let added = 0
      for (const event of events.slice(2, -1)) {
        const place = event.output_index as number
        const item = event.item as { id: string } | undefined
        if (event.type === 'response.output_item.added') {
          expect(place).toBe(added++)
          open.set(place, item!.id)
        } else if (event.type === 'response.output_item.done') {
          expect(open.get(place)).toBe(item!.id)
          open.delete(place)
        } else expect(open.get(place)).toBe(event.item_id)
      }
      expect(open.size).toBe(0)
      const { output } = events.at(-1)!.response as { output: { id: string }[] }
      expect(new Set(output.map(({ id }) => id)).size).toBe(added)
    }),
  )
})

test('what was written is read back as it was, cut anywhere', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), (blocks, size) => {
      const events = toEvents(blocks)
      const bytes = Buffer.from(writeAll(events))
      const reader = createStreamReader()
      const read: ChatEvent[] = []
      for (let at = 0; at < bytes.length; at += size) read.push(...reader.push(bytes.subarray(at, at + size)))
      read.push(...reader.close())
      expect(meant(read)).toEqual(meant(events))
      expect(read[0]?.kind).toBe('start')
      expect(read.filter(({ kind }) => kind === 'end')).toHaveLength(1)
      expect(read.at(-1)?.kind).toBe('end')
    }),
  )
})

test('a relayed stream is the same but for the name of the model', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(block, { maxLength: 4 }), async (blocks) => {
      const events = toEvents(blocks)
      const editor = createEditor({ askedModel: 'mine', hideUsage: false, choices: 1, framing: 'sse' })
      const out = writeAll(events)
        .split(/(?<=\n\n)/)
        .map((text) => editor.edit(Buffer.from(text))?.toString() ?? '')
      expect(editor.seen).toMatchObject({ isDone: true, usage, id: 'resp_01test' })
      const response = await accumulate(out.join('') + editor.seen.tail, OpenAI)
      expect(shown(response)).toEqual(meant(events))
      expect(response.model).toBe('mine')
      const { text, refusal, reasoning, calls } = meant(events)
      const said = Buffer.byteLength(text + refusal + reasoning + calls.map((call) => call.text).join(''))
      if (said > 0) expect(editor.seen.contentBytes).toBeGreaterThan(0)
    }),
    { numRuns: 30 },
  )
})

describe('a stream', () => {
  const text: ChatEvent = { kind: 'text', index: 0, text: 'Hi' }

  test('5.3.25 tells usage with all its details, 0 and not absent, also when it was cut', () => {
    const events: ChatEvent[] = [
      start,
      text,
      { kind: 'usage', usage: { ...usage, tokensCachedRead: 0 } },
      { kind: 'finish', index: 0, finish: 'length', stopSequence: null },
      { kind: 'end' },
    ]
    const terminal = eventsOf(writeAll(events)).at(-1)
    expect(terminal?.type).toBe('response.incomplete')
    expect(terminal?.response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      usage: {
        input_tokens: 21,
        input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
        output_tokens: 9,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 30,
      },
    })
  })

  test('5.1.6 that breaks after it began ends as response.failed, one that never began as a flat error', () => {
    const error = fail('upstream_truncated', 'The provider stopped.')
    const begun = createResponseWriter(reply)
    begun.write(start)
    begun.write(text)
    const [failed] = eventsOf(begun.fail(error))
    expect(failed).toMatchObject({ type: 'response.failed', sequence_number: 5 })
    expect(failed?.response).toMatchObject({ status: 'failed', error: { code: 'upstream_truncated' } })
    expect(begun.write({ kind: 'end' })).toBe('')
    const never = createResponseWriter(reply)
    expect(eventsOf(never.fail(error))).toEqual([
      { type: 'error', sequence_number: 0, code: 'upstream_truncated', message: 'The provider stopped.', param: null },
    ])
  })

  test('5.3.26 carries what another vendor signed in reasoning items, before the call where it belongs to one', () => {
    const events: ChatEvent[] = [
      start,
      { kind: 'reasoning', index: 0, text: 'Hm.' },
      { kind: 'reasoning_signature', index: 0, signature: 'c2ln', signedBy: 'anthropic-messages' },
      {
        kind: 'tool_call_start',
        index: 0,
        call: 0,
        id: 'call_1',
        name: 'look',
        extras: { gemini: { thoughtSignature: 'Z2Vt' } },
      },
      ...ending,
    ]
    const output = outputOf(writeAll(events))
    expect(output.map(({ type }) => type)).toEqual(['reasoning', 'reasoning', 'function_call'])
    expect(openSignature(String(output[0]?.encrypted_content))).toEqual({ by: 'anthropic-messages', signature: 'c2ln' })
    expect(openSignature(String(output[1]?.encrypted_content))).toEqual({
      by: 'gemini',
      signature: 'Z2Vt',
      callId: 'call_1',
    })
    expect(output[2]).toMatchObject({ call_id: 'call_1', arguments: '{}' })
  })

  test('calls a tool that takes free text with the text alone', () => {
    const events: ChatEvent[] = [
      start,
      { kind: 'tool_call_start', index: 0, call: 0, id: 'call_1', name: 'sql' },
      { kind: 'tool_call_arguments', index: 0, call: 0, text: '{"input":"select ' },
      { kind: 'tool_call_arguments', index: 0, call: 0, text: '1"}' },
      ...ending,
    ]
    const output = outputOf(writeAll(events, { tools: [{ type: 'custom', name: 'sql' }] }))
    expect(output).toMatchObject([{ type: 'custom_tool_call', name: 'sql', input: 'select 1', call_id: 'call_1' }])
  })
})

test('an answer claims no tier that its caller only wished for', () => {
  expect(repeatOf({ service_tier: 'flex', temperature: 0.5 })).toMatchObject({
    service_tier: 'default',
    temperature: 0.5,
  })
})
