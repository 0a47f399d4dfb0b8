import { expect, test } from 'vitest'
import type { ChatAssistantPart, ChatMessage, ChatPart } from '../../chat.ts'
import { assistant, result, system, user } from '../__fixtures__/chat.ts'
import { makeCallId } from './call-ids.ts'
import { factsOf } from './model-facts.ts'
import { writeContents } from './write-contents.ts'

const write = (messages: ChatMessage[], model = 'gemini-2.5-flash') => writeContents(messages, factsOf(model))
const call = (id: string, name: string, args = '{"a":1}'): ChatAssistantPart => ({
  kind: 'tool_call',
  id,
  name,
  arguments: args,
})
const asUser = (...parts: ChatPart[]): ChatMessage[] => [{ role: 'user', parts, name: null }]

// The ancestor kept the last system message and lost the rest.
test('only the last of several system messages survived: all of them are in systemInstruction now, in order', () => {
  const { system: parts, contents } = write([system('one'), user('hi'), system('two', true)])
  expect(parts).toEqual([{ text: 'one' }, { text: 'two' }])
  expect(contents).toEqual([{ role: 'user', parts: [{ text: 'hi' }] }])
})

// The ancestor sent every role but user as model.
test('tool results were sent as words of the model: they are functionResponse parts of the user now', () => {
  const { contents } = write([user('go'), assistant(call('c1', 'f')), result('c1', '{"ok":true}')])
  expect(contents[2]).toEqual({
    role: 'user',
    parts: [{ functionResponse: { id: 'c1', name: 'f', response: { ok: true } } }],
  })
})

test('null text was sent: a message of calls alone has only its calls now', () => {
  const { contents } = write([user('go'), assistant(call('c1', 'f', '')), assistant()])
  expect(contents[1]).toEqual({ role: 'model', parts: [{ functionCall: { id: 'c1', name: 'f', args: {} } }] })
  expect(contents).toHaveLength(2)
})

test('images were dropped: base64 arrives inline, addresses of Google as files, others are refused', () => {
  const image = (source: Extract<ChatPart, { kind: 'image' }>['source']): ChatPart => ({
    kind: 'image',
    source,
    detail: null,
  })
  const uri = 'https://generativelanguage.googleapis.com/v1beta/files/abc'
  const { contents } = write(
    asUser(
      image({ kind: 'base64', mediaType: 'image/png', base64: 'iVBO' }),
      image({ kind: 'url', url: uri }),
      { kind: 'audio', base64: 'UklG', format: 'wav' },
      { kind: 'file', source: { kind: 'base64', mediaType: 'application/pdf', base64: 'JVBE' }, name: 'a.pdf' },
      { kind: 'file', source: { kind: 'id', id: 'files/abc' }, name: null },
    ),
  )
  expect(contents[0]?.parts).toEqual([
    { inlineData: { mimeType: 'image/png', data: 'iVBO' } },
    { fileData: { fileUri: uri } },
    { inlineData: { mimeType: 'audio/wav', data: 'UklG' } },
    { inlineData: { mimeType: 'application/pdf', data: 'JVBE' } },
    { fileData: { fileUri: uri } },
  ])
  for (const url of ['https://example.com/a.png', 'https://generativelanguage.googleapis.com.evil.example/x']) {
    expect(() => write(asUser(image({ kind: 'url', url })))).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'image_url' }),
    )
  }
})

test('messages of one role in a row become one', () => {
  const { contents } = write([
    user('a'),
    user('b'),
    assistant({ kind: 'text', text: 'c' }),
    assistant({ kind: 'text', text: 'd' }),
  ])
  expect(contents.map((content) => [content.role, content.parts.length])).toEqual([
    ['user', 2],
    ['model', 2],
  ])
})

test('parallel results stand alone in one content, in the order of their calls, with names found by id', () => {
  const { contents } = write([
    user('go'),
    assistant(call('c1', 'first'), call('c2', 'second')),
    result('c2', 'plain'),
    result('c1', '[1]', true),
    user('well?'),
  ])
  expect(contents.slice(2)).toEqual([
    {
      role: 'user',
      parts: [
        { functionResponse: { id: 'c1', name: 'first', response: { error: '[1]' } } },
        { functionResponse: { id: 'c2', name: 'second', response: { result: 'plain' } } },
      ],
    },
    { role: 'user', parts: [{ text: 'well?' }] },
  ])
})

test('ids that we made up are not shown to Gemini, and a result of no call is refused', () => {
  const id = makeCallId('resp', 0, 0)
  const { contents } = write([user('go'), assistant(call(id, 'f')), result(id, '1')])
  expect(contents[1]?.parts).toEqual([{ functionCall: { name: 'f', args: { a: 1 } } }])
  expect(contents[2]?.parts).toEqual([{ functionResponse: { name: 'f', response: { result: '1' } } }])
  expect(() => write([user('go'), result('lost', '1')])).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'messages.tool_call_id' }),
  )
})

test('signatures return on the very call; calls that Gemini did not make say so where signatures are asked for', () => {
  const signed: ChatAssistantPart = {
    kind: 'tool_call',
    id: 'c1',
    name: 'f',
    arguments: '',
    extras: { gemini: { thoughtSignature: 'Ci+/==' } },
  }
  const history = [user('go'), assistant(signed, call('c2', 'f')), result('c1', '1'), result('c2', '2')]
  expect(write(history, 'gemini-3.5-flash').contents[1]?.parts).toEqual([
    { functionCall: { id: 'c1', name: 'f', args: {} }, thoughtSignature: 'Ci+/==' },
    { functionCall: { id: 'c2', name: 'f', args: { a: 1 } } },
  ])
  const unsigned = [user('go'), assistant(call('c1', 'f'), call('c2', 'f'))]
  expect(write(unsigned, 'gemini-3.5-flash').contents[1]?.parts).toMatchObject([
    { thoughtSignature: 'skip_thought_signature_validator' },
    { functionCall: { id: 'c2' } },
  ])
  expect(write(unsigned, 'gemini-3.5-flash').contents[1]?.parts[1]?.thoughtSignature).toBeUndefined()
  expect(write(unsigned, 'gemini-2.5-pro').contents[1]?.parts[0]?.thoughtSignature).toBeUndefined()
})

test('thinking returns only with its own signature, otherwise it is named', () => {
  const { contents, dropped } = write([
    user('go'),
    assistant(
      { kind: 'reasoning', text: 'a', signature: 's', redacted: false, extras: { gemini: { thoughtSignature: 's' } } },
      { kind: 'reasoning', text: 'b', signature: 'EqQ', redacted: false },
      { kind: 'text', text: 'c' },
    ),
  ])
  expect(contents[1]?.parts).toEqual([{ text: 'a', thought: true, thoughtSignature: 's' }, { text: 'c' }])
  expect(dropped).toEqual(['reasoning'])
})

test('images in a result go inside of it where the model reads them there, else beside it', () => {
  const image: ChatPart = {
    kind: 'image',
    source: { kind: 'base64', mediaType: 'image/png', base64: 'iVBO' },
    detail: null,
  }
  const history: ChatMessage[] = [
    user('go'),
    assistant(call('c1', 'f')),
    { role: 'tool', callId: 'c1', toolName: null, parts: [{ kind: 'text', text: 'see' }, image], isError: false },
  ]
  const inline = { inlineData: { mimeType: 'image/png', data: 'iVBO' } }
  expect(write(history, 'gemini-3.5-flash').contents[2]?.parts).toEqual([
    { functionResponse: { id: 'c1', name: 'f', response: { result: 'see' }, parts: [inline] } },
  ])
  expect(write(history).contents[2]?.parts).toEqual([
    { functionResponse: { id: 'c1', name: 'f', response: { result: 'see' } } },
    inline,
  ])
})
