import { fail } from '../../../kernel/errors.ts'
import { createSseReader, type SseEvent } from '../../../kernel/sse.ts'
import type { ChatEvent } from '../../chat.ts'
import { asCount, asObject, asText } from '../json.ts'
import { readStreamError } from '../openai-chat/errors.ts'
import type { JsonObject, StreamReader } from '../protocol.ts'
import { idOf, readFinish, reasoningText } from './read-result.ts'
import { readUsage } from './usage.ts'
import { protocolName } from './wire.ts'

type Call = { number: number; isCustom: boolean; hasArguments: boolean }
const index = 0

/**
 * Reads the events of a Responses stream. It is whole after `response.completed` or `response.incomplete`; without one
 * there is no `end`. Throws HubError `upstream_garbled` when an event inside the stream is no JSON.
 */
export function createStreamReader(): StreamReader {
  const sse = createSseReader()
  const calls = new Map<number, Call>()
  /** Reasoning items that have told something. */
  const told = new Set<number>()
  let hasStarted = false
  let isOver = false

  const start = (response: JsonObject, out: ChatEvent[]) => {
    if (hasStarted) return
    hasStarted = true
    out.push({ kind: 'start', id: asText(response.id), model: asText(response.model), usage: null })
  }

  const addItem = (item: JsonObject, place: number, out: ChatEvent[]) => {
    const isCustom = item.type === 'custom_tool_call'
    if (item.type !== 'function_call' && !isCustom) return
    if (calls.has(place)) return
    const call = { number: calls.size, isCustom, hasArguments: false }
    calls.set(place, call)
    const extras = isCustom ? { extras: { [protocolName]: { custom: true } } } : {}
    const { number } = call
    out.push({
      kind: 'tool_call_start',
      index,
      call: number,
      id: asText(item.call_id),
      name: asText(item.name),
      ...extras,
    })
  }

  const growCall = (place: number, text: string, out: ChatEvent[]) => {
    const call = calls.get(place)
    if (!call || text === '') return
    call.hasArguments = true
    out.push({ kind: 'tool_call_arguments', index, call: call.number, text })
  }

  const endItem = (item: JsonObject, place: number, out: ChatEvent[]) => {
    addItem(item, place, out)
    const call = calls.get(place)
    if (call && !call.hasArguments) {
      const text = call.isCustom ? JSON.stringify({ input: asText(item.input) }) : asText(item.arguments)
      growCall(place, text, out)
    }
    if (item.type !== 'reasoning') return
    const text = reasoningText(item)
    if (!told.has(place) && text !== '') out.push({ kind: 'reasoning', index, text })
    const signature = asText(item.encrypted_content)
    if (signature === '') return
    out.push({
      kind: 'reasoning_signature',
      index,
      signature,
      signedBy: protocolName,
      ...(text === '' && !told.has(place) ? { redacted: true } : {}),
      ...idOf(item),
    })
  }

  const end = (response: JsonObject, out: ChatEvent[]) => {
    start(response, out)
    isOver = true
    const usage = readUsage(response.usage, response.service_tier)
    if (usage) out.push({ kind: 'usage', usage })
    out.push({ kind: 'finish', index, finish: readFinish(response, calls.size > 0), stopSequence: null })
    out.push({ kind: 'end' })
  }

  const broken = (error: JsonObject, response: JsonObject | null, out: ChatEvent[]) => {
    isOver = true
    const usage = readUsage(response?.usage, response?.service_tier)
    // What was spent is owed, however it ended.
    if (usage) out.push({ kind: 'usage', usage })
    out.push({ kind: 'error', error: readStreamError({ error }) })
  }

  const reasoningDelta = (wire: JsonObject, place: number, out: ChatEvent[]) => {
    const text = asText(wire.delta)
    if (text === '') return
    told.add(place)
    out.push({ kind: 'reasoning', index, text })
  }

  const readers: { [type: string]: ((wire: JsonObject, place: number, out: ChatEvent[]) => void) | undefined } = {
    'response.created': (wire, _, out) => start(asObject(wire.response) ?? {}, out),
    'response.output_item.added': (wire, place, out) => addItem(asObject(wire.item) ?? {}, place, out),
    'response.output_item.done': (wire, place, out) => endItem(asObject(wire.item) ?? {}, place, out),
    'response.output_text.delta': (wire, _, out) => out.push({ kind: 'text', index, text: asText(wire.delta) }),
    'response.refusal.delta': (wire, _, out) => out.push({ kind: 'refusal', index, text: asText(wire.delta) }),
    'response.reasoning_summary_part.added'(_wire, place, out) {
      // The parts of one summary are paragraphs.
      if (told.has(place)) out.push({ kind: 'reasoning', index, text: '\n\n' })
    },
    'response.reasoning_summary_text.delta': reasoningDelta,
    'response.reasoning_text.delta': reasoningDelta,
    'response.function_call_arguments.delta': (wire, place, out) => growCall(place, asText(wire.delta), out),
    'response.completed': (wire, _, out) => end(asObject(wire.response) ?? {}, out),
    'response.incomplete': (wire, _, out) => end(asObject(wire.response) ?? {}, out),
    'response.failed'(wire, _, out) {
      const response = asObject(wire.response)
      broken(asObject(response?.error) ?? {}, response, out)
    },
    error: (wire, _, out) => broken(asObject(wire.error) ?? { ...wire, type: null }, null, out),
  }

  const readEvent = (event: SseEvent, out: ChatEvent[], isLast: boolean) => {
    if (isOver || event.data === '' || event.data.trim() === '[DONE]') return
    const wire = parse(event.data)
    if (wire === null) {
      // The stream was cut inside this event: there will be no `end`, which says it all.
      if (isLast) return
      throw fail('upstream_garbled', 'The provider sent a stream event that is not a JSON object')
    }
    const type = asText(wire.type) || event.event
    const read = readers[type] ?? (asObject(wire.error) === null ? undefined : readers.error)
    read?.(wire, asCount(wire.output_index) ?? 0, out)
  }

  return {
    push(bytes) {
      const out: ChatEvent[] = []
      for (const event of sse.push(bytes)) readEvent(event, out, false)
      return out
    },
    close() {
      const out: ChatEvent[] = []
      for (const event of sse.close()) readEvent(event, out, true)
      return out
    },
  }
}

function parse(text: string): JsonObject | null {
  try {
    return asObject(JSON.parse(text))
  } catch {
    return null
  }
}
