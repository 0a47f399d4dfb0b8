import { fail } from '../../../kernel/errors.ts'
import type { ChatAssistantPart, ChatChoice, ChatResult, Extras } from '../../chat.ts'
import type { JsonObject, UpstreamModel } from '../protocol.ts'
import { readFinish } from './finish.ts'
import { readUsage } from './usage.ts'
import { fromExtraContent, fromReasoningDetails } from './vendor-content.ts'
import { isObject, protocolName } from './wire.ts'

/**
 * Reads a `chat.completion`. Throws HubError `upstream_garbled` for anything else; an error sent under status 200 is one
 * too, and `readError` tells what it says.
 */
export function readResult(wire: JsonObject): ChatResult {
  if (!Array.isArray(wire.choices)) throw fail('upstream_garbled', 'The provider answered JSON without choices')
  return {
    id: typeof wire.id === 'string' ? wire.id : '',
    model: typeof wire.model === 'string' ? wire.model : '',
    choices: wire.choices.map(readChoice),
    usage: readUsage(wire.usage, wire.service_tier),
    extras: readExtras(wire),
  }
}

const keptMembers = ['system_fingerprint', 'service_tier']

function readExtras(wire: JsonObject): Extras {
  const kept = keptMembers.filter((name) => wire[name] !== undefined && wire[name] !== null)
  return kept.length === 0 ? {} : { [protocolName]: Object.fromEntries(kept.map((name) => [name, wire[name]])) }
}

function readChoice(choice: unknown, place: number): ChatChoice {
  if (!isObject(choice) || !isObject(choice.message)) {
    throw fail('upstream_garbled', 'The provider answered a choice without a message')
  }
  const reason = typeof choice.finish_reason === 'string' ? choice.finish_reason : ''
  const parts = readAnswer(choice.message)
  return {
    index: typeof choice.index === 'number' ? choice.index : place,
    parts,
    // A whole answer is over whatever its reason is called; some providers leave it out or say "stop" over tool calls.
    finish: readFinish(reason) ?? (parts.some((part) => part.kind === 'tool_call') ? 'tool_calls' : 'stop'),
    stopSequence: null,
    logprobs: choice.logprobs ?? null,
  }
}

function readAnswer(message: JsonObject): ChatAssistantPart[] {
  const parts: ChatAssistantPart[] = []
  const details = fromReasoningDetails(message.reasoning_details)
  const reasoning = message.reasoning_content ?? message.reasoning
  if (!details.some((part) => part.text !== '') && typeof reasoning === 'string' && reasoning !== '') {
    parts.push({ kind: 'reasoning', text: reasoning, signature: null, redacted: false })
  }
  parts.push(...details)
  for (const { kind, text } of readContent(message.content)) {
    parts.push(kind === 'text' ? { kind, text } : { kind, text, signature: null, redacted: false })
  }
  if (typeof message.refusal === 'string' && message.refusal !== '')
    parts.push({ kind: 'refusal', text: message.refusal })
  if (Array.isArray(message.tool_calls)) parts.push(...message.tool_calls.flatMap(readToolCall))
  if (isObject(message.function_call)) parts.push(...readToolCall({ function: message.function_call }))
  return parts
}

export type ContentPiece = { kind: 'text' | 'reasoning'; text: string }

/** A string, or parts as Mistral sends them: `text`, and `thinking` that holds texts itself. */
export function readContent(content: unknown): ContentPiece[] {
  if (typeof content === 'string') return content === '' ? [] : [{ kind: 'text', text: content }]
  if (!Array.isArray(content)) return []
  return content.flatMap((part: unknown): ContentPiece[] => {
    if (!isObject(part)) return []
    if (typeof part.text === 'string' && part.text !== '') return [{ kind: 'text', text: part.text }]
    return readContent(part.thinking).map(({ text }) => ({ kind: 'reasoning', text }))
  })
}

function readToolCall(call: unknown): ChatAssistantPart[] {
  if (!isObject(call)) return []
  const id = typeof call.id === 'string' ? call.id : ''
  const extras = fromExtraContent(call.extra_content)
  if (isObject(call.custom)) {
    const { name, input } = call.custom
    const text = JSON.stringify({ input: typeof input === 'string' ? input : '' })
    return [
      {
        kind: 'tool_call',
        id,
        name: String(name),
        arguments: text,
        extras: { ...extras, [protocolName]: { custom: call.custom } },
      },
    ]
  }
  if (!isObject(call.function) || typeof call.function.name !== 'string') return []
  const rest = extras === undefined ? {} : { extras }
  return [
    { kind: 'tool_call', id, name: call.function.name, arguments: argumentsText(call.function.arguments), ...rest },
  ]
}

/** Some servers send the object that the text should hold. */
export function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value
  return isObject(value) ? JSON.stringify(value) : ''
}

/** Reads `GET /models`: OpenAI's list, or the bare array that some servers answer. It has no pages. */
export function readModels(wire: JsonObject): { models: UpstreamModel[]; nextPageToken: string | null } {
  const list = Array.isArray(wire) ? wire : wire.data
  if (!Array.isArray(list)) throw fail('upstream_garbled', 'The provider answered no list of models')
  const models = list.flatMap((item: unknown): UpstreamModel[] => {
    if (!isObject(item) || typeof item.id !== 'string' || item.id === '') return []
    const context = [item.context_length, item.context_window, item.max_model_len].find((n) => typeof n === 'number')
    return [
      {
        id: item.id,
        ownedBy: typeof item.owned_by === 'string' ? item.owned_by : null,
        contextTokens: typeof context === 'number' ? context : null,
      },
    ]
  })
  return { models, nextPageToken: null }
}
