import { createSseReader } from '../../kernel/sse.ts'
import type { ChatAssistantPart, ChatMessage, ChatPart } from '../chat.ts'
import { readHeard } from '../own-calls/heard.ts'
import { asList, asObject, asText } from '../protocols/json.ts'
import { openaiCompletions } from '../protocols/openai-completions/index.ts'
import type { Asked } from '../request/asked.ts'

/** One thing that was said in a call. What only programs read (instructions, thoughts, bytes of media) is not told. */
export type Said = {
  role: 'user' | 'assistant' | 'tool'
  name: string
  text: string
  toolCalls: { name: string; arguments: string }[]
}

/**
 * What is new in a call: what was asked since the model last spoke, and what it answered. Callers repeat the whole
 * conversation with every call; it has been heard before. Throws HubError for a question that cannot be read.
 */
export function readSaid(asked: Asked, answer: Buffer): Said[] {
  return [...readAsked(asked.chat().messages), ...readAnswer(asked, answer)]
}

function readAsked(messages: readonly ChatMessage[]): Said[] {
  // Words put into the model's mouth are the beginning of its answer.
  const end = messages.at(-1)?.role === 'assistant' ? messages.length - 1 : messages.length
  const before = messages.slice(0, end)
  const last = before.findLastIndex(({ role }) => role === 'assistant')
  return before.slice(last + 1).flatMap((message): Said[] => {
    if (message.role === 'user') return [{ ...said('user', message.parts), name: message.name ?? '' }]
    if (message.role === 'tool') return [{ ...said('tool', message.parts), name: message.toolName ?? message.callId }]
    return []
  })
}

function said(role: Said['role'], parts: readonly (ChatPart | ChatAssistantPart)[]): Said {
  return { role, name: '', text: parts.flatMap(textOf).join('\n'), toolCalls: [] }
}

function textOf(part: ChatPart | ChatAssistantPart): string[] {
  if (part.kind === 'text' || part.kind === 'refusal') return [part.text]
  if (part.kind === 'image' || part.kind === 'audio') return [`[${part.kind}]`]
  return part.kind === 'file' ? [`[file${part.name === null ? '' : ` ${part.name}`}]`] : []
}

function readAnswer({ protocol, stream, place }: Asked, bytes: Buffer): Said[] {
  if (bytes.length === 0) return []
  if (protocol.name === openaiCompletions.name) {
    const text = readCompletion(bytes, stream)
    return text === '' ? [] : [{ role: 'assistant', name: '', text, toolCalls: [] }]
  }
  const heard = readHeard(bytes, { protocol: protocol.name, stream, framing: place.framing }, 'cut')
  if (heard === null || (heard.text === '' && heard.toolCalls.length === 0)) return []
  return [{ role: 'assistant', name: '', text: heard.text, toolCalls: heard.toolCalls }]
}

/** The first text of a completion, which no provider is asked for here: https://platform.openai.com/docs/api-reference/completions */
function readCompletion(bytes: Buffer, stream: boolean): string {
  const first = (json: string) => {
    try {
      const choices = asList(asObject(JSON.parse(json))?.choices).map(asObject)
      return asText(choices.find((choice) => (choice?.index ?? 0) === 0)?.text)
    } catch {
      return ''
    }
  }
  if (!stream) return first(bytes.toString('utf8'))
  const events = createSseReader().push(bytes)
  return events.map(({ data }) => first(data)).join('')
}
