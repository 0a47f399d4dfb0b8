import { fail } from '../../../kernel/errors.ts'
import type { ChatRequest } from '../../chat.ts'
import { mergeExtras } from '../json.ts'
import type { JsonObject, Target } from '../protocol.ts'
import { factsOf } from './model-facts.ts'
import { protocolName } from './wire.ts'
import { writeConversation } from './write-messages.ts'
import { writeSampling, writeThinking } from './write-thinking.ts'
import { writeFormat, writeTools } from './write-tools.ts'

/**
 * The body of POST /v1/messages. Refuses `n` above 1 and `logprobs`; seeds, penalties, biases and what else the API has no
 * word for are named in `dropped`.
 */
export function writeRequest(chat: ChatRequest, target: Target): { body: JsonObject; dropped: string[] } {
  refuseImpossible(chat)
  const facts = factsOf(target.model)
  const maxTokens = chat.maxOutputTokens ?? target.defaultMaxOutputTokens
  const format = writeFormat(chat, facts)
  const tools = writeTools(chat, facts, format.answerTool)
  const thinking = writeThinking(chat, facts, maxTokens, tools.forcesTool)
  const sampling = writeSampling(chat, facts, thinking.thinks)
  const conversation = writeConversation(chat.messages)
  const stop = writeStop(chat.stop)
  const system = [...conversation.system]
  if (format.instruction !== null) system.push({ type: 'text', text: format.instruction })
  const outputConfig = {
    ...(thinking.effort === null ? {} : { effort: thinking.effort }),
    ...(format.native === null ? {} : { format: format.native }),
  }
  const body: JsonObject = {
    model: target.model,
    max_tokens: maxTokens,
    ...(system.length > 0 ? { system } : {}),
    messages: conversation.messages,
    ...tools.body,
    ...thinking.body,
    ...sampling.body,
    ...(Object.keys(outputConfig).length > 0 ? { output_config: outputConfig } : {}),
    ...stop.body,
    ...(chat.endUser === null ? {} : { metadata: { user_id: chat.endUser } }),
    ...(chat.stream ? { stream: true } : {}),
  }
  mergeExtras(body, chat.extras[protocolName] ?? {})
  const parts = [conversation, tools, format, thinking, sampling, stop]
  const dropped = new Set([...findInexpressible(chat), ...parts.flatMap((part) => part.dropped)])
  return { body, dropped: [...dropped] }
}

/** Parameters that change what the answer is, so that leaving them out would be a lie. */
function refuseImpossible(chat: ChatRequest): void {
  if (chat.n > 1) {
    throw fail('unsupported_parameter', 'Anthropic models give one answer a request: set n to 1', { param: 'n' })
  }
  if (chat.logprobs !== null) {
    throw fail('unsupported_parameter', 'Anthropic models give no log probabilities: leave out logprobs', {
      param: 'logprobs',
    })
  }
}

function findInexpressible(chat: ChatRequest): string[] {
  const dropped: string[] = []
  if (chat.seed !== null) dropped.push('seed')
  if (chat.presencePenalty !== null && chat.presencePenalty !== 0) dropped.push('presence_penalty')
  if (chat.frequencyPenalty !== null && chat.frequencyPenalty !== 0) dropped.push('frequency_penalty')
  if (chat.logitBias !== null && Object.keys(chat.logitBias).length > 0) dropped.push('logit_bias')
  return dropped
}

/** The API refuses stop sequences of white space only. */
function writeStop(stop: string[]): { body: JsonObject; dropped: string[] } {
  const usable = stop.filter((text) => text.trim() !== '')
  return {
    body: usable.length > 0 ? { stop_sequences: usable } : {},
    dropped: usable.length < stop.length ? ['stop'] : [],
  }
}
