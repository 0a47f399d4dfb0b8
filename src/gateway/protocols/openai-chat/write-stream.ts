import { formatSse } from '../../../kernel/sse.ts'
import type { ChatEvent, ChatReasoningPart, ChatUsage } from '../../chat.ts'
import type { JsonObject, ReplyContext, StreamWriter } from '../protocol.ts'
import { failureEnvelope, writeError } from './errors.ts'
import { writeFinish } from './finish.ts'
import { writeUsage } from './usage.ts'
import { toExtraContent, toReasoningDetail } from './vendor-content.ts'
import { doneLine, type WireReasoningDetail } from './wire.ts'
import { completionId, toolCallId } from './write-result.ts'

type Choice = {
  calls: Map<number, { isStarted: boolean; hasArguments: boolean; held: string }>
  details: WireReasoningDetail[]
  /** Reasoning since the last signature, and how many blocks came before it. */
  reasoning: string
  blocks: number
  isFinished: boolean
}

/**
 * Writes `chat.completion.chunk` events: id, created and model are constant, each choice begins with its role, a tool
 * call is named once and then only grows, and the usage chunk comes only to those who asked for it. Signed reasoning is
 * repeated whole in `reasoning_details` when its signature arrives, as clients' accumulators keep the last list only.
 */
export function createStreamWriter(reply: ReplyContext): StreamWriter {
  const created = Math.floor(reply.createdMs / 1000)
  const tail = reply.includeUsage ? ',"usage":null}\n\n' : '}\n\n'
  let head = headOf('')
  let usage: ChatUsage | null = null
  let isOver = false
  const choices = new Map<number, Choice>()

  function headOf(id: string): string {
    const fixed = { id: completionId(id, reply), object: 'chat.completion.chunk', created, model: reply.model }
    return `data: ${JSON.stringify(fixed).slice(0, -1)},"choices":[`
  }

  const chunk = (index: number, delta: string, finish = 'null') =>
    `${head}{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":${finish}}]${tail}`

  const chunkOf = (index: number, delta: JsonObject) => chunk(index, JSON.stringify(delta))

  /** The choice, and its opening chunk when this is its first event. */
  const open = (index: number, content: '""' | 'null'): [Choice, string] => {
    const known = choices.get(index)
    if (known) return [known, '']
    const choice: Choice = { calls: new Map(), details: [], reasoning: '', blocks: 0, isFinished: false }
    choices.set(index, choice)
    return [choice, chunk(index, `{"role":"assistant","content":${content},"refusal":null}`)]
  }

  const callOf = (choice: Choice, number: number) => {
    const call = choice.calls.get(number) ?? { isStarted: false, hasArguments: false, held: '' }
    choice.calls.set(number, call)
    return call
  }

  const writeArguments = (index: number, call: number, text: string) =>
    chunkOf(index, { tool_calls: [{ index: call, function: { arguments: text } }] })

  const handlers: { [K in ChatEvent['kind']]: (event: Extract<ChatEvent, { kind: K }>) => string } = {
    start(event) {
      // A second start would change the id in the middle of an answer.
      if (choices.size === 0) head = headOf(event.id)
      usage = event.usage ?? usage
      return ''
    },
    text(event) {
      const [, opening] = open(event.index, '""')
      return `${opening}${chunk(event.index, `{"content":${JSON.stringify(event.text)}}`)}`
    },
    refusal(event) {
      const [, opening] = open(event.index, 'null')
      return `${opening}${chunk(event.index, `{"refusal":${JSON.stringify(event.text)}}`)}`
    },
    reasoning(event) {
      const [choice, opening] = open(event.index, 'null')
      choice.reasoning += event.text
      return `${opening}${chunk(event.index, `{"reasoning_content":${JSON.stringify(event.text)}}`)}`
    },
    reasoning_signature(event) {
      const [choice, opening] = open(event.index, 'null')
      const redacted = event.redacted === true
      const part: ChatReasoningPart = {
        kind: 'reasoning',
        text: redacted ? '' : choice.reasoning,
        signature: event.signature,
        redacted,
        ...(event.signedBy === undefined ? {} : { signedBy: event.signedBy }),
        ...(event.extras === undefined ? {} : { extras: event.extras }),
      }
      const detail = toReasoningDetail(part, choice.blocks++)
      if (detail) choice.details.push(detail)
      if (!redacted) choice.reasoning = ''
      return `${opening}${chunkOf(event.index, { reasoning_details: choice.details })}`
    },
    tool_call_start(event) {
      const [choice, opening] = open(event.index, 'null')
      const call = callOf(choice, event.call)
      if (call.isStarted) return opening
      call.isStarted = true
      const content = toExtraContent(event.extras)
      const started = chunkOf(event.index, {
        tool_calls: [
          {
            index: event.call,
            id: toolCallId(event.id, reply, event.index, event.call),
            type: 'function',
            function: { name: event.name, arguments: call.held },
            ...(content === undefined ? {} : { extra_content: content }),
          },
        ],
      })
      return opening + started
    },
    tool_call_arguments(event) {
      if (event.text === '') return ''
      const [choice, opening] = open(event.index, 'null')
      const call = callOf(choice, event.call)
      call.hasArguments = true
      // Arguments of a call that has no name yet wait for it: clients could not place them.
      if (!call.isStarted) call.held += event.text
      return call.isStarted ? opening + writeArguments(event.index, event.call, event.text) : opening
    },
    finish(event) {
      const [choice, opening] = open(event.index, '""')
      if (choice.isFinished) return ''
      choice.isFinished = true
      let text = opening
      for (const [number, call] of choice.calls) {
        // A call without arguments ends as `{}`, streamed or not: clients parse what they gathered.
        if (call.isStarted && !call.hasArguments) text += writeArguments(event.index, number, '{}')
      }
      return text + chunk(event.index, '{}', `"${writeFinish(event.finish)}"`)
    },
    usage(event) {
      usage = event.usage
      return ''
    },
    error(event) {
      isOver = true
      return formatSse({ data: JSON.stringify(failureEnvelope(event.error)) })
    },
    end() {
      isOver = true
      if (!reply.includeUsage || usage === null) return doneLine
      return `${head}],"usage":${JSON.stringify(writeUsage(usage))}}\n\n${doneLine}`
    },
  }

  return {
    write(event) {
      if (isOver) return ''
      return (handlers[event.kind] as (event: ChatEvent) => string)(event)
    },
    fail(error) {
      if (isOver) return ''
      isOver = true
      return formatSse({ data: JSON.stringify(writeError(error, '')) })
    },
    keepAlive: () => (isOver ? '' : ': keep-alive\n\n'),
  }
}
