import type { ChatAssistantPart, ChatEvent, ChatResult } from '../../chat.ts'
import type { JsonObject, ReplyContext } from '../protocol.ts'
import { createResponseWriter } from './write-stream.ts'

/** A response object as official clients expect it: what a stream of the same answer would have come to. */
export function writeResult(result: ChatResult, reply: ReplyContext, request: JsonObject = {}): JsonObject {
  const writer = createResponseWriter(reply, request)
  writer.write({ kind: 'start', id: result.id, model: result.model, usage: result.usage })
  const [choice] = result.choices
  let call = 0
  for (const part of choice?.parts ?? []) {
    for (const event of eventsOf(part, part.kind === 'tool_call' ? call++ : 0)) writer.write(event)
  }
  const { finish, stopSequence } = choice ?? { finish: 'stop', stopSequence: null }
  writer.write({ kind: 'finish', index: 0, finish, stopSequence })
  writer.write({ kind: 'end' })
  return writer.response()
}

const index = 0

function eventsOf(part: ChatAssistantPart, call: number): ChatEvent[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return [{ kind: part.kind, index, text: part.text }]
    case 'reasoning': {
      const { text, signature, signedBy, redacted } = part
      const told: ChatEvent[] = text === '' ? [] : [{ kind: 'reasoning', index, text }]
      if (signature === null) return told
      const by = signedBy === undefined ? {} : { signedBy }
      return [...told, { kind: 'reasoning_signature', index, signature, redacted, ...by }]
    }
    case 'tool_call': {
      const { id, name, extras, arguments: text } = part
      const start = {
        kind: 'tool_call_start' as const,
        index,
        call,
        id,
        name,
        ...(extras === undefined ? {} : { extras }),
      }
      return [start, { kind: 'tool_call_arguments', index, call, text }]
    }
    case 'vendor':
      return []
  }
}
