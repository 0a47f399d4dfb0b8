import type { ChatRequest, ChatResponseFormat, ChatTool, ChatToolChoice } from '../../chat.ts'
import type { JsonObject, Target } from '../protocol.ts'
import { isReasoningModel, writeEffort, writeSampling } from './model-facts.ts'
import { isObject, protocolName } from './wire.ts'
import { writeMessages } from './write-messages.ts'

/**
 * The body for an OpenAI-compatible provider. A stream always asks for usage: without it nothing can be metered.
 * Throws HubError `unsupported_parameter` for a file given by URL.
 */
export function writeRequest(chat: ChatRequest, target: Target): { body: JsonObject; dropped: string[] } {
  const dropped = new Set<string>()
  const own = chat.extras[protocolName] ?? {}
  const { stream_options: ownOptions, max_tokens: _, ...extras } = own
  if (chat.topK !== null && own.top_k === undefined) dropped.add('top_k')
  const body: JsonObject = {
    ...extras,
    model: target.model,
    messages: writeMessages(chat.messages, dropped),
    ...(chat.tools.length === 0 ? {} : { tools: chat.tools.map(writeTool) }),
    ...given('tool_choice', chat.toolChoice && writeToolChoice(chat.toolChoice)),
    ...given('parallel_tool_calls', chat.tools.length === 0 ? null : chat.parallelToolCalls),
    ...given('response_format', chat.responseFormat && writeResponseFormat(chat.responseFormat)),
    ...given('reasoning_effort', chat.reasoning && writeEffort(chat.reasoning, target.model, dropped)),
    ...given(limitName(chat, target.model), chat.maxOutputTokens),
    ...writeSampling(chat, target.model, dropped),
    ...(chat.stop.length === 0 ? {} : { stop: chat.stop }),
    ...given('seed', chat.seed),
    ...given('presence_penalty', chat.presencePenalty),
    ...given('frequency_penalty', chat.frequencyPenalty),
    ...given('logit_bias', chat.logitBias),
    ...(chat.logprobs === null
      ? {}
      : { logprobs: true, ...(chat.logprobs > 0 ? { top_logprobs: chat.logprobs } : {}) }),
    ...(chat.n === 1 ? {} : { n: chat.n }),
    ...given('user', chat.endUser),
    ...(chat.stream
      ? { stream: true, stream_options: { ...(isObject(ownOptions) ? ownOptions : {}), include_usage: true } }
      : {}),
  }
  return { body, dropped: [...dropped] }
}

function given(name: string, value: unknown): JsonObject {
  return value === null ? {} : { [name]: value }
}

/** OpenAI's reasoning models refuse `max_tokens`; many compatible servers know nothing else. */
function limitName(chat: ChatRequest, model: string): 'max_tokens' | 'max_completion_tokens' {
  if (isReasoningModel(model)) return 'max_completion_tokens'
  const own = chat.extras[protocolName]
  // A caller of this protocol that did not say `max_tokens` said the other.
  return own === undefined || own.max_tokens !== undefined ? 'max_tokens' : 'max_completion_tokens'
}

function writeTool(tool: ChatTool): JsonObject {
  const own = tool.extras?.[protocolName]
  if (isObject(own?.custom)) return { type: 'custom', custom: own.custom }
  return {
    ...own,
    type: 'function',
    function: {
      name: tool.name,
      ...given('description', tool.description),
      ...given('parameters', tool.parameters),
      ...given('strict', tool.strict),
    },
  }
}

function writeToolChoice(choice: ChatToolChoice): unknown {
  return choice.kind === 'tool' ? { type: 'function', function: { name: choice.name } } : choice.kind
}

function writeResponseFormat(format: ChatResponseFormat): JsonObject {
  if (format.kind === 'text') return { type: 'text' }
  if (format.kind === 'json') return { type: 'json_object' }
  return {
    type: 'json_schema',
    json_schema: {
      name: format.name,
      ...given('description', format.description),
      schema: format.schema,
      ...given('strict', format.strict),
    },
  }
}
