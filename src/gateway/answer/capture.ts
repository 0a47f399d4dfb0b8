import type { Attributes, Tracer } from '../../platform/tracing/tracer.ts'
import type { ChatAssistantPart, ChatMessage, ChatPart } from '../chat.ts'
import { readHeard } from '../own-calls/heard.ts'
import type { Asked } from '../request/asked.ts'
import type { Listener } from './answerer.ts'

export type Capture = Listener & {
  /** What was asked and answered, as the attributes of a span; read when the caller has its answer. */
  attributes(): Attributes
}

/** Around every few letters of an answer there are as many times the letters of its protocol. */
const wireFactor = 16

/** null where nobody keeps the call's spans, or they are to hold nothing of what is said. */
export function openCapture(asked: Asked | undefined, tracer: Tracer | null): Capture | null {
  if (asked === undefined || tracer === null || tracer.contentBytes === 0) return null
  const maxBytes = tracer.contentBytes
  const pieces: Buffer[] = []
  let left = maxBytes * wireFactor
  return {
    add(piece) {
      if (left <= 0) return
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
      // Streams are read as far as they were kept; half a whole answer cannot be read at all.
      const kept = asked.stream ? bytes.subarray(0, left) : bytes
      left -= bytes.length
      if (left >= 0 || asked.stream) pieces.push(kept)
    },
    attributes: () => ({ ...readQuestion(asked, maxBytes), ...readAnswer(asked, Buffer.concat(pieces), maxBytes) }),
  }
}

type Part =
  | { type: 'text'; content: string }
  | { type: 'tool_call'; id: string; name: string; arguments: string }
  | { type: 'tool_call_response'; id: string; response: string }
type Message = { role: string; parts: Part[]; name?: string; finish_reason?: string }

/** Shapes: https://github.com/open-telemetry/semantic-conventions-genai, gen-ai-input-messages.json and its sisters. */
function readQuestion(asked: Asked, maxBytes: number): Attributes {
  try {
    const { messages } = asked.chat()
    const system = messages.filter(({ role }) => role === 'system').flatMap(({ parts }) => parts.flatMap(textOf))
    const rest = messages.filter(({ role }) => role !== 'system').map(toMessage)
    return {
      'gen_ai.system_instructions': system.length === 0 ? undefined : withinBytes(system, maxBytes),
      'gen_ai.input.messages': withinBytes(rest, maxBytes),
    }
  } catch {
    // A question that cannot be read was refused, or passed on as it came.
    return {}
  }
}

function readAnswer({ protocol, stream, place }: Asked, bytes: Buffer, maxBytes: number): Attributes {
  const wire = { protocol: protocol.name, stream, framing: place.framing }
  const heard = bytes.length === 0 ? null : readHeard(bytes, wire, 'cut')
  if (heard === null) return {}
  const parts: Part[] = [
    ...(heard.text === '' ? [] : [{ type: 'text' as const, content: heard.text }]),
    ...heard.toolCalls.map((call) => ({ type: 'tool_call' as const, id: '', ...call })),
  ]
  const message: Message = { role: 'assistant', parts, finish_reason: heard.finish }
  return { 'gen_ai.output.messages': withinBytes([message], maxBytes) }
}

function toMessage(message: ChatMessage): Message {
  if (message.role !== 'tool') {
    const parts = (message.parts as readonly (ChatPart | ChatAssistantPart)[]).flatMap(textOf)
    return { role: message.role, parts }
  }
  const response = message.parts.flatMap(textOf).map((part) => (part.type === 'text' ? part.content : ''))
  return { role: 'tool', parts: [{ type: 'tool_call_response', id: message.callId, response: response.join('\n') }] }
}

function textOf(part: ChatPart | ChatAssistantPart): Part[] {
  if (part.kind === 'text' || part.kind === 'refusal') return [{ type: 'text', content: part.text }]
  if (part.kind === 'tool_call') return [{ type: 'tool_call', id: part.id, name: part.name, arguments: part.arguments }]
  // Bytes of media are nothing to read in a trace.
  return ['image', 'audio', 'file'].includes(part.kind) ? [{ type: 'text', content: `[${part.kind}]` }] : []
}

/** JSON of at most `maxBytes`: of a long list its end is kept, of a long text its beginning. */
function withinBytes(list: readonly (Message | Part)[], maxBytes: number): string {
  const whole = JSON.stringify(list)
  if (Buffer.byteLength(whole) <= maxBytes) return whole
  const kept: string[] = []
  let left = maxBytes - 2
  for (const each of list.toReversed()) {
    const text = JSON.stringify(each)
    const size = Buffer.byteLength(text) + 1
    if (size > left) {
      if (kept.length === 0) kept.push(cutTexts(each, left))
      break
    }
    kept.push(text)
    left -= size
  }
  return `[${kept.toReversed().join(',')}]`
}

/** The same with its texts cut until it fits; an escape may take six bytes of a letter. */
function cutTexts(one: Message | Part, maxBytes: number): string {
  for (let most = maxBytes; most >= 8; most = Math.floor(most / 2)) {
    const text = JSON.stringify(one, (_key, value: unknown) =>
      typeof value === 'string' && value.length > most ? `${value.slice(0, most)}…` : value,
    )
    if (Buffer.byteLength(text) <= maxBytes) return text
  }
  return '{}'
}
