import type { Usage } from '../behaviour.ts'
import {
  cannedResponse,
  readResponsesCall,
  refuseResponsesCall,
  responsesPath,
  writeResponse,
  writeResponseEvents,
  writeResponsesErrorEvent,
} from './openai-responses.ts'
import { type AnswerPlan, asList, isObject, type Json, textOf, type Vendor, type VendorEvent } from './vendor.ts'

/** Chat completions as specified at https://platform.openai.com/docs/api-reference/chat. */
export const openai: Vendor = {
  basePath: '/v1',

  route(method, path) {
    if (method === 'POST' && path === '/v1/chat/completions')
      return { kind: 'chat', model: null, stream: null, isJsonArray: false }
    if (method === 'POST' && path === responsesPath)
      return { kind: 'chat', model: null, stream: null, isJsonArray: false }
    if (path.startsWith(`${responsesPath}/`)) {
      const body = cannedResponse(method, path.slice(responsesPath.length + 1))
      return body && { kind: 'canned', body }
    }
    if (method !== 'GET' || !path.startsWith('/v1/models')) return null
    if (path === '/v1/models') return { kind: 'models' }
    return path.startsWith('/v1/models/') ? { kind: 'model', id: path.slice('/v1/models/'.length) } : null
  },

  readKey(headers) {
    return headers.authorization?.match(/^Bearer (.+)$/)?.[1] ?? null
  },

  readCall(body) {
    if (isResponsesCall(body)) return { ...readResponsesCall(body), isResponses: true }
    const users = asList(body.messages).filter((message) => isObject(message) && message.role === 'user') as Json[]
    return {
      wantsUsageEvent: isObject(body.stream_options) && body.stream_options.include_usage === true,
      choices: typeof body.n === 'number' ? body.n : 1,
      lastUserText: textOf(users.at(-1)?.content),
    }
  },

  refuse(body) {
    if (isResponsesCall(body)) return refuseResponsesCall(body)
    if (typeof body.model !== 'string') return 'you must provide a model parameter'
    const messages = asList(body.messages)
    if (messages.length === 0) return "Invalid 'messages': empty array. Expected an array with minimum length 1."
    if (body.stream_options !== undefined && body.stream_options !== null && body.stream !== true)
      return "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    if (body.max_tokens != null && body.max_completion_tokens != null)
      return "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    return refuseToolMessages(messages)
  },

  writeAnswer(plan) {
    if (plan.isResponses) return writeResponse(plan)
    return {
      id: plan.id,
      object: 'chat.completion',
      created: plan.createdSeconds,
      model: plan.model,
      choices: indexes(plan).map((index) => ({
        index,
        message: message(plan),
        logprobs: null,
        finish_reason: plan.finish,
      })),
      ...(plan.usage && { usage: usage(plan.usage) }),
      service_tier: 'default',
      system_fingerprint: 'fp_fake',
    }
  },

  writeEvents(plan) {
    if (plan.isResponses) return writeResponseEvents(plan)
    const deltas: Json[] = [
      { role: 'assistant', content: '', refusal: null },
      ...plan.reasoningPieces.map((piece) => ({ reasoning_content: piece })),
      ...plan.textPieces.map((piece) => ({ content: piece })),
      ...(plan.refusal === null ? [] : [{ refusal: plan.refusal }]),
      ...toolCallDeltas(plan),
    ]
    const events: VendorEvent[] = deltas.flatMap((delta) =>
      indexes(plan).map((index) => ({ data: chunk(plan, [{ index, delta, logprobs: null, finish_reason: null }]) })),
    )
    for (const index of indexes(plan))
      events.push({ data: chunk(plan, [{ index, delta: {}, logprobs: null, finish_reason: plan.finish }]) })
    if (plan.wantsUsageEvent && plan.usage) events.push({ data: { ...chunk(plan, []), usage: usage(plan.usage) } })
    events.push({ data: '[DONE]', isTerminator: true })
    return events
  },

  writeError(error) {
    return {
      error: {
        message: error.message,
        type:
          error.type ?? errorTypes[error.status] ?? (error.status >= 500 ? 'server_error' : 'invalid_request_error'),
        param: error.param ?? null,
        code: error.code === undefined ? (errorCodes[error.status] ?? null) : error.code,
      },
    }
  },

  writeErrorEvent(error, plan) {
    if (plan.isResponses) return writeResponsesErrorEvent(error)
    return { data: openai.writeError(error) }
  },

  writeModels(ids) {
    return { object: 'list', data: ids.map((id) => openai.writeModel(id)) }
  },

  writeModel(id) {
    return { id, object: 'model', created: 1_700_000_000, owned_by: 'fake' }
  },

  headers(requestId) {
    return {
      'x-request-id': requestId,
      'openai-processing-ms': '12',
      'openai-organization': 'fake-organization',
      'openai-version': '2020-10-01',
      'x-ratelimit-limit-requests': '10000',
      'x-ratelimit-remaining-requests': '9999',
      'x-ratelimit-reset-requests': '6ms',
    }
  },
}

const isResponsesCall = (body: Json) => body.input !== undefined || body.previous_response_id !== undefined

const errorTypes: Record<number, string> = { 429: 'requests' }
const errorCodes: Record<number, string> = {
  401: 'invalid_api_key',
  404: 'model_not_found',
  429: 'rate_limit_exceeded',
}

const indexes = (plan: AnswerPlan) => Array.from({ length: plan.choices }, (_, index) => index)

function message(plan: AnswerPlan): Json {
  const toolCalls = plan.toolCalls.map((call) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }))
  return {
    role: 'assistant',
    content: plan.text === '' ? null : plan.text,
    refusal: plan.refusal,
    ...(plan.reasoning !== '' && { reasoning_content: plan.reasoning }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
    annotations: [],
  }
}

function chunk(plan: AnswerPlan, choices: Json[]): Json {
  return {
    id: plan.id,
    object: 'chat.completion.chunk',
    created: plan.createdSeconds,
    model: plan.model,
    service_tier: 'default',
    system_fingerprint: 'fp_fake',
    choices,
    ...(plan.wantsUsageEvent && { usage: null }),
    obfuscation: 'xYz1',
  }
}

/** id, type and name only in the first delta of a call, as the vendor does. */
function toolCallDeltas(plan: AnswerPlan): Json[] {
  const perCall = plan.toolCalls.map((call, index) => [
    { index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } },
    ...call.pieces.map((piece) => ({ index, function: { arguments: piece } })),
  ])
  const longest = Math.max(0, ...perCall.map((deltas) => deltas.length))
  const ordered = plan.areToolCallsInterleaved
    ? Array.from({ length: longest }, (_, turn) => perCall.flatMap((deltas) => deltas.slice(turn, turn + 1))).flat()
    : perCall.flat()
  return ordered.map((delta) => ({ tool_calls: [delta] }))
}

function usage(counts: Usage): Json {
  return {
    prompt_tokens: counts.tokensIn,
    completion_tokens: counts.tokensOut,
    total_tokens: counts.tokensIn + counts.tokensOut,
    prompt_tokens_details: { cached_tokens: counts.tokensCachedRead, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: counts.tokensReasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

/** Every tool call is answered right after it, and nothing else is. */
function refuseToolMessages(messages: unknown[]): string | null {
  let open = new Set<unknown>()
  for (const [position, message] of messages.entries()) {
    if (!isObject(message)) return `Invalid type for 'messages[${position}]': expected an object.`
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id))
        return "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
      continue
    }
    if (open.size > 0) return unansweredToolCalls(open)
    open = new Set(asList(message.tool_calls).map((call) => (isObject(call) ? call.id : undefined)))
  }
  return open.size > 0 ? unansweredToolCalls(open) : null
}

function unansweredToolCalls(ids: Set<unknown>): string {
  return `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id': ${[...ids].join(', ')}`
}
