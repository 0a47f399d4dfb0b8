import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { anthropicMessages } from './index.ts'
import { readResult } from './read-result.ts'
import { answerToolName } from './write-tools.ts'

const whole = JSON.parse(readFileSync(new URL('./__fixtures__/message.json', import.meta.url), 'utf8'))
const withContent = (content: object[], changes: object = {}) => ({ ...whole, content, ...changes })
const finishOf = (stop_reason: string | null, content = [{ type: 'text', text: 'x' }]) =>
  readResult(withContent(content, { stop_reason })).choices[0]?.finish

// The ancestor joined the texts and lost calls and thinking.
test('tool calls and thinking were lost: every part of the answer is read, server tools aside', () => {
  const { choices, id, model } = readResult(whole)
  expect({ id, model }).toEqual({ id: 'msg_01Whole', model: 'claude-opus-4-6' })
  expect(choices[0]?.parts).toEqual([
    { kind: 'reasoning', text: 'Easy.', signature: 'EqQBCg==', signedBy: 'anthropic-messages', redacted: false },
    { kind: 'reasoning', text: '', signature: 'EmwKAhgB', signedBy: 'anthropic-messages', redacted: true },
    { kind: 'text', text: 'Here: ' },
    { kind: 'text', text: 'it is.' },
    { kind: 'tool_call', id: 'toolu_1', name: 'get_weather', arguments: '{"city":"Zürich"}' },
    { kind: 'tool_call', id: 'toolu_2', name: 'now', arguments: '{}' },
  ])
  expect(choices[0]?.finish).toBe('tool_calls')
})

test('input counts what the cache gave and took', () => {
  expect(readResult(whole).usage).toEqual({
    tokensIn: 2125,
    tokensOut: 89,
    tokensCachedRead: 2000,
    tokensCachedWrite: 100,
    tokensReasoning: 31,
  })
  expect(readResult({ ...whole, usage: undefined }).usage).toBeNull()
  expect(readResult({ ...whole, usage: { input_tokens: 0, output_tokens: 0 } }).usage).toMatchObject({ tokensIn: 0 })
})

test('every stop reason has its word', () => {
  expect(finishOf('end_turn')).toBe('stop')
  expect(finishOf('pause_turn')).toBe('stop')
  expect(finishOf('max_tokens')).toBe('length')
  expect(finishOf('model_context_window_exceeded')).toBe('length')
  expect(finishOf('refusal')).toBe('refusal')
  expect(finishOf('something_new')).toBe('stop')
  expect(finishOf(null)).toBe('stop')
  const stopped = withContent([], { stop_reason: 'stop_sequence', stop_sequence: 'END' })
  expect(readResult(stopped).choices[0]).toMatchObject({ finish: 'stop', stopSequence: 'END', parts: [] })
})

test('a refusal brings its explanation', () => {
  const stop_details = { type: 'refusal', category: 'bio', explanation: 'No.' }
  const result = readResult(withContent([], { stop_reason: 'refusal', stop_details }))
  expect(result.choices[0]?.parts).toEqual([{ kind: 'refusal', text: 'No.' }])
  expect(result.extras).toEqual({ 'anthropic-messages': { stop_details } })
})

test('the tool that stands for a JSON answer is text to the caller', () => {
  const content = [{ type: 'tool_use', id: 't', name: answerToolName, input: { a: 1 } }]
  expect(readResult(withContent(content)).choices[0]).toMatchObject({
    parts: [{ kind: 'text', text: '{"a":1}' }],
    finish: 'stop',
  })
})

test('what is no message is refused, an error body with status 200 too', () => {
  const garbled = expect.objectContaining({ code: 'upstream_garbled' })
  expect(() => readResult({})).toThrow(garbled)
  expect(() => readResult({ type: 'error', error: { type: 'api_error', message: 'x' } })).toThrow(garbled)
  expect(() => readResult({ type: 'message', content: 'x' })).toThrow(garbled)
})

test('the list of models is read page by page', () => {
  expect(anthropicMessages.modelsPath(null)).toBe('/v1/models?limit=1000')
  expect(anthropicMessages.modelsPath('a b')).toBe('/v1/models?limit=1000&after_id=a%20b')
  const page = {
    data: [{ type: 'model', id: 'claude-x', max_input_tokens: 200000 }, {}],
    has_more: true,
    last_id: 'claude-x',
  }
  expect(anthropicMessages.readModels(page)).toEqual({
    models: [{ id: 'claude-x', ownedBy: 'anthropic', contextTokens: 200000 }],
    nextPageToken: 'claude-x',
  })
  expect(anthropicMessages.readModels({ ...page, has_more: false }).nextPageToken).toBeNull()
  expect(anthropicMessages.readModels({})).toEqual({ models: [], nextPageToken: null })
})
