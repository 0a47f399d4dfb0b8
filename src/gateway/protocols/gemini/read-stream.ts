import { createSseReader, type SseEvent } from '../../../kernel/sse.ts'
import type { ChatAssistantPart, ChatEvent, ChatUsage, Extras } from '../../chat.ts'
import { asList, asObject, asText } from '../json.ts'
import type { JsonObject, StreamReader } from '../protocol.ts'
import { garbled, readStreamError } from './errors.ts'
import { isBlocked, isBroken, readFinish, readPart, readUsage } from './read-parts.ts'
import { protocolName } from './wire.ts'

type Choice = { calls: number; reason: string | null }

type State = {
  started: boolean
  /** An error went out: nothing follows. */
  closed: boolean
  blocked: boolean
  responseId: string
  choices: Map<number, Choice>
  out: ChatEvent[]
}

/**
 * Chunks of streamGenerateContent?alt=sse, each a GenerateContentResponse. Gemini has no terminal event: a stream is whole
 * when it ends after every choice gave its reason, so `finish` and `end` go out at `close`.
 */
export function createStreamReader(): StreamReader {
  const sse = createSseReader()
  const state: State = {
    started: false,
    closed: false,
    blocked: false,
    responseId: '',
    choices: new Map(),
    out: [],
  }
  const drain = (events: SseEvent[]): void => {
    for (const event of events) if (!state.closed && event.data.trim() !== '') handle(state, event.data)
  }
  return {
    push(bytes) {
      drain(sse.push(bytes))
      return state.out.splice(0)
    },
    close() {
      // An event that the end of the connection cut in two was never said.
      drain(sse.close().filter((event) => parse(event.data) !== null))
      if (!state.closed) finish(state)
      state.closed = true
      return state.out.splice(0)
    },
  }
}

function handle(state: State, data: string): void {
  const chunk = parse(data)
  if (chunk === null) {
    endWith(state, garbled('The provider sent an event that is not JSON'))
    return
  }
  if (chunk.error !== undefined) {
    endWith(state, readStreamError(chunk))
    return
  }
  const usage = readUsage(chunk.usageMetadata)
  start(state, chunk, usage)
  if (isBlocked(chunk.promptFeedback)) state.blocked = true
  for (const [place, candidate] of asList(chunk.candidates).entries()) {
    handleCandidate(state, asObject(candidate) ?? {}, place)
    if (state.closed) return
  }
  if (usage !== null) state.out.push({ kind: 'usage', usage })
}

/** Some proxies wrap even a lone chunk in the array of the other streaming form. */
function parse(data: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(data)
    return asObject(Array.isArray(value) ? value[0] : value)
  } catch {
    return null
  }
}

function start(state: State, chunk: JsonObject, usage: ChatUsage | null): void {
  if (state.started) return
  state.started = true
  state.responseId = asText(chunk.responseId)
  state.out.push({ kind: 'start', id: state.responseId, model: asText(chunk.modelVersion), usage })
}

function handleCandidate(state: State, candidate: JsonObject, place: number): void {
  const index = typeof candidate.index === 'number' ? candidate.index : place
  const choice = state.choices.get(index) ?? { calls: 0, reason: null }
  state.choices.set(index, choice)
  for (const wire of asList(asObject(candidate.content)?.parts)) {
    const parts = readPart(wire, { responseId: state.responseId, choice: index }, () => choice.calls++)
    for (const part of parts) emit(state, index, choice.calls - 1, part)
  }
  const reason = asText(candidate.finishReason)
  if (isBroken(reason)) endWith(state, garbled('The model wrote a tool call that cannot be read'))
  else if (reason !== '' && reason !== 'FINISH_REASON_UNSPECIFIED') choice.reason = reason
}

function emit(state: State, index: number, call: number, part: ChatAssistantPart): void {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      state.out.push({ kind: part.kind, index, text: part.text })
      return
    case 'reasoning':
      if (part.text !== '') state.out.push({ kind: 'reasoning', index, text: part.text })
      if (part.signature !== null) {
        // `signedBy` says that the proof is Gemini's, so that no other vendor is shown it on the next turn.
        state.out.push({
          kind: 'reasoning_signature',
          index,
          signature: part.signature,
          signedBy: protocolName,
          ...(part.redacted ? { redacted: true } : {}),
          ...extrasOf(part),
        })
      }
      return
    case 'tool_call': {
      state.out.push({ kind: 'tool_call_start', index, call, id: part.id, name: part.name, ...extrasOf(part) })
      state.out.push({ kind: 'tool_call_arguments', index, call, text: part.arguments })
    }
  }
}

function extrasOf(part: { extras?: Extras }): { extras?: Extras } {
  return part.extras === undefined ? {} : { extras: part.extras }
}

/** The connection is over. Without a reason for every choice the answer was cut, and nothing says otherwise. */
function finish(state: State): void {
  const choices = [...state.choices].sort(([a], [b]) => a - b)
  if (choices.length === 0 && state.blocked) {
    state.out.push({ kind: 'finish', index: 0, finish: 'content_filter', stopSequence: null }, { kind: 'end' })
    return
  }
  if (choices.length === 0 || choices.some(([, choice]) => choice.reason === null)) return
  for (const [index, choice] of choices) {
    state.out.push({ kind: 'finish', index, finish: readFinish(choice.reason, choice.calls > 0), stopSequence: null })
  }
  state.out.push({ kind: 'end' })
}

function endWith(state: State, event: ChatEvent): void {
  state.out.push(event)
  state.closed = true
}
