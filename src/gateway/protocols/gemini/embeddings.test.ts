import { expect, test } from 'vitest'
import { readEmbedRequest, readEmbedResult, renameModels, writeEmbedRequest, writeEmbedResult } from './embeddings.ts'

const content = (...texts: string[]) => ({ parts: texts.map((text) => ({ text })) })

test('both verbs read into the middle form and what only Gemini obeys is named', () => {
  const one = { content: content('a', 'b'), task_type: 'CLUSTERING', output_dimensionality: 8 }
  const middle = { model: 'm', inputs: ['a\nb'], dimensions: 8, encoding: 'float', unsaid: ['taskType'] }
  expect(readEmbedRequest(one, 'm', 'embedContent')).toEqual(middle)
  expect(readEmbedRequest({ requests: [one] }, 'm', 'batchEmbedContents')).toEqual(middle)
  const newer = { content: content('a'), embedContentConfig: { title: 't', outputDimensionality: 4 } }
  expect(readEmbedRequest(newer, 'm', 'embedContent')).toMatchObject({ dimensions: 4, unsaid: ['title'] })
})

test('a batch of several lengths, and what is no text, cannot be asked of others', () => {
  const sized = (outputDimensionality: number) => ({ content: content('a'), outputDimensionality })
  const refused = expect.objectContaining({ code: 'unsupported_parameter' })
  expect(() => readEmbedRequest({ requests: [sized(1), sized(2)] }, 'm', 'batchEmbedContents')).toThrow(refused)
  const picture = { content: { parts: [{ inlineData: { mimeType: 'image/png', data: 'x' } }] } }
  expect(() => readEmbedRequest(picture, 'm', 'embedContent')).toThrow(refused)
  expect(() => readEmbedRequest({ requests: [] }, 'm', 'batchEmbedContents')).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'requests' }),
  )
  expect(() => readEmbedRequest({ content: content('') }, 'm', 'embedContent')).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'content.parts' }),
  )
})

test('what is asked of Gemini reads back as it was meant', () => {
  const request = { model: 'm', inputs: ['a', 'b'], dimensions: 3, encoding: 'float' as const }
  const wire = writeEmbedRequest(request, 'gemini-embedding-001')
  expect(wire.requests).toMatchObject([
    { model: 'models/gemini-embedding-001' },
    { model: 'models/gemini-embedding-001' },
  ])
  expect(readEmbedRequest(wire, 'm', 'batchEmbedContents')).toEqual({ ...request, unsaid: [] })
  expect(() => writeEmbedRequest({ ...request, inputs: [[1, 2]] }, 'm')).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter' }),
  )
})

test('answers of both verbs read back, with or without a count', () => {
  for (const tokensIn of [null, 0, 5]) {
    const result = { vectors: [[1, 2]], tokensIn }
    for (const verb of ['embedContent', 'batchEmbedContents'] as const) {
      expect(readEmbedResult(writeEmbedResult(result, verb))).toEqual(result)
    }
  }
  expect(() => readEmbedResult({})).toThrow(expect.objectContaining({ code: 'upstream_garbled' }))
})

test('every place that repeats the model is renamed', () => {
  const wire = { model: 'a', requests: [{ model: 'a', x: 1 }], generateContentRequest: { model: 'a' }, y: 2 }
  const model = 'models/b'
  expect(renameModels(wire, 'b')).toEqual({
    model,
    requests: [{ model, x: 1 }],
    generateContentRequest: { model },
    y: 2,
  })
})
