/**
 * Conversations: calls that carry a session are grouped, and what is said in them is kept where a tenant or key has chosen
 * so, redacted, for a while, and deleted with proof when somebody asks. It reads no wire format (the gateway hands over what
 * was said), and log-in sessions are not its matter (identity).
 */
import type { Route } from '../http/route.ts'
import { type CallConversations, type ConversationParts, createCallConversations } from './capturing.ts'
import type { ConversationsConfig } from './config.ts'
import { conversationRoutes } from './routes.ts'

export type { ConversationsConfig } from './config.ts'
export { conversationShape } from './routes.ts'
export type { ConversationTables } from './store.ts'

export type Conversations = CallConversations & { routes: Route[] }

export function createConversations(parts: ConversationParts, config: ConversationsConfig): Conversations {
  const conversations = createCallConversations(parts, config)
  return { ...conversations, routes: conversationRoutes(conversations.control) }
}
