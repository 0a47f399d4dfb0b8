import type { JsonObject } from '../protocol.ts'

/**
 * What we write of OpenAI's chat completions. What comes in is read as unknown, member by member.
 * https://platform.openai.com/docs/api-reference/chat
 *
 * Two members are not OpenAI's. `reasoning_content` is what DeepSeek, vLLM and most clients use for thinking that may be
 * shown. `extra_content` (Google's OpenAI endpoint) and `reasoning_details` (OpenRouter) carry vendors' signatures to the
 * caller and, when it sends the message back as it got it, home again.
 */
export type WireToolCall = {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
  extra_content?: JsonObject
}

export type WireReasoningDetail = {
  type: 'reasoning.text' | 'reasoning.encrypted'
  /** Numbers the reasoning blocks of one answer; a later entry of the same number replaces an earlier one. */
  index: number
  text?: string
  signature?: string
  data?: string
  /** Whose signature it is. */
  format?: string
  extra_content?: JsonObject
}

export type WireAnswerMessage = {
  role: 'assistant'
  content: string | null
  refusal: string | null
  reasoning_content?: string
  reasoning_details?: WireReasoningDetail[]
  tool_calls?: WireToolCall[]
}

export type WireUsage = {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  prompt_tokens_details: { cached_tokens: number; cache_write_tokens?: number }
  completion_tokens_details: { reasoning_tokens: number }
}

export type WireError = { error: { message: string; type: string; param: string | null; code: string | null } }

/** Name of this protocol in the shelf and in `extras`. */
export const protocolName = 'openai-chat'

export const doneLine = 'data: [DONE]\n\n'

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
