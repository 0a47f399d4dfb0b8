import type { ChatUsage } from '../chat.ts'
import type { Candidate } from '../models.ts'
import type { Translation } from './asking/translation.ts'

/** Something a model does that is no conversation: one path of OpenAI's API. A member of this shelf. */
export type Operation = {
  /** As callers ask for it below `/v1`, and as a provider of the same API is asked below its base URL. */
  path: string
  bodies: readonly ('json' | 'multipart')[]
  /** Members or fields without which nobody needs to be asked. `model` is among them unless `defaultModel` is set. */
  required: readonly string[]
  /** What OpenAI takes when a caller names no model. */
  defaultModel?: string
  /** How the answer comes. */
  answer(asked: AskedMembers): 'whole' | 'events' | 'bytes'
  /** Types of the event that ends an answer of events. */
  lastEvents: readonly string[]
  /** Content types of a whole answer beside JSON, e.g. subtitles. */
  isText: boolean
  /** The same request always has the same answer, which may be kept and given again. */
  isSteady: boolean
  /** Whether an answer that reports no tokens is worth some by its length. */
  countsText: boolean
  /** What the request itself tells of the cost, for answers that do not. */
  countAsked?(asked: AskedMembers): ChatUsage
  /** For a provider that does it in a protocol of its own; null when this one cannot. */
  translate?(candidate: Candidate, asked: AskedMembers): Translation | null
}

/** What a request says, in JSON or in fields. */
export type AskedMembers = {
  /** A JSON value; of a multipart body always text. */
  member(name: string): unknown
  /** The whole request, for those who must read all of it; {} for a multipart body. */
  whole(): Readonly<Record<string, unknown>>
}

export function defineOperation(operation: Partial<Operation> & Pick<Operation, 'path'>): Operation {
  return {
    bodies: ['json'],
    required: operation.defaultModel === undefined ? ['model'] : [],
    answer: () => 'whole',
    lastEvents: [],
    isText: false,
    countsText: false,
    isSteady: false,
    ...operation,
  }
}

/** Whether a flag is set, as JSON says it or as a field does. */
export function isSet(value: unknown): boolean {
  return value === true || value === 'true'
}
