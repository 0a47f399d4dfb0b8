/** The shelf of what callers of models may ask. A path that fits several is answered by the first. */
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiCompletions } from '../protocols/openai-completions/index.ts'
import { anthropic } from './anthropic.ts'
import { batches } from './batches.ts'
import { conversation } from './conversation.ts'
import type { Endpoint } from './endpoint.ts'
import { files } from './files.ts'
import { gemini } from './gemini.ts'
import { orGoogles } from './gemini-models.ts'
import { models } from './models.ts'
import { operationEndpoints } from './operations.ts'
import { responses } from './responses.ts'

export const endpoints: readonly Endpoint[] = [
  conversation(openaiChat, '/v1/chat/completions', ['/v1/chat/completions', '/api/v1/chat/completions']),
  conversation(openaiCompletions, '/v1/completions', ['/v1/completions', '/api/v1/completions']),
  ...responses,
  ...operationEndpoints,
  ...files,
  ...batches,
  ...anthropic,
  ...gemini,
  ...orGoogles(models),
]

export type { Endpoint, LlmSource } from './endpoint.ts'
