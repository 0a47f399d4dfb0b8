import type { HubError } from '../../kernel/errors.ts'
import type { ChatEvent, ChatRequest, ChatResult, ChatUsage, UpstreamFailure } from '../chat.ts'

export type JsonObject = { [name: string]: unknown }

/** How callers speak to us in this protocol. Pure: bytes and JSON in, bytes and JSON out. */
export type InboundProtocol = {
  name: string
  /** Throws HubError `invalid_request` naming the field that is wrong. */
  readRequest(wire: JsonObject): ChatRequest
  writeResult(result: ChatResult, reply: ReplyContext): JsonObject
  createStreamWriter(reply: ReplyContext): StreamWriter
  writeError(error: HubError, requestId: string): JsonObject
}

/** What the caller is to see, whatever the provider called it. */
export type ReplyContext = {
  /** Used when the provider gives no id of its own. */
  id: string
  model: string
  createdMs: number
  includeUsage: boolean
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
   * when they change the meaning of the answer, else left out and named in `dropped`.
   */
  writeRequest(chat: ChatRequest, target: Target): { body: JsonObject; dropped: string[] }
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
