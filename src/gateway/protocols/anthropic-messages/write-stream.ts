import type { ChatEvent, ChatFinish, ChatUsage } from '../../chat.ts'
import type { JsonObject, ReplyContext, StreamWriter } from '../protocol.ts'
import { createJsonEnd, type JsonEnd } from './json-end.ts'
import {
  callBlocks,
  callId,
  estimateUsage,
  messageId,
  redactedBlock,
  stopDetails,
  stopReason,
  wireSignature,
  writeUsage,
} from './write-blocks.ts'
import { writeError, writeFailure } from './write-error.ts'

/** One call: what is known of it, and what is still to be sent once its turn comes. */
type Call = {
  number: number
  /** The blocks that open it, the last of them its own; null until its name is known. */
  opening: JsonObject[] | null
  held: string
  end: JsonEnd
  hasArguments: boolean
}

/** What comes while a call is open that has not said everything yet: it waits, as blocks may not interleave. */
type Waiting =
  | { kind: 'text' | 'thinking'; text: string; signature: string | null }
  | { kind: 'sealed'; data: string }
  | { kind: 'call'; call: Call }

type Open = { kind: 'text' } | { kind: 'thinking' } | { kind: 'call'; call: Call }

/**
 * Writes the events of https://platform.claude.com/docs/en/build-with-claude/streaming: one `message_start` whose usage
 * is never zero, blocks numbered from 0 and strictly one after another, and at the end one `message_delta` with all
 * that was counted. Calls that a provider streams side by side are put in order: one is sent as it comes, the
 * others are held until it is complete.
 */
export function createStreamWriter(reply: ReplyContext): StreamWriter {
  const calls = new Map<number, Call>()
  let isStarted = false
  let isOver = false
  let open: Open | null = null
  const waiting: Waiting[] = []
  let blocks = 0
  let hasCalls = false
  let pieces = 0
  let refusal = ''
  let usage: ChatUsage | null = null
  let finish: ChatFinish | null = null
  let stopSequence: string | null = null
  let started: ChatUsage | null = null

  const start = (id = ''): string => {
    if (isStarted) return ''
    isStarted = true
    // Clients that see 0 here break off (https://github.com/vercel/ai/issues/17326).
    started = usage !== null && usage.tokensIn > 0 ? usage : estimateUsage(reply, 1)
    const message = {
      id: messageId(id, reply),
      type: 'message',
      role: 'assistant',
      model: reply.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: writeUsage({ ...started, tokensOut: Math.max(1, started.tokensOut) }),
    }
    return format('message_start', { type: 'message_start', message })
  }

  const openBlock = (block: JsonObject, as: Open): string => {
    open = as
    return format('content_block_start', { type: 'content_block_start', index: blocks, content_block: block })
  }

  const delta = (type: string, member: string, text: string): string =>
    `event: content_block_delta\ndata: {"type":"content_block_delta","index":${blocks},"delta":{"type":"${type}","${member}":${JSON.stringify(text)}}}\n\n`

  const close = (): string => {
    if (open === null) return ''
    const { kind } = open
    // Clients parse what they gathered: a call without arguments has said `{}`.
    const empty = kind === 'call' && !open.call.hasArguments ? delta('input_json_delta', 'partial_json', '{}') : ''
    open = null
    return `${empty}event: content_block_stop\ndata: {"type":"content_block_stop","index":${blocks++}}\n\n`
  }

  const whole = (block: JsonObject): string => {
    const closing = close()
    return closing + openBlock(block, { kind: 'text' }) + close()
  }

  const say = (kind: 'text' | 'thinking', text: string): string => {
    let out = ''
    if (open?.kind !== kind) {
      out = close()
      out +=
        kind === 'text'
          ? openBlock({ type: 'text', text: '', citations: null }, { kind })
          : openBlock({ type: 'thinking', thinking: '', signature: '' }, { kind })
    }
    return text === '' ? out : out + delta(kind === 'text' ? 'text_delta' : 'thinking_delta', kind, text)
  }

  const sign = (signature: string): string => {
    const opening = open?.kind === 'thinking' ? '' : say('thinking', '')
    return opening + delta('signature_delta', 'signature', signature) + close()
  }

  const begin = (call: Call): string => {
    let out = close()
    for (const block of call.opening!.slice(0, -1)) out += whole(block)
    out += openBlock(call.opening!.at(-1)!, { kind: 'call', call })
    const { held } = call
    call.held = ''
    return held === '' ? out : out + delta('input_json_delta', 'partial_json', held)
  }

  /** Whether something else may begin: no call is open, or the open one has said everything. */
  const isFree = (): boolean => open?.kind !== 'call' || open.call.end.isWhole()

  /** Sends what waited, up to the next call that has more to say; all of it when nothing more comes. */
  const release = (isLast: boolean): string => {
    let out = ''
    while (waiting.length > 0 && (isLast || isFree())) {
      const next = waiting.shift()!
      if (next.kind === 'call') out += begin(next.call)
      else if (next.kind === 'sealed') out += whole(redactedBlock(next.data))
      else {
        out += say(next.kind, next.text)
        if (next.signature !== null) out += sign(next.signature)
      }
    }
    return out
  }

  const tell = (kind: 'text' | 'thinking', text: string): string => {
    if (text === '') return ''
    pieces++
    const out = start()
    if (waiting.length === 0 && isFree()) return out + say(kind, text)
    const last = waiting.at(-1)
    if (last?.kind === kind && last.signature === null) last.text += text
    else waiting.push({ kind, text, signature: null })
    return out + release(false)
  }

  const callOf = (number: number): Call => {
    let call = calls.get(number)
    if (call === undefined) {
      call = { number, opening: null, held: '', end: createJsonEnd(), hasArguments: false }
      calls.set(number, call)
    }
    return call
  }

  const handlers: { [K in ChatEvent['kind']]: (event: Extract<ChatEvent, { kind: K }>) => string } = {
    start(event) {
      usage = event.usage ?? usage
      return start(event.id)
    },
    text: (event) => tell('text', event.text),
    refusal(event) {
      refusal += event.text
      return tell('text', event.text)
    },
    reasoning: (event) => tell('thinking', event.text),
    reasoning_signature(event) {
      const out = start()
      const redacted = event.redacted === true
      const signature = wireSignature(event.signature, event.signedBy, redacted)
      if (waiting.length === 0 && isFree()) return out + (redacted ? whole(redactedBlock(signature)) : sign(signature))
      const last = waiting.at(-1)
      if (redacted) waiting.push({ kind: 'sealed', data: signature })
      else if (last?.kind === 'thinking' && last.signature === null) last.signature = signature
      else waiting.push({ kind: 'thinking', text: '', signature })
      return out + release(false)
    },
    tool_call_start(event) {
      const out = start()
      const call = callOf(event.call)
      if (call.opening !== null) return out
      hasCalls = true
      pieces++
      call.opening = callBlocks(callId(event.id, reply, event.call), event.name, {}, event.extras)
      if (waiting.length === 0 && isFree()) return out + begin(call)
      waiting.push({ kind: 'call', call })
      return out + release(false)
    },
    tool_call_arguments(event) {
      if (event.text === '') return ''
      pieces++
      const out = start()
      const call = callOf(event.call)
      call.hasArguments = true
      call.end.push(event.text)
      if (open?.kind !== 'call' || open.call !== call) {
        call.held += event.text
        return out
      }
      return out + delta('input_json_delta', 'partial_json', event.text) + release(false)
    },
    finish(event) {
      if (finish !== null) return ''
      finish = event.finish
      stopSequence = event.stopSequence
      return start() + release(true) + close()
    },
    usage(event) {
      usage = event.usage
      return ''
    },
    error(event) {
      isOver = true
      return format('error', writeFailure(event.error, reply.id))
    },
    end() {
      const out = start() + release(true) + close()
      isOver = true
      const reason = stopReason(finish ?? 'stop', { hasCalls, refusal, stopSequence })
      const details = stopDetails(refusal)
      const message = {
        type: 'message_delta',
        delta: {
          stop_reason: reason,
          stop_sequence: reason === 'stop_sequence' ? stopSequence : null,
          ...(details === null ? {} : { stop_details: details }),
        },
        usage: writeUsage(usage ?? { ...started!, tokensOut: Math.max(1, pieces) }),
      }
      return `${out}${format('message_delta', message)}event: message_stop\ndata: {"type":"message_stop"}\n\n`
    },
  }

  return {
    write(event) {
      // An answer of this protocol is one answer: others of the same call have no place in it.
      if (isOver || ('index' in event && event.index !== 0)) return ''
      return (handlers[event.kind] as (event: ChatEvent) => string)(event)
    },
    fail(error) {
      if (isOver) return ''
      isOver = true
      return format('error', writeError(error, reply.id))
    },
    keepAlive: () => (isOver ? '' : pingEvent),
  }
}

const pingEvent = 'event: ping\ndata: {"type": "ping"}\n\n'

function format(event: string, data: JsonObject): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
