import { fail } from '../../../kernel/errors.ts'
import type {
  ChatAssistantPart,
  ChatFilePart,
  ChatImagePart,
  ChatMedia,
  ChatMessage,
  ChatPart,
  ChatReasoningPart,
  ChatTextPart,
  Extras,
} from '../../chat.ts'
import { readArguments } from '../json.ts'
import { toWireToolId } from './tool-ids.ts'
import {
  protocolName,
  type WireBlock,
  type WireDocument,
  type WireImage,
  type WireMediaSource,
  type WireMessage,
  type WireText,
} from './wire.ts'

type WireConversation = { system: WireText[]; messages: WireMessage[]; dropped: string[] }

/**
 * The conversation as Anthropic wants it: every system and developer message joined in order into `system`, user and
 * assistant in turn, tool results first in the user message that follows their calls.
 */
export function writeConversation(chat: ChatMessage[]): WireConversation {
  const system: WireText[] = []
  const messages: WireMessage[] = []
  const dropped = new Set<string>()
  for (const message of chat) {
    if (message.role === 'system') system.push(...markLast(message.parts.flatMap(writeText), message.extras))
    else append(messages, message.role === 'assistant' ? 'assistant' : 'user', writeMessage(message, dropped))
  }
  // https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls: results come before other content.
  for (const message of messages) {
    if (message.role === 'user') message.content.sort((a, b) => rank(a) - rank(b))
  }
  trimPrefill(messages)
  // A conversation of instructions alone is legal elsewhere; here the instructions become the question.
  if (messages.length === 0) return { system: [], messages: [{ role: 'user', content: system }], dropped: [...dropped] }
  return { system, messages, dropped: [...dropped] }
}

const rank = (block: WireBlock): number => (block.type === 'tool_result' ? 0 : 1)

function append(messages: WireMessage[], role: WireMessage['role'], content: WireBlock[]): void {
  if (content.length === 0) return
  const last = messages.at(-1)
  if (last?.role === role) last.content.push(...content)
  else messages.push({ role, content })
}

/** The API refuses a final assistant text that ends in white space. */
function trimPrefill(messages: WireMessage[]): void {
  const last = messages.at(-1)
  const block = last?.content.at(-1)
  if (last?.role === 'assistant' && block?.type === 'text') block.text = block.text.trimEnd()
}

function writeMessage(message: Exclude<ChatMessage, { role: 'system' }>, dropped: Set<string>): WireBlock[] {
  if (message.role === 'tool') return markLast([writeToolResult(message, dropped)], message.extras)
  if (message.name !== null) dropped.add('name')
  const blocks =
    message.role === 'user'
      ? message.parts.flatMap((part) => writePart(part, dropped))
      : message.parts.flatMap((part) => writeAssistantPart(part, dropped))
  return markLast(blocks, message.extras)
}

function writeToolResult(message: Extract<ChatMessage, { role: 'tool' }>, dropped: Set<string>): WireBlock {
  const content = message.parts.flatMap((part) => writePart(part, dropped))
  return {
    type: 'tool_result',
    tool_use_id: toWireToolId(message.callId),
    ...(content.length > 0 ? { content } : {}),
    ...(message.isError ? { is_error: true } : {}),
  }
}

/** A mark on a whole message (`cache_control`) belongs to its last block; thinking blocks take none. */
function markLast<T extends WireBlock>(blocks: T[], extras: Extras | undefined): T[] {
  const last = blocks.at(-1)
  if (last === undefined || last.type === 'thinking' || last.type === 'redacted_thinking') return blocks
  return [...blocks.slice(0, -1), withExtras(last, extras)]
}

function writeAssistantPart(part: ChatAssistantPart, dropped: Set<string>): WireBlock[] {
  switch (part.kind) {
    case 'text':
      return writeText(part)
    case 'refusal':
      return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }]
    case 'reasoning':
      return writeReasoning(part, dropped)
    case 'tool_call':
      return [
        withExtras(
          { type: 'tool_use', id: toWireToolId(part.id), name: part.name, input: readArguments(part.arguments) },
          part.extras,
        ),
      ]
    case 'vendor':
      return [part.value as WireBlock]
  }
}

/** Only thinking that Anthropic itself signed may return, and byte for byte; anything else is answered with 400. */
function writeReasoning(part: ChatReasoningPart, dropped: Set<string>): WireBlock[] {
  const isForeign = part.signedBy !== undefined && part.signedBy !== protocolName
  if (part.signature === null || isForeign) {
    dropped.add('reasoning')
    return []
  }
  if (part.redacted) return [{ type: 'redacted_thinking', data: part.signature }]
  return [{ type: 'thinking', thinking: part.text, signature: part.signature }]
}

function writePart(part: ChatPart, dropped: Set<string>): WireBlock[] {
  switch (part.kind) {
    case 'text':
      return writeText(part)
    case 'image':
      return [writeImage(part, dropped)]
    case 'file':
      return [withExtras(writeFile(part), part.extras)]
    case 'audio':
      throw fail('unsupported_parameter', 'Anthropic models take no audio: leave out the input_audio part', {
        param: 'input_audio',
      })
    case 'vendor':
      return [part.value as WireBlock]
  }
}

/** The API refuses text blocks that are empty or white space only. */
function writeText(part: ChatTextPart): WireText[] {
  return part.text.trim() === '' ? [] : [withExtras({ type: 'text', text: part.text }, part.extras)]
}

function writeImage(part: ChatImagePart, dropped: Set<string>): WireImage {
  if (part.detail !== null && part.detail !== 'auto') dropped.add('image_url.detail')
  return withExtras({ type: 'image', source: writeMedia(part.source) }, part.extras)
}

function writeMedia(source: ChatMedia): WireMediaSource {
  if (source.kind === 'url') return { type: 'url', url: source.url }
  return { type: 'base64', media_type: source.mediaType, data: source.base64 }
}

function writeFile(part: ChatFilePart): WireDocument | WireImage {
  const title = part.name === null ? {} : { title: part.name }
  const { source } = part
  if (source.kind === 'id') {
    const type = part.extras?.[protocolName]?.type === 'image' ? 'image' : 'document'
    return { type, source: { type: 'file', file_id: source.id }, ...title }
  }
  if (source.kind === 'url') return { type: 'document', source: { type: 'url', url: source.url }, ...title }
  const mediaType = source.mediaType.split(';')[0]!.trim().toLowerCase()
  if (mediaType.startsWith('image/')) return { type: 'image', source: writeMedia({ ...source, mediaType }) }
  if (mediaType === 'application/pdf') {
    return { type: 'document', source: { type: 'base64', media_type: mediaType, data: source.base64 }, ...title }
  }
  if (mediaType.startsWith('text/') || mediaType === 'application/json') {
    const data = Buffer.from(source.base64, 'base64').toString('utf8')
    return { type: 'document', source: { type: 'text', media_type: 'text/plain', data }, ...title }
  }
  throw fail('unsupported_parameter', `Anthropic models read PDF, text and images, not a file of type ${mediaType}`, {
    param: part.at ?? 'file',
  })
}

/** What this protocol's own callers set on a part (`cache_control`, `citations`) comes back; what we write wins. */
export function withExtras<T extends object>(block: T, extras: Extras | undefined): T {
  const own = extras?.[protocolName]
  return own === undefined ? block : { ...own, ...block }
}
