import { fail } from '../../../kernel/errors.ts'
import type { ChatAssistantPart, ChatFilePart, ChatImagePart, ChatMedia, ChatMessage, ChatPart } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { toExtraContent } from './vendor-content.ts'
import { isObject, protocolName } from './wire.ts'

/** Messages for an OpenAI-compatible provider. What such providers have no member for is named in `dropped`. */
export function writeMessages(messages: ChatMessage[], dropped: Set<string>): JsonObject[] {
  const out: JsonObject[] = []
  // Tool messages take text only; pictures in a tool's answer follow in a user message after the last of its siblings.
  let pictures: JsonObject[] = []
  const flush = () => {
    if (pictures.length > 0) out.push({ role: 'user', content: pictures })
    pictures = []
  }
  for (const message of messages) {
    if (message.role !== 'tool') flush()
    out.push(writeMessage(message, dropped))
    if (message.role !== 'tool') continue
    const media = message.parts.filter((part) => part.kind !== 'text')
    if (media.length === 0) continue
    pictures.push({ type: 'text', text: `Attached to the result of tool call ${message.callId}:` })
    pictures.push(...media.map(writePart))
  }
  flush()
  return out
}

function writeMessage(message: ChatMessage, dropped: Set<string>): JsonObject {
  const own = message.extras?.[protocolName]
  switch (message.role) {
    case 'system':
      return { ...own, role: message.developer ? 'developer' : 'system', content: writeContent(message.parts) }
    case 'user':
      return { ...own, role: 'user', content: writeContent(message.parts), ...nameOf(message.name) }
    case 'tool':
      if (message.isError) dropped.add('is_error')
      return {
        ...own,
        role: 'tool',
        tool_call_id: message.callId,
        content: writeContent(message.parts.filter((part) => part.kind === 'text')),
      }
    case 'assistant':
      return { ...own, ...writeAssistant(message.parts, own !== undefined, dropped), ...nameOf(message.name) }
  }
}

function nameOf(name: string | null): JsonObject {
  return name === null ? {} : { name }
}

/** Plain text as a string, which every provider takes; parts only where there is more to say. */
function writeContent(parts: ChatPart[]): string | JsonObject[] {
  if (parts.length === 0) return ''
  const [first] = parts
  if (parts.length === 1 && first?.kind === 'text' && !first.extras?.[protocolName]) return first.text
  return parts.map(writePart)
}

function writePart(part: ChatPart): JsonObject {
  switch (part.kind) {
    case 'text':
      return { ...part.extras?.[protocolName], type: 'text', text: part.text }
    case 'image':
      return writeImage(part)
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.base64, format: part.format } }
    case 'file':
      return { type: 'file', file: writeFile(part) }
    case 'vendor':
      return part.value
  }
}

function writeImage(part: ChatImagePart): JsonObject {
  const { detail, ...rest } = part.extras?.[protocolName] ?? {}
  const asked = part.detail ?? detail ?? null
  return {
    ...rest,
    type: 'image_url',
    image_url: { url: urlOf(part.source), ...(asked === null ? {} : { detail: asked }) },
  }
}

function writeFile({ source, name, at = 'file' }: ChatFilePart): JsonObject {
  if (source.kind === 'id') return { file_id: source.id }
  if (source.kind === 'url') {
    throw fail(
      'unsupported_parameter',
      `${at}: OpenAI-compatible providers take a file as base64 or by id, not by URL`,
      {
        param: at,
      },
    )
  }
  return { filename: name ?? 'file', file_data: urlOf(source) }
}

function urlOf(media: ChatMedia): string {
  return media.kind === 'url' ? media.url : `data:${media.mediaType};base64,${media.base64}`
}

function writeAssistant(parts: ChatAssistantPart[], hasOwn: boolean, dropped: Set<string>): JsonObject {
  const text: ChatPart[] = []
  const calls: JsonObject[] = []
  let refusal = ''
  for (const part of parts) {
    if (part.kind === 'text') text.push(part)
    else if (part.kind === 'refusal') refusal += part.text
    else if (part.kind === 'tool_call') calls.push(writeToolCall(part))
    else if (part.kind === 'vendor') text.push(part)
    // Reasoning that came in this format is still in the message's own members; OpenAI refuses it unasked.
    else if (!hasOwn) dropped.add('reasoning')
  }
  return {
    role: 'assistant',
    content: text.length === 0 ? null : writeContent(text),
    ...(refusal === '' ? {} : { refusal }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function writeToolCall(part: Extract<ChatAssistantPart, { kind: 'tool_call' }>): JsonObject {
  const custom = part.extras?.[protocolName]?.custom
  if (isObject(custom)) return { id: part.id, type: 'custom', custom }
  const content = toExtraContent(part.extras)
  return {
    id: part.id,
    type: 'function',
    function: { name: part.name, arguments: part.arguments === '' ? '{}' : part.arguments },
    ...(content === undefined ? {} : { extra_content: content }),
  }
}
