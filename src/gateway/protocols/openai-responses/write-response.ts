import type { JsonObject, ReplyContext } from '../protocol.ts'
import type { WireItem, WireStatus } from './wire.ts'

/** What an answer repeats of its request. Every other member of a request stays with the caller. */
const repeated: { [name: string]: unknown } = {
  background: false,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  previous_response_id: null,
  prompt_cache_key: null,
  reasoning: { effort: null, summary: null },
  safety_identifier: null,
  service_tier: 'default',
  store: true,
  temperature: null,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  top_logprobs: 0,
  top_p: null,
  truncation: 'disabled',
  user: null,
}

/**
 * The members of a request that its answer repeats, with OpenAI's word for those the caller left out. An answer's tier is
 * the one that served it, and who translates has asked for no other.
 */
export function repeatOf(wire: JsonObject): JsonObject {
  const told = Object.keys(repeated).map((name) => [name, wire[name] ?? repeated[name]])
  return { ...Object.fromEntries(told), service_tier: repeated.service_tier }
}

/** Ours, not the provider's: whoever keeps the answer must find it by this id, whichever provider gave it. */
export function responseId(reply: Pick<ReplyContext, 'id'>): string {
  return `resp_${stemOf(reply)}`
}

/** The part that the ids of a response and of its items share. */
export function stemOf({ id }: Pick<ReplyContext, 'id'>): string {
  return id.replace(/^req_/, '').replace(/[^A-Za-z0-9]/g, '')
}

export type ResponseState = {
  status: WireStatus
  output: WireItem[]
  usage: JsonObject | null
  error: { code: string; message: string } | null
  /** `max_output_tokens` or `content_filter`; null for an answer that nothing cut. */
  incomplete: string | null
}

export const nothingYet: ResponseState = {
  status: 'in_progress',
  output: [],
  usage: null,
  error: null,
  incomplete: null,
}

/** The response object as official clients expect it, under the caller's name for the model. */
export function writeResponse(reply: ReplyContext, repeat: JsonObject, state: ResponseState): JsonObject {
  return {
    id: responseId(reply),
    object: 'response',
    created_at: Math.floor(reply.createdMs / 1000),
    model: reply.model,
    ...repeat,
    status: state.status,
    error: state.error,
    incomplete_details: state.incomplete === null ? null : { reason: state.incomplete },
    output: state.output,
    usage: state.usage,
  }
}
