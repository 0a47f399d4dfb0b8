import type { ChatAssistantPart, ChatFinish, ChatUsage, Extras } from '../../chat.ts'
import { asCount, asObject, asText } from '../json.ts'
import { addDetails, addTier } from '../usage-details.ts'
import { makeCallId } from './call-ids.ts'
import { protocolName } from './wire.ts'

/** Gives the call its number within the answer; asked for calls only. */
type NumberCall = () => number

/**
 * One part of a candidate; [] for what has no place in a chat answer: images, code that Google ran and its output. The
 * signature of a call or a thought stays with it, that of a text (newer models sign the last one, also an empty one)
 * becomes a sealed thought behind it.
 */
export function readPart(
  wire: unknown,
  answer: { responseId: string; choice: number },
  numberCall: NumberCall,
): ChatAssistantPart[] {
  const part = asObject(wire) ?? {}
  const signature = asText(part.thoughtSignature)
  const extras: { extras?: Extras } =
    signature === '' ? {} : { extras: { [protocolName]: { thoughtSignature: signature } } }
  const call = asObject(part.functionCall)
  if (call !== null) {
    const place = numberCall()
    const id = asText(call.id) || makeCallId(answer.responseId, answer.choice, place)
    const text = JSON.stringify(asObject(call.args) ?? {})
    return [{ kind: 'tool_call', id, name: asText(call.name), arguments: text, ...extras }]
  }
  const text = asText(part.text)
  if (part.thought === true) {
    if (text === '' && signature === '') return []
    const reasoning = { kind: 'reasoning' as const, text, redacted: false }
    if (signature === '') return [{ ...reasoning, signature: null }]
    return [{ ...reasoning, signature, signedBy: protocolName, ...extras }]
  }
  const said: ChatAssistantPart[] = text === '' ? [] : [{ kind: 'text', text }]
  return signature === ''
    ? said
    : [...said, { kind: 'reasoning', text: '', signature, redacted: true, signedBy: protocolName }]
}

/** Reasons that are not the model's own end. What is missing here (STOP, OTHER, newer ones) ends as it stands. */
const finishes = new Map<unknown, ChatFinish>([
  ['MAX_TOKENS', 'length'],
  ['SAFETY', 'content_filter'],
  ['RECITATION', 'content_filter'],
  ['LANGUAGE', 'content_filter'],
  ['BLOCKLIST', 'content_filter'],
  ['PROHIBITED_CONTENT', 'content_filter'],
  ['SPII', 'content_filter'],
  ['IMAGE_SAFETY', 'content_filter'],
  ['IMAGE_PROHIBITED_CONTENT', 'content_filter'],
  ['IMAGE_RECITATION', 'content_filter'],
])

/** The model broke off inside a tool call: there is no answer, and calling it a stop would be a lie. */
const broken = new Set<unknown>([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MALFORMED_RESPONSE',
  'MISSING_THOUGHT_SIGNATURE',
])

export function isBroken(reason: unknown): boolean {
  return broken.has(reason)
}

/** Gemini says STOP after function calls too. */
export function readFinish(reason: unknown, hasCalls: boolean): ChatFinish {
  return finishes.get(reason) ?? (hasCalls ? 'tool_calls' : 'stop')
}

/** Thoughts are counted beside `candidatesTokenCount`, cached tokens inside of `promptTokenCount`. */
export function readUsage(wire: unknown): ChatUsage | null {
  const usage = asObject(wire)
  const prompt = asCount(usage?.promptTokenCount)
  if (usage === null || prompt === null) return null
  const thoughts = asCount(usage.thoughtsTokenCount) ?? 0
  const read: ChatUsage = {
    tokensIn: prompt + (asCount(usage.toolUsePromptTokenCount) ?? 0),
    tokensOut: (asCount(usage.candidatesTokenCount) ?? 0) + thoughts,
    tokensCachedRead: asCount(usage.cachedContentTokenCount) ?? 0,
    tokensCachedWrite: 0,
    tokensReasoning: thoughts,
  }
  addDetails(read, {
    tokensAudioIn: tokensOf('AUDIO', usage.promptTokensDetails, usage.toolUsePromptTokensDetails),
    tokensAudioOut: tokensOf('AUDIO', usage.candidatesTokensDetails),
    tokensImageIn: tokensOf('IMAGE', usage.promptTokensDetails, usage.toolUsePromptTokensDetails),
    tokensImageOut: tokensOf('IMAGE', usage.candidatesTokensDetails),
  })
  return addTier(read, usage.serviceTier ?? usage.trafficType)
}

/** Tokens of one modality over lists of ModalityTokenCount. */
function tokensOf(modality: string, ...lists: unknown[]): number {
  let sum = 0
  for (const list of lists) {
    if (!Array.isArray(list)) continue
    for (const each of list) {
      const counted = asObject(each)
      if (counted?.modality === modality) sum += asCount(counted.tokenCount) ?? 0
    }
  }
  return sum
}

/** A prompt that Google refuses has a reason and no candidates. */
export function isBlocked(feedback: unknown): boolean {
  const reason = asText(asObject(feedback)?.blockReason)
  return reason !== '' && reason !== 'BLOCKED_REASON_UNSPECIFIED'
}
