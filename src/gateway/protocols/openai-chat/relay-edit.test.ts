import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSseFramer, createSseReader } from '../../../kernel/sse.ts'
import { createEditor, editResult } from './relay-edit.ts'

const fixture = (name: string) => readFileSync(new URL(`./__fixtures__/${name}`, import.meta.url))

function relay(bytes: Buffer, options: { askedModel: string; hideUsage: boolean }) {
  const framer = createSseFramer()
  const editor = createEditor({ ...options, choices: 1, framing: 'sse' })
  const rest = () => framer.close()
  const blocks = framer.push(bytes)
  const last = rest()
  if (last) blocks.push(last)
  const out = blocks.map((block) => ({ block, edited: editor.edit(block) }))
  const text = out.map(({ edited }) => edited?.toString() ?? '').join('') + editor.seen.tail
  return { out, text, seen: editor.seen }
}

const events = (text: string) => {
  const reader = createSseReader()
  return [...reader.push(Buffer.from(text)), ...reader.close()].map(({ data }) =>
    data.trim() === '[DONE]' ? '[DONE]' : JSON.parse(data),
  )
}

/** The editor's promise, told in the slow way. */
function expected(bytes: Buffer, askedModel: string, hideUsage: boolean) {
  return events(bytes.toString()).flatMap((event) => {
    if (event === '[DONE]') return [event]
    if (hideUsage && event.choices?.length === 0 && event.usage) return []
    const { usage, ...rest } = event
    const shown = hideUsage || usage === undefined ? rest : { ...rest, usage }
    return [typeof shown.model === 'string' ? { ...shown, model: askedModel } : shown]
  })
}

describe('chunks', () => {
  const streams = ['stream-text.sse', 'stream-tools-n2.sse', 'stream-reasoning.sse', 'stream-azure.sse']

  test.each(streams)(
    '5.6.46 every chunk of %s carries the model that was asked for, and nothing else changes',
    (name) => {
      for (const hideUsage of [false, true]) {
        const { text } = relay(fixture(name), { askedModel: 'my/"alias"', hideUsage })
        expect(events(text)).toEqual(expected(fixture(name), 'my/"alias"', hideUsage))
      }
    },
  )

  test('a stream that already carries that name passes without a copy', () => {
    const { out } = relay(fixture('stream-text.sse'), { askedModel: 'gpt-4o-2024-08-06', hideUsage: false })
    expect(out.slice(0, -1).every(({ block, edited }) => edited === block)).toBe(true)
  })

  test('5.2.11 usage that only we asked for is seen and stripped: no usage chunk, no usage member', () => {
    const { text, seen } = relay(fixture('stream-text.sse'), { askedModel: 'alias', hideUsage: true })
    expect(text).not.toContain('"usage"')
    expect(text).toContain('"obfuscation"')
    expect(events(text).every((event) => event === '[DONE]' || event.choices.length === 1)).toBe(true)
    expect(seen.usage).toEqual({
      tokensIn: 19,
      tokensOut: 10,
      tokensCachedRead: 8,
      tokensCachedWrite: 0,
      tokensReasoning: 0,
    })
  })

  test('5.2.11 a caller that asked keeps the usage chunk and the null members', () => {
    const { text } = relay(fixture('stream-text.sse'), { askedModel: 'alias', hideUsage: false })
    expect(text.match(/"usage":null/g)).toHaveLength(5)
    expect(text).toContain('"choices":[],"usage":{"prompt_tokens":19')
  })

  test('what passes by is counted: finish, end, id, content', () => {
    const { seen } = relay(fixture('stream-text.sse'), { askedModel: 'alias', hideUsage: true })
    expect(seen).toMatchObject({
      finish: 'stop',
      isDone: true,
      id: 'chatcmpl-CkV2mQ7tXw0',
      contentEvents: 3,
      errorJson: null,
    })
    const texts = ['Grüße', ' aus 北京', ' 😀 "quoted"\n']
    expect(seen.contentBytes).toBe(texts.reduce((sum, text) => sum + Buffer.byteLength(JSON.stringify(text)) - 2, 0))
    expect(relay(fixture('stream-tools-n2.sse'), { askedModel: 'a', hideUsage: true }).seen).toMatchObject({
      finish: 'tool_calls',
      contentEvents: 3,
    })
    expect(relay(fixture('stream-reasoning.sse'), { askedModel: 'a', hideUsage: true }).seen).toMatchObject({
      finish: 'stop',
      contentEvents: 3,
      usage: { tokensCachedRead: 4, tokensReasoning: 20 },
    })
  })

  test('5.1.7 a cut stream is not seen as done', () => {
    const whole = fixture('stream-text.sse')
    for (const cut of [0, 100, 700, whole.indexOf('"stop"') - 1]) {
      const { seen } = relay(whole.subarray(0, cut), { askedModel: 'alias', hideUsage: true })
      expect(seen).toMatchObject({ isDone: false, finish: '' })
    }
  })

  test('4.5.15 an error event is kept from the caller, with all that follows', () => {
    const { text, seen } = relay(Buffer.concat([fixture('stream-error.sse'), fixture('stream-text.sse')]), {
      askedModel: 'alias',
      hideUsage: false,
    })
    expect(text).not.toContain('CANARY')
    expect(text).not.toContain('[DONE]')
    expect(seen.errorJson).toMatchObject({ error: { type: 'server_error' } })
    expect(seen).toMatchObject({ isDone: false, finish: '' })
  })

  test('an error inside an ordinary chunk is found as well', () => {
    const chunk = '{"id":"x","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}'
    const broken =
      '{"id":"x","model":"m","error":{"code":502},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}'
    const { seen } = relay(Buffer.from(`data: ${chunk}\n\ndata: ${broken}\n\n`), { askedModel: 'a', hideUsage: false })
    expect(seen.errorJson).toMatchObject({ error: { code: 502 } })
  })

  test('what a model writes never passes for a member', () => {
    const text = '"model":"m","usage":{"prompt_tokens":9},"error":{"x":1},"finish_reason":"stop","usage":null'
    const chunk = (content: string) =>
      `data: ${JSON.stringify({ id: 'x', model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`
    const { text: out, seen } = relay(Buffer.from(chunk('hi') + chunk(text) + chunk(text)), {
      askedModel: 'alias',
      hideUsage: true,
    })
    expect(events(out).map((event) => event.choices[0].delta.content)).toEqual(['hi', text, text])
    expect(seen).toMatchObject({ usage: null, finish: '', errorJson: null })
  })

  test('only the usage member of the chunk itself is stripped', () => {
    const chunk = (more: object) => ({
      id: 'x',
      model: 'm',
      choices: [{ index: 0, delta: { content: '', usage: null } }],
      ...more,
    })
    const stream = [chunk({}), chunk({}), chunk({ usage: null }), chunk({ usage: null, z: 1 })]
    const bytes = Buffer.from(stream.map((wire) => `data: ${JSON.stringify(wire)}\n\n`).join(''))
    const first = Buffer.from('data: {"usage":null,"id":"x","model":"m","choices":[]}\n\n')
    const { text } = relay(Buffer.concat([bytes, first]), { askedModel: 'a', hideUsage: true })
    const shown = { ...chunk({}), model: 'a' }
    expect(events(text)).toEqual([shown, shown, shown, { ...shown, z: 1 }, { id: 'x', model: 'a', choices: [] }])
  })

  test('spaces, CRLF, names, several data lines, comments and repeated keys are all read', () => {
    const stream = [
      ': ping\r\n\r\n',
      'data:{"id": "x", "model": "m", "choices": [], "usage": null}\r\n\r\n',
      'data: {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null}], "usage": null}\r\n\r\n',
      'event: chunk\ndata: {"id": "x", "model": "m",\ndata: "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}\n\n',
      'data: {"id":"x","model":"m","model":"n","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
      'data:[DONE]\r\n\r\n',
    ].join('')
    const { text, seen } = relay(Buffer.from(stream), { askedModel: 'alias', hideUsage: true })
    expect(text).toContain(': ping\r\n\r\n')
    expect(text).not.toContain('usage')
    expect(events(text).map((event) => event.model)).toEqual(['alias', 'alias', 'alias', undefined])
    expect(seen).toMatchObject({ finish: 'length', isDone: true, usage: { tokensIn: 1, tokensOut: 2 } })
  })

  test('what stands in front of the name of the model is looked at in every chunk, however alike they begin', () => {
    const hidden = '{"usage":null,"model":"m","choices":[]}'
    const told = '{"choices":[{"index":0,"delta":{"content":"four"},"finish_reason":"stop"}],"model":"m"}'
    const stream = [hidden, hidden, told, told].map((wire) => `data: ${wire}\n\n`).join('')
    const { text, seen } = relay(Buffer.from(stream), { askedModel: 'a', hideUsage: true })
    expect(text).not.toContain('usage')
    expect(events(text).map((event) => event.model)).toEqual(['a', 'a', 'a', 'a'])
    expect(seen).toMatchObject({ contentBytes: 8, contentEvents: 2, finish: 'stop' })
  })

  test('any chunk, whatever its members and their order, is edited as a parser would', () => {
    const member = fc.constantFrom<[string, unknown]>(
      ['id', 'x'],
      ['model', 'm'],
      ['model', ''],
      ['created', 1],
      ['created', 2],
      ['usage', null],
      ['usage', { prompt_tokens: 3, completion_tokens: 4 }],
      ['choices', []],
      ['choices', [{ index: 0, delta: { content: 'say "usage":null' }, finish_reason: null }]],
      ['choices', [{ index: 0, delta: { content: 'x', usage: null, model: 'm' }, finish_reason: 'stop' }]],
      ['obfuscation', 'abc'],
      ['error', null],
    )
    const chunk = fc.array(member, { maxLength: 6 }).map((members) => Object.fromEntries(members))
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.boolean(),
        fc.constantFrom(0, 1),
        (chunks, hideUsage, spaces) => {
          const write = (value: unknown) => JSON.stringify(value, null, spaces).replace(/\n */g, spaces ? ' ' : '')
          const bytes = Buffer.from(chunks.map((value) => `data: ${write(value)}\n\n`).join(''))
          expect(events(relay(bytes, { askedModel: 'alias', hideUsage }).text)).toEqual(
            expected(bytes, 'alias', hideUsage),
          )
        },
      ),
    )
  })
})

describe('whole answers', () => {
  test('5.6.46 the model is exchanged, the rest stays byte for byte, usage and finish are read', () => {
    const body = fixture('result-text.json')
    const edited = editResult(body, { askedModel: 'alias' })
    expect(edited.body.toString()).toBe(body.toString().replace('"gpt-4o-2024-08-06"', '"alias"'))
    expect(edited).toMatchObject({ finish: 'stop', id: 'chatcmpl-CkV2mQ7tXw1', errorJson: null })
    expect(edited.usage).toMatchObject({ tokensIn: 19, tokensOut: 10, tokensCachedRead: 8 })
  })

  test('4.12.46 the tier that served an answer or a stream is told, for it has a price of its own', () => {
    const wire = (name: string) => ({
      ...{ model: name, service_tier: 'flex', choices: [] },
      usage: { prompt_tokens: 3, completion_tokens: 2 },
    })
    for (const name of ['asked', 'real'])
      expect(editResult(Buffer.from(JSON.stringify(wire(name))), { askedModel: 'asked' }).usage).toMatchObject({
        serviceTier: 'flex',
      })
    const { seen } = relay(Buffer.from(`data: ${JSON.stringify(wire('real'))}\n\n`), {
      askedModel: 'a',
      hideUsage: true,
    })
    expect(seen.usage).toMatchObject({ tokensIn: 3, serviceTier: 'flex' })
  })

  test('an answer that already carries the name is the same Buffer', () => {
    const body = fixture('result-text.json')
    expect(editResult(body, { askedModel: 'gpt-4o-2024-08-06' }).body).toBe(body)
  })

  test('5.6.44 an error under a good status is told apart', () => {
    const body = Buffer.from('{"error":{"message":"no","code":"server_error"}}')
    expect(editResult(body, { askedModel: 'a' }).errorJson).toEqual({ error: { message: 'no', code: 'server_error' } })
    expect(editResult(Buffer.from('{"error":null,"choices":[]}'), { askedModel: 'a' }).errorJson).toBeNull()
  })

  test('an odd answer is parsed, an unreadable one refused', () => {
    const odd = editResult(
      Buffer.from('\uFEFF{"model":"x","model":"y","choices":[{"finish_reason":"length"}]}'.slice(1)),
      { askedModel: 'a' },
    )
    expect(JSON.parse(odd.body.toString())).toEqual({ model: 'a', choices: [{ finish_reason: 'length' }] })
    expect(odd.finish).toBe('length')
    for (const body of ['<html>', '', '[]', '{"model":'])
      expect(() => editResult(Buffer.from(body), { askedModel: 'a' })).toThrow(
        expect.objectContaining({ code: 'upstream_garbled' }),
      )
  })
})
