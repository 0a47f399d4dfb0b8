import { fail } from '../../../kernel/errors.ts'
import { createSseReader, type SseEvent } from '../../../kernel/sse.ts'
import type { ChatEvent, ChatFinish, Extras } from '../../chat.ts'
import type { JsonObject, StreamReader } from '../protocol.ts'
import { readStreamError } from './errors.ts'
import { readFinish } from './finish.ts'
import { argumentsText, readContent } from './read-result.ts'
import { readUsage } from './usage.ts'
import { fromExtraContent, fromReasoningDetails } from './vendor-content.ts'
import { isObject } from './wire.ts'

type Call = { number: number; id: string; name: string; extras: Extras | undefined; held: string; isStarted: boolean }
type Choice = {
  index: number
  calls: Call[]
  /** The call that a provider's own index stands for at the moment. */
  byIndex: Map<number, Call>
  signatures: Set<string>
  isFinished: boolean
  /** A reason nobody knows was given and nothing came after it. */
  isPerhapsFinished: boolean
}

/**
 * Reads `chat.completion.chunk` events as OpenAI and those who copy it send them. The stream is whole after `[DONE]`, or
 * when the connection ends after every choice gave its finish_reason; else there is no `end`. Throws HubError
 * `upstream_garbled` when an event inside the stream is no JSON.
 */
export function createStreamReader(): StreamReader {
  const sse = createSseReader()
  const choices = new Map<number, Choice>()
  let hasStarted = false
  let isOver = false
  let lastUsage = ''

  const choiceAt = (index: number): Choice => {
    let choice = choices.get(index)
    if (!choice) {
      choice = {
        index,
        calls: [],
        byIndex: new Map(),
        signatures: new Set(),
        isFinished: false,
        isPerhapsFinished: false,
      }
      choices.set(index, choice)
    }
    return choice
  }

  const end = (out: ChatEvent[]) => {
    for (const choice of choices.values()) {
      startCalls(choice, out)
      if (choice.isPerhapsFinished && !choice.isFinished) finish(choice, 'stop', out)
    }
    if (!hasStarted) out.push({ kind: 'start', id: '', model: '', usage: null })
    isOver = true
    out.push({ kind: 'end' })
  }

  const readChunk = (wire: JsonObject, out: ChatEvent[]) => {
    const list = Array.isArray(wire.choices) ? wire.choices : []
    const id = typeof wire.id === 'string' ? wire.id : ''
    // Azure opens with a chunk about its filters that has neither id nor choices.
    if (!hasStarted && (id !== '' || list.length > 0)) {
      hasStarted = true
      out.push({ kind: 'start', id, model: typeof wire.model === 'string' ? wire.model : '', usage: null })
    }
    for (const [place, item] of list.entries()) {
      if (isObject(item)) readChoice(choiceAt(typeof item.index === 'number' ? item.index : place), item, out)
    }
    const usage =
      readUsage(wire.usage, wire.service_tier) ?? (isObject(wire.x_groq) ? readUsage(wire.x_groq.usage) : null)
    if (usage === null || JSON.stringify(usage) === lastUsage) return
    lastUsage = JSON.stringify(usage)
    if (!hasStarted) out.push({ kind: 'start', id, model: '', usage: null })
    hasStarted = true
    out.push({ kind: 'usage', usage })
  }

  const readEvent = (event: SseEvent, out: ChatEvent[], isLast: boolean) => {
    if (isOver || event.data === '') return
    if (event.data.trim() === '[DONE]') return end(out)
    const wire = parse(event.data)
    if (!isObject(wire)) {
      // The stream was cut inside this event: there will be no `end`, which says it all.
      if (isLast) return
      throw fail('upstream_garbled', 'The provider sent a stream event that is not a JSON object')
    }
    if (isError(event, wire)) {
      isOver = true
      out.push({ kind: 'error', error: readStreamError(wire) })
    } else readChunk(wire, out)
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
      const all = [...choices.values()]
      if (!isOver && all.length > 0 && all.every((choice) => choice.isFinished)) end(out)
      return out
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isError(event: SseEvent, wire: JsonObject): boolean {
  if (wire.error !== undefined && wire.error !== null && wire.error !== false) return true
  return wire.object === 'error' || (event.event === 'error' && !Array.isArray(wire.choices))
}

/** One reader a member of `delta`, in the order in which a provider would have meant them. */
const deltaReaders: [name: string, read: (choice: Choice, value: unknown, out: ChatEvent[]) => void][] = [
  ['reasoning_content', readReasoning],
  ['reasoning', readReasoning],
  ['reasoning_details', readReasoningDetails],
  [
    'content',
    ({ index }, value, out) => {
      for (const { kind, text } of readContent(value)) out.push({ kind, index, text })
    },
  ],
  [
    'refusal',
    ({ index }, value, out) => {
      if (typeof value === 'string' && value !== '') out.push({ kind: 'refusal', index, text: value })
    },
  ],
  [
    'tool_calls',
    (choice, value, out) => {
      if (Array.isArray(value)) for (const item of value) if (isObject(item)) readToolCall(choice, item, out)
    },
  ],
  [
    'function_call',
    (choice, value, out) => {
      if (isObject(value)) readToolCall(choice, { index: 0, function: value }, out)
    },
  ],
]

function readChoice(choice: Choice, wire: JsonObject, out: ChatEvent[]): void {
  // Some servers stream a single chunk with a whole `message`.
  const delta = isObject(wire.delta) ? wire.delta : isObject(wire.message) ? wire.message : {}
  const before = out.length
  for (const [name, read] of deltaReaders) {
    if (delta[name] === undefined || delta[name] === null) continue
    // The same words under both names: OpenRouter's and DeepSeek's.
    if (name === 'reasoning' && typeof delta.reasoning_content === 'string') continue
    read(choice, delta[name], out)
  }
  if (out.length > before) choice.isPerhapsFinished = false
  const reason = wire.finish_reason
  if (typeof reason !== 'string' || reason === '' || choice.isFinished) return
  const known = readFinish(reason)
  if (known !== null) finish(choice, known, out)
  else choice.isPerhapsFinished = true
}

function finish(choice: Choice, reason: ChatFinish, out: ChatEvent[]): void {
  startCalls(choice, out)
  choice.isFinished = true
  out.push({ kind: 'finish', index: choice.index, finish: reason, stopSequence: null })
}

function readReasoning({ index }: Choice, value: unknown, out: ChatEvent[]): void {
  if (typeof value === 'string' && value !== '') out.push({ kind: 'reasoning', index, text: value })
}

// Their text comes in the plain members too, so only proofs are taken, once each: some senders repeat the whole list.
function readReasoningDetails({ index, signatures }: Choice, value: unknown, out: ChatEvent[]): void {
  for (const { signature, signedBy, redacted, extras } of fromReasoningDetails(value)) {
    if (signature === null || signatures.has(signature)) continue
    signatures.add(signature)
    out.push({
      kind: 'reasoning_signature',
      index,
      signature,
      ...(redacted ? { redacted } : {}),
      ...(signedBy === undefined ? {} : { signedBy }),
      ...(extras === undefined ? {} : { extras }),
    })
  }
}

function readToolCall(choice: Choice, wire: JsonObject, out: ChatEvent[]): void {
  const call = callFor(choice, wire)
  const given = isObject(wire.function) ? wire.function : {}
  if (typeof wire.id === 'string' && call.id === '') call.id = wire.id
  if (typeof given.name === 'string' && call.name === '') call.name = given.name
  call.extras ??= fromExtraContent(wire.extra_content)
  const text = argumentsText(given.arguments)
  if (call.isStarted) {
    if (text !== '') out.push({ kind: 'tool_call_arguments', index: choice.index, call: call.number, text })
    return
  }
  call.held += text
  if (call.name !== '') startCall(choice, call, out)
}

/**
 * By index, as specified. A provider that leaves it out, or gives every call the same, still gives each call its own id;
 * a piece without either belongs to the last call.
 */
function callFor(choice: Choice, wire: JsonObject): Call {
  const id = typeof wire.id === 'string' ? wire.id : ''
  const index = typeof wire.index === 'number' ? wire.index : null
  const known = index === null ? findByIdOrLast(choice, id) : choice.byIndex.get(index)
  if (known && (id === '' || known.id === '' || known.id === id)) return known
  const call: Call = { number: choice.calls.length, id: '', name: '', extras: undefined, held: '', isStarted: false }
  choice.calls.push(call)
  if (index !== null) choice.byIndex.set(index, call)
  return call
}

function findByIdOrLast({ calls }: Choice, id: string): Call | undefined {
  return id === '' ? calls.at(-1) : calls.find((call) => call.id === id)
}

function startCall({ index }: Choice, call: Call, out: ChatEvent[]): void {
  const { number, id, name, extras, held } = call
  call.isStarted = true
  out.push({ kind: 'tool_call_start', index, call: number, id, name, ...(extras === undefined ? {} : { extras }) })
  if (held !== '') out.push({ kind: 'tool_call_arguments', index, call: number, text: held })
}

// Calls that never got a name: the caller had better see them than lose them.
function startCalls(choice: Choice, out: ChatEvent[]): void {
  for (const call of choice.calls) if (!call.isStarted) startCall(choice, call, out)
}
