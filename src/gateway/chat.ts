/**
 * The middle form: what a conversation with a model is, in nobody's wire format.
 *
 * A protocol reads its wire into these types and writes them back, so N protocols cost N translators instead of N × N.
 * Fields that only one vendor has ride in `extras` under the protocol's name and return when the same protocol leaves.
 */

import type { ServiceTier, UsageDetails } from '../usage/index.ts'

export type ChatRequest = {
  /** The model the caller asked for. */
  model: string
  messages: ChatMessage[]
  tools: ChatTool[]
  toolChoice: ChatToolChoice | null
  /** false asks for at most one tool call an answer. */
  parallelToolCalls: boolean | null
  responseFormat: ChatResponseFormat | null
  reasoning: ChatReasoning | null
  /** Upper bound of output tokens, visible and reasoning alike. */
  maxOutputTokens: number | null
  temperature: number | null
  topP: number | null
  topK: number | null
  stop: string[]
  seed: number | null
  presencePenalty: number | null
  frequencyPenalty: number | null
  logitBias: Record<string, number> | null
  /** Number of log probabilities a token (0 = only the chosen token's), null when not asked for. */
  logprobs: number | null
  /** Number of answers wanted. */
  n: number
  /** The caller's own id of its end user. */
  endUser: string | null
  stream: boolean
  /** Whether the caller wants the usage chunk in its stream (OpenAI's `stream_options.include_usage`). */
  includeUsage: boolean
  extras: Extras
}

/** Vendor fields that the middle form lacks, by protocol name, in that vendor's shape. */
export type Extras = { [protocol: string]: Record<string, unknown> | undefined }

export type ChatMessage =
  | { role: 'system'; parts: ChatTextPart[]; developer: boolean; extras?: Extras }
  | { role: 'user'; parts: ChatPart[]; name: string | null; extras?: Extras }
  | { role: 'assistant'; parts: ChatAssistantPart[]; name: string | null; extras?: Extras }
  | { role: 'tool'; callId: string; toolName: string | null; parts: ChatPart[]; isError: boolean; extras?: Extras }

export type ChatTextPart = { kind: 'text'; text: string; extras?: Extras }
export type ChatImagePart = {
  kind: 'image'
  source: ChatMedia
  detail: 'low' | 'high' | 'auto' | null
  extras?: Extras
}
export type ChatAudioPart = { kind: 'audio'; base64: string; format: string; extras?: Extras }
export type ChatFilePart = {
  kind: 'file'
  source: ChatMedia | { kind: 'id'; id: string }
  name: string | null
  /** The member of the caller's body that holds it, for complaints about it. */
  at?: string
  extras?: Extras
}
/** What only one vendor knows, such as the call of a tool that it ran itself. Others leave it out, with notice. */
export type ChatVendorPart = { kind: 'vendor'; protocol: string; value: Record<string, unknown> }
/** Bytes are base64 without a data: prefix. */
export type ChatMedia = { kind: 'base64'; mediaType: string; base64: string } | { kind: 'url'; url: string }
export type ChatPart = ChatTextPart | ChatImagePart | ChatAudioPart | ChatFilePart | ChatVendorPart

export type ChatAssistantPart = ChatTextPart | ChatRefusalPart | ChatReasoningPart | ChatToolCallPart | ChatVendorPart
export type ChatRefusalPart = { kind: 'refusal'; text: string }
/**
 * `signature` is the vendor's proof of its own thinking and must return byte for byte. A redacted part has no text:
 * its `signature` is the sealed thinking itself. `signedBy` names the protocol whose provider signed, absent where a
 * caller handed back a signature without saying whose it is; to send it to anybody else is answered with 400.
 */
export type ChatReasoningPart = {
  kind: 'reasoning'
  text: string
  signature: string | null
  redacted: boolean
  signedBy?: string
  extras?: Extras
}
/** `arguments` is the JSON text the model wrote; '' and '{}' both mean none. */
export type ChatToolCallPart = { kind: 'tool_call'; id: string; name: string; arguments: string; extras?: Extras }

export type ChatTool = {
  name: string
  description: string | null
  /** JSON Schema of the arguments. */
  parameters: Record<string, unknown> | null
  strict: boolean | null
  extras?: Extras
}

export type ChatToolChoice = { kind: 'auto' } | { kind: 'none' } | { kind: 'required' } | { kind: 'tool'; name: string }

export type ChatResponseFormat =
  | { kind: 'text' }
  | { kind: 'json' }
  | {
      kind: 'json_schema'
      name: string
      description: string | null
      schema: Record<string, unknown>
      strict: boolean | null
    }

export type ChatReasoning = {
  effort: 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max' | null
  budgetTokens: number | null
}

export type ChatFinish = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'refusal'

/**
 * Tokens as counted by the provider. `tokensIn` includes what was read from and written to a cache; `tokensOut`
 * includes reasoning. null means the provider did not say, which is not 0.
 */
export type ChatUsage = {
  tokensIn: number
  tokensOut: number
  tokensCachedRead: number
  tokensCachedWrite: number
  tokensReasoning: number
  /** What the provider says it served under, absent for its usual tier. */
  serviceTier?: ServiceTier
} & UsageDetails

/** A whole answer. */
export type ChatResult = {
  /** The provider's id of the answer, '' when it gives none. */
  id: string
  /** The model that really answered, as the provider names it. */
  model: string
  choices: ChatChoice[]
  usage: ChatUsage | null
  extras: Extras
}

export type ChatChoice = {
  index: number
  parts: ChatAssistantPart[]
  finish: ChatFinish
  /** The stop sequence that ended the answer, when the provider says which. */
  stopSequence: string | null
  logprobs: unknown
}

/** A streamed answer: `start` first, `end` last and exactly once; no `end` means the stream was cut. */
export type ChatEvent =
  | { kind: 'start'; id: string; model: string; usage: ChatUsage | null }
  | { kind: 'text'; index: number; text: string }
  | { kind: 'refusal'; index: number; text: string }
  | { kind: 'reasoning'; index: number; text: string }
  /** Closes the reasoning block before it; with `redacted` it is a block of its own, sealed, without text. */
  | {
      kind: 'reasoning_signature'
      index: number
      signature: string
      signedBy?: string
      redacted?: boolean
      extras?: Extras
    }
  /** `call` numbers the tool calls of one choice from 0; calls may interleave. */
  | { kind: 'tool_call_start'; index: number; call: number; id: string; name: string; extras?: Extras }
  | { kind: 'tool_call_arguments'; index: number; call: number; text: string }
  | { kind: 'finish'; index: number; finish: ChatFinish; stopSequence: string | null }
  /** Cumulative: a later one replaces an earlier one. */
  | { kind: 'usage'; usage: ChatUsage }
  /** The provider reported a failure inside its stream; nothing follows. */
  | { kind: 'error'; error: UpstreamFailure }
  | { kind: 'end' }

/** What a provider said went wrong, in our words and safe for a caller: no key, no address, no account. */
export type UpstreamFailure = {
  code:
    | 'invalid_request'
    | 'context_too_long'
    | 'authentication'
    | 'permission'
    | 'not_found'
    | 'rate_limited'
    | 'insufficient_quota'
    | 'overloaded'
    | 'content_filter'
    | 'server_error'
    /** Which clock ran out: that of the whole answer or call, of the connection, of the first content, of silence. */
    | 'timeout'
    | 'connect_timeout'
    | 'first_token_timeout'
    | 'idle_timeout'
    /** The hub's own rules forbid the provider's address. */
    | 'forbidden_address'
  /** HTTP status the provider answered, or the one its in-band error stands for. */
  status: number
  message: string
  /** The vendor's own words for the failure, kept for callers that switch on them (OpenAI's `type` and `code`). */
  vendorType: string | null
  vendorCode: string | null
  param: string | null
  retryAfterMs: number | null
}
