import type { JsonObject } from '../protocol.ts'

/**
 * What we write of OpenAI's Responses. What comes in is read as unknown, member by member.
 * https://platform.openai.com/docs/api-reference/responses and its `streaming` page
 */
export type WireItem = JsonObject & { type: string; id?: string }

export type WireUsage = {
  input_tokens: number
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number }
  output_tokens: number
  output_tokens_details: { reasoning_tokens: number }
  total_tokens: number
}

/** `incomplete` is an answer that a limit or a filter cut: whole as a message, not as a thought. */
export type WireStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled'

/** Name of this protocol in the shelf and in `extras`. */
export const protocolName = 'openai-responses'
