import { fail } from '../../../kernel/errors.ts'
import type { EmbeddingRequest, EmbeddingResult } from '../../embedding.ts'
import { asCount, asList, asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'

/** How callers of Gemini's embeddings are served by OpenAI's. https://platform.openai.com/docs/api-reference/embeddings */
export const openaiEmbeddings = {
  path: '/embeddings',

  write(request: EmbeddingRequest, model: string): JsonObject {
    return {
      model,
      input: request.inputs,
      encoding_format: request.encoding,
      ...(request.dimensions === null ? {} : { dimensions: request.dimensions }),
    }
  },

  /** Throws HubError `upstream_garbled` when vectors are missing. */
  read(wire: JsonObject, wanted: number): EmbeddingResult {
    const vectors: number[][] = []
    for (const [place, value] of asList(wire.data).entries()) {
      const row = asObject(value) ?? {}
      vectors[asCount(row.index) ?? place] = asList(row.embedding) as number[]
    }
    const isWhole = vectors.length === wanted && vectors.every((vector) => vector?.length > 0)
    if (!isWhole)
      throw fail('upstream_garbled', 'The provider answered another number of embeddings than was asked for')
    return { vectors, tokensIn: asCount(asObject(wire.usage)?.prompt_tokens) }
  },
}
