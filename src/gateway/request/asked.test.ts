import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { readAsked as read } from './asked.ts'

const readAsked = (body: Buffer) => read(body, openaiChat)
const messages = [{ role: 'user', content: 'hi' }]
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const json = (buffer: Buffer) => JSON.parse(buffer.toString('utf8'))

describe('what a caller asks for', () => {
  test('5.2.23 members nobody knows reach a provider of the same protocol byte for byte', () => {
    const body =
      '{"model":"m", "messages":[{"role":"user","content":"\\u00e9 é"}],\n "metadata":{"a" : 1.0e2},"verbosity":"low"}'
    expect(readAsked(bytes(body)).bytesFor('m').toString()).toBe(body)
    expect(readAsked(bytes(body)).bytesFor('real').toString()).toBe(body.replace('"m"', '"real"'))
  })

  test('5.2.11 usage is asked for in every stream, and the rest of stream_options stays', () => {
    const asked = readAsked(
      bytes({ model: 'm', messages, stream: true, stream_options: { include_obfuscation: false } }),
    )
    expect(asked.includeUsage).toBe(false)
    expect(json(asked.bytesFor('m')).stream_options).toEqual({ include_obfuscation: false, include_usage: true })
    expect(json(readAsked(bytes({ model: 'm', messages })).bytesFor('m'))).not.toHaveProperty('stream_options')
  })

  test('a body that two readers could read as two requests is written anew from one reading', () => {
    const sneaky = '{"model":"allowed","messages":[{"role":"user","content":"x"}],"model":"forbidden"}'
    const asked = readAsked(bytes(sneaky))
    expect(asked.model).toBe('forbidden')
    expect(
      asked
        .bytesFor('real')
        .toString()
        .match(/"model"/g),
    ).toHaveLength(1)
    const escaped = '{"messages":[{"role":"user","content":"x"}],"mod\\u0065l":"forbidden"}'
    expect(readAsked(bytes(escaped)).model).toBe('forbidden')
  })

  test("the literal '[undefined]' of a JavaScript client counts as absent", () => {
    const asked = readAsked(bytes({ model: 'm', messages, temperature: '[undefined]', stream: '[undefined]' }))
    expect(asked.stream).toBe(false)
    expect(json(asked.bytesFor('m'))).toEqual({ model: 'm', messages })
  })

  test.each([
    ['', 'invalid_json', null],
    ['[]', 'invalid_json', null],
    ['{"model":"m","messages":[', 'invalid_json', null],
    ['{"messages":[{}]}', 'invalid_request', 'model'],
    ['{"model":7,"messages":[{}]}', 'invalid_request', 'model'],
    ['{"model":"m"}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":[ ]}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":"hi"}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":[{}],"stream":"yes"}', 'invalid_request', 'stream'],
    ['{"model":"m","messages":[{}],"stream_options":[]}', 'invalid_request', 'stream_options'],
  ])('%s is refused as %s, naming %s', (body, code, param) => {
    expect(() => readAsked(bytes(body))).toThrow(expect.objectContaining({ code, ...(param && { param }) }))
  })

  test('needs are read from the request, and text that speaks of images needs none', () => {
    const needs = (more: object) => readAsked(bytes({ model: 'm', messages, ...more })).needs
    expect(needs({})).toMatchObject({ tools: false, structuredOutput: false })
    expect(needs({}).images()).toBe(false)
    expect(needs({ tools: [{ type: 'function' }] }).tools).toBe(true)
    expect(needs({ tools: [] }).tools).toBe(false)
    expect(needs({ functions: [{ name: 'f' }] }).tools).toBe(true)
    expect(needs({ response_format: { type: 'json_schema' } }).structuredOutput).toBe(true)
    expect(needs({ response_format: { type: 'json_object' } }).structuredOutput).toBe(false)
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] }]
    expect(needs({ messages: image }).images()).toBe(true)
    expect(needs({ messages: [{ role: 'user', content: 'what is "image_url"?' }] }).images()).toBe(false)
  })

  test('small bodies, large ones and odd ones are read alike', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', 'é', '模', '👋', '\n', '"model"', '[undefined]') })
    fc.assert(
      fc.property(text, text, fc.boolean(), fc.boolean(), (name, content, stream, isEscaped) => {
        const model = `m${name}`
        const whole = { model, stream, messages: [{ role: 'user', content }], n: 2, stream_options: { x: content } }
        const plain = JSON.stringify(whole)
        const sent = isEscaped
          ? plain.replace(/[é模]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
          : plain
        const padded = sent.replace('{', `{"pad":"${'x'.repeat(9000)}",`)
        for (const body of [sent, padded]) {
          const asked = readAsked(Buffer.from(body))
          expect(asked).toMatchObject({ model, stream, choices: 2, includeUsage: false })
          const { pad: _, ...got } = json(asked.bytesFor('other'))
          const options = stream ? { ...whole.stream_options, include_usage: true } : whole.stream_options
          expect(got).toEqual({ ...whole, model: 'other', stream_options: options })
          expect(asked.chat().messages).toMatchObject([{ role: 'user', parts: [{ text: content }] }])
        }
      }),
    )
  })
})
