import { formatSse } from '../../../kernel/sse.ts'
import type { ChatEvent, ChatFinish, ChatUsage } from '../../chat.ts'
import { asText } from '../json.ts'
import { failureEnvelope, writeError } from '../openai-chat/errors.ts'
import type { JsonObject, ReplyContext, StreamWriter } from '../protocol.ts'
import { sealSignature } from '../signatures.ts'
import { customTools } from './read-request.ts'
import { writeUsage } from './usage.ts'
import { protocolName, type WireItem } from './wire.ts'
import { nothingYet, type ResponseState, repeatOf, stemOf, writeResponse } from './write-response.ts'

export type ResponseWriter = StreamWriter & {
  /** The response as it stands; its output holds whole items only. */
  response(): JsonObject
}

type Message = { item: WireItem; index: number; parts: JsonObject[]; text: string; isRefusal: boolean }
type Reasoning = { item: WireItem; index: number; text: string }
type Call = { item: WireItem; index: number; text: string; isCustom: boolean }

/**
 * Writes the events of a Responses stream: created and in progress, then each item from its opening to its end, then the
 * terminal event, which is what `end` answers. Every event has the next sequence number; an item keeps its id and its
 * place in the output, and calls may grow side by side. `request` is what the caller sent, as far as answers repeat it.
 */
export function createResponseWriter(reply: ReplyContext, request: JsonObject = {}): ResponseWriter {
  const repeat = repeatOf(request)
  const custom = customTools(request)
  const stem = stemOf(reply)
  const output: WireItem[] = []
  const calls = new Map<number, Call>()
  let message: Message | null = null
  let reasoning: Reasoning | null = null
  let sequence = 0
  let isStarted = false
  let isOver = false
  let state: ResponseState = nothingYet
  let usage: ChatUsage | null = null
  let finish: ChatFinish | null = null

  const emit = (type: string, members: JsonObject) =>
    formatSse({ event: type, data: JSON.stringify({ type, sequence_number: sequence++, ...members }) })

  const snapshot = (): JsonObject =>
    writeResponse(reply, repeat, {
      ...state,
      output: output.filter((item) => item.status !== 'in_progress'),
      usage: usage === null ? null : writeUsage(usage),
    })

  const start = (): string => {
    if (isStarted) return ''
    isStarted = true
    const response = snapshot()
    return emit('response.created', { response }) + emit('response.in_progress', { response })
  }

  /** A new item at the end of the output, and the event that opens it. */
  const open = (
    prefix: string,
    members: WireItem,
  ): { item: WireItem; index: number; text: string; opening: string } => {
    const index = output.length
    const { type, ...rest } = members
    const item: WireItem = { id: `${prefix}_${stem}_${index}`, type, status: 'in_progress', ...rest }
    output.push(item)
    return {
      item,
      index,
      text: '',
      opening: start() + emit('response.output_item.added', { output_index: index, item }),
    }
  }

  const close = (index: number, changes: JsonObject, status = 'completed'): string => {
    const item = { ...output[index], ...changes, status } as WireItem
    output[index] = item
    return emit('response.output_item.done', { output_index: index, item })
  }

  const openMessage = (): [Message, string] => {
    if (message) return [message, '']
    const before = closeReasoning()
    const { opening, ...opened } = open('msg', { type: 'message', role: 'assistant', content: [] })
    message = { ...opened, parts: [], isRefusal: false }
    return [message, before + opening]
  }

  const place = ({ item, index, parts }: Message) => ({
    item_id: item.id,
    output_index: index,
    content_index: parts.length - 1,
  })

  /** The part of the message that grows now, and the events that end the one before and open it. */
  const openPart = (isRefusal: boolean): [Message, string] => {
    const [to, opening] = openMessage()
    if (to.parts.length > 0 && to.isRefusal === isRefusal) return [to, opening]
    const ending = closePart(to)
    to.isRefusal = isRefusal
    to.text = ''
    to.parts.push(writePart(to))
    return [to, opening + ending + emit('response.content_part.added', { ...place(to), part: writePart(to) })]
  }

  const closePart = (of: Message): string => {
    if (of.parts.length === 0) return ''
    const part = writePart(of)
    of.parts[of.parts.length - 1] = part
    const at = place(of)
    const done = of.isRefusal
      ? emit('response.refusal.done', { ...at, refusal: of.text })
      : emit('response.output_text.done', { ...at, text: of.text, logprobs: [] })
    return done + emit('response.content_part.done', { ...at, part })
  }

  const closeMessage = (status?: string): string => {
    if (!message) return ''
    const closed = message
    message = null
    return closePart(closed) + close(closed.index, { content: closed.parts }, status)
  }

  const openReasoning = (): [Reasoning, string] => {
    if (reasoning) return [reasoning, '']
    const before = closeMessage()
    const { opening, ...opened } = open('rs', { type: 'reasoning', summary: [] })
    reasoning = opened
    return [reasoning, before + opening]
  }

  const summaryPlace = ({ item, index }: Reasoning) => ({ item_id: item.id, output_index: index, summary_index: 0 })

  const closeReasoning = (encrypted?: string, status?: string): string => {
    if (!reasoning) return ''
    const closed = reasoning
    reasoning = null
    const { text } = closed
    const part = { type: 'summary_text', text }
    const summary = text === '' ? [] : [part]
    const at = summaryPlace(closed)
    const ended =
      text === ''
        ? ''
        : emit('response.reasoning_summary_text.done', { ...at, text }) +
          emit('response.reasoning_summary_part.done', { ...at, part })
    const proof = encrypted === undefined ? {} : { encrypted_content: encrypted }
    return ended + close(closed.index, { summary, ...proof }, status)
  }

  /** A proof without words of its own: thinking its vendor keeps to itself, or what a call was thought through with. */
  const writeProof = (encrypted: string): string => {
    const before = closeMessage() + closeReasoning()
    const { opening, index } = open('rs', { type: 'reasoning', summary: [], encrypted_content: encrypted })
    return before + opening + close(index, {})
  }

  const openCall = (event: Extract<ChatEvent, { kind: 'tool_call_start' }>): string => {
    if (calls.has(event.call)) return ''
    const callId = event.id === '' ? `call_${stem}_${event.call}` : event.id
    const signature = asText(event.extras?.gemini?.thoughtSignature)
    const proof = signature === '' ? '' : writeProof(sealSignature({ by: 'gemini', signature, callId }))
    const before = closeMessage() + closeReasoning()
    const isCustom = custom.has(event.name)
    const { opening, ...opened } = isCustom
      ? open('ctc', { type: 'custom_tool_call', call_id: callId, name: event.name, input: '' })
      : open('fc', { type: 'function_call', call_id: callId, name: event.name, arguments: '' })
    calls.set(event.call, { ...opened, isCustom })
    return proof + before + opening
  }

  const closeCall = ({ item, index, text, isCustom }: Call, status?: string): string => {
    const at = { item_id: item.id, output_index: index }
    if (isCustom) {
      const input = readInputText(text)
      const told = input === '' ? '' : emit('response.custom_tool_call_input.delta', { ...at, delta: input })
      return told + emit('response.custom_tool_call_input.done', { ...at, input }) + close(index, { input }, status)
    }
    // A call without arguments ends as `{}`, streamed or not: clients parse what they gathered.
    const isEmpty = text.trim() === ''
    const args = isEmpty ? '{}' : text
    const told = isEmpty ? emit('response.function_call_arguments.delta', { ...at, delta: '{}' }) : ''
    const done = emit('response.function_call_arguments.done', { ...at, arguments: args, name: item.name })
    return told + done + close(index, { arguments: args }, status)
  }

  const closeAll = (status?: string): string => {
    let text = closeMessage(status) + closeReasoning(undefined, status)
    for (const call of calls.values()) text += closeCall(call, status)
    calls.clear()
    return text
  }

  const failWith = (error: { message: string; type: string; code: string | null; param: string | null }): string => {
    if (isOver) return ''
    isOver = true
    const { message: words, param } = error
    const code = error.code ?? error.type
    state = { ...state, status: 'failed', error: { code, message: words } }
    if (!isStarted) return emit('error', { code, message: words, param })
    return emit('response.failed', { response: snapshot() })
  }

  const handlers: { [K in ChatEvent['kind']]: (event: Extract<ChatEvent, { kind: K }>) => string } = {
    start(event) {
      usage = event.usage ?? usage
      return start()
    },
    text(event) {
      if (event.text === '') return ''
      const [to, opening] = openPart(false)
      to.text += event.text
      return opening + emit('response.output_text.delta', { ...place(to), delta: event.text, logprobs: [] })
    },
    refusal(event) {
      const [to, opening] = openPart(true)
      to.text += event.text
      return opening + emit('response.refusal.delta', { ...place(to), delta: event.text })
    },
    reasoning(event) {
      if (event.text === '') return ''
      const [to, opening] = openReasoning()
      const at = summaryPlace(to)
      const part = { type: 'summary_text', text: '' }
      const added = to.text === '' ? emit('response.reasoning_summary_part.added', { ...at, part }) : ''
      to.text += event.text
      return opening + added + emit('response.reasoning_summary_text.delta', { ...at, delta: event.text })
    },
    reasoning_signature({ signature, signedBy, redacted }) {
      const mark = redacted === true ? { redacted: true } : {}
      const encrypted =
        signedBy === protocolName ? signature : sealSignature({ by: signedBy ?? 'unknown', signature, ...mark })
      return reasoning && redacted !== true ? closeReasoning(encrypted) : writeProof(encrypted)
    },
    tool_call_start: openCall,
    tool_call_arguments(event) {
      const call = calls.get(event.call)
      if (!call || event.text === '') return ''
      call.text += event.text
      if (call.isCustom) return ''
      const at = { item_id: call.item.id, output_index: call.index }
      return emit('response.function_call_arguments.delta', { ...at, delta: event.text })
    },
    finish(event) {
      finish = event.finish
      const opening = start()
      return opening + closeAll(event.finish === 'length' ? 'incomplete' : undefined)
    },
    usage(event) {
      usage = event.usage
      return ''
    },
    error: (event) => failWith(failureEnvelope(event.error).error),
    end() {
      const opening = start() + closeAll()
      isOver = true
      const incomplete = finish === null ? null : (cuts[finish] ?? null)
      state = { ...state, status: incomplete === null ? 'completed' : 'incomplete', incomplete }
      return opening + emit(`response.${state.status}`, { response: snapshot() })
    },
  }

  return {
    response: snapshot,
    write(event) {
      // Responses has one answer; whoever gives more is heard for the first.
      if (isOver || ('index' in event && event.index !== 0)) return ''
      return (handlers[event.kind] as (event: ChatEvent) => string)(event)
    },
    fail: (error) => failWith((writeError(error, '') as ReturnType<typeof failureEnvelope>).error),
    keepAlive: () => (isOver ? '' : ': keep-alive\n\n'),
  }
}

export function createStreamWriter(reply: ReplyContext): StreamWriter {
  return createResponseWriter(reply)
}

/** Why an answer is not complete, in OpenAI's words. */
const cuts: Partial<Record<ChatFinish, string>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
  refusal: 'content_filter',
}

function writePart({ isRefusal, text }: Message): JsonObject {
  return isRefusal ? { type: 'refusal', refusal: text } : { type: 'output_text', text, annotations: [], logprobs: [] }
}

/** The free text of a custom tool out of the one argument under which other vendors give it. */
function readInputText(text: string): string {
  try {
    const { input } = JSON.parse(text) as JsonObject
    return typeof input === 'string' ? input : text
  } catch {
    return text
  }
}
