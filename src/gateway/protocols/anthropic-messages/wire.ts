import type { JsonObject } from '../protocol.ts'

/** Shapes of https://platform.claude.com/docs/en/api/messages/create, as far as we write them. */

export type WireText = { type: 'text'; text: string }
export type WireMediaSource =
  | { type: 'base64'; media_type: string; data: string }
  | { type: 'url'; url: string }
  | { type: 'file'; file_id: string }
  | { type: 'text'; media_type: 'text/plain'; data: string }
export type WireImage = { type: 'image'; source: WireMediaSource }
export type WireDocument = { type: 'document'; source: WireMediaSource; title?: string }
type WireThinking = { type: 'thinking'; thinking: string; signature: string }
type WireRedactedThinking = { type: 'redacted_thinking'; data: string }
type WireToolUse = { type: 'tool_use'; id: string; name: string; input: JsonObject }
type WireToolResult = {
  type: 'tool_result'
  tool_use_id: string
  content?: WireBlock[]
  is_error?: true
}
export type WireBlock =
  | WireText
  | WireImage
  | WireDocument
  | WireThinking
  | WireRedactedThinking
  | WireToolUse
  | WireToolResult
export type WireMessage = { role: 'user' | 'assistant'; content: WireBlock[] }

export type WireTool = { name: string; description?: string; input_schema: JsonObject; strict?: true }
export type WireToolChoice =
  | { type: 'auto' | 'any'; disable_parallel_tool_use?: true }
  | { type: 'tool'; name: string; disable_parallel_tool_use?: true }
  | { type: 'none' }

export const protocolName = 'anthropic-messages'
