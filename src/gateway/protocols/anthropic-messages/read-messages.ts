import type { ChatAssistantPart, ChatMessage, ChatPart, ChatTextPart } from '../../chat.ts'
import { arrayAt, nonEmptyAt, objectAt, oneOf, optionalBoolean, unread, wrong } from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { openSignature, type SealedSignature } from '../signatures.ts'
import { extrasOf, readBlocks, readText, serverBlocks } from './read-blocks.ts'
import { fromWireToolId } from './tool-ids.ts'
import { protocolName } from './wire.ts'

type SystemMessage = Extract<ChatMessage, { role: 'system' }>

/** `system` at the top of a request: a text or blocks of text. null for none. */
export function readSystem(value: unknown): SystemMessage | null {
  if (value === null || value === '') return null
  const parts = readTexts(value, 'system')
  return parts.length === 0 ? null : { role: 'system', parts, developer: false }
}

function readTexts(value: unknown, path: string): ChatTextPart[] {
  if (typeof value === 'string') return [{ kind: 'text', text: value }]
  if (!Array.isArray(value)) throw wrong(path, 'must be a string or an array of text blocks')
  return value.map((item, i) => {
    const block = objectAt(item, `${path}.${i}`)
    oneOf(block.type, ['text'], `${path}.${i}.type`)
    return readText(block, `${path}.${i}`)
  })
}

/** Reads `messages`. A user turn with results of tools becomes one message a result, and one of what else it says. */
export function readMessages(value: unknown): ChatMessage[] {
  const list = arrayAt(value, 'messages')
  if (list.length === 0) throw wrong('messages', 'must hold at least one message')
  const calls = new Map<string, string>()
  return list.flatMap((item, i) => {
    const path = `messages.${i}`
    const wire = objectAt(item, path)
    const role = oneOf(wire.role, ['user', 'assistant', 'system'], `${path}.role`)
    // Instructions in the middle of a conversation, which newer models take where they stand.
    if (role === 'system') return { role, parts: readTexts(wire.content, `${path}.content`), developer: false }
    if (role === 'user') return readUser(wire.content, `${path}.content`, calls)
    return { role, parts: readAssistant(wire.content, `${path}.content`, calls), name: null }
  })
}

/** `calls` maps the ids of the calls so far to the names of their tools. */
function readUser(content: unknown, path: string, calls: ReadonlyMap<string, string>): ChatMessage[] {
  if (typeof content === 'string') return [{ role: 'user', parts: [{ kind: 'text', text: content }], name: null }]
  if (!Array.isArray(content)) throw wrong(path, 'must be a string or an array of content blocks')
  const messages: ChatMessage[] = []
  const parts: ChatPart[] = []
  content.forEach((item, i) => {
    const at = `${path}.${i}`
    const block = objectAt(item, at)
    if (block.type === 'tool_result') messages.push(readToolResult(block, at, calls))
    else parts.push(...readBlocks([block], path, i))
  })
  // The API wants results first and so do others: whatever stands between them comes after.
  if (parts.length > 0 || messages.length === 0) messages.push({ role: 'user', parts, name: null })
  return messages
}

const toolResultMembers = new Set(['type', 'tool_use_id', 'content', 'is_error'])

function readToolResult(block: JsonObject, path: string, calls: ReadonlyMap<string, string>): ChatMessage {
  const callId = fromWireToolId(nonEmptyAt(block.tool_use_id, `${path}.tool_use_id`))
  const { content } = block
  const parts: ChatPart[] =
    content === undefined || content === null
      ? []
      : typeof content === 'string'
        ? [{ kind: 'text', text: content }]
        : readBlocks(arrayAt(content, `${path}.content`), `${path}.content`)
  return {
    role: 'tool',
    callId,
    toolName: calls.get(callId) ?? null,
    parts,
    isError: optionalBoolean(block, 'is_error', `${path}.is_error`) ?? false,
    ...extrasOf(unread(block, toolResultMembers)),
  }
}

const toolUseMembers = new Set(['type', 'id', 'name', 'input'])

function readAssistant(content: unknown, path: string, calls: Map<string, string>): ChatAssistantPart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ kind: 'text', text: content }]
  if (!Array.isArray(content)) throw wrong(path, 'must be a string or an array of content blocks')
  // Signatures that other vendors put on calls travel in a block before the call.
  const ofCalls = new Map<string, SealedSignature>()
  return content.flatMap((item, i): ChatAssistantPart[] => {
    const at = `${path}.${i}`
    const block = objectAt(item, at)
    switch (oneOf(block.type, assistantBlocks, `${at}.type`)) {
      case 'text':
        return [readText(block, at)]
      case 'thinking':
        return [readThinking(block, at)]
      case 'redacted_thinking':
        return readRedacted(block, at, ofCalls)
      case 'tool_use': {
        const id = fromWireToolId(nonEmptyAt(block.id, `${at}.id`))
        const name = nonEmptyAt(block.name, `${at}.name`)
        calls.set(id, name)
        const input = JSON.stringify(objectAt(block.input, `${at}.input`))
        const signed = ofCalls.get(id)
        const extras = {
          ...extrasOf(unread(block, toolUseMembers)).extras,
          ...(signed === undefined ? {} : { [signed.by]: { thoughtSignature: signed.signature } }),
        }
        return [{ kind: 'tool_call', id, name, arguments: input, ...(Object.keys(extras).length > 0 && { extras }) }]
      }
      default:
        return [{ kind: 'vendor', protocol: protocolName, value: block }]
    }
  })
}

const assistantBlocks: readonly string[] = ['text', 'thinking', 'redacted_thinking', 'tool_use', ...serverBlocks]

function readThinking(block: JsonObject, path: string): ChatAssistantPart {
  if (typeof block.thinking !== 'string') throw wrong(`${path}.thinking`, 'must be a string')
  if (typeof block.signature !== 'string') throw wrong(`${path}.signature`, 'must be a string')
  const sealed = openSignature(block.signature)
  const own = block.signature === '' ? null : block.signature
  return {
    kind: 'reasoning',
    text: block.thinking,
    signature: sealed === null ? own : sealed.signature,
    redacted: sealed?.redacted === true,
    signedBy: sealed === null ? protocolName : sealed.by,
  }
}

function readRedacted(block: JsonObject, path: string, ofCalls: Map<string, SealedSignature>): ChatAssistantPart[] {
  const data = nonEmptyAt(block.data, `${path}.data`)
  const sealed = openSignature(data)
  if (sealed?.callId !== undefined) {
    ofCalls.set(sealed.callId, sealed)
    return []
  }
  const signature = sealed === null ? data : sealed.signature
  const signedBy = sealed === null ? protocolName : sealed.by
  return [{ kind: 'reasoning', text: '', signature, redacted: true, signedBy }]
}
