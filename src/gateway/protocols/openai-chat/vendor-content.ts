import type { ChatReasoningPart, Extras } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { isObject, protocolName, type WireReasoningDetail } from './wire.ts'

/**
 * How vendors' proofs travel through a client that knows only OpenAI's format: what another protocol keeps in `extras`
 * goes out as `extra_content.<vendor>` and comes back from there. Names are those of Google's own OpenAI endpoint
 * (`extra_content.google.thought_signature`), so its bytes and ours read alike.
 */
const vendors: [protocol: string, vendor: string][] = [
  ['gemini', 'google'],
  ['anthropic-messages', 'anthropic'],
]

/** Whose signature an entry of `reasoning_details` holds, in OpenRouter's words. */
const formats: [protocol: string, format: string][] = [
  ['anthropic-messages', 'anthropic-claude-v1'],
  ['gemini', 'google-gemini-v1'],
  ['openai-responses', 'openai-responses-v1'],
]

export function toExtraContent(extras: Extras | undefined): JsonObject | undefined {
  if (extras === undefined) return undefined
  const content: JsonObject = {}
  for (const [protocol, values] of Object.entries(extras)) {
    if (values === undefined || protocol === protocolName) continue
    const vendor = vendors.find(([name]) => name === protocol)?.[1] ?? protocol
    content[vendor] = rename(values, 'thoughtSignature', 'thought_signature')
  }
  return Object.keys(content).length > 0 ? content : undefined
}

export function fromExtraContent(content: unknown): Extras | undefined {
  if (!isObject(content)) return undefined
  const extras: Extras = {}
  for (const [vendor, values] of Object.entries(content)) {
    if (!isObject(values) || vendor === '__proto__') continue
    const protocol = vendors.find(([, name]) => name === vendor)?.[0] ?? vendor
    extras[protocol] = rename(values, 'thought_signature', 'thoughtSignature')
  }
  return Object.keys(extras).length > 0 ? extras : undefined
}

function rename(values: JsonObject, from: string, to: string): JsonObject {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name === from ? to : name, value]))
}

/** null for thinking that nobody has to prove: its text in `reasoning_content` is all there is. */
export function toReasoningDetail(part: ChatReasoningPart, index: number): WireReasoningDetail | null {
  if (part.signature === null) return null
  const content = toExtraContent(part.extras)
  const format = formats.find(([name]) => name === part.signedBy)?.[1]
  const extra = {
    ...(format === undefined ? {} : { format }),
    ...(content === undefined ? {} : { extra_content: content }),
  }
  if (part.redacted) return { type: 'reasoning.encrypted', index, data: part.signature, ...extra }
  return { type: 'reasoning.text', index, text: part.text, signature: part.signature, ...extra }
}

/**
 * Reasoning blocks out of `reasoning_details`, in order. Clients gather the entries of a stream by appending or by
 * keeping the last list; of entries with one index and type the last counts, so both give the same blocks.
 */
export function fromReasoningDetails(details: unknown): ChatReasoningPart[] {
  if (!Array.isArray(details)) return []
  const parts = new Map<string, ChatReasoningPart>()
  details.forEach((detail: unknown, place) => {
    if (!isObject(detail)) return
    const part = readDetail(detail)
    if (part) parts.set(typeof detail.index === 'number' ? `${detail.type} ${detail.index}` : `at ${place}`, part)
  })
  return [...parts.values()]
}

function readDetail(detail: JsonObject): ChatReasoningPart | null {
  const extras = fromExtraContent(detail.extra_content)
  const signedBy = formats.find(([, format]) => format === detail.format)?.[0] ?? Object.keys(extras ?? {})[0]
  const rest = { ...(signedBy === undefined ? {} : { signedBy }), ...(extras === undefined ? {} : { extras }) }
  if (detail.type === 'reasoning.encrypted' && typeof detail.data === 'string') {
    return { kind: 'reasoning', text: '', signature: detail.data, redacted: true, ...rest }
  }
  const text = detail.type === 'reasoning.summary' ? detail.summary : detail.text
  const signature = typeof detail.signature === 'string' ? detail.signature : null
  if (typeof text !== 'string' && signature === null) return null
  return { kind: 'reasoning', text: typeof text === 'string' ? text : '', signature, redacted: false, ...rest }
}
