import type { ChatFinish, ChatUsage, Extras } from '../../chat.ts'
import { asText } from '../json.ts'
import type { JsonObject, ReplyContext } from '../protocol.ts'
import { sealSignature } from '../signatures.ts'
import { toWireToolId } from './tool-ids.ts'
import { protocolName } from './wire.ts'

/** What whole answers and streams write alike. */

/** The provider's id, or one of ours in Anthropic's shape. */
export function messageId(providerId: string, reply: ReplyContext): string {
  if (providerId !== '') return providerId
  return reply.id.startsWith('msg_') ? reply.id : `msg_${reply.id}`
}

/** Clients answer calls by id, so a call without one gets an id that is the same whenever it is asked for. */
export function callId(id: string, reply: ReplyContext, call: number): string {
  return id === '' ? `toolu_${reply.id.replace(/[^A-Za-z0-9]/g, '')}_${call}` : id
}

/** A signature as callers keep it: Anthropic's own as it is, anybody else's sealed. */
export function wireSignature(signature: string, signedBy: string | undefined, redacted = false): string {
  if (signedBy === undefined || signedBy === protocolName) return signature
  return sealSignature({ by: signedBy, signature, ...(redacted ? { redacted: true } : {}) })
}

export function redactedBlock(data: string): JsonObject {
  return { type: 'redacted_thinking', data }
}

/**
 * A call, and before it a block for the proof that another vendor put on it: a `tool_use` has no place for one, and
 * clients hand sealed thinking back as they got it.
 */
export function callBlocks(id: string, name: string, input: JsonObject, extras: Extras | undefined): JsonObject[] {
  const blocks: JsonObject[] = []
  for (const [by, values] of Object.entries(extras ?? {})) {
    const signature = asText(values?.thoughtSignature)
    if (by !== protocolName && signature !== '') {
      blocks.push(redactedBlock(sealSignature({ by, signature, callId: id })))
    }
  }
  blocks.push({ type: 'tool_use', id: toWireToolId(id), name, input })
  return blocks
}

/** Why an answer ended, in the words of https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. */
export function stopReason(
  finish: ChatFinish,
  said: { hasCalls: boolean; refusal: string; stopSequence: string | null },
) {
  if (finish === 'content_filter' || finish === 'refusal' || said.refusal !== '') return 'refusal'
  if (finish === 'length') return 'max_tokens'
  // Clients run tools only when told to; some providers end with "stop" after calls.
  if (said.hasCalls) return 'tool_use'
  return said.stopSequence === null ? 'end_turn' : 'stop_sequence'
}

/** What the vendor says of a refusal, null when it says nothing. */
export function stopDetails(refusal: string): JsonObject | null {
  return refusal === '' ? null : { type: 'refusal', category: null, explanation: refusal }
}

/** Anthropic counts what was read from and written to a cache beside `input_tokens`; ours includes both. */
export function writeUsage(usage: ChatUsage): JsonObject {
  return {
    input_tokens: Math.max(0, usage.tokensIn - usage.tokensCachedRead - usage.tokensCachedWrite),
    cache_creation_input_tokens: usage.tokensCachedWrite,
    cache_read_input_tokens: usage.tokensCachedRead,
    output_tokens: usage.tokensOut,
    ...(usage.tokensReasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.tokensReasoning } } : {}),
  }
}

/** For providers that tell no counts: clients of this protocol rely on them, so they get what is likely. */
export function estimateUsage(reply: ReplyContext, tokensOut: number): ChatUsage {
  const tokensIn = Math.max(1, reply.estimateTokensIn?.() ?? 1)
  return { tokensIn, tokensOut, tokensCachedRead: 0, tokensCachedWrite: 0, tokensReasoning: 0 }
}
