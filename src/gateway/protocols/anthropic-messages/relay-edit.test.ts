import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import { createRelayPipe } from '../../answer/pipes.ts'
import { anthropicMessages } from './index.ts'
import { createEditor, editResult } from './relay-edit.ts'

const fixture = (name: string) => readFileSync(join(import.meta.dirname, '__fixtures__', name))
const options = { askedModel: 'asked', hideUsage: false, choices: 1, framing: 'sse' as const }

function relay(bytes: Buffer, places: number[] = [], askedModel = 'asked') {
  const pipe = createRelayPipe(createEditor({ ...options, askedModel }), anthropicMessages.readError)
  const cuts = [0, ...places.toSorted((a, b) => a - b), bytes.length]
  const out = cuts.slice(1).flatMap((end, i) => pipe.push(bytes.subarray(cuts[i], end)))
  out.push(...pipe.close())
  const shown = out.map((piece) => piece.toString()).join('')
  return { shown, seen: pipe.seen, all: shown + pipe.seen.tail.toString(), pipe }
}

describe('a relayed stream', () => {
  test('only the name of the model differs from what the provider sent', () => {
    for (const [name, model] of [
      ['text.sse', 'claude-sonnet-4-5-20250929'],
      ['tools.sse', 'claude-opus-4-6'],
    ] as const) {
      const bytes = fixture(name)
      expect(relay(bytes).all).toBe(bytes.toString().replace(`"${model}"`, '"asked"'))
      expect(relay(bytes, [], model).all).toBe(bytes.toString())
    }
  })

  test('message_stop is kept back as the tail', () => {
    const { shown, seen } = relay(fixture('text.sse'))
    expect(seen.isDone).toBe(true)
    expect(shown).not.toContain('message_stop')
    expect(seen.tail.toString()).toBe('event: message_stop\ndata: {"type":"message_stop"}\n\n')
  })

  test('5.4.32 usage is merged from the beginning and the end, and includes what the cache gave and took', () => {
    expect(relay(fixture('text.sse')).seen.usage).toEqual({
      tokensIn: 2125,
      tokensOut: 15,
      tokensCachedRead: 2000,
      tokensCachedWrite: 100,
      tokensReasoning: 0,
    })
    expect(relay(fixture('tools.sse')).seen).toMatchObject({
      usage: { tokensIn: 500, tokensOut: 89, tokensCachedRead: 20, tokensReasoning: 31 },
      finish: 'tool_calls',
    })
    expect(relay(fixture('text.sse')).seen.finish).toBe('stop')
  })

  test('content is counted as it stands in the JSON, signatures and citations are not', () => {
    const words = ['Grüße, ', '世界 🌍']
    expect(relay(fixture('text.sse')).seen).toMatchObject({
      contentBytes: words.reduce((sum, word) => sum + Buffer.byteLength(word), 0),
      contentEvents: 2,
    })
  })

  test('4.5.16 pings are never dropped', () => {
    const ping = 'event: ping\ndata: {"type": "ping"}\n\n'
    const text = fixture('text.sse').toString()
    const pinged = text.replaceAll('event: content', `${ping}event: content`)
    const count = (wire: string) => wire.split('event: ping').length
    expect(count(relay(Buffer.from(pinged)).all)).toBe(count(pinged))
  })

  test('comments, unknown events and unknown members pass', () => {
    const more = ': hello\n\nevent: newer_thing\ndata: {"type":"newer_thing","x":1.0e2}\n\n'
    expect(relay(Buffer.from(more + fixture('text.sse').toString())).all).toContain(more)
  })

  test('an error inside the stream is a failure and is not shown', () => {
    const { shown, seen } = relay(fixture('overloaded.sse'))
    expect(seen.failure).toMatchObject({ code: 'overloaded', vendorType: 'overloaded_error' })
    expect(seen.isDone).toBe(false)
    expect(shown).toContain('Half an')
    expect(shown).not.toContain('Overloaded')
    expect(shown).not.toContain(' answer')
  })

  test('4.5.14 a stream cut at any byte is not done', () => {
    const bytes = fixture('text.sse')
    const last = bytes.lastIndexOf('{"type":"message_stop"}') + '{"type":"message_stop"}'.length
    for (let cut = 0; cut < bytes.length; cut++) {
      expect(relay(bytes.subarray(0, cut)).seen.isDone, `at ${cut}`).toBe(cut >= last)
    }
  })

  test('4.5.16 an event that was cut in two is not shown', () => {
    const bytes = fixture('text.sse')
    const { shown } = relay(bytes.subarray(0, bytes.indexOf(' 🌍') + 2))
    expect(shown.endsWith('\n\n')).toBe(true)
    expect(shown).not.toContain('世界')
  })

  test('an event that lost its blank line is given one, so that an error behind it is read', () => {
    const bytes = fixture('text.sse')
    const end = bytes.indexOf('"Grüße, "}}') + Buffer.byteLength('"Grüße, "}}')
    const { shown } = relay(bytes.subarray(0, end))
    expect(shown.endsWith('"Grüße, "}}\n\n')).toBe(true)
  })

  test('a second message_start is kept from the caller: clients throw at one', () => {
    const text = fixture('text.sse').toString()
    const start = text.slice(0, text.indexOf('\n\n') + 2)
    expect(relay(Buffer.from(start + text)).all).toBe(relay(Buffer.from(text)).all)
  })

  test('5.1.1 lines may end in CR, LF or CRLF and bytes be cut anywhere', () => {
    const text = fixture('tools.sse').toString()
    const { contentBytes, contentEvents } = relay(Buffer.from(text)).seen
    fc.assert(
      fc.property(fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat(text.length)), (newline, places) => {
        const bytes = Buffer.from(text.replaceAll('\n', newline))
        const { all, seen } = relay(bytes, places)
        expect(all).toBe(text.replaceAll('\n', newline).replace('"claude-opus-4-6"', '"asked"'))
        expect(seen).toMatchObject({ isDone: true, contentBytes, contentEvents, finish: 'tool_calls' })
      }),
      { numRuns: 60 },
    )
  })

  test('events without names and members in another order are read alike', () => {
    const text = fixture('text.sse').toString()
    const bare = text.replaceAll(/^event: .*\n/gm, '')
    expect(relay(Buffer.from(bare)).seen).toMatchObject({ isDone: true, contentEvents: 2, usage: { tokensOut: 15 } })
    const swapped = Buffer.from(
      'event: content_block_delta\ndata: {"delta":{"text":"type","type":"text_delta"},"index":0,"type":"error"}\n\n',
    )
    expect(relay(swapped).seen.failure).not.toBeNull()
  })

  test('a failure behind what was shown is an error event', () => {
    const { pipe } = relay(fixture('overloaded.sse'))
    expect(pipe.fail(fail('upstream_overloaded', 'busy'))).toBe(
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":null}\n\n',
    )
  })
})

describe('a relayed Message', () => {
  const body = fixture('message.json')

  test('only the name of the model is exchanged', () => {
    const edited = editResult(body, { askedModel: 'asked' })
    expect(edited.body.toString()).toBe(body.toString().replace('"claude-opus-4-6"', '"asked"'))
    expect(edited).toMatchObject({
      usage: { tokensIn: 2125, tokensOut: 89, tokensReasoning: 31 },
      finish: 'tool_calls',
      id: 'msg_01Whole',
      errorJson: null,
    })
    expect(editResult(body, { askedModel: 'claude-opus-4-6' }).body).toBe(body)
  })

  test('an odd body is written anew from one reading', () => {
    const odd = Buffer.from('{"type":"message","model":"a","mod\\u0065l":"b","content":[]}')
    expect(JSON.parse(editResult(odd, { askedModel: 'asked' }).body.toString())).toMatchObject({ model: 'asked' })
  })

  test('an error under a good status is told, and what is no Message is garbled', () => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'x' } }
    expect(editResult(Buffer.from(JSON.stringify(error)), options).errorJson).toEqual(error)
    for (const text of ['', '<html>', '[]', '{}', '{"type":"completion"}']) {
      expect(() => editResult(Buffer.from(text), options)).toThrow(
        expect.objectContaining({ code: 'upstream_garbled' }),
      )
    }
  })
})
