import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import { createSseReader } from '../../../kernel/sse.ts'
import type { ChatEvent, ChatUsage } from '../../chat.ts'
import type { ReplyContext } from '../protocol.ts'
import { readRequest } from './read-request.ts'
import { createStreamReader } from './read-stream.ts'
import { createStreamWriter } from './write-stream.ts'

type Chunk = {
  id: string
  object: string
  created: number
  model: string
  usage?: unknown
  choices: { index: number; delta: Record<string, unknown>; finish_reason: string | null; logprobs: null }[]
}

const reply: ReplyContext = {
  id: 'req_01',
  model: 'alias',
  createdMs: 1_795_413_407_999,
  includeUsage: false,
  framing: 'sse',
}
const asked = { ...reply, includeUsage: true }
const usage: ChatUsage = { tokensIn: 9, tokensOut: 5, tokensCachedRead: 4, tokensCachedWrite: 0, tokensReasoning: 2 }
const start: ChatEvent = { kind: 'start', id: 'msg_1', model: 'claude', usage: null }
const text = (value: string, index = 0): ChatEvent => ({ kind: 'text', index, text: value })
const finish = (index = 0): ChatEvent => ({ kind: 'finish', index, finish: 'stop', stopSequence: null })

function write(events: ChatEvent[], context = reply): string {
  const writer = createStreamWriter(context)
  return events.map((event) => writer.write(event)).join('')
}

function datas(wire: string): string[] {
  const reader = createSseReader()
  return [...reader.push(Buffer.from(wire)), ...reader.close()].map(({ data }) => data)
}

const chunks = (wire: string): Chunk[] =>
  datas(wire)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data))
const deltas = (wire: string) => chunks(wire).map(({ choices }) => choices[0]?.delta)

test('5.2.12 id, created, model and object are constant and every choice has index, delta and finish_reason', () => {
  const wire = write([start, text('a'), text('b', 1), finish(), finish(1), { kind: 'end' }], asked)
  for (const { id, created, model, object, choices } of chunks(wire)) {
    expect({ id, created, model, object }).toEqual({
      id: 'msg_1',
      created: 1_795_413_407,
      model: 'alias',
      object: 'chat.completion.chunk',
    })
    for (const choice of choices) expect(Object.keys(choice)).toEqual(['index', 'delta', 'logprobs', 'finish_reason'])
  }
})

test('5.2.12 a second start in the middle of an answer does not change the id', () => {
  const ids = chunks(write([start, text('a'), { ...start, id: 'other' }, text('b')])).map(({ id }) => id)
  expect(new Set(ids)).toEqual(new Set(['msg_1']))
})

test('a provider without an id gets one in the shape of OpenAI', () => {
  expect(chunks(write([{ ...start, id: '' }, text('a')]))[0]?.id).toBe('chatcmpl-req_01')
})

test('5.2.14 the role comes first in each choice, the finish_reason last and is null until then', () => {
  const wire = chunks(write([start, text('a'), text('b', 1), text('c'), finish(), finish(1)]))
  for (const index of [0, 1]) {
    const own = wire.flatMap(({ choices }) => choices).filter((choice) => choice.index === index)
    expect(own[0]?.delta).toEqual({ role: 'assistant', content: '', refusal: null })
    expect(own.slice(1).some(({ delta }) => 'role' in delta)).toBe(false)
    expect(own.map(({ finish_reason }) => finish_reason)).toEqual([...own.slice(1).map(() => null), 'stop'])
  }
})

describe('usage', () => {
  const whole: ChatEvent[] = [start, text('a'), finish(), { kind: 'usage', usage }, { kind: 'end' }]

  test('5.2.11 who asked gets one usage chunk without choices before [DONE], and null in all others', () => {
    const wire = write(whole, asked)
    expect(datas(wire).at(-1)).toBe('[DONE]')
    const all = chunks(wire)
    expect(all.at(-1)).toMatchObject({ choices: [], model: 'alias' })
    expect(all.slice(0, -1).map((chunk) => chunk.usage)).toEqual(all.slice(0, -1).map(() => null))
  })

  test('5.2.20 its counts have every detail', () => {
    expect(chunks(write(whole, asked)).at(-1)?.usage).toEqual({
      prompt_tokens: 9,
      completion_tokens: 5,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 2 },
    })
  })

  test('5.2.11 who did not ask sees no trace of it', () => {
    expect(write(whole)).not.toContain('usage')
  })

  test('the last count wins, that of the start included', () => {
    const early = { ...start, usage: { ...usage, tokensOut: 1 } } as ChatEvent
    expect(chunks(write([early, { kind: 'end' }], asked)).at(-1)?.usage).toMatchObject({ completion_tokens: 1 })
    expect(chunks(write([early, { kind: 'usage', usage }, { kind: 'end' }], asked)).at(-1)?.usage).toMatchObject({
      completion_tokens: 5,
    })
  })
})

describe('tool calls', () => {
  const begin = (call: number, id = `c${call}`): ChatEvent => ({
    kind: 'tool_call_start',
    index: 0,
    call,
    id,
    name: `f${call}`,
  })
  const grow = (call: number, value: string): ChatEvent => ({
    kind: 'tool_call_arguments',
    index: 0,
    call,
    text: value,
  })

  test('5.2.13 id, type and name come once, arguments are appended by index, calls interleave', () => {
    const wire = deltas(
      write([start, begin(0), grow(0, '{"a"'), begin(1), grow(1, '{'), grow(0, ':1}'), grow(1, '}'), finish()]),
    )
    expect(wire).toEqual([
      { role: 'assistant', content: null, refusal: null },
      { tool_calls: [{ index: 0, id: 'c0', type: 'function', function: { name: 'f0', arguments: '' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"a"' } }] },
      { tool_calls: [{ index: 1, id: 'c1', type: 'function', function: { name: 'f1', arguments: '' } }] },
      { tool_calls: [{ index: 1, function: { arguments: '{' } }] },
      { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
      { tool_calls: [{ index: 1, function: { arguments: '}' } }] },
      {},
    ])
  })

  test('5.2.13 a call without arguments ends as {}', () => {
    const wire = deltas(write([start, begin(0), finish()]))
    expect(wire[2]).toEqual({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] })
  })

  test('4.5.18 a second start of a call changes nothing, arguments before the start are kept', () => {
    const wire = write([start, grow(0, '{"a"'), begin(0, 'first'), begin(0, 'second'), grow(0, ':1}'), finish()])
    expect(wire).not.toContain('second')
    const args = deltas(wire).flatMap((delta) => (delta?.tool_calls ?? []) as { function: { arguments: string } }[])
    expect(args.map((call) => call.function.arguments).join('')).toBe('{"a":1}')
  })

  test('4.5.21 a signature goes out with the start of its call', () => {
    const wire = write([start, { ...begin(0), extras: { gemini: { thoughtSignature: 'EuYB==' } } } as ChatEvent])
    expect(deltas(wire)[1]).toMatchObject({
      tool_calls: [{ extra_content: { google: { thought_signature: 'EuYB==' } } }],
    })
  })
})

test('5.2.22 reasoning goes out as reasoning_content, its signature with the whole text', () => {
  const reasoning = (value: string): ChatEvent => ({ kind: 'reasoning', index: 0, text: value })
  const sign = (signature: string, redacted = false): ChatEvent => ({
    kind: 'reasoning_signature',
    index: 0,
    signature,
    redacted,
  })
  const wire = deltas(
    write([start, reasoning('a'), reasoning('b'), sign('s1'), sign('sealed', true), reasoning('c'), sign('s2')]),
  )
  expect(wire.map((delta) => delta?.reasoning_content).filter(Boolean)).toEqual(['a', 'b', 'c'])
  expect(wire.at(-1)?.reasoning_details).toEqual([
    { type: 'reasoning.text', index: 0, text: 'ab', signature: 's1' },
    { type: 'reasoning.encrypted', index: 1, data: 'sealed' },
    { type: 'reasoning.text', index: 2, text: 'c', signature: 's2' },
  ])
})

test('5.2.19 a refusal goes out in its own member', () => {
  expect(deltas(write([start, { kind: 'refusal', index: 0, text: 'no' }]))).toEqual([
    { role: 'assistant', content: null, refusal: null },
    { refusal: 'no' },
  ])
})

test('4.5.21 clients that append reasoning_details and clients that keep the last list bring home the same', () => {
  const sign = (signature: string): ChatEvent => ({ kind: 'reasoning_signature', index: 0, signature })
  const lists = deltas(write([start, sign('s1'), { ...sign('sealed'), redacted: true } as ChatEvent, sign('s2')]))
    .map((delta) => delta?.reasoning_details)
    .filter(Array.isArray)
  expect(lists).toHaveLength(3)
  const home = (reasoning_details: unknown) =>
    readRequest({ model: 'm', messages: [{ role: 'assistant', reasoning_details }] }).messages[0]?.parts
  expect(home(lists.flat())).toEqual(home(lists.at(-1)))
  expect(home(lists.flat())).toHaveLength(3)
})

describe('endings', () => {
  test('5.1.3 a whole stream ends in [DONE] and nothing follows', () => {
    const wire = write([start, text('a'), finish(), { kind: 'end' }, text('late'), { kind: 'end' }])
    expect(datas(wire).filter((data) => data === '[DONE]')).toHaveLength(1)
    expect(wire.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  test('5.1.6 a failure is an error event with all four keys, without [DONE] and without a finish_reason', () => {
    const writer = createStreamWriter(asked)
    const before = [start, text('a'), { kind: 'usage', usage } as ChatEvent]
      .map((event) => writer.write(event))
      .join('')
    const after = writer.fail(fail('upstream_truncated', 'The provider stopped', { param: 'x' }))
    expect(JSON.parse(datas(after)[0] ?? '')).toEqual({
      error: { message: 'The provider stopped', type: 'server_error', param: 'x', code: 'upstream_truncated' },
    })
    expect(before + after).not.toMatch(/DONE|"stop"/)
    expect([
      writer.write(finish()),
      writer.write({ kind: 'end' }),
      writer.fail(fail('internal')),
      writer.keepAlive(),
    ]).toEqual(['', '', '', ''])
  })

  test('5.1.6 an error event of the provider is written the same way', () => {
    const failed = {
      code: 'overloaded',
      status: 529,
      message: 'busy',
      vendorType: 'overloaded_error',
      vendorCode: null,
      param: null,
      retryAfterMs: null,
    } as const
    expect(JSON.parse(datas(write([start, { kind: 'error', error: failed }, { kind: 'end' }])).join())).toEqual({
      error: { message: 'busy', type: 'server_error', param: null, code: 'upstream_overloaded' },
    })
  })

  test('4.5.14 no finish_reason is invented for a choice that did not finish', () => {
    const wire = chunks(write([start, text('a'), text('b', 1), finish(1), { kind: 'end' }]))
    const reasons = wire.flatMap(({ choices }) => choices).filter(({ finish_reason }) => finish_reason !== null)
    expect(reasons.map(({ index }) => index)).toEqual([1])
  })

  test('5.2.14 a choice finishes once', () => {
    expect(write([start, text('a'), finish(), finish(), { kind: 'end' }]).match(/"stop"/g)).toHaveLength(1)
  })

  test('5.1.4 keep-alive is a comment that no client sees', () => {
    const line = createStreamWriter(reply).keepAlive()
    expect(line.startsWith(':')).toBe(true)
    expect(line.endsWith('\n\n')).toBe(true)
    expect(datas(line)).toEqual([])
  })
})

test('4.5.18 whatever the order of events, what was written is read back as what was meant', () => {
  const index = fc.nat(1)
  const event: fc.Arbitrary<ChatEvent> = fc.oneof(
    fc.record({
      kind: fc.constantFrom('text', 'refusal', 'reasoning'),
      index,
      text: fc.string({ minLength: 1, unit: 'grapheme' }),
    }),
    fc.record({ kind: fc.constant('tool_call_arguments'), index, call: fc.nat(2), text: fc.string({ minLength: 1 }) }),
  ) as never
  const starts = [0, 1].flatMap((i) =>
    [0, 1, 2].map((call): ChatEvent => ({ kind: 'tool_call_start', index: i, call, id: `c${i}${call}`, name: 'f' })),
  )
  const gather = (events: ChatEvent[]) => {
    const all: Record<string, string> = {}
    for (const item of events) {
      if (!('text' in item)) continue
      const key = `${item.kind} ${item.index} ${'call' in item ? item.call : ''}`
      all[key] = (all[key] ?? '') + item.text
    }
    return all
  }
  fc.assert(
    fc.property(fc.array(event, { maxLength: 25 }), (events) => {
      const whole = [start, ...starts, ...events, finish(0), finish(1), { kind: 'end' } as const]
      const reader = createStreamReader()
      const back = reader.push(Buffer.from(write(whole)))
      const empty = Object.fromEntries(
        starts.map((item) => ('call' in item ? [`tool_call_arguments ${item.index} ${item.call}`, '{}'] : [])),
      )
      expect(gather(back)).toEqual({ ...empty, ...gather(events) })
      expect(back.at(-1)).toEqual({ kind: 'end' })
    }),
  )
})
