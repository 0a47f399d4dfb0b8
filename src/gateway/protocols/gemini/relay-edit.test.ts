import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import { createSseFramer, createSseReader } from '../../../kernel/sse.ts'
import type { Framing } from '../protocol.ts'
import { relay } from './relay-edit.ts'

// biome-ignore lint/suspicious/noExplicitAny: the wire, read as a client without our types would
type Wire = any

const options = (framing: Framing = 'sse', askedModel = 'alias') => ({
  askedModel,
  hideUsage: false,
  choices: 1,
  framing,
})

const chunk = (said: string, more: Wire = {}, top: Wire = {}): Wire => ({
  candidates: [{ content: { parts: [{ text: said }], role: 'model' }, index: 0, ...more }],
  usageMetadata: { promptTokenCount: 7, candidatesTokenCount: said.length, totalTokenCount: 7 + said.length },
  modelVersion: 'gemini-2.5-flash',
  responseId: 'r1',
  ...top,
})
const last = chunk('!', { finishReason: 'STOP' })
const frame = (wire: Wire, newline = '\n') => `data: ${JSON.stringify(wire)}${newline}${newline}`

function run(bytes: Buffer, framing: Framing, cuts: number[] = [], askedModel = 'alias') {
  const editor = relay.createEditor(options(framing, askedModel))
  const framer = createSseFramer()
  const out: Buffer[] = []
  const take = (block: Buffer) => {
    const edited = editor.edit(block)
    if (edited) out.push(edited)
  }
  const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
  for (let i = 1; i < places.length; i++) framer.push(bytes.subarray(places[i - 1], places[i])).forEach(take)
  const rest = framer.close()
  if (rest) take(rest)
  const left = editor.close()
  if (left) out.push(left)
  const shown = Buffer.concat(out).toString()
  return { shown, whole: shown + editor.seen.tail.toString(), seen: editor.seen, editor }
}

function read(text: string, framing: Framing): Wire[] {
  if (framing === 'json-array') return JSON.parse(text)
  const reader = createSseReader()
  const events = reader.push(Buffer.from(text))
  expect(reader.close()).toEqual([])
  return events.map(({ data }) => JSON.parse(data))
}

const renamed = (wire: Wire) => ({ ...wire, modelVersion: 'alias' })

describe.each(['sse', 'json-array'] as const)('%s', (framing) => {
  test('the model has the name that was asked for, everything else is as it came', () => {
    const wires = [chunk('Hel'), chunk('lo 你好'), last]
    const { whole, seen } = run(Buffer.from(wires.map((wire) => frame(wire)).join('')), framing)
    expect(read(whole, framing)).toEqual(wires.map(renamed))
    expect(seen).toMatchObject({ id: 'r1', finish: 'STOP', isDone: true, contentEvents: 3 })
    expect(seen.usage).toMatchObject({ tokensIn: 7, tokensOut: 1 })
    expect(seen.contentBytes).toBe(Buffer.byteLength('Hello 你好!'))
  })

  test('the chunk that may be the last is held until another comes or the connection ends', () => {
    const behind = { usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 9 }, modelVersion: 'gemini-2.5-flash' }
    const { shown, whole, seen } = run(Buffer.from(frame(chunk('a')) + frame(last) + frame(behind)), framing)
    expect(shown).toContain('"STOP"')
    expect(shown).not.toContain('"candidatesTokenCount":9')
    expect(read(whole, framing)).toEqual([chunk('a'), last, behind].map(renamed))
    expect(seen.usage?.tokensOut).toBe(9)
    const short = run(Buffer.from(frame(last)), framing)
    expect(short.shown).toBe('')
    expect(read(short.whole, framing)).toEqual([renamed(last)])
  })

  test('5.1.7 a stream without a reason from every candidate is not whole', () => {
    for (const wires of [[], [chunk('a')], [chunk('a', { finishReason: 'STOP' }), chunk('b', { index: 1 })]]) {
      const { seen } = run(Buffer.from(wires.map((wire) => frame(wire)).join('')), framing)
      expect(seen).toMatchObject({ isDone: false, tail: '' })
    }
  })

  test('5.5.38 a blocked prompt is a whole answer', () => {
    const { whole, seen } = run(
      Buffer.from(frame({ promptFeedback: { blockReason: 'SAFETY' }, modelVersion: 'x' })),
      framing,
    )
    expect(seen).toMatchObject({ isDone: true, finish: 'SAFETY' })
    expect(read(whole, framing)).toEqual([{ promptFeedback: { blockReason: 'SAFETY' }, modelVersion: 'alias' }])
  })

  test('5.1.6 an error of the provider is kept back, and ours ends what was shown', () => {
    const error = { error: { code: 503, message: 'secret words', status: 'UNAVAILABLE' } }
    for (const before of ['', frame(chunk('a')), frame(chunk('a')) + frame(last)]) {
      const { shown, seen, editor } = run(Buffer.from(before + frame(error)), framing)
      expect(seen.errorJson).toEqual(error)
      expect(seen.isDone).toBe(false)
      const chunks = read(shown + editor.fail(fail('upstream_overloaded', 'busy')), framing)
      expect(chunks.at(-1)?.error).toMatchObject({ code: 503, message: 'busy', status: 'UNAVAILABLE' })
      expect(JSON.stringify(chunks)).not.toContain('secret')
      expect(JSON.stringify(chunks)).not.toContain('STOP')
    }
  })

  test('what is no JSON is garbled, a [DONE] of a proxy is nothing, comments are no chunks', () => {
    expect(() => run(Buffer.from('data: {"cand\n\n'), framing)).toThrow(
      expect.objectContaining({ code: 'upstream_garbled' }),
    )
    const { whole } = run(Buffer.from(`: hi\n\n${frame(chunk('a'))}${frame(last)}data: [DONE]\n\n`), framing)
    expect(read(whole, framing)).toEqual([chunk('a'), last].map(renamed))
  })

  test('5.1.1 every cut, line end and spelling gives the same answer', () => {
    const wires = [
      chunk('Zürich 👋', {}, { modelVersion: 'x' }),
      {
        ...chunk('a'),
        candidates: [
          { content: { parts: [{ functionCall: { name: 'f', args: { modelVersion: 'mine' } } }] }, index: 0 },
        ],
      },
      last,
    ]
    const expected = wires.map(renamed)
    const spell = (newline: string, isPretty: boolean, lacksEnd: boolean) => {
      const text = wires
        .map(
          (wire) =>
            JSON.stringify(wire, null, isPretty ? 1 : 0)
              .split('\n')
              .map((line) => `data:${line}${newline}`)
              .join('') + newline,
        )
        .join(`: ping${newline}`)
      return Buffer.from(`\uFEFF${lacksEnd ? text.slice(0, -newline.length) : text}`)
    }
    for (const newline of ['\n', '\r\n', '\r']) {
      const bytes = spell(newline, false, false)
      for (let at = 0; at <= bytes.length; at++)
        expect(read(run(bytes, framing, [at]).whole, framing)).toEqual(expected)
    }
    fc.assert(
      fc.property(
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.boolean(),
        fc.boolean(),
        fc.array(fc.nat(900), { maxLength: 20 }),
        (newline, isPretty, lacksEnd, cuts) => {
          const bytes = spell(newline, isPretty, lacksEnd)
          const inside = cuts.filter((cut) => cut < bytes.length)
          expect(read(run(bytes, framing, inside).whole, framing)).toEqual(expected)
        },
      ),
      { numRuns: 100 },
    )
  })
})

test('bytes whose model already has its name pass as the same buffer', () => {
  const editor = relay.createEditor(options('sse', 'gemini-2.5-flash'))
  const block = Buffer.from(frame(chunk('a'), '\r\n'))
  expect(editor.edit(block)).toBe(block)
})

describe('whole answers', () => {
  test('keep their bytes but for the model', () => {
    const body = JSON.stringify(last, null, 2)
    const edited = relay.editResult(Buffer.from(body), { askedModel: 'alias' })
    expect(edited.body.toString()).toBe(body.replace('gemini-2.5-flash', 'alias'))
    expect(edited).toMatchObject({ finish: 'STOP', id: 'r1', errorJson: null, usage: { tokensIn: 7, tokensOut: 1 } })
  })

  test('that are none are garbled, and errors are told', () => {
    for (const body of ['{}', '[]', 'x', '{"candidates":[]}']) {
      expect(() => relay.editResult(Buffer.from(body), { askedModel: 'a' })).toThrow(
        expect.objectContaining({ code: 'upstream_garbled' }),
      )
    }
    const error = { error: { code: 500, message: 'x' } }
    expect(relay.editResult(Buffer.from(JSON.stringify(error)), { askedModel: 'a' }).errorJson).toEqual(error)
  })
})
