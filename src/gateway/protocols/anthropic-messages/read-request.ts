import type { ChatReasoning, ChatRequest, ChatResponseFormat, ChatTool, ChatToolChoice } from '../../chat.ts'
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
import type { JsonObject } from '../protocol.ts'
import { readMessages, readSystem } from './read-messages.ts'
import { protocolName } from './wire.ts'

const readMembers = new Set([
  'model',
  'messages',
  'system',
  'max_tokens',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'metadata',
  'stream',
])

/**
 * Reads a body of `POST /v1/messages`. Members without a place in the middle form, and tools that Anthropic runs itself,
 * ride in `extras['anthropic-messages']`. Throws HubError `invalid_request` that names the member by its path.
 */
export function readRequest(wire: JsonObject): ChatRequest {
  const model = nonEmptyAt(wire.model, 'model')
  const maxOutputTokens = optionalInteger(wire, 'max_tokens', 1)
  if (maxOutputTokens === null) throw wrong('max_tokens', 'is required: the most tokens the answer may have')
  return readConversation(wire, model, maxOutputTokens)
}

/** The same of `POST /v1/messages/count_tokens`, where no answer is wanted that could have a limit. */
export function readCountRequest(wire: JsonObject): ChatRequest {
  return readConversation(wire, nonEmptyAt(wire.model, 'model'), null)
}

function readConversation(wire: JsonObject, model: string, maxOutputTokens: number | null): ChatRequest {
  const system = readSystem(optional(wire, 'system'))
  const messages = readMessages(wire.messages)
  const tools = readTools(wire)
  const choice = readToolChoice(wire)
  const config = optionalObject(wire, 'output_config')
  const metadata = optionalObject(wire, 'metadata')
  const extras: JsonObject = {
    ...unread(wire, readMembers),
    ...(tools.server.length > 0 ? { tools: tools.server } : {}),
    // A choice among tools that nobody else knows is nobody else's.
    ...(tools.own.length === 0 && tools.server.length > 0 && choice.choice !== null
      ? { tool_choice: wire.tool_choice }
      : {}),
  }
  return {
    model,
    messages: system === null ? messages : [system, ...messages],
    tools: tools.own,
    toolChoice: tools.own.length === 0 ? null : choice.choice,
    parallelToolCalls: tools.own.length === 0 ? null : choice.parallel,
    responseFormat: readFormat(wire, config),
    reasoning: readReasoning(wire, config),
    maxOutputTokens,
    temperature: optionalNumber(wire, 'temperature'),
    topP: optionalNumber(wire, 'top_p'),
    topK: optionalInteger(wire, 'top_k'),
    stop: optionalArray(wire, 'stop_sequences').map((item, i) => stringAt(item, `stop_sequences.${i}`)),
    seed: null,
    presencePenalty: null,
    frequencyPenalty: null,
    logitBias: null,
    logprobs: null,
    n: 1,
    endUser: metadata && optionalString(metadata, 'user_id', 'metadata.user_id'),
    stream: optionalBoolean(wire, 'stream') ?? false,
    includeUsage: true,
    extras: Object.keys(extras).length > 0 ? { [protocolName]: extras } : {},
  }
}

const toolMembers = new Set(['type', 'name', 'description', 'input_schema', 'strict'])

/** Tools of the caller's own, and those that Anthropic defines or runs, which nobody else knows. */
function readTools(wire: JsonObject): { own: ChatTool[]; server: JsonObject[] } {
  const own: ChatTool[] = []
  const server: JsonObject[] = []
  for (const [i, item] of optionalArray(wire, 'tools').entries()) {
    const path = `tools.${i}`
    const tool = objectAt(item, path)
    const type = optional(tool, 'type')
    if (type !== null && type !== 'custom') {
      stringAt(type, `${path}.type`)
      server.push(tool)
      continue
    }
    const rest = unread(tool, toolMembers)
    own.push({
      name: nonEmptyAt(tool.name, `${path}.name`),
      description: optionalString(tool, 'description', `${path}.description`),
      parameters: objectAt(tool.input_schema, `${path}.input_schema`),
      strict: optionalBoolean(tool, 'strict', `${path}.strict`),
      ...(rest === null ? {} : { extras: { [protocolName]: rest } }),
    })
  }
  return { own, server }
}

function readToolChoice(wire: JsonObject): { choice: ChatToolChoice | null; parallel: boolean | null } {
  const choice = optionalObject(wire, 'tool_choice')
  if (choice === null) return { choice: null, parallel: null }
  const type = oneOf(choice.type, ['auto', 'any', 'tool', 'none'], 'tool_choice.type')
  const isSingle = optionalBoolean(choice, 'disable_parallel_tool_use', 'tool_choice.disable_parallel_tool_use')
  const parallel = isSingle === null ? null : !isSingle
  if (type === 'tool') return { choice: { kind: 'tool', name: nonEmptyAt(choice.name, 'tool_choice.name') }, parallel }
  return { choice: { kind: type === 'any' ? 'required' : type }, parallel }
}

const efforts = ['low', 'medium', 'high', 'xhigh', 'max'] as const

/** What others do unasked when they think at all: Anthropic's adaptive thinking names no amount. */
const adaptiveEffort = 'medium'

function readReasoning(wire: JsonObject, config: JsonObject | null): ChatReasoning | null {
  const given = config === null ? null : optional(config, 'effort')
  const effort = given === null ? null : oneOf(given, efforts, 'output_config.effort')
  const thinking = optionalObject(wire, 'thinking')
  if (thinking === null) return effort === null ? null : { effort, budgetTokens: null }
  const type = oneOf(thinking.type, ['enabled', 'disabled', 'adaptive', 'between_tools'], 'thinking.type')
  if (type === 'disabled') return { effort: 'none', budgetTokens: null }
  if (type !== 'enabled') return { effort: effort ?? adaptiveEffort, budgetTokens: null }
  const budget = thinking.budget_tokens
  if (typeof budget !== 'number' || !Number.isInteger(budget) || budget < 1024) {
    throw wrong('thinking.budget_tokens', 'must be a whole number of at least 1024')
  }
  return { effort, budgetTokens: budget }
}

function readFormat(wire: JsonObject, config: JsonObject | null): ChatResponseFormat | null {
  const path = config !== null && optional(config, 'format') !== null ? 'output_config.format' : 'output_format'
  const format = path === 'output_format' ? optionalObject(wire, path) : objectAt(config?.format, path)
  if (format === null) return null
  oneOf(format.type, ['json_schema'], `${path}.type`)
  const schema = objectAt(format.schema, `${path}.schema`)
  return { kind: 'json_schema', name: 'answer', description: null, schema, strict: isClosed(schema) }
}

/**
 * Anthropic always holds an answer to its schema. Others do so in their strict mode, which takes a schema only when
 * every object in it names all of its properties and requires them.
 */
function isClosed(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.every(isClosed)
  if (typeof schema !== 'object' || schema === null) return true
  const node = schema as JsonObject
  const { properties } = node
  if (typeof properties === 'object' && properties !== null && !Array.isArray(properties)) {
    const required = Array.isArray(node.required) ? node.required : []
    if (node.additionalProperties !== false) return false
    if (!Object.keys(properties).every((name) => required.includes(name))) return false
    if (!Object.values(properties).every(isClosed)) return false
  } else if (node.type === 'object') return false
  return Object.entries(node).every(([name, value]) => name === 'properties' || isClosed(value))
}
