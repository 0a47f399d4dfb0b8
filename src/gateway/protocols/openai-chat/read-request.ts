import type { ChatReasoning, ChatRequest, ChatResponseFormat, ChatTool, ChatToolChoice, Extras } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import {
  nonEmptyAt,
  objectAt,
  oneOf,
  optional,
  optionalArray,
  optionalBoolean,
  optionalInteger,
  optionalNumber,
  optionalObject,
  optionalString,
  stringAt,
  unread,
  wrong,
} from './fields.ts'
import { readMessages } from './read-messages.ts'
import { efforts, readCustomTool, readFunction, readSchemaFormat } from './read-tools.ts'
import { isObject, protocolName } from './wire.ts'

// `max_tokens` and `top_k` are read and kept as well: which of the two names for the limit a provider knows is not ours
// to guess when the caller has said it, and top_k exists at providers that extend this format.
const readMembers = new Set([
  'model',
  'messages',
  'tools',
  'functions',
  'tool_choice',
  'function_call',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'stop',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'n',
  'user',
  'stream',
  'stream_options',
  // For the hub's routing.
  'fallback_providers',
  'timeout',
  'retry_count',
])

/**
 * Reads a body of `POST /v1/chat/completions`. Members without a place in the middle form ride in
 * `extras['openai-chat']`. Throws HubError `invalid_request` that names the member by its path.
 */
export function readRequest(wire: JsonObject): ChatRequest {
  const model = nonEmptyAt(wire.model, 'model')
  const messages = readMessages(wire.messages)
  const choice = readToolChoice(wire)
  const streamOptions = optionalObject(wire, 'stream_options')
  const restOptions = streamOptions && unread(streamOptions, new Set(['include_usage']))
  const extras: JsonObject = {
    ...unread(wire, readMembers),
    ...(restOptions ? { stream_options: restOptions } : {}),
    ...(choice.extra === undefined ? {} : { tool_choice: choice.extra }),
  }
  // A text names the provider to ask: that is for the hub's routing.
  if (typeof wire.provider === 'string') delete extras.provider
  const maxTokens = optionalInteger(wire, 'max_tokens', 1)
  return {
    model,
    messages,
    tools: readTools(wire),
    toolChoice: choice.choice,
    parallelToolCalls: optionalBoolean(wire, 'parallel_tool_calls'),
    responseFormat: readResponseFormat(wire),
    reasoning: readEffort(wire),
    maxOutputTokens: optionalInteger(wire, 'max_completion_tokens', 1) ?? maxTokens,
    temperature: optionalNumber(wire, 'temperature'),
    topP: optionalNumber(wire, 'top_p'),
    topK: optionalInteger(wire, 'top_k'),
    stop: readStop(wire),
    seed: optionalInteger(wire, 'seed'),
    presencePenalty: optionalNumber(wire, 'presence_penalty'),
    frequencyPenalty: optionalNumber(wire, 'frequency_penalty'),
    logitBias: readLogitBias(wire),
    logprobs: readLogprobs(wire),
    n: readCount(wire),
    endUser: optionalString(wire, 'user'),
    stream: optionalBoolean(wire, 'stream') ?? false,
    includeUsage:
      (streamOptions && optionalBoolean(streamOptions, 'include_usage', 'stream_options.include_usage')) ?? false,
    extras: Object.keys(extras).length > 0 ? { [protocolName]: extras } : {},
  }
}

function readCount(wire: JsonObject): number {
  const n = optionalInteger(wire, 'n', 1) ?? 1
  if (n > 128) throw wrong('n', 'must be at most 128')
  return n
}

function readEffort(wire: JsonObject): ChatReasoning | null {
  const effort = optional(wire, 'reasoning_effort')
  return effort === null ? null : { effort: oneOf(effort, efforts, 'reasoning_effort'), budgetTokens: null }
}

function readStop(wire: JsonObject): string[] {
  const stop = optional(wire, 'stop')
  if (stop === null) return []
  if (typeof stop === 'string') return [stop]
  if (!Array.isArray(stop)) throw wrong('stop', 'must be a string or an array of strings')
  return stop.map((item, i) => stringAt(item, `stop[${i}]`))
}

function readLogitBias(wire: JsonObject): Record<string, number> | null {
  const bias = optionalObject(wire, 'logit_bias')
  if (bias === null) return null
  for (const [token, value] of Object.entries(bias)) {
    if (typeof value !== 'number') throw wrong(`logit_bias.${token}`, 'must be a number')
  }
  return bias as Record<string, number>
}

function readLogprobs(wire: JsonObject): number | null {
  const top = optionalInteger(wire, 'top_logprobs', 0)
  return optionalBoolean(wire, 'logprobs') === true ? (top ?? 0) : null
}

function readTools(wire: JsonObject): ChatTool[] {
  const tools = optionalArray(wire, 'tools').map((item, i) => readTool(objectAt(item, `tools[${i}]`), `tools[${i}]`))
  const legacy = optionalArray(wire, 'functions').map((item, i) =>
    readFunction(objectAt(item, `functions[${i}]`), `functions[${i}]`),
  )
  return [...tools, ...legacy]
}

const toolMembers = new Set(['type', 'function'])

function readTool(wire: JsonObject, path: string): ChatTool {
  const type = oneOf(wire.type, ['function', 'custom'], `${path}.type`)
  const rest = unread(wire, toolMembers)
  if (type === 'function') {
    const extras: Extras | undefined = rest === null ? undefined : { [protocolName]: rest, ...cacheMark(rest) }
    return readFunction(objectAt(wire.function, `${path}.function`), `${path}.function`, extras)
  }
  const custom = objectAt(wire.custom, `${path}.custom`)
  return readCustomTool(custom, `${path}.custom`, protocolName)
}

function cacheMark(rest: JsonObject): Extras {
  return isObject(rest.cache_control) ? { 'anthropic-messages': { cache_control: rest.cache_control } } : {}
}

/** Choices that only this protocol knows (`allowed_tools`, `custom`) are kept as sent in `extra`. */
function readToolChoice(wire: JsonObject): { choice: ChatToolChoice | null; extra?: JsonObject } {
  const choice = optional(wire, 'tool_choice')
  if (choice === null) return { choice: readLegacyChoice(wire) }
  if (typeof choice === 'string') {
    return { choice: { kind: oneOf(choice, ['auto', 'none', 'required'], 'tool_choice') } }
  }
  if (!isObject(choice)) throw wrong('tool_choice', 'must be auto, none, required or an object')
  const type = oneOf(choice.type, ['function', 'allowed_tools', 'custom'], 'tool_choice.type')
  if (type !== 'function') return { choice: null, extra: choice }
  const named = objectAt(choice.function, 'tool_choice.function')
  return { choice: { kind: 'tool', name: nonEmptyAt(named.name, 'tool_choice.function.name') } }
}

function readLegacyChoice(wire: JsonObject): ChatToolChoice | null {
  const choice = optional(wire, 'function_call')
  if (choice === null) return null
  if (typeof choice === 'string') return { kind: oneOf(choice, ['auto', 'none'], 'function_call') }
  return { kind: 'tool', name: nonEmptyAt(objectAt(choice, 'function_call').name, 'function_call.name') }
}

function readResponseFormat(wire: JsonObject): ChatResponseFormat | null {
  const format = optionalObject(wire, 'response_format')
  if (format === null) return null
  const type = oneOf(format.type, ['text', 'json_object', 'json_schema'], 'response_format.type')
  if (type === 'text') return { kind: 'text' }
  if (type === 'json_object') return { kind: 'json' }
  const path = 'response_format.json_schema'
  const schema = objectAt(format.json_schema, path)
  return readSchemaFormat(schema, path, optionalObject(schema, 'schema', `${path}.schema`) ?? {})
}
