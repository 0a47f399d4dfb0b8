import { fail } from '../../../kernel/errors.ts'
import type {
  ChatAssistantPart,
  ChatAudioPart,
  ChatFilePart,
  ChatMedia,
  ChatMessage,
  ChatPart,
  ChatTextPart,
  Extras,
} from '../../chat.ts'
import { asObject, asText, readArguments } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { toWireCallId } from './call-ids.ts'
import type { ModelFacts } from './model-facts.ts'
import { protocolName, unsignedCall, type WireContent, type WirePart } from './wire.ts'

type Conversation = { system: WirePart[]; contents: WireContent[]; dropped: string[] }

type ToolMessage = Extract<ChatMessage, { role: 'tool' }>
/** What the walk through a conversation remembers: names by call id, and the order of the calls last made. */
type Walk = { facts: ModelFacts; names: Map<string, string>; order: string[]; dropped: Set<string> }

/**
 * The conversation as Gemini wants it: instructions apart, user and model in turn, all results of one turn's calls in one
 * content of their own and in the order of the calls.
 */
export function writeContents(messages: ChatMessage[], facts: ModelFacts): Conversation {
  const walk: Walk = { facts, names: new Map(), order: [], dropped: new Set() }
  const system: WirePart[] = []
  const contents: WireContent[] = []
  for (let at = 0; at < messages.length; at++) {
    const message = messages[at]!
    if (message.role === 'system') system.push(...message.parts.flatMap(writeText))
    else if (message.role === 'user') append(contents, 'user', writeUser(message, walk))
    else if (message.role === 'assistant') append(contents, 'model', writeAssistant(message, walk))
    else {
      const results = takeResults(messages, at)
      at += results.length - 1
      contents.push({ role: 'user', parts: writeResults(results, walk) })
    }
  }
  // A conversation of instructions alone is legal elsewhere; here the instructions become the question.
  if (contents.length === 0) return { system: [], contents: [{ role: 'user', parts: system }], dropped: [] }
  return { system, contents, dropped: [...walk.dropped] }
}

/** Gemini counts the responses of a content against the calls before it, so other parts keep out of it. */
function append(contents: WireContent[], role: WireContent['role'], parts: WirePart[]): void {
  if (parts.length === 0) return
  const last = contents.at(-1)
  const holdsResults = last?.parts.some((part) => part.functionResponse !== undefined) === true
  if (last?.role === role && !holdsResults) last.parts.push(...parts)
  else contents.push({ role, parts })
}

function takeResults(messages: ChatMessage[], from: number): ToolMessage[] {
  const results: ToolMessage[] = []
  for (const message of messages.slice(from)) {
    if (message.role !== 'tool') break
    results.push(message)
  }
  return results
}

function writeUser(message: Extract<ChatMessage, { role: 'user' }>, walk: Walk): WirePart[] {
  if (message.name !== null) walk.dropped.add('name')
  return message.parts.flatMap((part) => writePart(part))
}

function writeAssistant(message: Extract<ChatMessage, { role: 'assistant' }>, walk: Walk): WirePart[] {
  if (message.name !== null) walk.dropped.add('name')
  const calls = message.parts.filter((part) => part.kind === 'tool_call')
  if (calls.length > 0) walk.order = calls.map((call) => call.id)
  for (const call of calls) walk.names.set(call.id, call.name)
  const parts = placeTextSignatures(message.parts.flatMap((part) => writeAssistantPart(part, walk)))
  const written = parts.filter((part) => part.functionCall !== undefined)
  // Of parallel calls only the first is signed, so one signature speaks for all of them.
  if (walk.facts.needsSignatures && written[0] !== undefined && !written.some((part) => part.thoughtSignature)) {
    written[0].thoughtSignature = unsignedCall
  }
  return parts
}

function writeAssistantPart(part: ChatAssistantPart, walk: Walk): WirePart[] {
  switch (part.kind) {
    case 'text':
      return writeText(part)
    case 'refusal':
      return part.text === '' ? [] : [{ text: part.text }]
    case 'reasoning': {
      const signature = part.signedBy === protocolName ? part.signature : readSignature(part.extras).thoughtSignature
      if (signature && part.redacted) return [{ text: '', thoughtSignature: signature }]
      if (signature) return [{ text: part.text, thought: true, thoughtSignature: signature }]
      walk.dropped.add('reasoning')
      return []
    }
    case 'tool_call': {
      const id = toWireCallId(part.id)
      const call = { ...(id === null ? {} : { id }), name: part.name, args: readArguments(part.arguments) }
      return [{ functionCall: call, ...readSignature(part.extras) }]
    }
    case 'vendor':
      return [part.value as WirePart]
  }
}

/**
 * A text's signature goes back onto the text in front of it. Callers that keep thoughts apart have moved it before all
 * texts: then it belongs to the last. Without any text it stands alone, as Gemini itself sends it.
 */
function placeTextSignatures(parts: WirePart[]): WirePart[] {
  if (!parts.some(isSignatureOnly)) return parts
  const placed: WirePart[] = []
  for (const part of parts) {
    const before = placed.at(-1)
    if (isSignatureOnly(part) && before !== undefined && isUnsignedText(before)) {
      placed[placed.length - 1] = { ...before, ...part, text: before.text ?? '' }
    } else placed.push(part)
  }
  const texts = placed.findLastIndex(isUnsignedText)
  const alone = placed.findIndex(isSignatureOnly)
  if (alone === -1 || texts < alone) return placed
  const [signature] = placed.splice(alone, 1)
  placed[texts - 1] = { ...placed[texts - 1], ...signature, text: placed[texts - 1]?.text ?? '' }
  return placed
}

function isSignatureOnly(part: WirePart): boolean {
  return part.text === '' && part.thought === undefined && part.thoughtSignature !== undefined
}

function isUnsignedText(part: WirePart): boolean {
  return (
    part.text !== undefined && part.text !== '' && part.thought === undefined && part.thoughtSignature === undefined
  )
}

/** Signatures return on the very part they came with. */
function readSignature(extras: Extras | undefined): { thoughtSignature?: string } {
  const signature = asText(extras?.[protocolName]?.thoughtSignature)
  return signature === '' ? {} : { thoughtSignature: signature }
}

function writeResults(results: ToolMessage[], walk: Walk): WirePart[] {
  const place = (id: string): number => {
    const at = walk.order.indexOf(id)
    return at === -1 ? walk.order.length : at
  }
  const sorted = results.toSorted((a, b) => place(a.callId) - place(b.callId))
  const beside: WirePart[] = []
  const responses = sorted.map((result) => writeResponse(result, walk, beside))
  return [...responses, ...beside]
}

function writeResponse(result: ToolMessage, walk: Walk, beside: WirePart[]): WirePart {
  const name = result.toolName ?? walk.names.get(result.callId)
  if (name === undefined) {
    throw fail(
      'invalid_request',
      `A tool message answers the call '${result.callId}', which no assistant message made`,
      {
        param: 'messages.tool_call_id',
      },
    )
  }
  const id = toWireCallId(result.callId)
  const text = result.parts.map((part) => (part.kind === 'text' ? part.text : '')).join('')
  const media = result.parts.filter((part) => part.kind !== 'text').flatMap((part) => writePart(part))
  if (!walk.facts.mediaInResponses) beside.push(...media)
  const parts = walk.facts.mediaInResponses && media.length > 0 ? { parts: media } : {}
  const response = writeOutput(text, result.isError)
  return { functionResponse: { ...(id === null ? {} : { id }), name, response, ...parts } }
}

/** `response` must be an object; a failure goes under the key the API reads as one. */
function writeOutput(text: string, isError: boolean): JsonObject {
  if (isError) return { error: text }
  try {
    return asObject(JSON.parse(text)) ?? { result: text }
  } catch {
    return { result: text }
  }
}

function writeText(part: ChatTextPart): WirePart[] {
  return part.text === '' ? [] : [{ text: part.text, ...readSignature(part.extras) }]
}

function writePart(part: ChatPart): WirePart[] {
  switch (part.kind) {
    case 'text':
      return writeText(part)
    case 'image':
      return [writeMedia(part.source, 'image_url')]
    case 'audio':
      return [{ inlineData: { mimeType: audioType(part), data: part.base64 } }]
    case 'file':
      return [writeFile(part)]
    case 'vendor':
      return [part.value as WirePart]
  }
}

function audioType(part: ChatAudioPart): string {
  return part.format.includes('/') ? part.format : `audio/${part.format}`
}

function writeFile(part: ChatFilePart): WirePart {
  const { at = 'file' } = part
  if (part.source.kind !== 'id') return writeMedia(part.source, at)
  const { id } = part.source
  if (/^files\/[\w-]+$/.test(id)) {
    return { fileData: { fileUri: `https://generativelanguage.googleapis.com/v1beta/${id}` } }
  }
  return writeMedia({ kind: 'url', url: id }, at)
}

/** Google fetches only what it stores itself (and YouTube); any other address must be read by the hub beforehand. */
function writeMedia(source: ChatMedia, param: string): WirePart {
  if (source.kind === 'base64') return { inlineData: { mimeType: source.mediaType, data: source.base64 } }
  if (ownedByGoogle.test(source.url)) return { fileData: { fileUri: source.url } }
  throw fail('unsupported_parameter', 'Gemini models do not fetch addresses: send the content as base64', { param })
}

const ownedByGoogle =
  /^(?:gs:\/\/|https:\/\/generativelanguage\.googleapis\.com\/|https:\/\/(?:www\.)?youtube\.com\/watch\?|https:\/\/youtu\.be\/)/
