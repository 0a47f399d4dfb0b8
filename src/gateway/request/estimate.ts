import { estimateTokensOfBytes } from '../../usage/calls.ts'
import type { ChatAssistantPart, ChatPart, ChatRequest } from '../chat.ts'

/** What vendors count for a picture of usual size, whatever its bytes. */
const tokensPerPicture = 1500
/** A page or so of a document; its text is inside of its bytes. */
const bytesPerFileToken = 40
/** Roles, brackets and the like around each message. */
const tokensPerMessage = 4

/**
 * Tokens that a request is likely to count as its prompt: within some ten percent for prose, a guess for pictures and
 * files. For callers who must be told something before the provider says it; never what is written into the ledger.
 */
export function estimateTokensIn(chat: ChatRequest): number {
  let tokens = 0
  const texts: string[] = []
  for (const { parts } of chat.messages) {
    tokens += tokensPerMessage
    for (const part of parts) tokens += estimatePart(part, texts)
  }
  for (const tool of chat.tools) texts.push(tool.name, tool.description ?? '', JSON.stringify(tool.parameters ?? {}))
  if (chat.responseFormat?.kind === 'json_schema') texts.push(JSON.stringify(chat.responseFormat.schema))
  return tokens + estimateTokensOfBytes(Buffer.from(texts.join('\n')))
}

/** Texts are gathered, so that they are estimated at once; the rest is counted here. */
function estimatePart(part: ChatPart | ChatAssistantPart, texts: string[]): number {
  switch (part.kind) {
    case 'text':
    case 'refusal':
    case 'reasoning':
      texts.push(part.text)
      return 0
    case 'tool_call':
      texts.push(part.name, part.arguments)
      return 0
    case 'vendor':
      texts.push(JSON.stringify(part.value))
      return 0
    case 'image':
      return tokensPerPicture
    case 'audio':
      return Math.ceil(part.base64.length / bytesPerFileToken)
    case 'file':
      return part.source.kind === 'base64' ? Math.ceil(part.source.base64.length / bytesPerFileToken) : tokensPerPicture
  }
}
