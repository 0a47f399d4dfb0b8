import type {
  ChatAssistantPart,
  ChatFilePart,
  ChatMedia,
  ChatMessage,
  ChatPart,
  ChatReasoningPart,
} from '../../chat.ts'
import { asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { protocolName } from './wire.ts'

/** Messages as input items. What Responses has no place for is named in `dropped`. */
export function writeItems(messages: ChatMessage[], dropped: Set<string>): JsonObject[] {
  return messages.flatMap((message) => writeMessage(message, dropped))
}

function writeMessage(message: ChatMessage, dropped: Set<string>): JsonObject[] {
  switch (message.role) {
    case 'system':
      return [{ type: 'message', role: message.developer ? 'developer' : 'system', content: writeParts(message.parts) }]
    case 'user':
      if (message.name !== null) dropped.add('name')
      return [{ type: 'message', role: 'user', content: writeParts(message.parts) }]
    case 'tool':
      return [writeToolResult(message, dropped)]
    case 'assistant':
      return writeSpoken(message.parts, dropped)
  }
}

function writeToolResult(message: Extract<ChatMessage, { role: 'tool' }>, dropped: Set<string>): JsonObject {
  if (message.isError) dropped.add('is_error')
  const isPlain = message.parts.every((part) => part.kind === 'text')
  const output = isPlain
    ? message.parts.map((part) => (part.kind === 'text' ? part.text : '')).join('')
    : writeParts(message.parts)
  return { type: 'function_call_output', call_id: message.callId, output }
}

function writeSpoken(parts: ChatAssistantPart[], dropped: Set<string>): JsonObject[] {
  const items: JsonObject[] = []
  let content: JsonObject[] = []
  const flush = () => {
    if (content.length > 0) items.push({ type: 'message', role: 'assistant', content })
    content = []
  }
  for (const part of parts) {
    if (part.kind === 'text') content.push({ type: 'output_text', text: part.text, annotations: [] })
    else if (part.kind === 'refusal') content.push({ type: 'refusal', refusal: part.text })
    else {
      flush()
      if (part.kind === 'tool_call') items.push(writeCall(part))
      else if (part.kind === 'vendor') items.push(part.value)
      else items.push(...writeReasoning(part, dropped))
    }
  }
  flush()
  return items
}

/** Only what OpenAI encrypted itself: it answers 400 to anything else. */
function writeReasoning(part: ChatReasoningPart, dropped: Set<string>): JsonObject[] {
  if (part.signature === null || part.signedBy !== protocolName) {
    dropped.add('reasoning')
    return []
  }
  const id = asText(part.extras?.[protocolName]?.id)
  const summary = part.text === '' ? [] : [{ type: 'summary_text', text: part.text }]
  return [{ type: 'reasoning', ...(id === '' ? {} : { id }), summary, encrypted_content: part.signature }]
}

function writeCall(part: Extract<ChatAssistantPart, { kind: 'tool_call' }>): JsonObject {
  if (part.extras?.[protocolName]?.custom === true) {
    const input = asText(asObject(parse(part.arguments))?.input)
    return { type: 'custom_tool_call', call_id: part.id, name: part.name, input }
  }
  const text = part.arguments.trim() === '' ? '{}' : part.arguments
  return { type: 'function_call', call_id: part.id, name: part.name, arguments: text }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function writeParts(parts: ChatPart[]): JsonObject[] {
  return parts.map(writePart)
}

function writePart(part: ChatPart): JsonObject {
  switch (part.kind) {
    case 'text':
      return { type: 'input_text', text: part.text }
    case 'image':
      return { type: 'input_image', image_url: urlOf(part.source), detail: part.detail ?? 'auto' }
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.base64, format: part.format } }
    case 'file':
      return writeFile(part)
    case 'vendor':
      return part.value
  }
}

function writeFile({ source, name, extras }: ChatFilePart): JsonObject {
  if (extras?.[protocolName]?.input_image === true && source.kind === 'id') {
    return { type: 'input_image', file_id: source.id, detail: 'auto' }
  }
  if (source.kind === 'id') return { type: 'input_file', file_id: source.id }
  if (source.kind === 'url') return { type: 'input_file', file_url: source.url }
  return { type: 'input_file', filename: name ?? 'file', file_data: urlOf(source) }
}

function urlOf(media: ChatMedia): string {
  return media.kind === 'url' ? media.url : `data:${media.mediaType};base64,${media.base64}`
}
