import type {
  ChatMessage,
  ChatReasoning,
  ChatRequest,
  ChatResponseFormat,
  ChatTool,
  ChatToolChoice,
} from '../../chat.ts'
import { asList, asObject } from '../json.ts'
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
} from '../openai-chat/fields.ts'
import { efforts, readCustomTool, readFunction, readSchemaFormat } from '../openai-chat/read-tools.ts'
import type { JsonObject } from '../protocol.ts'
import { readInput } from './read-items.ts'
import { protocolName } from './wire.ts'

/** Read here, or honoured by the hub itself: what keeps a response, and what only says how it is given. */
const readMembers = new Set([
  'model',
  'input',
  'instructions',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'text',
  'reasoning',
  'max_output_tokens',
  'temperature',
  'top_p',
  'top_logprobs',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'include',
  'metadata',
  'store',
  'background',
  'previous_response_id',
  'stream',
  'stream_options',
])

/** Members whose usual value asks for nothing. */
const usual: { [name: string]: unknown } = { truncation: 'disabled', service_tier: 'auto' }

/**
 * Reads a body of `POST /v1/responses`. Members without a place in the middle form ride in
 * `extras['openai-responses']`. Throws HubError `invalid_request` that names the member by its path.
 */
export function readRequest(wire: JsonObject): ChatRequest {
  const model = nonEmptyAt(wire.model, 'model')
  const tools = readTools(wire)
  const choice = readToolChoice(wire)
  const text = optionalObject(wire, 'text')
  const verbosity = text && optionalString(text, 'verbosity', 'text.verbosity')
  const rest = Object.entries(unread(wire, readMembers) ?? {}).filter(([name, value]) => value !== usual[name])
  const extras: JsonObject = {
    ...Object.fromEntries(rest),
    ...(tools.builtIn.length === 0 ? {} : { tools: tools.builtIn }),
    ...(choice.extra === undefined ? {} : { tool_choice: choice.extra }),
    ...(verbosity === null ? {} : { text: { verbosity } }),
  }
  return {
    model,
    messages: [...readInstructions(wire), ...readInput(optional(wire, 'input') ?? [])],
    tools: tools.own,
    toolChoice: choice.choice,
    parallelToolCalls: optionalBoolean(wire, 'parallel_tool_calls'),
    responseFormat: text && readFormat(text),
    reasoning: readReasoning(wire),
    maxOutputTokens: optionalInteger(wire, 'max_output_tokens', 1),
    temperature: optionalNumber(wire, 'temperature'),
    topP: optionalNumber(wire, 'top_p'),
    topK: null,
    stop: [],
    seed: null,
    presencePenalty: null,
    frequencyPenalty: null,
    logitBias: null,
    logprobs: readLogprobs(wire),
    n: 1,
    endUser: optionalString(wire, 'user') ?? optionalString(wire, 'safety_identifier'),
    stream: optionalBoolean(wire, 'stream') ?? false,
    includeUsage: true,
    extras: Object.keys(extras).length > 0 ? { [protocolName]: extras } : {},
  }
}

function readInstructions(wire: JsonObject): ChatMessage[] {
  const text = optionalString(wire, 'instructions')
  return text === null || text === '' ? [] : [{ role: 'system', parts: [{ kind: 'text', text }], developer: false }]
}

function readReasoning(wire: JsonObject): ChatReasoning | null {
  const reasoning = optionalObject(wire, 'reasoning')
  const effort = reasoning && optional(reasoning, 'effort')
  return effort === null ? null : { effort: oneOf(effort, efforts, 'reasoning.effort'), budgetTokens: null }
}

function readLogprobs(wire: JsonObject): number | null {
  const top = optionalInteger(wire, 'top_logprobs', 0)
  if (top !== null && top > 0) return top
  return optionalArray(wire, 'include').includes('message.output_text.logprobs') ? 0 : null
}

function readTools(wire: JsonObject): { own: ChatTool[]; builtIn: JsonObject[] } {
  const own: ChatTool[] = []
  const builtIn: JsonObject[] = []
  optionalArray(wire, 'tools').forEach((item, i) => {
    const path = `tools[${i}]`
    const tool = objectAt(item, path)
    const type = nonEmptyAt(tool.type, `${path}.type`)
    if (type === 'function') own.push(readFunction(tool, path))
    else if (type === 'custom') {
      const { type: _, ...custom } = tool
      own.push(readCustomTool(custom, path, protocolName))
    } else builtIn.push(tool)
  })
  return { own, builtIn }
}

/** Choices that only this protocol knows (`allowed_tools`, built-in tools) are kept as sent in `extra`. */
function readToolChoice(wire: JsonObject): { choice: ChatToolChoice | null; extra?: JsonObject } {
  const choice = optional(wire, 'tool_choice')
  if (choice === null) return { choice: null }
  if (typeof choice === 'string')
    return { choice: { kind: oneOf(choice, ['auto', 'none', 'required'], 'tool_choice') } }
  const named = asObject(choice)
  if (named === null) throw wrong('tool_choice', 'must be auto, none, required or an object')
  const type = stringAt(named.type, 'tool_choice.type')
  if (type !== 'function' && type !== 'custom') return { choice: null, extra: named }
  return { choice: { kind: 'tool', name: nonEmptyAt(named.name, 'tool_choice.name') } }
}

function readFormat(text: JsonObject): ChatResponseFormat | null {
  const format = optionalObject(text, 'format', 'text.format')
  if (format === null) return null
  const type = oneOf(format.type, ['text', 'json_object', 'json_schema'], 'text.format.type')
  if (type === 'text') return { kind: 'text' }
  if (type === 'json_object') return { kind: 'json' }
  return readSchemaFormat(format, 'text.format', objectAt(format.schema, 'text.format.schema'))
}

/** Names of the tools that take free text: what their calls are called differs. */
export function customTools(wire: JsonObject): ReadonlySet<string> {
  const names = asList(wire.tools)
    .map((tool) => asObject(tool))
    .filter((tool) => tool?.type === 'custom')
  return new Set(names.map((tool) => String(tool?.name)))
}
