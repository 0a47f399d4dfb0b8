import type { ChatReasoning, ChatRequest, ChatResponseFormat } from '../../chat.ts'
import { asObject } from '../json.ts'
import { objectAt, oneOf, unread, wrong } from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { integerAt, listAt, membersAt, numberAt, optionalAt, textAt } from './fields.ts'
import { readSchema } from './read-schema.ts'

type Config = Pick<
  ChatRequest,
  | 'temperature'
  | 'topP'
  | 'topK'
  | 'n'
  | 'maxOutputTokens'
  | 'stop'
  | 'seed'
  | 'presencePenalty'
  | 'frequencyPenalty'
  | 'logprobs'
  | 'responseFormat'
  | 'reasoning'
> & { rest: JsonObject | null }

const path = 'generationConfig'

const readMembers = new Set([
  'temperature',
  'topP',
  'topK',
  'candidateCount',
  'maxOutputTokens',
  'stopSequences',
  'seed',
  'presencePenalty',
  'frequencyPenalty',
  'responseLogprobs',
  'logprobs',
  'responseMimeType',
  'responseSchema',
  'responseJsonSchema',
  'thinkingConfig',
])

/** `generationConfig`; what only Gemini knows of it is in `rest`. */
export function readConfig(value: unknown): Config {
  const wire = value === null || value === undefined ? {} : membersAt(value, path)
  const format = readFormat(wire)
  const rest = { ...unread(wire, readMembers), ...format.rest }
  const isLogged = optionalAt(wire, 'responseLogprobs') === true
  return {
    temperature: numberAt(wire, 'temperature', path),
    topP: numberAt(wire, 'topP', path),
    // The API types it as a real number; clients send 40.0 as 40.
    topK: numberAt(wire, 'topK', path),
    n: integerAt(wire, 'candidateCount', path, 1) ?? 1,
    maxOutputTokens: integerAt(wire, 'maxOutputTokens', path, 1),
    stop: listAt(wire, 'stopSequences', `${path}.stopSequences`).map(readStop),
    seed: integerAt(wire, 'seed', path, Number.MIN_SAFE_INTEGER),
    presencePenalty: numberAt(wire, 'presencePenalty', path),
    frequencyPenalty: numberAt(wire, 'frequencyPenalty', path),
    logprobs: isLogged ? (integerAt(wire, 'logprobs', path, 0) ?? 0) : null,
    responseFormat: format.format,
    reasoning: readThinking(optionalAt(wire, 'thinkingConfig')),
    rest: Object.keys(rest).length > 0 ? rest : null,
  }
}

function readStop(value: unknown, at: number): string {
  if (typeof value !== 'string') throw wrong(`${path}.stopSequences[${at}]`, 'must be a string')
  return value
}

/** The schema a request's answer must match, in either of its two members. */
function readFormat(wire: JsonObject): { format: ChatResponseFormat | null; rest?: JsonObject } {
  const type = textAt(wire, 'responseMimeType', path)
  const openApi = optionalAt(wire, 'responseSchema')
  const json = optionalAt(wire, 'responseJsonSchema')
  if (type !== null && type !== 'application/json' && type !== 'text/plain') {
    // `text/x.enum` and what may come: only Gemini can answer in it.
    return { format: null, rest: { responseMimeType: type, ...(openApi === null ? {} : { responseSchema: openApi }) } }
  }
  if (type === 'text/plain') return { format: { kind: 'text' } }
  if (openApi === null && json === null) return { format: type === null ? null : { kind: 'json' } }
  const schema =
    json === null
      ? readSchema(objectAt(openApi, `${path}.responseSchema`))
      : objectAt(json, `${path}.responseJsonSchema`)
  const name = typeof schema.title === 'string' && /^[\w-]{1,64}$/.test(schema.title) ? schema.title : 'response'
  return { format: { kind: 'json_schema', name, description: null, schema, strict: null } }
}

const levels = ['minimal', 'low', 'medium', 'high'] as const

/** A budget of -1 lets the model choose; asking to see thoughts asks for some. */
function readThinking(value: unknown): ChatReasoning | null {
  if (value === null) return null
  const at = `${path}.thinkingConfig`
  const wire = membersAt(value, at)
  const budget = integerAt(wire, 'thinkingBudget', at, -1)
  const level = textAt(wire, 'thinkingLevel', at)?.toLowerCase() ?? null
  if (budget === 0) return { effort: 'none', budgetTokens: null }
  if (budget !== null && budget > 0) return { effort: null, budgetTokens: budget }
  if (level !== null && level !== 'thinking_level_unspecified') {
    return { effort: oneOf(level, levels, `${at}.thinkingLevel`), budgetTokens: null }
  }
  return budget === -1 || wire.includeThoughts === true ? { effort: 'medium', budgetTokens: null } : null
}

/** Whether an answer must match a schema, told from members that were not read whole. */
export function hasSchema(config: unknown): boolean {
  const wire = asObject(config)
  if (wire === null) return false
  const schemas = [wire.responseSchema, wire.response_schema, wire.responseJsonSchema, wire.response_json_schema]
  return schemas.some((schema) => asObject(schema) !== null)
}
