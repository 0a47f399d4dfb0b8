import type {
  ChatAssistantPart,
  ChatMedia,
  ChatMessage,
  ChatPart,
  ChatReasoningPart,
  ChatTextPart,
  ChatToolCallPart,
  Extras,
} from '../../chat.ts'
import { asList, asObject, asText } from '../json.ts'
import {
  arrayAt,
  nonEmptyAt,
  objectAt,
  oneOf,
  optional,
  optionalString,
  stringAt,
  wrong,
} from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { openSignature } from '../signatures.ts'
import { protocolName } from './wire.ts'

/**
 * Reads `input`: a text, or items. Items of the assistant that follow each other are one message of the middle form.
 * Throws HubError `invalid_request` that names the member by its path.
 */
export function readInput(value: unknown): ChatMessage[] {
  if (typeof value === 'string') return [userText(value)]
  const reader = createItemReader()
  arrayAt(value ?? [], 'input').forEach((item, i) => {
    reader.take(objectAt(item, `input[${i}]`), `input[${i}]`)
  })
  return reader.end()
}

function userText(text: string): ChatMessage {
  return { role: 'user', parts: [{ kind: 'text', text }], name: null }
}

function createItemReader() {
  const messages: ChatMessage[] = []
  const names = new Map<string, string>()
  /** Proofs that stand in front of the calls they belong to, by the call's id. */
  const proofs = new Map<string, Extras>()
  let spoken: ChatAssistantPart[] = []

  const flush = () => {
    if (spoken.length > 0) messages.push({ role: 'assistant', parts: spoken, name: null })
    spoken = []
  }
  const say = (...parts: ChatAssistantPart[]) => spoken.push(...parts)
  const call = (part: ChatToolCallPart) => {
    names.set(part.id, part.name)
    const proof = proofs.get(part.id)
    say(proof === undefined ? part : { ...part, extras: { ...part.extras, ...proof } })
  }
  const hear = (message: ChatMessage) => {
    flush()
    messages.push(message)
  }
  const answer = (wire: JsonObject, path: string) => {
    const callId = nonEmptyAt(wire.call_id, `${path}.call_id`)
    const parts = readContent(wire.output ?? '', `${path}.output`)
    hear({ role: 'tool', callId, toolName: names.get(callId) ?? null, parts, isError: false })
  }

  const readers: { [type: string]: ((wire: JsonObject, path: string) => void) | undefined } = {
    message(wire, path) {
      const role = oneOf(wire.role, ['user', 'assistant', 'system', 'developer'], `${path}.role`)
      if (role === 'assistant') return say(...readSpoken(wire.content, `${path}.content`))
      const parts = readContent(wire.content, `${path}.content`)
      if (role === 'user') return hear({ role, parts, name: null })
      const texts = parts.map((part, i): ChatTextPart => {
        if (part.kind !== 'text') throw wrong(`${path}.content[${i}].type`, `must be input_text in a ${role} message`)
        return part
      })
      hear({ role: 'system', parts: texts, developer: role === 'developer' })
    },
    reasoning(wire) {
      const part = readReasoning(wire)
      if (part !== null && 'callId' in part) proofs.set(part.callId, part.extras)
      else if (part !== null) say(part)
    },
    function_call(wire, path) {
      const id = nonEmptyAt(wire.call_id, `${path}.call_id`)
      const name = nonEmptyAt(wire.name, `${path}.name`)
      call({ kind: 'tool_call', id, name, arguments: optionalString(wire, 'arguments', `${path}.arguments`) ?? '' })
    },
    custom_tool_call(wire, path) {
      const id = nonEmptyAt(wire.call_id, `${path}.call_id`)
      const name = nonEmptyAt(wire.name, `${path}.name`)
      const input = stringAt(wire.input, `${path}.input`)
      const extras = { [protocolName]: { custom: true } }
      call({ kind: 'tool_call', id, name, arguments: JSON.stringify({ input }), extras })
    },
    function_call_output: answer,
    custom_tool_call_output: answer,
    item_reference(_wire, path) {
      throw wrong(`${path}.id`, 'names an item that is not kept here; send the item itself')
    },
  }

  return {
    take(wire: JsonObject, path: string): void {
      const type = optional(wire, 'type')
      if (type === null && wire.role === undefined) {
        if (typeof wire.id === 'string') readers.item_reference!(wire, path)
        throw wrong(`${path}.type`, 'must be the name of a kind of item')
      }
      const kind = type === null ? 'message' : stringAt(type, `${path}.type`)
      const read = readers[kind]
      if (read) read(wire, path)
      // Calls of tools that OpenAI ran itself, and kinds that are newer than this reader.
      else say({ kind: 'vendor', protocol: protocolName, value: wire })
    },
    end(): ChatMessage[] {
      flush()
      return messages
    },
  }
}

/**
 * A summary, and in `encrypted_content` the proof: OpenAI's own, or one of another vendor's that we sealed there. A
 * proof that belongs to a call comes in an item of its own before the call.
 */
function readReasoning(wire: JsonObject): ChatReasoningPart | { callId: string; extras: Extras } | null {
  const told = asList(wire.summary).length > 0 ? wire.summary : wire.content
  const text = asList(told)
    .map((part) => asText(asObject(part)?.text))
    .join('\n\n')
  const encrypted = asText(wire.encrypted_content)
  const sealed = encrypted === '' ? null : openSignature(encrypted)
  if (sealed?.callId !== undefined) {
    return { callId: sealed.callId, extras: { [sealed.by]: { thoughtSignature: sealed.signature } } }
  }
  if (sealed !== null) {
    const redacted = sealed.redacted === true
    return { kind: 'reasoning', text: redacted ? '' : text, signature: sealed.signature, signedBy: sealed.by, redacted }
  }
  if (encrypted === '' && text === '') return null
  const id = asText(wire.id)
  return {
    kind: 'reasoning',
    text,
    signature: encrypted === '' ? null : encrypted,
    redacted: text === '',
    ...(encrypted === '' ? {} : { signedBy: protocolName }),
    ...(id === '' ? {} : { extras: { [protocolName]: { id } } }),
  }
}

function readSpoken(content: unknown, path: string): ChatAssistantPart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ kind: 'text', text: content }]
  return arrayAt(content, path).map((item, i): ChatAssistantPart => {
    const at = `${path}[${i}]`
    const wire = objectAt(item, at)
    const type = oneOf(wire.type, ['output_text', 'input_text', 'text', 'refusal'], `${at}.type`)
    if (type === 'refusal') return { kind: 'refusal', text: stringAt(wire.refusal, `${at}.refusal`) }
    return { kind: 'text', text: stringAt(wire.text, `${at}.text`) }
  })
}

/** Content of a message, or the output of a tool: a text or parts. */
function readContent(content: unknown, path: string): ChatPart[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }]
  if (!Array.isArray(content)) throw wrong(path, 'must be a string or an array of parts')
  return content.map((item, i) => {
    const at = `${path}[${i}]`
    const wire = objectAt(item, at)
    return partReaders[oneOf(wire.type, Object.keys(partReaders), `${at}.type`)]!(wire, at)
  })
}

const readText = (wire: JsonObject, path: string): ChatPart => ({
  kind: 'text',
  text: stringAt(wire.text, `${path}.text`),
})

const partReaders: { [type: string]: (wire: JsonObject, path: string) => ChatPart } = {
  input_text: readText,
  output_text: readText,
  text: readText,
  input_image(wire, path) {
    const detail = optionalString(wire, 'detail', `${path}.detail`)
    const known = detail === 'low' || detail === 'high' || detail === 'auto' ? detail : null
    const url = optionalString(wire, 'image_url', `${path}.image_url`)
    if (url !== null) return { kind: 'image', source: readUrl(url, `${path}.image_url`), detail: known }
    const id = optionalString(wire, 'file_id', `${path}.file_id`)
    if (id === null) throw wrong(path, 'must have image_url or file_id')
    return { kind: 'file', source: { kind: 'id', id }, name: null, extras: { [protocolName]: { input_image: true } } }
  },
  input_file(wire, path) {
    const name = optionalString(wire, 'filename', `${path}.filename`)
    const id = optionalString(wire, 'file_id', `${path}.file_id`)
    if (id !== null) return { kind: 'file', source: { kind: 'id', id }, name }
    const url = optionalString(wire, 'file_url', `${path}.file_url`)
    if (url !== null) return { kind: 'file', source: readUrl(url, `${path}.file_url`), name, at: `${path}.file_url` }
    const data = optionalString(wire, 'file_data', `${path}.file_data`)
    if (data === null || data === '') throw wrong(path, 'must have file_id, file_url or file_data')
    return { kind: 'file', source: readData(data, name, `${path}.file_data`), name, at: `${path}.file_data` }
  },
  input_audio(wire, path) {
    const audio = objectAt(wire.input_audio, `${path}.input_audio`)
    return {
      kind: 'audio',
      base64: nonEmptyAt(audio.data, `${path}.input_audio.data`),
      format: nonEmptyAt(audio.format, `${path}.input_audio.format`),
    }
  },
}

function readUrl(url: string, path: string): ChatMedia {
  if (/^https?:\/\//i.test(url)) return { kind: 'url', url }
  const data = readDataUrl(url)
  if (data === null) throw wrong(path, 'must be an https URL or a base64 data URL like data:image/png;base64,…')
  return data
}

function readDataUrl(url: string): ChatMedia | null {
  const comma = url.indexOf(',')
  // Only the head is matched: the rest may be many megabytes.
  const head = comma === -1 ? null : /^data:([^;,]*)(?:;[^,]*)?;base64$/i.exec(url.slice(0, comma))
  return head
    ? { kind: 'base64', mediaType: head[1] || 'application/octet-stream', base64: url.slice(comma + 1) }
    : null
}

function readData(data: string, name: string | null, path: string): ChatMedia {
  if (/^data:/i.test(data)) return readUrl(data, path)
  const mediaType = name?.toLowerCase().endsWith('.pdf') ? 'application/pdf' : 'application/octet-stream'
  return { kind: 'base64', mediaType, base64: data }
}
