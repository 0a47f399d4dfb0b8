import type { IncomingHttpHeaders } from 'node:http'
import type { HubError } from '../../kernel/errors.ts'
import type { Call } from '../call.ts'
import type { ChatRequest, ChatUsage, UpstreamFailure } from '../chat.ts'
import type { Candidate, ServedModel } from '../models.ts'
import type { AskedFacts } from '../protocols/protocol.ts'
import type { Asked } from '../request/asked.ts'
import type { RouteWish } from '../routing/wish.ts'
import type { UpstreamRequest } from '../upstream.ts'
import type { KeepWish, Question } from './kept.ts'
import type { Pipe } from './pipes.ts'

/** How one candidate is asked and how its answer is read: by passing bytes, or by translating. */
export type Exchange = {
  request: Omit<UpstreamRequest, 'timeoutMs' | 'idleMs' | 'isStreamed'>
  /** Throws, or returns the failure inside, when a body that came with status 200 is not an answer. */
  readWhole(body: Buffer, headers: IncomingHttpHeaders): WholeRead | { failure: UpstreamFailure }
  openPipe(): Pipe
  readRefusal(status: number, headers: IncomingHttpHeaders, body: string): UpstreamFailure
  /** The provider's headers that a caller may see, as a flat list. */
  passHeaders(headers: IncomingHttpHeaders): string[]
  /** Told the head of a streamed answer before its first byte; the content type of what the caller gets. */
  contentTypeOf?(headers: IncomingHttpHeaders): string
}

export type WholeRead = {
  body: Buffer
  usage: ChatUsage | null
  finish: string
  /** JSON unless said. */
  contentType?: string
  /** Bytes that were worth tokens, for answers that report none; all of `body` unless said. */
  contentBytes?: number
}

export type ExchangeSource = {
  /** Replaces images given by address with their bytes. */
  fetchImages(chat: ChatRequest): Promise<ChatRequest>
  defaultMaxOutputTokens: number
}

/** What is wanted of a model, in whatever protocol and of whatever kind: enough to route it and to ask for it. */
export type Wanted = {
  asked: AskedFacts
  /** All of it, where it is a conversation that another model could be asked as well. */
  conversation?: Asked
  /** What the body says of the way the request is to go, over what the headers say; absent: the headers alone. */
  wish?: RouteWish
  /** What makes another request the same as this one; absent: its answer is not kept. */
  question?: Question & { wish: KeepWish }
  /** How this candidate is asked. A promise only where there is work to wait for. */
  prepare(candidate: Candidate, model: ServedModel, call: Call, source: ExchangeSource): Prepared | Promise<Prepared>
  /** How a streamed answer looks before there is any. */
  streamShape(call: Call): StreamShape
}

export type Prepared = { kind: 'ready'; exchange: Exchange } | { kind: 'skipped'; failure: UpstreamFailure }

/** What a caller gets piece by piece, and how silence and failure are told in it. */
export type StreamShape = {
  contentType: string
  /** What keeps the connection open while the provider is silent; '' where nothing may stand between the bytes. */
  keepAlive: string
  /** A failure when nothing but keep-alives has been sent; null: all that can be done is to cut the connection. */
  fail(error: HubError): string | null
}
