import type { ChatAssistantPart, ChatResult } from '../../chat.ts'
import { readArguments } from '../json.ts'
import type { JsonObject, ReplyContext } from '../protocol.ts'
import { protocolName } from './wire.ts'
import {
  callBlocks,
  callId,
  estimateUsage,
  messageId,
  redactedBlock,
  stopDetails,
  stopReason,
  wireSignature,
  writeUsage,
} from './write-blocks.ts'

/** A Message as official clients expect it, under the caller's name for the model. It has one answer only: the first. */
export function writeResult(result: ChatResult, reply: ReplyContext): JsonObject {
  const [choice] = result.choices
  const parts = choice?.parts ?? []
  const stopSequence = choice?.stopSequence ?? null
  const refusal = parts.map((part) => (part.kind === 'refusal' ? part.text : '')).join('')
  const hasCalls = parts.some((part) => part.kind === 'tool_call')
  const content = writeContent(parts, reply)
  const reason = stopReason(choice?.finish ?? 'stop', { hasCalls, refusal, stopSequence })
  return {
    stop_details: stopDetails(refusal),
    ...result.extras[protocolName],
    id: messageId(result.id, reply),
    type: 'message',
    role: 'assistant',
    model: reply.model,
    content,
    stop_reason: reason,
    stop_sequence: reason === 'stop_sequence' ? stopSequence : null,
    usage: writeUsage(result.usage ?? estimateUsage(reply, Math.ceil(JSON.stringify(content).length / 4))),
  }
}

function writeContent(parts: ChatAssistantPart[], reply: ReplyContext): JsonObject[] {
  let calls = 0
  return parts.flatMap((part) => writePart(part, reply, () => calls++))
}

function writePart(part: ChatAssistantPart, reply: ReplyContext, numberCall: () => number): JsonObject[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [{ type: 'text', text: part.text, citations: null }]
    case 'reasoning': {
      const signature = part.signature === null ? '' : wireSignature(part.signature, part.signedBy, part.redacted)
      return [part.redacted ? redactedBlock(signature) : { type: 'thinking', thinking: part.text, signature }]
    }
    case 'tool_call':
      return callBlocks(callId(part.id, reply, numberCall()), part.name, readArguments(part.arguments), part.extras)
    case 'vendor':
      return part.protocol === protocolName ? [part.value] : []
  }
}
