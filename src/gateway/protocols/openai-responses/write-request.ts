import { fail } from '../../../kernel/errors.ts'
import type { ChatRequest, ChatResponseFormat, ChatTool, ChatToolChoice } from '../../chat.ts'
import { asObject, mergeExtras } from '../json.ts'
import { isReasoningModel, writeEffort, writeSampling } from '../openai-chat/model-facts.ts'
import { protocolName as chatName } from '../openai-chat/wire.ts'
import type { JsonObject, Target } from '../protocol.ts'
import { protocolName } from './wire.ts'
import { writeItems } from './write-items.ts'

/**
 * The body for OpenAI's `/responses`. Nothing is kept there: whoever asks sends the whole conversation, so thinking comes
 * back encrypted and returns with the next turn. Refuses `n` above 1; stop sequences, seeds, penalties and biases, for which
 * there is no member, are named in `dropped`. `carried` are members of a chat body that mean the same here.
 */
export function writeRequest(
  chat: ChatRequest,
  target: Target,
): { body: JsonObject; dropped: string[]; carried: string[] } {
  if (chat.n > 1) {
    throw fail('unsupported_parameter', 'OpenAI Responses gives one answer a request: set n to 1.', { param: 'n' })
  }
  const dropped = new Set<string>()
  const effort = chat.reasoning && writeEffort(chat.reasoning, target.model, dropped)
  // A deployment may be called anything: whoever is asked for an effort thinks.
  const isThinking = isReasoningModel(target.model) || (effort !== null && effort !== 'none')
  const chatMembers = carryOver(chat.extras[chatName] ?? {})
  const isTellingLogprobs = chat.logprobs !== null && !chat.stream
  const include = [
    ...(isThinking ? ['reasoning.encrypted_content'] : []),
    ...(isTellingLogprobs ? ['message.output_text.logprobs'] : []),
  ]
  const body: JsonObject = {
    model: target.model,
    input: writeItems(chat.messages, dropped),
    store: false,
    ...(include.length === 0 ? {} : { include }),
    ...(chat.tools.length === 0 ? {} : { tools: chat.tools.map(writeTool) }),
    ...given('tool_choice', chat.toolChoice && writeToolChoice(chat.toolChoice, chat.tools)),
    ...given('parallel_tool_calls', chat.tools.length === 0 ? null : chat.parallelToolCalls),
    ...given('text', chat.responseFormat && { format: writeFormat(chat.responseFormat) }),
    ...given('reasoning', effort !== null ? { effort, summary: 'auto' } : null),
    ...given('max_output_tokens', chat.maxOutputTokens && Math.max(chat.maxOutputTokens, leastOutputTokens)),
    ...writeSampling(chat, target.model, dropped),
    ...(isTellingLogprobs ? given('top_logprobs', chat.logprobs || null) : {}),
    ...given('safety_identifier', chat.endUser),
    ...(chat.stream ? { stream: true } : {}),
  }
  for (const [name, value] of unsayable(chat)) if (value) dropped.add(name)
  mergeExtras(body, chatMembers.body)
  mergeExtras(body, chat.extras[protocolName] ?? {})
  return { body, dropped: [...dropped], carried: chatMembers.carried }
}

/** OpenAI answers 400 to less. */
const leastOutputTokens = 16

const sameMembers = ['service_tier', 'prompt_cache_key', 'prompt_cache_retention', 'safety_identifier', 'metadata']

/** The two protocols are one vendor's: what only they know goes from one to the other. */
function carryOver(extras: JsonObject): { body: JsonObject; carried: string[] } {
  const carried = sameMembers.filter((name) => (extras[name] ?? null) !== null)
  const body: JsonObject = Object.fromEntries(carried.map((name) => [name, extras[name]]))
  if (typeof extras.verbosity === 'string') {
    body.text = { verbosity: extras.verbosity }
    carried.push('verbosity')
  }
  // A caller that said both names of the limit is told of neither.
  if ('max_tokens' in extras) carried.push('max_tokens')
  // Nothing is kept at the provider, which is also the default there; to want it kept cannot be met.
  if (extras.store === false) carried.push('store')
  return { body, carried }
}

function given(name: string, value: unknown): JsonObject {
  return value === null ? {} : { [name]: value }
}

/** What Responses has no member for. */
function unsayable(chat: ChatRequest): [string, boolean][] {
  return [
    ['top_k', chat.topK !== null],
    ['stop', chat.stop.length > 0],
    ['seed', chat.seed !== null],
    ['presence_penalty', chat.presencePenalty !== null],
    ['frequency_penalty', chat.frequencyPenalty !== null],
    ['logit_bias', chat.logitBias !== null],
    ['max_tokens', chat.maxOutputTokens !== null && chat.maxOutputTokens < leastOutputTokens],
    // Its stream tells them piece by piece, for which the middle form has no event.
    ['logprobs', chat.logprobs !== null && chat.stream],
  ]
}

function customOf(tool: ChatTool): JsonObject | null {
  return asObject(tool.extras?.[protocolName]?.custom)
}

function writeTool(tool: ChatTool): JsonObject {
  const custom = customOf(tool)
  if (custom !== null) return { ...custom, type: 'custom' }
  return {
    type: 'function',
    name: tool.name,
    ...given('description', tool.description),
    parameters: tool.parameters ?? { type: 'object', properties: {} },
    // Left out it means true here, and a schema that was never meant to be strict would be refused.
    strict: tool.strict ?? false,
  }
}

function writeToolChoice(choice: ChatToolChoice, tools: ChatTool[]): unknown {
  if (choice.kind !== 'tool') return choice.kind
  const chosen = tools.find((tool) => tool.name === choice.name)
  return { type: chosen && customOf(chosen) !== null ? 'custom' : 'function', name: choice.name }
}

function writeFormat(format: ChatResponseFormat): JsonObject {
  if (format.kind === 'text') return { type: 'text' }
  if (format.kind === 'json') return { type: 'json_object' }
  return {
    type: 'json_schema',
    name: format.name,
    ...given('description', format.description),
    schema: format.schema,
    ...given('strict', format.strict),
  }
}
