/** The shelf of wire protocols: what callers may speak to us, and what we speak to providers. */
import { anthropicMessages } from './anthropic-messages/index.ts'
import { gemini } from './gemini/index.ts'
import { openaiChat } from './openai-chat/index.ts'
import { openaiCompletions } from './openai-completions/index.ts'
import { openaiResponses } from './openai-responses/index.ts'
import type { InboundProtocol, OutboundProtocol } from './protocol.ts'

export const inbound: readonly InboundProtocol[] = [
  openaiChat,
  openaiCompletions,
  openaiResponses,
  anthropicMessages,
  gemini,
]

export const outbound: readonly OutboundProtocol[] = [openaiChat, openaiResponses, anthropicMessages, gemini]
