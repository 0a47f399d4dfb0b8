import { fail } from '../../kernel/errors.ts'
import type { Candidate } from '../models.ts'
import { asCount, asList, asObject } from '../protocols/json.ts'
import { speaksGemini } from './asking/address.ts'
import { noTokens } from './asking/read-usage.ts'
import type { Translation } from './asking/translation.ts'
import { type AskedMembers, defineOperation } from './operation.ts'

/** https://platform.openai.com/docs/api-reference/embeddings. To a provider of the same API the bytes go as they came. */
export const embeddings = defineOperation({
  path: '/embeddings',
  required: ['model', 'input'],
  isSteady: true,
  translate: (candidate, asked) => (speaksGemini(candidate.provider) ? toGemini(candidate, asked) : null),
})

type Embedding = {
  model: string
  inputs: (string | number[])[]
  dimensions: number | null
  encoding: 'float' | 'base64'
}

/** https://ai.google.dev/api/embeddings#method:-models.batchembedcontents */
function toGemini({ providerModel }: Candidate, asked: AskedMembers): Translation {
  const { model, inputs, dimensions, encoding } = readEmbedding(asked)
  const name = providerModel.replace(/^models\//, '')
  return {
    path: `/v1beta/models/${encodeURIComponent(name)}:batchEmbedContents`,
    body: JSON.stringify({
      requests: inputs.map((input) => {
        if (typeof input !== 'string') throw cannot('input', 'takes texts, not tokens')
        return {
          model: `models/${name}`,
          content: { parts: [{ text: input }] },
          ...(dimensions === null ? {} : { outputDimensionality: dimensions }),
        }
      }),
    }),
    readAnswer(wire) {
      const vectors = asList(wire.embeddings).map((each) => asList(asObject(each)?.values) as number[])
      if (vectors.length !== inputs.length || vectors.some((vector) => vector.length === 0))
        throw fail('upstream_garbled')
      const tokensIn = asCount(asObject(wire.usageMetadata)?.promptTokenCount)
      return {
        wire: {
          object: 'list',
          data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector, encoding) })),
          model,
          ...(tokensIn === null ? {} : { usage: { prompt_tokens: tokensIn, total_tokens: tokensIn } }),
        },
        usage: tokensIn === null ? null : { ...noTokens, tokensIn },
      }
    },
  }
}

function readEmbedding(asked: AskedMembers): Embedding {
  const { model, input, dimensions = null, encoding_format: encoding = 'float' } = asked.whole()
  const inputs =
    typeof input === 'string' || asList(input).every((each) => typeof each === 'number') ? [input] : asList(input)
  const isRight = (each: unknown) =>
    typeof each === 'string' || (Array.isArray(each) && each.length > 0 && each.every(Number.isInteger))
  if (inputs.length === 0 || !inputs.every(isRight)) {
    throw fail('invalid_request', 'input must be a text, tokens, or an array of such.', { param: 'input' })
  }
  if (dimensions !== null && !(Number.isInteger(dimensions) && (dimensions as number) > 0)) {
    throw fail('invalid_request', 'dimensions must be a whole number above 0.', { param: 'dimensions' })
  }
  if (encoding !== 'float' && encoding !== 'base64') {
    throw fail('invalid_request', 'encoding_format must be float or base64.', { param: 'encoding_format' })
  }
  return {
    model: model as string,
    inputs: inputs as Embedding['inputs'],
    dimensions: dimensions as number | null,
    encoding,
  }
}

/** Clients read base64 as little-endian 32-bit floats, whatever machine this is. */
function encode(vector: number[], encoding: Embedding['encoding']): number[] | string {
  if (encoding === 'float') return vector
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * 4)
  return bytes.toString('base64')
}

function cannot(param: string, what: string) {
  return fail('unsupported_parameter', `The provider of this model ${what}.`, { param })
}
