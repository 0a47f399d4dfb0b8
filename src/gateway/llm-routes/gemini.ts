import { gemini as protocol } from '../protocols/gemini/index.ts'
import { conversation } from './conversation.ts'
import type { Endpoint, Visit } from './endpoint.ts'
import { geminiCounting } from './gemini-counting.ts'
import { geminiEmbedding } from './gemini-embedding.ts'
import { geminiModels } from './gemini-models.ts'
import { geminiName, pathOf } from './gemini-paths.ts'

/** Google's API as its clients call it: model, verb and stream stand in the address. https://ai.google.dev/api */
export const gemini: readonly Endpoint[] = [
  conversation(protocol, '/v1beta/models/{model}:generateContent', [pathOf('generateContent')], (visit) => ({
    model: geminiName(visit),
    stream: false,
    framing: 'sse',
  })),
  conversation(
    protocol,
    '/v1beta/models/{model}:streamGenerateContent',
    [pathOf('streamGenerateContent')],
    (visit) => ({
      model: geminiName(visit),
      stream: true,
      framing: isSse(visit) ? 'sse' : 'json-array',
    }),
  ),
  geminiCounting,
  ...geminiEmbedding,
  ...geminiModels,
]

function isSse({ query }: Visit): boolean {
  return query.get('alt') === 'sse' || query.get('$alt') === 'sse'
}
