/** The shelf of what callers of models may ask. A path that fits several is answered by the first. */
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { conversation } from './conversation.ts'
import type { Endpoint } from './endpoint.ts'
import { models } from './models.ts'
import { responses } from './responses.ts'

export const endpoints: readonly Endpoint[] = [
  conversation(openaiChat, '/v1/chat/completions', ['/v1/chat/completions', '/api/v1/chat/completions']),
  ...responses,
  ...models,
]

export type { Endpoint, LlmSource } from './endpoint.ts'
