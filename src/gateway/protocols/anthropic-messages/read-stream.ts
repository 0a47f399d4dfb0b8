import { createSseReader, type SseEvent } from '../../../kernel/sse.ts'
import type { ChatEvent, ChatUsage } from '../../chat.ts'
import { asObject, asText } from '../json.ts'
import type { JsonObject, StreamReader } from '../protocol.ts'
import { garbled, readStreamError } from './errors.ts'
import { readFinish, readUsage } from './read-usage.ts'
import { fromWireToolId } from './tool-ids.ts'
import { protocolName } from './wire.ts'
import { answerToolName } from './write-tools.ts'

/** A content block that has begun and not ended. */
type Block =
  | { kind: 'text' }
  | { kind: 'thinking'; signature: string }
  | { kind: 'call'; call: number; input: JsonObject; begun: boolean }
  /** The tool that stands for a JSON answer: its arguments are the text. */
  | { kind: 'answer'; input: JsonObject; begun: boolean }
  | { kind: 'skipped' }

type State = {
  started: boolean
  /** `stop_reason` was seen. */
  finished: boolean
  /** Nothing follows: `end` or `error` went out. */
  closed: boolean
  blocks: Map<number, Block>
  calls: number
  usage: ChatUsage | null
  out: ChatEvent[]
}

/**
 * Events of https://platform.claude.com/docs/en/build-with-claude/streaming as chat events. Whatever the order in which
 * they arrive, `start` goes out first, arguments only after their call, and nothing after `end` or `error`.
 */
export function createStreamReader(): StreamReader {
  const sse = createSseReader()
  const state: State = {
    started: false,
    finished: false,
    closed: false,
    blocks: new Map(),
    calls: 0,
    usage: null,
    out: [],
  }
  const drain = (events: SseEvent[]): ChatEvent[] => {
    for (const event of events) if (!state.closed) handle(state, event)
    return state.out.splice(0)
  }
  return {
    push: (bytes) => drain(sse.push(bytes)),
    // An event that the end of the connection cut in two was never said.
    close: () => drain(sse.close().filter((event) => parse(event.data) !== null)),
  }
}

function handle(state: State, event: SseEvent): void {
  if (event.data.trim() === '') return
  const wire = parse(event.data)
  if (wire === null) {
    endWith(state, garbled('The provider sent an event that is not JSON'))
    return
  }
  const type = asText(wire.type) || event.event
  const handler = Object.hasOwn(handlers, type) ? handlers[type] : undefined
  handler?.(state, wire)
}

function parse(data: string): JsonObject | null {
  try {
    return asObject(JSON.parse(data))
  } catch {
    return null
  }
}

/** By event name. What is not here is `ping` or newer than this table, and is skipped as the API asks. */
const handlers: Record<string, (state: State, wire: JsonObject) => void> = {
  message_start(state, wire) {
    const message = asObject(wire.message) ?? {}
    state.usage = readUsage(message.usage, state.usage)
    start(state, asText(message.id), asText(message.model))
  },

  content_block_start(state, wire) {
    if (!isOpen(state)) return
    const index = Number(wire.index ?? 0)
    finishBlock(state, index)
    const content = asObject(wire.content_block) ?? {}
    const type = asText(content.type)
    const open = Object.hasOwn(openers, type) ? openers[type] : undefined
    state.blocks.set(index, open === undefined ? { kind: 'skipped' } : open(state, content))
  },

  content_block_delta(state, wire) {
    if (!isOpen(state)) return
    const delta = asObject(wire.delta) ?? {}
    const type = asText(delta.type)
    const append = Object.hasOwn(deltas, type) ? deltas[type] : undefined
    append?.(state, state.blocks.get(Number(wire.index ?? 0)), delta)
  },

  content_block_stop(state, wire) {
    if (isOpen(state)) finishBlock(state, Number(wire.index ?? 0))
  },

  message_delta(state, wire) {
    start(state, '', '')
    const delta = asObject(wire.delta) ?? {}
    if (typeof delta.stop_reason === 'string') finish(state, delta)
    const usage = readUsage(wire.usage, state.usage)
    if (usage !== null && usage !== state.usage) state.out.push({ kind: 'usage', usage })
    state.usage = usage
  },

  message_stop(state) {
    start(state, '', '')
    finish(state, {})
    state.out.push({ kind: 'end' })
    state.closed = true
  },

  error(state, wire) {
    endWith(state, readStreamError(wire))
  },
}

/** What the beginning of a block says; some providers put a whole block there and send no deltas. */
const openers: Record<string, (state: State, content: JsonObject) => Block> = {
  text(state, content) {
    emitText(state, asText(content.text))
    return { kind: 'text' }
  },
  thinking(state, content) {
    emitReasoning(state, asText(content.thinking))
    return { kind: 'thinking', signature: asText(content.signature) }
  },
  redacted_thinking(state, content) {
    const signature = asText(content.data)
    if (signature !== '')
      state.out.push({ kind: 'reasoning_signature', index: 0, signature, signedBy: protocolName, redacted: true })
    return { kind: 'skipped' }
  },
  tool_use(state, content) {
    const input = asObject(content.input) ?? {}
    const name = asText(content.name)
    if (name === answerToolName) return { kind: 'answer', input, begun: false }
    const call = state.calls++
    state.out.push({ kind: 'tool_call_start', index: 0, call, id: fromWireToolId(asText(content.id)), name })
    return { kind: 'call', call, input, begun: false }
  },
}

const deltas: Record<string, (state: State, block: Block | undefined, delta: JsonObject) => void> = {
  text_delta: (state, block, delta) => {
    if (block?.kind !== 'skipped') emitText(state, asText(delta.text))
  },
  thinking_delta: (state, block, delta) => {
    if (block?.kind !== 'skipped') emitReasoning(state, asText(delta.thinking))
  },
  signature_delta: (_state, block, delta) => {
    if (block?.kind === 'thinking') block.signature = asText(delta.signature)
  },
  input_json_delta(state, block, delta) {
    if (block === undefined || block.kind === 'text' || block.kind === 'thinking') {
      return endWith(state, garbled('The provider sent tool arguments that belong to no tool call'))
    }
    const text = asText(delta.partial_json)
    if (block.kind === 'skipped' || text === '') return
    block.begun = true
    emitArguments(state, block, text)
  },
}

const isOpen = (state: State): boolean => {
  start(state, '', '')
  return !state.finished
}

function start(state: State, id: string, model: string): void {
  if (state.started) return
  state.started = true
  state.out.push({ kind: 'start', id, model, usage: state.usage })
}

function emitText(state: State, text: string): void {
  if (text !== '') state.out.push({ kind: 'text', index: 0, text })
}

function emitReasoning(state: State, text: string): void {
  if (text !== '') state.out.push({ kind: 'reasoning', index: 0, text })
}

function emitArguments(state: State, block: Extract<Block, { kind: 'call' | 'answer' }>, text: string): void {
  if (block.kind === 'answer') emitText(state, text)
  else state.out.push({ kind: 'tool_call_arguments', index: 0, call: block.call, text })
}

/** A call without arguments has no deltas; it ends as `{}`, the same as in a whole answer. */
function finishBlock(state: State, index: number): void {
  const block = state.blocks.get(index)
  state.blocks.delete(index)
  if (block?.kind === 'thinking' && block.signature !== '') {
    state.out.push({ kind: 'reasoning_signature', index: 0, signature: block.signature, signedBy: protocolName })
  }
  if ((block?.kind === 'call' || block?.kind === 'answer') && !block.begun) {
    emitArguments(state, block, JSON.stringify(block.input))
  }
}

function finish(state: State, delta: JsonObject): void {
  if (state.finished) return
  for (const index of [...state.blocks.keys()]) finishBlock(state, index)
  state.finished = true
  const explanation = asText(asObject(delta.stop_details)?.explanation)
  if (delta.stop_reason === 'refusal' && explanation !== '') {
    state.out.push({ kind: 'refusal', index: 0, text: explanation })
  }
  const sequence = delta.stop_sequence
  state.out.push({
    kind: 'finish',
    index: 0,
    finish: readFinish(delta.stop_reason, state.calls > 0),
    stopSequence: typeof sequence === 'string' ? sequence : null,
  })
}

function endWith(state: State, event: ChatEvent): void {
  state.out.push(event)
  state.closed = true
}
