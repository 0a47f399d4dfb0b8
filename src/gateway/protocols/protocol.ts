import type { IncomingHttpHeaders } from 'node:http'
import type { HubError } from '../../kernel/errors.ts'
import type { ChatEvent, ChatRequest, ChatResult, ChatUsage, UpstreamFailure } from '../chat.ts'
import type { JsonObject } from './json.ts'
import type { Reading } from './reading.ts'

export type { JsonObject }

/** How a protocol says that something went wrong. */
export type ErrorWriter = {
  name: string
  /** The header in which its clients look for the request's id, beside `x-request-id`. */
  idHeader?: string
  writeError(error: HubError, requestId: string): JsonObject
}

/** How callers speak to us in this protocol. Pure: bytes and JSON in, bytes and JSON out. */
export type InboundProtocol = ErrorWriter & {
  /**
   * What the hub must know of a request before it is read whole; most never are. Throws HubError `invalid_request`
   * naming the member that is wrong.
   */
  readAsked(reading: Reading, body: Buffer, place: Place): AskedFacts
  /** Throws HubError `invalid_request` naming the field that is wrong. `place` is where the request was sent. */
  readRequest(wire: JsonObject, place: Place): ChatRequest
  writeResult(result: ChatResult, reply: ReplyContext): JsonObject
  createStreamWriter(reply: ReplyContext): StreamWriter
  /** Of the caller's headers, those that a provider of this protocol is to have too: a flat list of names and values. */
  passHeaders?(headers: IncomingHttpHeaders): string[]
  /** Passing bytes between a caller and a provider that both speak this protocol. */
  relay: Relay
}

/** Where a request was sent, as far as its protocol puts meaning into addresses: Gemini's model and stream. */
export type Place = {
  /** '' where the model stands in the body. */
  model: string
  /** Whether the address asks for a stream. */
  stream: boolean
  /** How a stream is framed for the caller. Gemini without `alt=sse` is one JSON array that arrives piece by piece. */
  framing: Framing
}

export type Framing = 'sse' | 'json-array'

/** Nothing in the address. */
export const nowhere: Place = { model: '', stream: false, framing: 'sse' }

/** What a request really needs of a model, so that nobody is asked for what they cannot do. */
export type Needs = { tools: boolean; structuredOutput: boolean; images: () => boolean }

export type AskedFacts = {
  model: string
  stream: boolean
  /** Whether a stream is to tell its usage to the caller (OpenAI's `stream_options.include_usage`; others always do). */
  includeUsage: boolean
  /** How many answers are wanted. */
  choices: number
  needs: Needs
  /** Upper bound of output tokens, null when the caller gave none. */
  maxOutputTokens: number | null
  /** What the caller says belongs together: a session or prompt-cache key; '' for nothing. */
  affinity: string
  /** The one provider, and the key there, that keeps what the request goes on from: nobody else can answer. */
  pinnedTo?: { providerId: string; keyId: string }
  /** Top-level members that are for the hub and for no provider. */
  removes?: readonly string[]
  /** Top-level members a provider of the same protocol is to find otherwise, as JSON texts. */
  changes(providerModel: string): Record<string, string>
}

/** Bytes pass between both sides of one protocol; only what must change is changed. */
export type Relay = {
  /**
   * A whole answer under the caller's name for the model, with what the ledger wants to know. Throws HubError
   * `upstream_garbled` for what is no answer of this protocol.
   */
  editResult(body: Buffer, options: { askedModel: string }): EditedResult
  createEditor(options: EditorOptions): EventEditor
}

export type EditedResult = {
  body: Buffer
  usage: ChatUsage | null
  finish: string
  id: string
  /** The answer, when it is an error under a good status: then there is nothing to pass on. */
  errorJson: JsonObject | null
}

export type EditorOptions = {
  askedModel: string
  /** The caller did not ask for usage; only we did. */
  hideUsage: boolean
  /** How many answers were asked for. */
  choices: number
  framing: Framing
}

export type EventEditor = {
  /** One whole event in; what the caller is to see of it now: the same Buffer, an edited one, or null. */
  edit(eventBlock: Buffer): Buffer | null
  /**
   * The connection ended: what is left to show. Where the protocol has no terminal event, this is when `seen.isDone`
   * becomes true, if the answer is whole.
   */
  close(): Buffer | null
  /** The in-band form of a failure, behind what was passed so far: no terminator and no false finish follows it. */
  fail(error: HubError): string
  readonly seen: SeenEvents
}

/** What a relayed stream has shown so far. */
export type SeenEvents = {
  id: string
  usage: ChatUsage | null
  /** Why the choice that finished last did, '' before. */
  finish: string
  /** The answer is whole. */
  isDone: boolean
  /** What ends the stream for the caller, kept back until the ledger has its row; '' until done. */
  tail: Buffer | string
  /** Bytes of text, refusals, reasoning and tool arguments as they stand in the JSON. */
  contentBytes: number
  /** Pieces of content so far; providers send about one token a piece. */
  contentEvents: number
  /** The event that reported a failure. It is kept from the caller: its words are the provider's own. */
  errorJson: JsonObject | null
}

/** What the caller is to see, whatever the provider called it. */
export type ReplyContext = {
  /** Used when the provider gives no id of its own. */
  id: string
  model: string
  createdMs: number
  includeUsage: boolean
  framing: Framing
  /** What the request is likely to count, for protocols that must say so before the provider does. */
  estimateTokensIn?(): number
}

/** Turns events into text for the socket. `''` means nothing to send for this event. */
export type StreamWriter = {
  write(event: ChatEvent): string
  /** The in-band form of a failure after the first byte: no terminator and no false finish follows it. */
  fail(error: HubError): string
  /** A line that keeps idle connections open and that clients skip. */
  keepAlive(): string
}

/** How we speak to a provider in this protocol. Pure: address and credentials are the provider's business. */
export type OutboundProtocol = {
  name: string
  /**
   * The body for the provider. Parameters it cannot express are refused by name (HubError `unsupported_parameter`)
   * when they change the meaning of the answer, else left out and named in `dropped`. `carried` names members among the
   * extras of another protocol that found a place all the same.
   */
  writeRequest(chat: ChatRequest, target: Target): { body: JsonObject; dropped: string[]; carried?: string[] }
  /** Throws HubError `upstream_garbled` when the body is not an answer of this protocol. */
  readResult(wire: JsonObject): ChatResult
  createStreamReader(): StreamReader
  /** `body` may be anything: HTML, empty, cut. Never throws. */
  readError(status: number, headers: Record<string, string | string[] | undefined>, body: string): UpstreamFailure
  /** Path of the call, relative to the provider's base URL. */
  chatPath(model: string, stream: boolean): string
  /** Path of the provider's list of models, and how to read a page of it. */
  modelsPath(pageToken: string | null): string
  readModels(wire: JsonObject): { models: UpstreamModel[]; nextPageToken: string | null }
}

/** Enough of a protocol to pass its bytes on to a provider that nobody translates to. */
export type RelayedProtocol = Pick<OutboundProtocol, 'name' | 'readError' | 'chatPath'> & {
  /** Whether the provider serves this model in this protocol; it serves all unless said. */
  takesModel?(providerModel: string): boolean
}

/** Facts about the model at the provider that shape the request. */
export type Target = {
  model: string
  /** Most output tokens to ask for where the protocol requires a number and the caller gave none. */
  defaultMaxOutputTokens: number
}

export type UpstreamModel = { id: string; ownedBy: string | null; contextTokens: number | null }

/** Feeds on raw bytes as they arrive, cut anywhere. */
export type StreamReader = {
  push(bytes: Uint8Array): ChatEvent[]
  /** The connection ended: what was still pending. Yields no `end` event when the terminal event never came. */
  close(): ChatEvent[]
}

export type { ChatUsage }
