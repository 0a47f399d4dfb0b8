import type { ChatRequest } from '../../chat.ts'
import { mergeExtras } from '../json.ts'
import type { JsonObject, Target } from '../protocol.ts'
import { factsOf } from './model-facts.ts'
import { protocolName } from './wire.ts'
import { writeConfig } from './write-config.ts'
import { writeContents } from './write-contents.ts'
import { writeTools } from './write-tools.ts'

/**
 * The body of generateContent; model and streaming are in the path. Refuses addresses Google can't fetch, streamed log
 * probabilities and more than five stop sequences; biases and end-user ids are named in `dropped`.
 */
export function writeRequest(chat: ChatRequest, target: Target): { body: JsonObject; dropped: string[] } {
  const facts = factsOf(target.model)
  const conversation = writeContents(chat.messages, facts)
  const tools = writeTools(chat)
  const config = writeConfig(chat, facts)
  const system = [...conversation.system]
  for (const text of [tools.instruction, config.instruction]) if (text !== null) system.push({ text })
  const body: JsonObject = {
    contents: conversation.contents,
    ...(system.length > 0 ? { systemInstruction: { parts: system } } : {}),
    ...tools.body,
    ...(Object.keys(config.body).length > 0 ? { generationConfig: config.body } : {}),
  }
  mergeExtras(body, chat.extras[protocolName] ?? {})
  const dropped = new Set([...conversation.dropped, ...tools.dropped, ...config.dropped])
  if (chat.logitBias !== null && Object.keys(chat.logitBias).length > 0) dropped.add('logit_bias')
  if (chat.endUser !== null) dropped.add('user')
  return { body, dropped: [...dropped] }
}
