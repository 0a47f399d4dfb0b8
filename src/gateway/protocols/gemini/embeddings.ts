import { fail } from '../../../kernel/errors.ts'
import type { EmbeddingRequest, EmbeddingResult } from '../../embedding.ts'
import { asCount, asList, asObject } from '../json.ts'
import { wrong } from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { integerAt, listAt, membersAt, textAt, toCamelCase } from './fields.ts'

/** https://ai.google.dev/api/embeddings: `embedContent` for one content, `batchEmbedContents` for a list of such requests. */
export type EmbedVerb = 'embedContent' | 'batchEmbedContents'

export type ReadEmbedding = EmbeddingRequest & {
  /** Members that nobody but Gemini can obey. */
  unsaid: string[]
}

/** Throws HubError `invalid_request` that names the member by its path. */
export function readEmbedRequest(wire: JsonObject, model: string, verb: EmbedVerb): ReadEmbedding {
  const one = (value: unknown, path: string) => readOne(toCamelCase(asObject(value) ?? {}), path)
  const asked =
    verb === 'embedContent'
      ? [one(wire, '')]
      : listAt(wire, 'requests', 'requests').map((request, at) => one(request, `requests[${at}].`))
  if (asked.length === 0) throw wrong('requests', 'must hold at least one request')
  const lengths = new Set(asked.map(({ dimensions }) => dimensions))
  if (lengths.size > 1) {
    throw fail('unsupported_parameter', 'This provider gives all vectors of a batch one outputDimensionality', {
      param: 'outputDimensionality',
    })
  }
  return {
    model,
    inputs: asked.map(({ text }) => text),
    dimensions: asked[0]!.dimensions,
    encoding: 'float',
    unsaid: [...new Set(asked.flatMap(({ unsaid }) => unsaid))],
  }
}

function readOne(wire: JsonObject, prefix: string): { text: string; dimensions: number | null; unsaid: string[] } {
  const path = `${prefix}content`
  const content = typeof wire.content === 'string' ? { parts: [{ text: wire.content }] } : membersAt(wire.content, path)
  const texts = listAt(content, 'parts', `${path}.parts`).map((part, at) => {
    const text = textAt(membersAt(part, `${path}.parts[${at}]`), 'text', `${path}.parts[${at}]`)
    if (text === null) {
      throw fail('unsupported_parameter', 'This provider embeds text only', { param: `${path}.parts[${at}]` })
    }
    return text
  })
  if (texts.join('') === '') throw wrong(`${path}.parts`, 'must hold some text')
  // Newer clients put the same members into an object of their own.
  const config = { ...wire, ...toCamelCase(asObject(wire.embedContentConfig) ?? {}) }
  return {
    text: texts.join('\n'),
    dimensions: integerAt(config, 'outputDimensionality', path, 1),
    unsaid: ['taskType', 'title'].filter((name) => config[name] !== undefined && config[name] !== null),
  }
}

/** Asks Gemini itself, always in a batch: a batch of one is answered like any other. */
export function writeEmbedRequest(request: EmbeddingRequest, model: string): JsonObject {
  return {
    requests: request.inputs.map((input) => {
      if (typeof input !== 'string') {
        throw fail('unsupported_parameter', 'Gemini models embed texts, not token numbers', { param: 'input' })
      }
      return {
        model: `models/${model}`,
        content: { parts: [{ text: input }] },
        ...(request.dimensions === null ? {} : { outputDimensionality: request.dimensions }),
      }
    }),
  }
}

/** Reads both forms of an answer. Throws HubError `upstream_garbled` for what is none. */
export function readEmbedResult(wire: JsonObject): EmbeddingResult {
  const list = wire.embedding === undefined ? asList(wire.embeddings) : [wire.embedding]
  if (list.length === 0) throw fail('upstream_garbled', 'The provider answered something that holds no embedding')
  const vectors = list.map((embedding) => asList(asObject(embedding)?.values) as number[])
  return { vectors, tokensIn: asCount(asObject(wire.usageMetadata)?.promptTokenCount) }
}

export function writeEmbedResult({ vectors, tokensIn }: EmbeddingResult, verb: EmbedVerb): JsonObject {
  const embeddings = vectors.map((values) => ({ values }))
  return {
    ...(verb === 'embedContent' ? { embedding: embeddings[0] } : { embeddings }),
    ...(tokensIn === null ? {} : { usageMetadata: { promptTokenCount: tokensIn, totalTokenCount: tokensIn } }),
  }
}

/** The caller's body under the provider's name for the model, which every request of a batch repeats. */
export function renameModels(wire: JsonObject, providerModel: string): JsonObject {
  const model = `models/${providerModel}`
  const rename = (value: unknown): unknown => {
    const request = asObject(value)
    return request === null ? value : { ...request, model }
  }
  const renamed: JsonObject = { ...wire }
  if (wire.model !== undefined) renamed.model = model
  if (Array.isArray(wire.requests)) renamed.requests = wire.requests.map(rename)
  for (const name of ['generateContentRequest', 'generate_content_request']) {
    if (asObject(wire[name]) !== null) renamed[name] = rename(wire[name])
  }
  return renamed
}
