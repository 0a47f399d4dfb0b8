import type { ChatEvent, ChatFinish, ChatReasoningPart, ChatUsage, Extras } from '../../chat.ts'
import type { JsonObject, ReplyContext, StreamWriter } from '../protocol.ts'
import { writeError, writeFailure } from './errors.ts'
import { createFrames, keepAlives } from './frames.ts'
import { blockedPrompt, isFiltered, writeCall, writeFinish, writeThought, writeUsage } from './write-parts.ts'

type Call = { number: number; id: string; name: string; arguments: string; isNamed: boolean; extras?: Extras }

type Choice = {
  /** Calls that are not written yet, in order: their arguments are still coming. */
  open: Call[]
  hasContent: boolean
  finish: ChatFinish | null
}

/**
 * Writes a GenerateContentResponse a piece. A function call has no pieces in this protocol, so it waits until its
 * arguments are whole. There is no terminal event: the finish reasons of all candidates and the usage come together in
 * the last chunk, which `end` gives.
 */
export function createStreamWriter(reply: ReplyContext): StreamWriter {
  const frames = createFrames(reply.framing)
  const choices = new Map<number, Choice>()
  let responseId = reply.id
  let usage: ChatUsage | null = null
  let isOver = false
  let tail = tailOf()

  /** What every chunk ends with. */
  function tailOf(): string {
    const counts = usage === null ? '' : `"usageMetadata":${JSON.stringify(writeUsage(usage))},`
    return `${counts}"modelVersion":${JSON.stringify(reply.model)},"responseId":${JSON.stringify(responseId)}}`
  }

  const choiceOf = (index: number): Choice => {
    const choice = choices.get(index) ?? { open: [], hasContent: false, finish: null }
    choices.set(index, choice)
    return choice
  }

  const chunk = (index: number, parts: string): string =>
    frames.write(`{"candidates":[{"content":{"parts":[${parts}],"role":"model"},"index":${index}}],${tail}`)

  /** One part, behind the calls before it that are whole. */
  const say = (index: number, part: string): string => {
    const choice = choiceOf(index)
    const calls = takeCalls(index, choice, isWhole)
    choice.hasContent = true
    return calls + chunk(index, part)
  }

  /** Writes open calls from the first on, as far as they may go. */
  const takeCalls = (index: number, choice: Choice, mayGo: (call: Call) => boolean): string => {
    let text = ''
    for (let [call] = choice.open; call !== undefined && mayGo(call); [call] = choice.open) {
      choice.open.shift()
      choice.hasContent = true
      // A call that was never named is nothing a client could run.
      if (!call.isNamed) continue
      text += chunk(index, JSON.stringify(writeCall(call, { responseId, choice: index, call: call.number })))
    }
    return text
  }

  const callOf = (choice: Choice, number: number): Call => {
    const known = choice.open.find((call) => call.number === number)
    if (known) return known
    const call: Call = { number, id: '', name: '', arguments: '', isNamed: false }
    choice.open.push(call)
    return call
  }

  const handlers: { [K in ChatEvent['kind']]: (event: Extract<ChatEvent, { kind: K }>) => string } = {
    start(event) {
      if (choices.size === 0 && event.id !== '') responseId = event.id
      usage = event.usage ?? usage
      tail = tailOf()
      return ''
    },
    text: (event) => (event.text === '' ? '' : say(event.index, `{"text":${JSON.stringify(event.text)}}`)),
    refusal: (event) => (event.text === '' ? '' : say(event.index, `{"text":${JSON.stringify(event.text)}}`)),
    reasoning: (event) =>
      event.text === '' ? '' : say(event.index, `{"text":${JSON.stringify(event.text)},"thought":true}`),
    reasoning_signature(event) {
      const part: ChatReasoningPart = {
        kind: 'reasoning',
        text: '',
        signature: event.signature,
        redacted: event.redacted === true,
        ...(event.signedBy === undefined ? {} : { signedBy: event.signedBy }),
      }
      const written = writeThought(part)
      return written === null ? '' : say(event.index, JSON.stringify(written))
    },
    tool_call_start(event) {
      const choice = choiceOf(event.index)
      const call = callOf(choice, event.call)
      if (!call.isNamed) {
        call.id = event.id
        call.name = event.name
        call.isNamed = true
        if (event.extras !== undefined) call.extras = event.extras
      }
      return takeCalls(event.index, choice, (one) => one !== call && isWhole(one))
    },
    tool_call_arguments(event) {
      callOf(choiceOf(event.index), event.call).arguments += event.text
      return ''
    },
    finish(event) {
      const choice = choiceOf(event.index)
      choice.finish ??= event.finish
      return takeCalls(event.index, choice, () => true)
    },
    usage(event) {
      usage = event.usage
      tail = tailOf()
      return ''
    },
    error(event) {
      isOver = true
      return frames.fail(writeFailure(event.error))
    },
    end() {
      isOver = true
      return frames.write(`{${writeEnd([...choices])}${tail}`, true)
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
      return frames.fail(writeError(error, ''))
    },
    keepAlive: () => (isOver ? '' : keepAlives[reply.framing]),
  }
}

/** Nothing can follow an object that has closed; without any arguments nobody can tell yet. */
function isWhole(call: Call): boolean {
  if (!call.isNamed || !call.arguments.trimEnd().endsWith('}')) return false
  try {
    JSON.parse(call.arguments)
    return true
  } catch {
    return false
  }
}

/** The members of the last chunk that say how each candidate ended. */
function writeEnd(choices: [number, Choice][]): string {
  const [first, ...more] = choices
  const isBlocked = first !== undefined && more.length === 0 && isFiltered(first[1].finish) && !first[1].hasContent
  const wire: JsonObject = isBlocked
    ? blockedPrompt
    : {
        candidates: choices
          .toSorted(([a], [b]) => a - b)
          .map(([index, { finish }]) => ({
            content: { parts: [{ text: '' }], role: 'model' },
            finishReason: writeFinish(finish ?? 'stop'),
            index,
          })),
      }
  return `${JSON.stringify(wire).slice(1, -1)},`
}
