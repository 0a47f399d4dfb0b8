import type { IncomingHttpHeaders } from 'node:http'
import type { Usage, VendorError } from '../behaviour.ts'

export type Json = { [name: string]: unknown }

/** One vendor's HTTP interface, pure: requests in, bodies and stream events out. */
export type Vendor = {
  /** What operators put after the origin in the vendor's base URL. */
  basePath: string
  route(method: string, path: string, query: URLSearchParams): VendorRoute | null
  readKey(headers: IncomingHttpHeaders, query: URLSearchParams): string | null
  /** Facts the answer depends on. Called only with a body that `refuse` let pass. */
  readCall(body: Json): { wantsUsageEvent: boolean; choices: number; lastUserText: string; isResponses?: boolean }
  /** The complaint the real vendor would answer 400 with, or null. */
  refuse(body: Json, headers: IncomingHttpHeaders, signatures: SignatureCheck | null): string | null
  writeAnswer(plan: AnswerPlan): Json
  /** The streamed answer, in order; events marked `isTerminator` are what a stream that lacks its end lacks. */
  writeEvents(plan: AnswerPlan): VendorEvent[]
  writeError(error: VendorError & { message: string }): Json
  writeErrorEvent(error: VendorError & { message: string }, plan: AnswerPlan): VendorEvent
  writeModels(ids: readonly string[], query: URLSearchParams): Json
  writeModel(id: string): Json
  headers(requestId: string): Record<string, string>
  /** Credentials that are more than one text in one place: what the vendor would answer, or null. Replaces `readKey`. */
  checkAccess?(request: RawRequest): VendorError | null
  /** What it serves beside its API, such as access tokens. */
  serveAside?(request: RawRequest): { status: number; body: Json } | null
  /** Streams in other framing than server-sent events. */
  frame?(events: readonly VendorEvent[]): { contentType: string; frames: Buffer[] }
  errorHeaders?(error: VendorError): Record<string, string>
}

export type RawRequest = {
  method: string
  /** As it stood in the request line. */
  url: string
  headers: IncomingHttpHeaders
  body: string
  origin: string
}

export type VendorRoute =
  | { kind: 'chat'; model: string | null; stream: boolean | null; isJsonArray: boolean }
  | { kind: 'models' }
  | { kind: 'model'; id: string }
  /** Always the same, whatever is asked. */
  | { kind: 'canned'; body: Json }

export type VendorEvent = { event?: string; data: Json | string; isTerminator?: boolean }

/** True for signatures that this very fake gave out. */
export type SignatureCheck = (signature: unknown) => boolean

/** An answer worked out to the last piece, the same for every vendor. */
export type AnswerPlan = {
  id: string
  model: string
  createdSeconds: number
  text: string
  textPieces: string[]
  reasoning: string
  reasoningPieces: string[]
  redactedReasoning: string | null
  refusal: string | null
  toolCalls: PlannedToolCall[]
  areToolCallsInterleaved: boolean
  finish: string
  stopSequence: string | null
  promptBlockReason: string | null
  usage: Usage | null
  wantsUsageEvent: boolean
  choices: number
  /** OpenAI: asked for as Responses. */
  isResponses: boolean
  /** Gives out a signature that a later turn must bring back; null where none is asked for. */
  sign: (() => string) | null
}

export type PlannedToolCall = { id: string; name: string; arguments: string; pieces: string[]; input: unknown }

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** Text of a message whose content is a string or a list of parts with a `text` member. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  return asList(content)
    .map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : ''))
    .join('')
}

/** The first member that the vendor does not know, or null. */
export function unknownMember(body: Json, known: ReadonlySet<string>): string | null {
  return Object.keys(body).find((name) => !known.has(name)) ?? null
}
