import { type Answer, defaultText, defaultUsage, type RetryAfter, type ToolCall } from './behaviour.ts'
import type { VendorName } from './vendors/index.ts'
import type { AnswerPlan, PlannedToolCall } from './vendors/vendor.ts'

export type CallFacts = {
  vendor: VendorName
  /** Numbers the calls of one fake from 1, so that ids differ and repeat from run to run. */
  call: number
  model: string
  lastUserText: string
  wantsUsageEvent: boolean
  choices: number
  isResponses?: boolean
  sign: (() => string) | null
}

const idPrefixes = { openai: 'chatcmpl-fake', anthropic: 'msg_fake', gemini: 'fake-response' }
const toolIdPrefixes = { openai: 'call_fake', anthropic: 'toolu_fake', gemini: 'gemini_fake' }

/** Works an answer out to the last piece. */
export function planAnswer(answer: Answer, facts: CallFacts): AnswerPlan {
  const toolCalls = (answer.toolCalls ?? []).map((call, index) =>
    planToolCall(call, `${toolIdPrefixes[facts.vendor]}_${facts.call}_${index}`),
  )
  const isSilent = toolCalls.length > 0 || answer.refusal !== undefined
  const text = answer.echo ? facts.lastUserText : (answer.text ?? (isSilent ? '' : defaultText))
  const pieceLength = answer.pieceLength ?? 12
  return {
    id: `${idPrefixes[facts.vendor]}-${facts.call}`,
    model: answer.model ?? facts.model,
    createdSeconds: 1_750_000_000 + facts.call,
    text,
    textPieces: pieces(text, pieceLength),
    reasoning: answer.reasoning ?? '',
    reasoningPieces: pieces(answer.reasoning ?? '', pieceLength),
    redactedReasoning: answer.redactedReasoning ?? null,
    refusal: answer.refusal ?? null,
    toolCalls,
    areToolCallsInterleaved: answer.areToolCallsInterleaved ?? false,
    finish: answer.finish ?? (toolCalls.length > 0 ? 'tool_calls' : 'stop'),
    stopSequence: answer.stopSequence ?? null,
    promptBlockReason: answer.promptBlockReason ?? null,
    usage: answer.usage === null ? null : { ...defaultUsage, ...answer.usage },
    wantsUsageEvent: facts.wantsUsageEvent,
    choices: facts.choices,
    isResponses: facts.isResponses ?? false,
    sign: facts.sign,
  }
}

function planToolCall(call: ToolCall, id: string): PlannedToolCall {
  const json = call.rawArguments ?? JSON.stringify(call.arguments)
  return {
    id: call.id ?? id,
    name: call.name,
    arguments: json,
    pieces: pieces(json, Math.max(1, Math.ceil([...json].length / (call.pieces ?? 3)))),
    input: call.arguments,
  }
}

/** By code points, so that a piece is always text; bytes are cut elsewhere. */
function pieces(text: string, length: number): string[] {
  const points = [...text]
  const made: string[] = []
  for (let at = 0; at < points.length; at += length) made.push(points.slice(at, at + length).join(''))
  return made
}

/** Gemini's form is in the error's body, not here. */
export function retryAfterHeaders(retryAfter: RetryAfter | undefined, nowMs: number): Record<string, string> {
  switch (retryAfter?.form) {
    case 'seconds':
      return { 'retry-after': String(Math.ceil(retryAfter.ms / 1000)) }
    case 'http-date':
      return { 'retry-after': new Date(nowMs + retryAfter.ms).toUTCString() }
    case 'retry-after-ms':
    case 'x-ms-retry-after-ms':
      return { [retryAfter.form]: String(retryAfter.ms) }
    case 'x-ratelimit-reset':
      return { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': duration(retryAfter.ms) }
    default:
      return {}
  }
}

/** As OpenAI writes them: `20ms`, `7s`, `1m30s`. */
function duration(ms: number): string {
  if (ms < 1000) return `${ms}ms`
  const minutes = Math.floor(ms / 60_000)
  return `${minutes > 0 ? `${minutes}m` : ''}${(ms % 60_000) / 1000}s`
}
