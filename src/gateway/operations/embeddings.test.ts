import { expect, test } from 'vitest'
import type { Candidate } from '../models.ts'
import { google } from '../providers/google.ts'
import { embeddings } from './embeddings.ts'

const candidate = {
  provider: { kind: google, wiring: google.wire({}) },
  providerModel: 'models/gemini-embedding-001',
} as unknown as Candidate
const translate = (body: Record<string, unknown>) =>
  embeddings.translate!(candidate, { member: (name) => body[name], whole: () => body })!

test('5.6.47 Gemini is asked for all texts at once, and base64 is little-endian floats', () => {
  const asked = translate({ model: 'mine', input: ['a', 'b'], dimensions: 2, encoding_format: 'base64' })
  expect(asked.path).toBe('/v1beta/models/gemini-embedding-001:batchEmbedContents')
  expect(JSON.parse(asked.body).requests[1]).toEqual({
    model: 'models/gemini-embedding-001',
    content: { parts: [{ text: 'b' }] },
    outputDimensionality: 2,
  })
  const { wire, usage } = asked.readAnswer({ embeddings: [{ values: [1, 0.5] }, { values: [0, -2] }] })
  expect(usage).toBeNull()
  const { data, model } = wire as { data: { embedding: string }[]; model: string }
  expect(model).toBe('mine')
  const bytes = Buffer.from(data[0]!.embedding, 'base64')
  expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([1, 0.5])
})

test('what Gemini cannot take, and what is no answer, is said', () => {
  expect(() => translate({ model: 'mine', input: [1, 2] })).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'input' }),
  )
  expect(() => translate({ model: 'mine', input: [] })).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  expect(() => translate({ model: 'mine', input: 'a' }).readAnswer({ embeddings: [] })).toThrow()
})
