import type { ChatAssistantPart, ChatChoice, ChatResult } from '../../chat.ts'
import type { JsonObject, ReplyContext } from '../protocol.ts'
import { writeFinish } from './finish.ts'
import { writeUsage } from './usage.ts'
import { toExtraContent, toReasoningDetail } from './vendor-content.ts'
import { protocolName, type WireAnswerMessage, type WireReasoningDetail, type WireToolCall } from './wire.ts'

/** A `chat.completion` as official clients expect it, under the caller's name for the model. */
export function writeResult(result: ChatResult, reply: ReplyContext): JsonObject {
  return {
    ...result.extras[protocolName],
    id: completionId(result.id, reply),
    object: 'chat.completion',
    created: Math.floor(reply.createdMs / 1000),
    model: reply.model,
    choices: result.choices.map((choice) => writeChoice(choice, reply)),
    ...(result.usage === null ? {} : { usage: writeUsage(result.usage) }),
  }
}

/** The provider's id, or one of ours in OpenAI's shape. */
export function completionId(providerId: string, reply: ReplyContext): string {
  if (providerId !== '') return providerId
  return reply.id.startsWith('chatcmpl-') ? reply.id : `chatcmpl-${reply.id}`
}

/** Clients answer calls by id, so a call without one gets an id that is the same whenever it is asked for. */
export function toolCallId(id: string, reply: ReplyContext, choice: number, call: number): string {
  return id === '' ? `call_${reply.id.replace(/[^A-Za-z0-9]/g, '')}_${choice}_${call}` : id
}

function writeChoice(choice: ChatChoice, reply: ReplyContext): JsonObject {
  return {
    index: choice.index,
    message: writeMessage(choice, reply),
    logprobs: choice.logprobs ?? null,
    finish_reason: writeFinish(choice.finish),
  }
}

function writeMessage({ index, parts }: ChatChoice, reply: ReplyContext): WireAnswerMessage {
  const reasoning = textOf(parts, 'reasoning')
  const details: WireReasoningDetail[] = []
  const calls: WireToolCall[] = []
  let block = 0
  for (const part of parts) {
    if (part.kind === 'reasoning') {
      const detail = toReasoningDetail(part, block++)
      if (detail) details.push(detail)
    } else if (part.kind === 'tool_call') {
      const content = toExtraContent(part.extras)
      calls.push({
        id: toolCallId(part.id, reply, index, calls.length),
        type: 'function',
        function: { name: part.name, arguments: part.arguments.trim() === '' ? '{}' : part.arguments },
        ...(content === undefined ? {} : { extra_content: content }),
      })
    }
  }
  return {
    role: 'assistant',
    content: textOf(parts, 'text'),
    refusal: textOf(parts, 'refusal'),
    ...(reasoning === null ? {} : { reasoning_content: reasoning }),
    ...(details.length === 0 ? {} : { reasoning_details: details }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function textOf(parts: ChatAssistantPart[], kind: 'text' | 'refusal' | 'reasoning'): string | null {
  let all: string | null = null
  for (const part of parts)
    if (part.kind === kind && !(kind === 'reasoning' && part.text === '')) all = (all ?? '') + part.text
  return all
}
