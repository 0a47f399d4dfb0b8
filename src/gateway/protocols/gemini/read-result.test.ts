import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { gemini } from './index.ts'
import { readResult } from './read-result.ts'

const whole = JSON.parse(readFileSync(new URL('./__fixtures__/answer.json', import.meta.url), 'utf8'))
const signed = { extras: { gemini: { thoughtSignature: 'CiQB0e2Kb7+/Zg==' } } }
const finishOf = (finishReason: string | undefined) =>
  readResult({ candidates: [{ content: { parts: [{ text: 'x' }] }, finishReason }] }).choices[0]?.finish

// The ancestor joined the texts of the first candidate and lost the rest.
test('calls and thoughts were lost: they are read, with ids that stay the same; images and run code are left out', () => {
  const { id, model, choices } = readResult(whole)
  expect({ id, model }).toEqual({ id: 'whole-1', model: 'gemini-3.5-flash' })
  expect(choices[0]?.parts).toEqual([
    { kind: 'reasoning', text: 'Let me think.', signature: null, redacted: false },
    { kind: 'text', text: 'Here it is.' },
    { kind: 'tool_call', id: 'call_gemini_whole-1_0', name: 'get_weather', arguments: '{"city":"Zürich"}', ...signed },
    { kind: 'tool_call', id: 'call_gemini_whole-1_1', name: 'now', arguments: '{}' },
  ])
  expect(choices[0]?.finish).toBe('tool_calls')
  expect(readResult(whole)).toEqual(readResult(whole))
})

test('several candidates keep their index and share no call id', () => {
  const content = { parts: [{ functionCall: { name: 'f' } }] }
  const { choices } = readResult({ candidates: [{ content }, { content, index: 1 }], responseId: 'r' })
  expect(choices.map((choice) => choice.index)).toEqual([0, 1])
  const ids = choices.flatMap((choice) => choice.parts.map((part) => part.kind === 'tool_call' && part.id))
  expect(new Set(ids).size).toBe(2)
})

test('output counts thoughts, input counts what tools brought', () => {
  expect(readResult(whole).usage).toEqual({
    tokensIn: 105,
    tokensOut: 50,
    tokensCachedRead: 40,
    tokensCachedWrite: 0,
    tokensReasoning: 30,
  })
  expect(readResult({ ...whole, usageMetadata: undefined }).usage).toBeNull()
})

test('log probabilities come in the shape callers ask for', () => {
  expect(readResult(whole).choices[0]?.logprobs).toEqual({
    content: [
      {
        token: 'Hé',
        logprob: -0.25,
        bytes: [72, 195, 169],
        top_logprobs: [
          { token: 'Hé', logprob: -0.25, bytes: [72, 195, 169] },
          { token: 'Ha', logprob: -2, bytes: [72, 97] },
        ],
      },
    ],
    refusal: null,
  })
})

test('every finish reason has its word', () => {
  expect(finishOf('STOP')).toBe('stop')
  expect(finishOf('MAX_TOKENS')).toBe('length')
  const filtered = ['SAFETY', 'RECITATION', 'LANGUAGE', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY']
  for (const reason of filtered) expect(finishOf(reason)).toBe('content_filter')
  expect(finishOf('OTHER')).toBe('stop')
  expect(finishOf('constructor')).toBe('stop')
  expect(() => finishOf('MALFORMED_FUNCTION_CALL')).toThrow(expect.objectContaining({ code: 'upstream_garbled' }))
})

test('a blocked prompt and an empty candidate are answers, not crashes', () => {
  expect(readResult({ promptFeedback: { blockReason: 'SAFETY' } }).choices).toEqual([
    { index: 0, parts: [], finish: 'content_filter', stopSequence: null, logprobs: null },
  ])
  expect(readResult({ candidates: [{ finishReason: 'MAX_TOKENS' }] }).choices[0]).toMatchObject({
    parts: [],
    finish: 'length',
  })
})

test('what holds no candidate is refused', () => {
  for (const wire of [{}, { candidates: [] }, { error: { code: 500 } }]) {
    expect(() => readResult(wire)).toThrow(expect.objectContaining({ code: 'upstream_garbled' }))
  }
})

// The ancestor had a fixed list of five.
test('models were a fixed list: the real one is read, those that chat only, page by page', () => {
  expect(gemini.modelsPath(null)).toBe('/v1beta/models?pageSize=1000')
  expect(gemini.modelsPath('a/b')).toBe('/v1beta/models?pageSize=1000&pageToken=a%2Fb')
  const models = [
    {
      name: 'models/gemini-x',
      inputTokenLimit: 1048576,
      supportedGenerationMethods: ['generateContent', 'countTokens'],
    },
    { name: 'models/embed-x', supportedGenerationMethods: ['embedContent'] },
    {},
  ]
  expect(gemini.readModels({ models, nextPageToken: 'n' })).toEqual({
    models: [{ id: 'gemini-x', ownedBy: 'google', contextTokens: 1048576 }],
    nextPageToken: 'n',
  })
  expect(gemini.readModels({})).toEqual({ models: [], nextPageToken: null })
})
