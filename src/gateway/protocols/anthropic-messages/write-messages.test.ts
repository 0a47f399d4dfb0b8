import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChatAssistantPart, ChatPart } from '../../chat.ts'
import { assistant, result, system, user } from '../__fixtures__/chat.ts'
import { fromWireToolId, toWireToolId } from './tool-ids.ts'
import { writeConversation } from './write-messages.ts'

const text = (text: string) => ({ type: 'text', text })
const call = (id: string, args = '{"a":1}'): ChatAssistantPart => ({
  kind: 'tool_call',
  id,
  name: 'f',
  arguments: args,
})
const asUser = (...parts: ChatPart[]) => [{ role: 'user' as const, parts, name: null }]

// The ancestor kept the last system message and lost the rest.
test('only the last of several system messages survived: all of them do now, in order, wherever they stand', () => {
  const { system: blocks, messages } = writeConversation([
    system('one'),
    system('two', true),
    user('hi'),
    assistant({ kind: 'text', text: 'hello' }),
    system('three'),
    user('bye'),
  ])
  expect(blocks).toEqual([text('one'), text('two'), text('three')])
  expect(messages.map((message) => message.role)).toEqual(['user', 'assistant', 'user'])
})

// The ancestor sent every role it did not know as assistant.
test('tool results were sent as assistant messages: they are tool_result blocks of the user now', () => {
  const { messages } = writeConversation([user('go'), assistant(call('c1')), result('c1', '42')])
  expect(messages.at(-1)).toEqual({
    role: 'user',
    content: [{ type: 'tool_result', tool_use_id: 'c1', content: [text('42')] }],
  })
})

test('assistant content null was sent as null: a message of calls alone has only its calls now', () => {
  const { messages } = writeConversation([user('go'), assistant(call('c1', ''), call('c2')), assistant()])
  expect(messages).toEqual([
    { role: 'user', content: [text('go')] },
    {
      role: 'assistant',
      content: [
        { type: 'tool_use', id: 'c1', name: 'f', input: {} },
        { type: 'tool_use', id: 'c2', name: 'f', input: { a: 1 } },
      ],
    },
  ])
})

test('images were dropped: they arrive by address and by content', () => {
  const { messages } = writeConversation(
    asUser(
      { kind: 'image', source: { kind: 'url', url: 'https://example.com/a.png' }, detail: null },
      { kind: 'image', source: { kind: 'base64', mediaType: 'image/png', base64: 'iVBO' }, detail: 'auto' },
    ),
  )
  expect(messages[0]?.content).toEqual([
    { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
  ])
})

test('messages of one role in a row become one, and parallel results come first and together', () => {
  const { messages } = writeConversation([
    user('a'),
    user('b'),
    assistant(call('c1')),
    assistant(call('c2')),
    result('c1', '1'),
    user('and now?'),
    result('c2', 'broke', true),
  ])
  expect(messages.map((message) => [message.role, message.content.map((block) => block.type)])).toEqual([
    ['user', ['text', 'text']],
    ['assistant', ['tool_use', 'tool_use']],
    ['user', ['tool_result', 'tool_result', 'text']],
  ])
  expect(messages[2]?.content[1]).toMatchObject({ tool_use_id: 'c2', is_error: true })
})

test('a conversation of instructions alone asks them as the question', () => {
  expect(writeConversation([system('Say hi')])).toMatchObject({
    system: [],
    messages: [{ role: 'user', content: [text('Say hi')] }],
  })
})

test('empty texts and the white space at the end of a begun answer are left out', () => {
  const { messages } = writeConversation([user(''), user(' \n'), user('hi'), assistant({ kind: 'text', text: 'So, ' })])
  expect(messages).toEqual([
    { role: 'user', content: [text('hi')] },
    { role: 'assistant', content: [text('So,')] },
  ])
})

test('signed and redacted thinking returns byte for byte; unsigned and foreign thinking stays out and is named', () => {
  const { messages, dropped } = writeConversation([
    user('go'),
    assistant(
      { kind: 'reasoning', text: ' hm \n', signature: 'EqQ+/=', redacted: false },
      { kind: 'reasoning', text: '', signature: 'Emw+/=', redacted: true },
      { kind: 'reasoning', text: 'mine', signature: null, redacted: false },
      { kind: 'reasoning', text: 'theirs', signature: 'x', signedBy: 'gemini', redacted: false },
      call('c1'),
    ),
    result('c1', '1'),
  ])
  expect(messages[1]?.content.slice(0, 2)).toEqual([
    { type: 'thinking', thinking: ' hm \n', signature: 'EqQ+/=' },
    { type: 'redacted_thinking', data: 'Emw+/=' },
  ])
  expect(messages[1]?.content).toHaveLength(3)
  expect(dropped).toEqual(['reasoning'])
})

test('cache marks come back on the very block, also from a whole message', () => {
  const extras = { 'anthropic-messages': { cache_control: { type: 'ephemeral' } }, 'openai-chat': { x: 1 } }
  const { system: blocks, messages } = writeConversation([
    { role: 'system', parts: [{ kind: 'text', text: 'rules', extras }], developer: false },
    {
      role: 'user',
      parts: [
        { kind: 'text', text: 'a' },
        { kind: 'text', text: 'b' },
      ],
      name: null,
      extras,
    },
    assistant(call('c1')),
    { role: 'tool', callId: 'c1', toolName: null, parts: [{ kind: 'text', text: '1' }], isError: false, extras },
  ])
  const marked = { cache_control: { type: 'ephemeral' } }
  expect(blocks).toEqual([{ ...text('rules'), ...marked }])
  expect(messages[0]?.content).toEqual([text('a'), { ...text('b'), ...marked }])
  expect(messages[2]?.content).toMatchObject([{ type: 'tool_result', ...marked }])
})

test('files go as documents: PDF by content, address and id, texts as text', () => {
  const pdf = { kind: 'base64' as const, mediaType: 'application/pdf', base64: 'JVBE' }
  const plain = { kind: 'base64' as const, mediaType: 'text/plain; charset=utf-8', base64: 'R3LDvMOfZQ==' }
  const { messages } = writeConversation(
    asUser(
      { kind: 'file', source: pdf, name: 'a.pdf' },
      { kind: 'file', source: { kind: 'url', url: 'https://example.com/b.pdf' }, name: null },
      { kind: 'file', source: { kind: 'id', id: 'file_1' }, name: null },
      { kind: 'file', source: plain, name: null },
    ),
  )
  expect(messages[0]?.content).toEqual([
    { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' }, title: 'a.pdf' },
    { type: 'document', source: { type: 'url', url: 'https://example.com/b.pdf' } },
    { type: 'document', source: { type: 'file', file_id: 'file_1' } },
    { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Grüße' } },
  ])
})

test('audio and unreadable files are refused by name', () => {
  const audio = asUser({ kind: 'audio', base64: 'UklG', format: 'wav' })
  expect(() => writeConversation(audio)).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'input_audio' }),
  )
  const zip = { kind: 'base64' as const, mediaType: 'application/zip', base64: 'UEsD' }
  expect(() => writeConversation(asUser({ kind: 'file', source: zip, name: null }))).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'file' }),
  )
})

test('arguments that are no JSON object stay in the conversation as text', () => {
  const { messages } = writeConversation([user('go'), assistant(call('c1', '{"a":'), call('c2', '[1]'))])
  expect(messages[1]?.content).toMatchObject([{ input: { arguments: '{"a":' } }, { input: { arguments: '[1]' } }])
})

test('any tool id fits the pattern and maps back to itself', () => {
  const id = fc.oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }),
    fc.string({ minLength: 1 }).map((s) => `gh64_${s}`),
  )
  fc.assert(
    fc.property(id, (id) => {
      expect(toWireToolId(id)).toMatch(/^[a-zA-Z0-9_-]+$/)
      expect(fromWireToolId(toWireToolId(id))).toBe(id)
    }),
  )
  expect(toWireToolId('toolu_01-A')).toBe('toolu_01-A')
  expect(fromWireToolId('gh64_not made here!')).toBe('gh64_not made here!')
})
