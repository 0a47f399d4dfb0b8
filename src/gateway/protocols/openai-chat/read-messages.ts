import type { ChatAssistantPart, ChatMedia, ChatMessage, ChatPart, ChatTextPart, Extras } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { arrayAt, nonEmptyAt, objectAt, oneOf, optional, optionalString, stringAt, unread, wrong } from './fields.ts'
import { fromExtraContent, fromReasoningDetails } from './vendor-content.ts'
import { isObject, protocolName } from './wire.ts'

const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const

/** Reads `messages`. Legacy `function` messages become answers to the last call of that name. */
export function readMessages(value: unknown): ChatMessage[] {
  const list = arrayAt(value, 'messages')
  if (list.length === 0) throw wrong('messages', 'must hold at least one message')
  const calls = new Map<string, string>()
  return list.map((item, i) => {
    const path = `messages[${i}]`
    const wire = objectAt(item, path)
    const message = readMessage(wire, path, calls)
    if (message.role !== 'assistant') return message
    for (const part of message.parts) if (part.kind === 'tool_call') calls.set(part.id, part.name)
    return message
  })
}

/** `calls` maps the ids of the calls so far to the names of their tools. */
function readMessage(wire: JsonObject, path: string, calls: Map<string, string>): ChatMessage {
  const role = oneOf(wire.role, roles, `${path}.role`)
  switch (role) {
    case 'system':
    case 'developer': {
      const parts = readParts(wire.content, `${path}.content`).map((part, i) => {
        if (part.kind !== 'text') throw wrong(`${path}.content[${i}].type`, `must be text in a ${role} message`)
        return part
      })
      return { role: 'system', parts, developer: role === 'developer', ...extrasOf(wire, systemMembers) }
    }
    case 'user': {
      const parts = readParts(wire.content, `${path}.content`)
      return { role, parts, name: optionalString(wire, 'name', `${path}.name`), ...extrasOf(wire, userMembers) }
    }
    case 'assistant':
      return {
        role,
        parts: readAssistantParts(wire, path),
        name: optionalString(wire, 'name', `${path}.name`),
        ...extrasOf(wire, assistantMembers),
      }
    case 'tool': {
      const callId = nonEmptyAt(wire.tool_call_id, `${path}.tool_call_id`)
      return {
        role,
        callId,
        toolName: calls.get(callId) ?? optionalString(wire, 'name', `${path}.name`),
        parts: readParts(wire.content, `${path}.content`),
        isError: false,
        ...extrasOf(wire, toolMembers),
      }
    }
    case 'function': {
      const toolName = nonEmptyAt(wire.name, `${path}.name`)
      const call = [...calls].findLast(([, name]) => name === toolName)
      if (!call) throw wrong(`${path}.name`, 'must be the name of a function that was called before')
      const parts = optional(wire, 'content') === null ? [] : readParts(wire.content, `${path}.content`)
      return { role: 'tool', callId: call[0], toolName, parts, isError: false }
    }
  }
}

const systemMembers = new Set(['role', 'content'])
const userMembers = new Set(['role', 'content', 'name'])
const toolMembers = new Set(['role', 'content', 'tool_call_id'])
// The reasoning members are not in it: they are read, and also kept as sent for a provider of this same protocol.
const assistantMembers = new Set(['role', 'content', 'name', 'tool_calls', 'function_call', 'refusal'])

function extrasOf(wire: JsonObject, read: ReadonlySet<string>): { extras?: Extras } {
  const rest = unread(wire, read)
  if (rest === null) return {}
  return { extras: { [protocolName]: rest, ...anthropicCache(rest) } }
}

// Anthropic's cache marks have no place in OpenAI's format, so clients put them where Anthropic would look for them.
function anthropicCache(rest: JsonObject): Extras {
  return isObject(rest.cache_control) ? { 'anthropic-messages': { cache_control: rest.cache_control } } : {}
}

function readParts(content: unknown, path: string): ChatPart[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }]
  if (!Array.isArray(content)) throw wrong(path, 'must be a string or an array of parts')
  return content.map((item, i) => readPart(objectAt(item, `${path}[${i}]`), `${path}[${i}]`))
}

const partReaders: { [type: string]: (wire: JsonObject, path: string) => ChatPart } = {
  text: readText,
  image_url: (wire, path) => {
    const image = objectAt(wire.image_url, `${path}.image_url`)
    const source = readMediaUrl(stringAt(image.url, `${path}.image_url.url`), `${path}.image_url.url`)
    const asked = optionalString(image, 'detail', `${path}.image_url.detail`)
    const detail = asked === 'low' || asked === 'high' || asked === 'auto' ? asked : null
    const rest = { ...unread(wire, imageMembers), ...(asked !== detail ? { detail: asked } : {}) }
    const extras = { [protocolName]: rest, ...anthropicCache(rest) }
    return { kind: 'image', source, detail, ...(Object.keys(rest).length > 0 ? { extras } : {}) }
  },
  input_audio: (wire, path) => {
    const audio = objectAt(wire.input_audio, `${path}.input_audio`)
    return {
      kind: 'audio',
      base64: nonEmptyAt(audio.data, `${path}.input_audio.data`),
      format: nonEmptyAt(audio.format, `${path}.input_audio.format`),
    }
  },
  file: (wire, path) => {
    const file = objectAt(wire.file, `${path}.file`)
    const name = optionalString(file, 'filename', `${path}.file.filename`)
    const id = optionalString(file, 'file_id', `${path}.file.file_id`)
    if (id !== null) return { kind: 'file', source: { kind: 'id', id }, name }
    const data = optionalString(file, 'file_data', `${path}.file.file_data`)
    if (data === null) throw wrong(`${path}.file`, 'must have file_id or file_data')
    return { kind: 'file', source: readFileData(data, name, `${path}.file.file_data`), name, at: `${path}.file` }
  },
}

const textMembers = new Set(['type', 'text'])
const imageMembers = new Set(['type', 'image_url'])

function readPart(wire: JsonObject, path: string): ChatPart {
  const type = oneOf(wire.type, Object.keys(partReaders), `${path}.type`)
  return partReaders[type]!(wire, path)
}

function readText(wire: JsonObject, path: string): ChatTextPart {
  return { kind: 'text', text: stringAt(wire.text, `${path}.text`), ...extrasOf(wire, textMembers) }
}

function readMediaUrl(url: string, path: string): ChatMedia {
  if (/^https?:\/\//i.test(url)) return { kind: 'url', url }
  return readDataUrl(url) ?? refuseUrl(path)
}

function refuseUrl(path: string): never {
  throw wrong(path, 'must be an https URL or a base64 data URL like data:image/png;base64,…')
}

function readDataUrl(url: string): ChatMedia | null {
  if (!/^data:/i.test(url)) return null
  const comma = url.indexOf(',')
  // Only the head is matched: the rest may be many megabytes.
  const head = comma === -1 ? null : /^data:([^;,]*)(?:;[^,]*)?;base64$/i.exec(url.slice(0, comma))
  return head
    ? { kind: 'base64', mediaType: head[1] || 'application/octet-stream', base64: url.slice(comma + 1) }
    : null
}

function readFileData(data: string, name: string | null, path: string): ChatMedia {
  if (data === '') throw wrong(path, 'must not be empty')
  if (/^data:/i.test(data)) return readDataUrl(data) ?? refuseUrl(path)
  const mediaType = name?.toLowerCase().endsWith('.pdf') ? 'application/pdf' : 'application/octet-stream'
  return { kind: 'base64', mediaType, base64: data }
}

function readAssistantParts(wire: JsonObject, path: string): ChatAssistantPart[] {
  const parts: ChatAssistantPart[] = readReasoning(wire)
  const content = optional(wire, 'content')
  if (typeof content === 'string') {
    if (content !== '') parts.push({ kind: 'text', text: content })
  } else if (content !== null) {
    if (!Array.isArray(content)) throw wrong(`${path}.content`, 'must be a string, an array of parts or null')
    content.forEach((item, i) => {
      parts.push(readAnswerPart(objectAt(item, `${path}.content[${i}]`), `${path}.content[${i}]`))
    })
  }
  const refusal = optionalString(wire, 'refusal', `${path}.refusal`)
  if (refusal) parts.push({ kind: 'refusal', text: refusal })
  const calls = optional(wire, 'tool_calls')
  if (calls !== null) {
    arrayAt(calls, `${path}.tool_calls`).forEach((call, i) => {
      parts.push(readToolCall(objectAt(call, `${path}.tool_calls[${i}]`), `${path}.tool_calls[${i}]`))
    })
  }
  const legacy = optional(wire, 'function_call')
  if (legacy !== null) {
    const call = objectAt(legacy, `${path}.function_call`)
    const id = `call_${path.replace(/\D/g, '')}`
    parts.push({ kind: 'tool_call', id, ...readFunction(call, `${path}.function_call`) })
  }
  return parts
}

function readReasoning(wire: JsonObject): ChatAssistantPart[] {
  const details = fromReasoningDetails(wire.reasoning_details)
  const text = wire.reasoning_content ?? wire.reasoning
  // A client that only kept the last piece of reasoning_content still has the whole text in the details.
  if (details.some((part) => part.text !== '') || typeof text !== 'string' || text === '') return details
  return [{ kind: 'reasoning', text, signature: null, redacted: false }, ...details]
}

function readAnswerPart(wire: JsonObject, path: string): ChatAssistantPart {
  const type = oneOf(wire.type, ['text', 'refusal'], `${path}.type`)
  return type === 'text' ? readText(wire, path) : { kind: 'refusal', text: stringAt(wire.refusal, `${path}.refusal`) }
}

function readToolCall(wire: JsonObject, path: string): ChatAssistantPart {
  const id = nonEmptyAt(wire.id, `${path}.id`)
  const extras = fromExtraContent(wire.extra_content)
  const type = optional(wire, 'type') === null ? 'function' : oneOf(wire.type, ['function', 'custom'], `${path}.type`)
  if (type === 'custom') {
    const custom = objectAt(wire.custom, `${path}.custom`)
    const input = stringAt(custom.input, `${path}.custom.input`)
    return {
      kind: 'tool_call',
      id,
      name: nonEmptyAt(custom.name, `${path}.custom.name`),
      arguments: JSON.stringify({ input }),
      extras: { ...extras, [protocolName]: { custom } },
    }
  }
  const call = readFunction(objectAt(wire.function, `${path}.function`), `${path}.function`)
  return { kind: 'tool_call', id, ...call, ...(extras === undefined ? {} : { extras }) }
}

function readFunction(wire: JsonObject, path: string): { name: string; arguments: string } {
  return {
    name: nonEmptyAt(wire.name, `${path}.name`),
    arguments: optionalString(wire, 'arguments', `${path}.arguments`) ?? '',
  }
}
