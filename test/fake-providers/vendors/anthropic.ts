import type { Usage } from '../behaviour.ts'
import {
  type AnswerPlan,
  asList,
  isObject,
  type Json,
  type SignatureCheck,
  textOf,
  unknownMember,
  type Vendor,
  type VendorEvent,
} from './vendor.ts'

/** Messages as specified at https://docs.anthropic.com/en/api/messages. */
export const anthropic: Vendor = {
  basePath: '',

  route(method, path) {
    // Counts are asked for like answers; what they are, a test says in `body`.
    if (method === 'POST' && (path === '/v1/messages' || path === '/v1/messages/count_tokens'))
      return { kind: 'chat', model: null, stream: null, isJsonArray: false }
    if (method !== 'GET') return null
    if (path === '/v1/models') return { kind: 'models' }
    return path.startsWith('/v1/models/') ? { kind: 'model', id: path.slice('/v1/models/'.length) } : null
  },

  readKey(headers) {
    const key = headers['x-api-key']
    return typeof key === 'string' ? key : (headers.authorization?.match(/^Bearer (.+)$/)?.[1] ?? null)
  },

  readCall(body) {
    const users = asList(body.messages).filter((message) => isObject(message) && message.role === 'user') as Json[]
    return { wantsUsageEvent: true, choices: 1, lastUserText: textOf(users.at(-1)?.content) }
  },

  refuse(body, headers, signatures) {
    if (headers['anthropic-version'] === undefined) return 'anthropic-version: header is required'
    const unknown = unknownMember(body, bodyMembers)
    if (unknown) return `${unknown}: Extra inputs are not permitted`
    if (typeof body.model !== 'string') return 'model: Field required'
    if (typeof body.max_tokens !== 'number' || body.max_tokens < 1) return 'max_tokens: Field required'
    const messages = asList(body.messages)
    if (messages.length === 0) return 'messages: at least one message is required'
    return refuseThinking(body) ?? refuseMessages(messages) ?? refuseSignatures(messages, signatures)
  },

  writeAnswer(plan) {
    return {
      id: plan.id,
      type: 'message',
      role: 'assistant',
      model: plan.model,
      content: blocks(plan).map((block) => block.whole),
      stop_reason: stopReason(plan),
      stop_sequence: plan.stopSequence,
      ...(plan.usage && { usage: usage(plan.usage) }),
    }
  },

  writeEvents(plan) {
    const content = blocks(plan).flatMap((block, index): VendorEvent[] => [
      event({ type: 'content_block_start', index, content_block: block.start }),
      ...block.deltas.map((delta) => event({ type: 'content_block_delta', index, delta })),
      event({ type: 'content_block_stop', index }),
    ])
    const message = {
      id: plan.id,
      type: 'message',
      role: 'assistant',
      model: plan.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      ...(plan.usage && { usage: { ...usage(plan.usage), output_tokens: 1 } }),
    }
    return [
      event({ type: 'message_start', message }),
      event({ type: 'ping' }),
      ...content,
      event({
        type: 'message_delta',
        delta: { stop_reason: stopReason(plan), stop_sequence: plan.stopSequence },
        ...(plan.usage && { usage: usage(plan.usage) }),
      }),
      { ...event({ type: 'message_stop' }), isTerminator: true },
    ]
  },

  writeError(error) {
    return {
      type: 'error',
      error: {
        type: error.type ?? errorTypes[error.status] ?? (error.status >= 500 ? 'api_error' : 'invalid_request_error'),
        message: error.message,
      },
      request_id: 'req_fake',
    }
  },

  writeErrorEvent(error) {
    return event(anthropic.writeError(error))
  },

  /** Pages of two, so that whoever stops at the first page is found out. */
  writeModels(ids, query) {
    const after = query.get('after_id')
    const from = after === null ? 0 : ids.indexOf(after) + 1
    const limit = Math.min(Number(query.get('limit') ?? 2), 2)
    const page = ids.slice(from, from + limit)
    return {
      data: page.map((id) => anthropic.writeModel(id)),
      has_more: from + limit < ids.length,
      first_id: page[0] ?? null,
      last_id: page.at(-1) ?? null,
    }
  },

  writeModel(id) {
    return { type: 'model', id, display_name: id, created_at: '2025-02-19T00:00:00Z' }
  },

  headers(requestId) {
    return {
      'request-id': requestId,
      'anthropic-organization-id': '00000000-fake-organization',
      'anthropic-ratelimit-requests-limit': '4000',
      'anthropic-ratelimit-requests-remaining': '3999',
    }
  },
}

const errorTypes: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

const bodyMembers = new Set(
  `model messages max_tokens system metadata stop_sequences stream temperature top_k top_p tools tool_choice thinking
  service_tier container context_management mcp_servers output_config output_format cache_control inference_geo
  betas`.split(/\s+/),
)

const stopReasons: Record<string, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
}

function stopReason(plan: AnswerPlan): string {
  if (plan.stopSequence !== null) return 'stop_sequence'
  return stopReasons[plan.finish] ?? plan.finish
}

const event = (data: Json): VendorEvent => ({ event: data.type as string, data })

type Block = { whole: Json; start: Json; deltas: Json[] }

function blocks(plan: AnswerPlan): Block[] {
  const made: Block[] = []
  if (plan.reasoning !== '') {
    const signature = plan.sign?.() ?? 'unsigned'
    made.push({
      whole: { type: 'thinking', thinking: plan.reasoning, signature },
      start: { type: 'thinking', thinking: '', signature: '' },
      deltas: [
        ...plan.reasoningPieces.map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature },
      ],
    })
  }
  if (plan.redactedReasoning !== null) {
    const block = { type: 'redacted_thinking', data: plan.redactedReasoning }
    made.push({ whole: block, start: block, deltas: [] })
  }
  const visible = plan.refusal ?? plan.text
  if (visible !== '') {
    const pieces = plan.refusal === null ? plan.textPieces : [plan.refusal]
    made.push({
      whole: { type: 'text', text: visible, citations: null },
      start: { type: 'text', text: '' },
      deltas: pieces.map((text) => ({ type: 'text_delta', text })),
    })
  }
  for (const call of plan.toolCalls) {
    const block = { type: 'tool_use', id: call.id, name: call.name }
    made.push({
      whole: { ...block, input: call.input },
      start: { ...block, input: {} },
      deltas: ['', ...call.pieces].map((piece) => ({ type: 'input_json_delta', partial_json: piece })),
    })
  }
  return made
}

/** input_tokens leaves out what the cache gave or took. */
function usage(counts: Usage): Json {
  return {
    input_tokens: counts.tokensIn - counts.tokensCachedRead - counts.tokensCachedWrite,
    cache_creation_input_tokens: counts.tokensCachedWrite,
    cache_read_input_tokens: counts.tokensCachedRead,
    cache_creation: { ephemeral_5m_input_tokens: counts.tokensCachedWrite, ephemeral_1h_input_tokens: 0 },
    output_tokens: counts.tokensOut,
    service_tier: 'standard',
  }
}

function refuseThinking(body: Json): string | null {
  if (!isObject(body.thinking) || body.thinking.type !== 'enabled') return null
  const budget = body.thinking.budget_tokens
  if (typeof budget !== 'number' || budget < 1024)
    return 'thinking.enabled.budget_tokens: Input should be greater than or equal to 1024'
  if (budget >= (body.max_tokens as number)) return '`max_tokens` must be greater than `thinking.budget_tokens`.'
  if (body.temperature !== undefined && body.temperature !== 1)
    return '`temperature` may only be set to 1 when thinking is enabled.'
  return null
}

/** Roles, and every tool_use answered by a tool_result at the start of the very next message. */
function refuseMessages(messages: unknown[]): string | null {
  let open: unknown[] = []
  for (const [position, message] of messages.entries()) {
    if (!isObject(message) || (message.role !== 'user' && message.role !== 'assistant'))
      return `messages.${position}.role: Input should be 'user' or 'assistant'`
    if (position === 0 && message.role !== 'user') return 'messages: first message must use the "user" role'
    const content = typeof message.content === 'string' ? [] : asList(message.content).filter(isObject)
    if (message.content === '' || (typeof message.content !== 'string' && content.length === 0))
      return `messages.${position}: all messages must have non-empty content except for the optional final assistant message`
    if (content.some((block) => block.type === 'text' && block.text === ''))
      return 'messages: text content blocks must be non-empty'
    const results = content.filter((block) => block.type === 'tool_result').map((block) => block.tool_use_id)
    const missing = open.filter((id) => !results.includes(id))
    if (missing.length > 0)
      return `messages.${position}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}`
    const stray = results.filter((id) => !open.includes(id))
    if (stray.length > 0)
      return `messages.${position}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray.join(', ')}`
    open = content.filter((block) => block.type === 'tool_use').map((block) => block.id)
  }
  return open.length > 0
    ? `messages: \`tool_use\` ids were found without \`tool_result\` blocks: ${open.join(', ')}`
    : null
}

function refuseSignatures(messages: unknown[], isOurs: SignatureCheck | null): string | null {
  if (isOurs === null) return null
  for (const [position, message] of messages.entries()) {
    if (!isObject(message) || message.role !== 'assistant') continue
    for (const [index, block] of asList(message.content).entries())
      if (isObject(block) && block.type === 'thinking' && !isOurs(block.signature))
        return `messages.${position}.content.${index}: Invalid \`signature\` in \`thinking\` block`
  }
  return null
}
