import type { ChatRequest } from '../chat.ts'
import { type AskedFacts, type InboundProtocol, nowhere, type Place } from '../protocols/protocol.ts'
import { readBodyOf } from '../protocols/reading.ts'
import type { Members } from '../providers/index.ts'

/**
 * What a caller asks for, read from the bytes without building an object from them. Bodies are read whole only when a
 * provider of another protocol is to answer, or when the bytes are odd enough that two readers might see two requests.
 */
export type Asked = AskedFacts & {
  protocol: InboundProtocol
  place: Place
  body: Buffer
  /** Headers of the caller's that a provider of the same protocol is to have too. */
  headers: readonly string[]
  /** The body for a provider of the same protocol: everything as sent, but for what the protocol must change. */
  bytesFor(providerModel: string): Buffer
  /** The body as far as a provider's quirks must look at it. */
  members: Members
  /** The middle form; read on first use. */
  chat(): ChatRequest
}

/** @throws HubError `invalid_json` or `invalid_request`, naming the field. */
export function readAsked(
  body: Buffer,
  protocol: InboundProtocol,
  place: Place = nowhere,
  headers: readonly string[] = [],
): Asked {
  const reading = readBodyOf(body, place.model === '')
  const facts = protocol.readAsked(reading, body, place)
  let chat: ChatRequest | undefined
  return {
    ...facts,
    protocol,
    place,
    body,
    headers,
    bytesFor: (providerModel) => reading.edit(facts.changes(providerModel), facts.removes),
    members: { member: reading.member, whole: reading.whole, mentions: (text) => body.includes(text) },
    chat() {
      const read = chat ?? protocol.readRequest(reading.whole(), place)
      chat = read
      return read
    },
  }
}
