import type { ChatAssistantPart, ChatFinish, ChatReasoningPart, ChatUsage, Extras } from '../../chat.ts'
import { asText, readArguments } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { sealSignature } from '../signatures.ts'
import { makeCallId } from './call-ids.ts'
import { protocolName, unsignedCall } from './wire.ts'

/** Where a part stands: what ids of calls are made of, where the provider gives none. */
export type PartPlace = { responseId: string; choice: number; call: number }

/** One part of an answer for a caller; null for what no caller of this protocol can read. */
export function writeAnswerPart(part: ChatAssistantPart, place: PartPlace): JsonObject | null {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return part.text === '' ? null : { text: part.text }
    case 'reasoning':
      return writeThought(part)
    case 'tool_call':
      return writeCall(part, place)
    case 'vendor':
      return part.protocol === protocolName ? part.value : null
  }
}

/** Gemini's own signatures stand as they came; those of others are sealed, and read again from here. */
export function writeThought({ text, signature, redacted, signedBy }: ChatReasoningPart): JsonObject | null {
  if (signedBy === protocolName && signature !== null) {
    return redacted ? { text: '', thoughtSignature: signature } : { text, thought: true, thoughtSignature: signature }
  }
  const seal =
    signature === null || signedBy === undefined
      ? {}
      : { thoughtSignature: sealSignature({ by: signedBy, signature, ...(redacted ? { redacted } : {}) }) }
  return text === '' && !('thoughtSignature' in seal) ? null : { text, thought: true, ...seal }
}

type Call = { id: string; name: string; arguments: string; extras?: Extras }

/**
 * The first call of an answer is signed: a later turn may go to a Gemini model, which refuses a call without. A call
 * that another vendor's model made carries Google's word for that.
 */
export function writeCall(call: Call, { responseId, choice, call: number }: PartPlace): JsonObject {
  const own = asText(call.extras?.[protocolName]?.thoughtSignature)
  const signature = own === '' && number === 0 ? unsignedCall : own
  return {
    functionCall: {
      id: call.id === '' ? makeCallId(responseId, choice, number) : call.id,
      name: call.name,
      args: readArguments(call.arguments),
    },
    ...(signature === '' ? {} : { thoughtSignature: signature }),
  }
}

/** Gemini says STOP after function calls too. */
export function writeFinish(finish: ChatFinish): string {
  if (finish === 'length') return 'MAX_TOKENS'
  return isFiltered(finish) ? 'SAFETY' : 'STOP'
}

export function isFiltered(finish: ChatFinish | null): boolean {
  return finish === 'content_filter' || finish === 'refusal'
}

/** Thoughts are counted beside the candidates. */
export function writeUsage(usage: ChatUsage): JsonObject {
  const { tokensIn, tokensOut, tokensCachedRead, tokensReasoning } = usage
  return {
    promptTokenCount: tokensIn,
    candidatesTokenCount: Math.max(0, tokensOut - tokensReasoning),
    totalTokenCount: tokensIn + tokensOut,
    ...(tokensReasoning > 0 ? { thoughtsTokenCount: tokensReasoning } : {}),
    ...(tokensCachedRead > 0 ? { cachedContentTokenCount: tokensCachedRead } : {}),
  }
}

/** A prompt that was refused has this and no candidates. */
export const blockedPrompt = { promptFeedback: { blockReason: 'SAFETY' } }
