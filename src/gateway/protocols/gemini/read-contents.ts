import type { ChatAssistantPart, ChatMessage, ChatPart, ChatTextPart, Extras } from '../../chat.ts'
import { asObject } from '../json.ts'
import { nonEmptyAt, objectAt, oneOf, wrong } from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { openSignature } from '../signatures.ts'
import { makeCallId } from './call-ids.ts'
import { listAt, membersAt, optionalAt, textAt } from './fields.ts'
import { protocolName } from './wire.ts'

type AssistantMessage = Extract<ChatMessage, { role: 'assistant' }>
type ToolMessage = Extract<ChatMessage, { role: 'tool' }>
/** The calls of the turn before that nobody has answered yet, in order. */
type Open = { calls: { id: string; name: string }[] }

const roles = ['user', 'model', 'function', 'tool'] as const

/**
 * Reads `contents`. Neighbouring contents of the model are one message, because clients that gather a stream keep one
 * content a chunk. Calls and answers that name no id are matched by name and order, under ids that the same conversation
 * gets each time.
 */
export function readContents(body: JsonObject): ChatMessage[] {
  const list = listAt(body, 'contents', 'contents')
  if (list.length === 0) throw wrong('contents', 'must hold at least one content')
  const messages: ChatMessage[] = []
  const open: Open = { calls: [] }
  for (const [at, value] of list.entries()) {
    const path = `contents[${at}]`
    const wire = typeof value === 'string' ? { parts: [{ text: value }] } : membersAt(value, path)
    const role = oneOf(optionalAt(wire, 'role') ?? 'user', roles, `${path}.role`)
    const parts = partsOf(wire, path)
    if (role === 'model') readModel(parts, at, path, messages, open)
    else readUser(parts, path, messages, open)
  }
  for (const message of messages) if (message.role === 'assistant') message.parts = joinThoughts(message.parts)
  return messages
}

/** A text, or a content whose parts are texts. */
export function readSystem(value: unknown): ChatMessage[] {
  if (value === null) return []
  const path = 'systemInstruction'
  const wire = typeof value === 'string' ? { parts: [{ text: value }] } : membersAt(value, path)
  const parts = partsOf(wire, path).map((part, at): ChatTextPart => {
    const text = textAt(part, 'text', `${path}.parts[${at}]`)
    if (text === null) throw wrong(`${path}.parts[${at}]`, 'must be text in a system instruction')
    return { kind: 'text', text }
  })
  return parts.length === 0 ? [] : [{ role: 'system', parts, developer: false }]
}

function partsOf(wire: JsonObject, path: string): JsonObject[] {
  const parts = optionalAt(wire, 'parts')
  // Google's parser takes one part for a list of one.
  const list = asObject(parts) === null ? listAt(wire, 'parts', `${path}.parts`) : [parts]
  return list.map((part, at) => (typeof part === 'string' ? { text: part } : membersAt(part, `${path}.parts[${at}]`)))
}

function readModel(parts: JsonObject[], place: number, path: string, messages: ChatMessage[], open: Open): void {
  const last = messages.at(-1)
  const message: AssistantMessage = last?.role === 'assistant' ? last : { role: 'assistant', parts: [], name: null }
  if (message !== last) {
    messages.push(message)
    open.calls = []
  }
  for (const [at, part] of parts.entries()) {
    const read = readModelPart(part, `${path}.parts[${at}]`, (name) => {
      const known = open.calls.filter((call) => call.name === name).length
      return makeCallId(`in${place}`, known, open.calls.length)
    })
    for (const one of read) {
      message.parts.push(one)
      if (one.kind === 'tool_call') open.calls.push({ id: one.id, name: one.name })
    }
  }
}

function readModelPart(part: JsonObject, path: string, makeId: (name: string) => string): ChatAssistantPart[] {
  const signature = textAt(part, 'thoughtSignature', path) ?? ''
  const call = optionalAt(part, 'functionCall')
  if (call !== null) {
    const wire = membersAt(call, `${path}.functionCall`)
    const name = nonEmptyAt(wire.name, `${path}.functionCall.name`)
    const args = optionalAt(wire, 'args')
    const text = args === null ? '{}' : JSON.stringify(objectAt(args, `${path}.functionCall.args`))
    const id = textAt(wire, 'id', `${path}.functionCall`) || makeId(name)
    const isOwn = signature !== '' && openSignature(signature) === null
    const extras: Extras = { [protocolName]: { thoughtSignature: signature } }
    return [{ kind: 'tool_call', id, name, arguments: text, ...(isOwn ? { extras } : {}) }]
  }
  const text = textAt(part, 'text', path)
  if (text === null && optionalAt(part, 'thought') !== true) {
    return signature !== '' && Object.keys(part).length === 1
      ? [toProof('', signature)]
      : [{ kind: 'vendor', protocol: protocolName, value: part }]
  }
  if (part.thought === true) {
    if (signature !== '') return [toProof(text ?? '', signature)]
    return text === null || text === '' ? [] : [{ kind: 'reasoning', text, signature: null, redacted: false }]
  }
  const said: ChatAssistantPart[] = text === null || text === '' ? [] : [{ kind: 'text', text }]
  if (signature === '') return said
  // Gemini signs texts too, and at the end of a stream an empty one.
  const proof = toProof('', signature)
  return [...said, proof.signedBy === protocolName ? { ...proof, redacted: true } : proof]
}

/** A signature of Gemini's own, or of whoever signed what is sealed in it. */
function toProof(text: string, signature: string): Extract<ChatAssistantPart, { kind: 'reasoning' }> {
  const sealed = openSignature(signature)
  if (sealed === null) return { kind: 'reasoning', text, signature, redacted: false, signedBy: protocolName }
  const redacted = sealed.redacted === true
  return { kind: 'reasoning', text: redacted ? '' : text, signature: sealed.signature, redacted, signedBy: sealed.by }
}

/** Pieces of one thought become one again, as it is signed whole: the signature came behind the last of them. */
function joinThoughts(parts: ChatAssistantPart[]): ChatAssistantPart[] {
  const joined: ChatAssistantPart[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    const isMore = part.kind === 'reasoning' && !part.redacted
    if (isMore && last?.kind === 'reasoning' && last.signature === null && !last.redacted) {
      joined[joined.length - 1] = { ...part, text: last.text + part.text }
    } else joined.push(part)
  }
  return joined
}

/** Answers to calls come first, as everybody else wants them right behind the calls. */
function readUser(parts: JsonObject[], path: string, messages: ChatMessage[], open: Open): void {
  const said: ChatPart[] = []
  for (const [at, part] of parts.entries()) {
    const response = optionalAt(part, 'functionResponse')
    if (response === null) said.push(...readPart(part, `${path}.parts[${at}]`))
    else messages.push(readResponse(response, `${path}.parts[${at}].functionResponse`, open))
  }
  if (said.length > 0) messages.push({ role: 'user', parts: said, name: null })
}

function readPart(part: JsonObject, path: string): ChatPart[] {
  const text = textAt(part, 'text', path)
  if (text !== null) return [{ kind: 'text', text }]
  const inline = optionalAt(part, 'inlineData')
  if (inline !== null) {
    const wire = membersAt(inline, `${path}.inlineData`)
    const mediaType = nonEmptyAt(wire.mimeType, `${path}.inlineData.mimeType`)
    const data = nonEmptyAt(wire.data, `${path}.inlineData.data`)
    return [readBytes(mediaType, data, textAt(wire, 'displayName', path), `${path}.inlineData`)]
  }
  const file = optionalAt(part, 'fileData')
  if (file !== null) {
    const wire = membersAt(file, `${path}.fileData`)
    const url = nonEmptyAt(wire.fileUri, `${path}.fileData.fileUri`)
    const type = textAt(wire, 'mimeType', `${path}.fileData`) ?? ''
    const source = { kind: 'url' as const, url }
    if (type.startsWith('image/')) return [{ kind: 'image', source, detail: null }]
    return [{ kind: 'file', source, name: textAt(wire, 'displayName', path), at: `${path}.fileData` }]
  }
  if (Object.keys(part).length === 0) throw wrong(path, 'must hold text, inlineData, fileData or functionResponse')
  return [{ kind: 'vendor', protocol: protocolName, value: part }]
}

/** Google's own data is base64 in either alphabet; everybody else wants the standard one. */
function readBytes(mediaType: string, data: string, name: string | null, at: string): ChatPart {
  const base64 = data.includes('-') || data.includes('_') ? data.replaceAll('-', '+').replaceAll('_', '/') : data
  if (mediaType.startsWith('image/')) {
    return { kind: 'image', source: { kind: 'base64', mediaType, base64 }, detail: null }
  }
  if (mediaType.startsWith('audio/')) {
    return { kind: 'audio', base64, format: audioFormats.get(mediaType) ?? mediaType.slice('audio/'.length) }
  }
  return { kind: 'file', source: { kind: 'base64', mediaType, base64 }, name, at }
}

const audioFormats = new Map([
  ['audio/mpeg', 'mp3'],
  ['audio/x-wav', 'wav'],
  ['audio/wave', 'wav'],
])

function readResponse(value: unknown, path: string, open: Open): ToolMessage {
  const wire = membersAt(value, path)
  const name = nonEmptyAt(wire.name, `${path}.name`)
  const id = textAt(wire, 'id', path) ?? ''
  const at = placeOf(open, id, name)
  if (at === -1) throw wrong(`${path}.name`, 'must be the name of a function that the model called in the turn before')
  const [call] = open.calls.splice(at, 1)
  const response = optionalAt(wire, 'response')
  const output = readOutput(response === null ? {} : objectAt(response, `${path}.response`))
  const media = listAt(wire, 'parts', `${path}.parts`).flatMap((part, i) =>
    readPart(membersAt(part, `${path}.parts[${i}]`), `${path}.parts[${i}]`),
  )
  return {
    role: 'tool',
    callId: call!.id,
    toolName: call!.name,
    parts: [{ kind: 'text', text: output.text }, ...media],
    isError: output.isError,
  }
}

/** By id where there is one, else the first open call of that name. */
function placeOf({ calls }: Open, id: string, name: string): number {
  const byId = id === '' ? -1 : calls.findIndex((call) => call.id === id)
  return byId === -1 ? calls.findIndex((call) => call.name === name) : byId
}

/** `output`, `result` and `error` are the keys by which a function's answer is told from its failure. */
function readOutput(response: JsonObject): { text: string; isError: boolean } {
  const [only, ...more] = Object.entries(response)
  const isError = response.error !== undefined && response.error !== null && more.length === 0
  if (only === undefined) return { text: '{}', isError }
  const [name, value] = only
  const isPlain = more.length === 0 && (name === 'output' || name === 'result' || name === 'error')
  if (isPlain) return { text: typeof value === 'string' ? value : JSON.stringify(value), isError }
  return { text: JSON.stringify(response), isError }
}
