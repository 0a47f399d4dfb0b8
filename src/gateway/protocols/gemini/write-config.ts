import { fail } from '../../../kernel/errors.ts'
import type { ChatRequest } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { writeSchema } from './json-schema.ts'
import type { ModelFacts } from './model-facts.ts'

type Config = { body: JsonObject; instruction: string | null; dropped: string[] }

const mostStops = 5

/** `generationConfig`: only what the caller set. https://ai.google.dev/api/generate-content#generationconfig */
export function writeConfig(chat: ChatRequest, facts: ModelFacts): Config {
  if (chat.stop.length > mostStops) {
    throw fail('unsupported_parameter', `Gemini models take at most ${mostStops} stop sequences`, { param: 'stop' })
  }
  const format = writeFormat(chat, facts)
  const thinking = writeThinking(chat, facts)
  const body: JsonObject = {
    ...set('maxOutputTokens', chat.maxOutputTokens),
    ...set('temperature', chat.temperature),
    ...set('topP', chat.topP),
    ...set('topK', chat.topK),
    ...set('seed', chat.seed),
    ...set('presencePenalty', chat.presencePenalty),
    ...set('frequencyPenalty', chat.frequencyPenalty),
    ...(chat.stop.length > 0 ? { stopSequences: chat.stop } : {}),
    ...(chat.n > 1 ? { candidateCount: chat.n } : {}),
    ...writeLogprobs(chat),
    ...format.body,
    ...thinking.body,
  }
  return { body, instruction: format.instruction, dropped: [...format.dropped, ...thinking.dropped] }
}

function set(name: string, value: number | null): JsonObject {
  return value === null ? {} : { [name]: value }
}

function writeLogprobs(chat: ChatRequest): JsonObject {
  if (chat.logprobs === null) return {}
  if (chat.stream) {
    throw fail('unsupported_parameter', 'Log probabilities of Gemini models come only without stream', {
      param: 'logprobs',
    })
  }
  return { responseLogprobs: true, ...(chat.logprobs > 0 ? { logprobs: chat.logprobs } : {}) }
}

/** Before Gemini 3 tools exclude a JSON format; there the format is told to the model, and a strict one is refused. */
function writeFormat(chat: ChatRequest, facts: ModelFacts): Config {
  const format = chat.responseFormat
  if (format === null || format.kind === 'text') return { body: {}, instruction: null, dropped: [] }
  const mayCall = chat.tools.length > 0 && chat.toolChoice?.kind !== 'none'
  if (!mayCall || facts.toolsWithJson) {
    const schema = format.kind === 'json_schema' ? { responseJsonSchema: writeSchema(format.schema) } : {}
    return { body: { responseMimeType: 'application/json', ...schema }, instruction: null, dropped: [] }
  }
  if (format.kind === 'json_schema' && format.strict === true) {
    throw fail('unsupported_parameter', 'This Gemini model takes no strict JSON schema together with tools', {
      param: 'response_format',
    })
  }
  const schema = format.kind === 'json' ? '' : ` It must match this JSON Schema:\n${JSON.stringify(format.schema)}`
  const instruction = `When you answer in text, write one JSON value and nothing else: no explanation, no code fence.${schema}`
  return { body: {}, instruction, dropped: ['response_format'] }
}

/** The budgets that Google's own OpenAI endpoint gives to efforts. https://ai.google.dev/gemini-api/docs/openai#thinking */
const budgets = { none: 0, minimal: 1024, low: 1024, medium: 8192, high: 24_576, xhigh: 32_768, max: 32_768 }
const levels = { none: 'LOW', minimal: 'LOW', low: 'LOW', medium: 'MEDIUM', high: 'HIGH', xhigh: 'HIGH', max: 'HIGH' }

function writeThinking(chat: ChatRequest, facts: ModelFacts): { body: JsonObject; dropped: string[] } {
  const effort = chat.reasoning?.effort ?? null
  const asked = chat.reasoning?.budgetTokens ?? null
  if (effort === null && asked === null) return { body: {}, dropped: [] }
  const off = effort === 'none' || asked === 0
  if (facts.thinking === 'none') return { body: {}, dropped: off ? [] : ['reasoning'] }
  const thoughts = off ? {} : { includeThoughts: true }
  if (facts.thinking === 'level') {
    // The level below LOW exists on few models, and none of them can be kept from thinking.
    const level = effort === null ? levelOf(asked ?? 0) : levels[effort]
    return { body: { thinkingConfig: { thinkingLevel: level, ...thoughts } }, dropped: off ? ['reasoning'] : [] }
  }
  const wanted = asked ?? budgets[effort ?? 'medium']
  const budget = Math.min(Math.max(wanted, facts.leastBudget), facts.mostBudget)
  const dropped = off && budget > 0 ? ['reasoning'] : []
  return { body: { thinkingConfig: { thinkingBudget: budget, ...thoughts } }, dropped }
}

function levelOf(budgetTokens: number): string {
  if (budgetTokens <= 2048) return 'LOW'
  return budgetTokens <= 8192 ? 'MEDIUM' : 'HIGH'
}
