import type { ChatReasoning, ChatRequest, ChatResponseFormat, ChatTool, ChatToolChoice } from '../../chat.ts'
import { asObject, mergeExtras } from '../json.ts'
import type { JsonObject, Target } from '../protocol.ts'
import { protocolName } from './wire.ts'
import { writeItems } from './write-items.ts'

/**
 * The body for OpenAI's `/responses`. Nothing is kept there: whoever asks sends the whole conversation, so thinking comes
 * back encrypted and returns with the next turn.
 */
export function writeRequest(chat: ChatRequest, target: Target): { body: JsonObject; dropped: string[] } {
  const dropped = new Set<string>()
  const isThinking = takesReasoning(target.model)
  const effort = chat.reasoning && effortOf(chat.reasoning)
  const body: JsonObject = {
    model: target.model,
    input: writeItems(chat.messages, dropped),
    store: false,
    ...(isThinking ? { include: ['reasoning.encrypted_content'] } : {}),
    ...(chat.tools.length === 0 ? {} : { tools: chat.tools.map(writeTool) }),
    ...given('tool_choice', chat.toolChoice && writeToolChoice(chat.toolChoice, chat.tools)),
    ...given('parallel_tool_calls', chat.tools.length === 0 ? null : chat.parallelToolCalls),
    ...given('text', chat.responseFormat && { format: writeFormat(chat.responseFormat) }),
    ...given('reasoning', isThinking && effort !== null ? { effort, summary: 'auto' } : null),
    ...given('max_output_tokens', chat.maxOutputTokens),
    ...given('temperature', chat.temperature),
    ...given('top_p', chat.topP),
    ...given('top_logprobs', chat.logprobs),
    ...given('safety_identifier', chat.endUser),
    ...(chat.stream ? { stream: true } : {}),
  }
  if (effort !== null && !isThinking) dropped.add('reasoning_effort')
  for (const [name, value] of unsayable(chat)) if (value) dropped.add(name)
  mergeExtras(body, chat.extras[protocolName] ?? {})
  return { body, dropped: [...dropped] }
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
    ['n', chat.n > 1],
  ]
}

// o1, o3-mini, o4-…, gpt-5, gpt-5.2-pro …; others answer 400 to the very words.
function takesReasoning(model: string): boolean {
  return /^(?:.*\/)?(?:o[1-9](?:-|$)|gpt-[5-9](?!-chat)|codex)/.test(model)
}

/** Budgets of other vendors become the effort that spends about as much. */
function effortOf({ effort, budgetTokens }: ChatReasoning): string | null {
  if (effort !== null || budgetTokens === null) return effort
  if (budgetTokens === 0) return 'none'
  if (budgetTokens < 0) return null
  if (budgetTokens <= 2048) return 'low'
  return budgetTokens <= 8192 ? 'medium' : 'high'
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
