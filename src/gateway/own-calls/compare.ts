import type { MirrorDifference } from '../../usage/index.ts'
import type { ChatResponseFormat } from '../chat.ts'
import { asObject } from '../protocols/json.ts'
import { canonicalJson, fitsSchema } from './fits-schema.ts'
import type { Heard } from './heard.ts'
import { firstDifference, similarityOf } from './similarity.ts'

/** One side; `heard` is null when there is no answer, or none that is compared. */
export type Answered = { status: number; heard: Heard | null }

export type Compared = {
  isEqual: boolean
  similarity: number | null
  isTextEqual: boolean | null
  areToolCallsEqual: boolean | null
  /** Of the first and of the second. */
  areSchemaValid: readonly [boolean | null, boolean | null]
  differences: MirrorDifference[]
}

const mostDifferences = 20
const longestSnippet = 200
const mostKeptCalls = 20
const longestKeptText = 16_384
const longestKeptCall = 500

/** What differs between two answers to the same. `isTextKept` decides whether differences quote them. */
export function compareAnswers(
  first: Answered,
  second: Answered,
  { format, isTextKept }: { format: ChatResponseFormat | null; isTextKept: boolean },
): Compared {
  const differences: MirrorDifference[] = []
  const differ = (what: MirrorDifference['what'], at: number | null, one: string, other: string, isContent = true) => {
    if (differences.length === mostDifferences) return
    const quote = (text: string) => (isContent && !isTextKept ? '' : text.slice(0, longestSnippet))
    differences.push({ what, at, first: quote(one), second: quote(other) })
  }
  if (first.status !== second.status) differ('status', null, String(first.status), String(second.status), false)
  const areSchemaValid = [isValid(first.heard, format), isValid(second.heard, format)] as const
  const [one, other] = [first.heard, second.heard]
  if (one === null || other === null) {
    return {
      ...{ isEqual: false, similarity: null, isTextEqual: null, areToolCallsEqual: null },
      ...{ areSchemaValid, differences },
    }
  }
  if (one.finish !== other.finish) differ('finish_reason', null, one.finish, other.finish, false)
  const at = firstDifference(one.text, other.text)
  if (at !== null) differ('text', at, one.text.slice(at), other.text.slice(at))
  const calls = compareCalls(one, other, (place, ours, theirs) => differ('tool_calls', place, ours, theirs))
  const [isOneValid, isOtherValid] = areSchemaValid
  if (isOneValid !== isOtherValid) differ('schema', null, String(isOneValid), String(isOtherValid), false)
  return {
    isEqual: at === null && calls !== false,
    similarity: similarityOf(one.text, other.text),
    isTextEqual: at === null,
    areToolCallsEqual: calls,
    areSchemaValid,
    differences,
  }
}

/** What is kept of an answer where texts are kept: bounded, and told when it was longer. */
export function keepAnswer({ text, toolCalls }: Heard): string {
  const calls = toolCalls.slice(0, mostKeptCalls)
  const isCut =
    text.length > longestKeptText ||
    toolCalls.length > mostKeptCalls ||
    calls.some((call) => call.arguments.length > longestKeptCall)
  return JSON.stringify({
    text: text.slice(0, longestKeptText).toWellFormed(),
    tool_calls: calls.map((call) => ({
      name: call.name.slice(0, longestSnippet).toWellFormed(),
      arguments: call.arguments.slice(0, longestKeptCall).toWellFormed(),
    })),
    is_cut: isCut,
  })
}

/** By name and arguments as JSON, in any order: tools called at once have none. null when neither calls any. */
function compareCalls(
  one: Heard,
  other: Heard,
  differ: (place: number, ours: string, theirs: string) => void,
): boolean | null {
  if (one.toolCalls.length + other.toolCalls.length === 0) return null
  const [ours, theirs] = [one.toolCalls.map(canonicalCall).sort(), other.toolCalls.map(canonicalCall).sort()]
  let areEqual = true
  for (let place = 0; place < Math.max(ours.length, theirs.length); place++) {
    if (ours[place] === theirs[place]) continue
    areEqual = false
    differ(place, ours[place] ?? '', theirs[place] ?? '')
  }
  return areEqual
}

function canonicalCall({ name, arguments: text }: Heard['toolCalls'][number]): string {
  if (text.trim() === '') return `${name} {}`
  try {
    return `${name} ${canonicalJson(JSON.parse(text))}`
  } catch {
    return `${name} ${text}`
  }
}

/** null when no structure was asked for, when there is no answer, or when a tool was called in place of one. */
function isValid(heard: Heard | null, format: ChatResponseFormat | null): boolean | null {
  if (heard === null || format === null || format.kind === 'text') return null
  if (heard.text === '' && heard.toolCalls.length > 0) return null
  let value: unknown
  try {
    value = JSON.parse(heard.text)
  } catch {
    return false
  }
  return format.kind === 'json' ? asObject(value) !== null : fitsSchema(value, format.schema)
}
