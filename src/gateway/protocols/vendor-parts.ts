import type { ChatAssistantPart, ChatMessage, ChatPart, ChatRequest } from '../chat.ts'
import { asText } from './json.ts'

/**
 * The same conversation without the parts that only another vendor knows, and what was left out, by the type its vendor
 * gives it. The request itself stays as it is: the next provider may be that vendor.
 */
export function withoutForeignParts(chat: ChatRequest, protocol: string): { chat: ChatRequest; dropped: string[] } {
  if (!chat.messages.some(({ parts }) => hasForeign(parts, protocol))) return { chat, dropped: [] }
  const dropped = new Set<string>()
  const messages = chat.messages.map((message): ChatMessage => {
    if (message.role === 'system' || !hasForeign(message.parts, protocol)) return message
    const parts = (message.parts as (ChatPart | ChatAssistantPart)[]).filter((part) => {
      if (part.kind !== 'vendor' || part.protocol === protocol) return true
      dropped.add(asText(part.value.type) || 'content')
      return false
    })
    return { ...message, parts } as ChatMessage
  })
  return { chat: { ...chat, messages }, dropped: [...dropped] }
}

function hasForeign(parts: readonly (ChatPart | ChatAssistantPart)[], protocol: string): boolean {
  return parts.some((part) => part.kind === 'vendor' && part.protocol !== protocol)
}
