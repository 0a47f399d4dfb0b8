import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import type { UpstreamFailure } from '../chat.ts'
import type { JsonObject, OutboundProtocol, RelayedProtocol, UpstreamModel } from '../protocols/protocol.ts'
import type { BodyEdit } from './edit-body.ts'
import type { Quirks } from './quirks.ts'

/**
 * Where a vendor is and how it is greeted. What it says is the protocol's business; a vendor that differs from its
 * protocol in address, credentials, framing or habit differs here and nowhere else.
 */
export type Provider = {
  /** What the control API calls it. */
  type: string
  title: string
  /** What it may speak; the first is the one that others are translated to. Options may take some away: see `Wiring`. */
  protocols: Protocols
  /** The first of `protocols`. */
  protocol: OutboundProtocol
  needsKey: boolean
  /** What `api_key` holds, for forms and messages. */
  keyHint: string
  /** false: images given by address are fetched by us and sent as bytes. */
  takesImageUrls: boolean
  /** Path endings that operators append to the address out of habit and that our paths hold already; longest first. */
  redundantSuffixes: readonly string[]
  /** The provider's own settings, a strict object in which everything that can have a default has one. */
  options: z.ZodObject
  /** @throws HubError `invalid_request` whose param is the option that is wrong. */
  wire(options: JsonObject): Wiring
}

export type Protocols = readonly [OutboundProtocol, ...RelayedProtocol[]]

/** A provider with its options read: all about its calls that no key has a part in. Pure, made once per change. */
export type Wiring = {
  protocols: Protocols
  /** The protocol that callers of others, and of the first, are translated to for this model; the first unless said. */
  translatesTo?(providerModel: string): OutboundProtocol
  /** null: the operator must give an address. */
  baseUrl: string | null
  /** Where a call goes and the body's last changes; null when the vendor has no such endpoint. */
  address(call: OutboundCall): Address | null
  /** Reads one key, once per change of it. @throws HubError `invalid_request` about `api_key`; never with its text. */
  openCredential(secret: string, outside: Outside): Credential
  /** For answers in other framing than the protocol's; null leaves the bytes alone. */
  createDecoder?(headers: IncomingHttpHeaders): FrameDecoder | null
  readRefusal(protocol: RelayedProtocol, status: number, headers: Headers, body: string): UpstreamFailure
  /** How its list of models is asked for; null when it has none. */
  models: ModelList | null
  /** What it cannot take of its own protocol; null: it takes all. */
  quirks: Quirks | null
}

export type Headers = Record<string, string | string[] | undefined>

export type OutboundCall = {
  protocol: RelayedProtocol
  /** What the protocol itself would call, relative to the base URL: `/chat/completions`, `/v1/messages`. */
  path: string
  /** The name the provider receives. */
  model: string
  stream: boolean
  /** What the caller asked for by `anthropic-beta`. */
  betas?: readonly string[]
  /** The version of Anthropic's API that the caller speaks, where it says so. */
  apiVersion?: string
}

export type Address = {
  /** Relative to the base URL, with its query. */
  path: string
  edit: BodyEdit
  /** Beyond credentials: a flat list of names and values. */
  headers: readonly string[]
}

export type ModelList = {
  /** `origin` null: the provider's own. */
  address(page: string | null): { origin: string | null; path: string }
  read(wire: JsonObject): { models: UpstreamModel[]; nextPageToken: string | null }
}

/** One key of one provider. */
export type Credential = {
  /** Every text that no log line and no answer may hold, as of now. */
  secrets(): readonly string[]
  /** Headers as a flat list of names and values. A promise only where a token must be fetched. */
  authorize(request: OutgoingRequest): readonly string[] | Promise<readonly string[]>
  /** The provider answered 401 to `sent`. True when `authorize` will now give something else. */
  renew?(sent: readonly string[]): boolean
}

/** A request as it will be on the wire. */
export type OutgoingRequest = {
  method: 'POST' | 'GET' | 'DELETE'
  origin: string
  /** With its query. */
  path: string
  body: Buffer | string
}

/** What credentials need of the world. */
export type Outside = {
  /** Epoch milliseconds. */
  now(): number
  /** Posts a form through the guarded connections. Rejects with a HubError that holds nothing of the form. */
  postForm(url: string, form: Record<string, string>): Promise<{ status: number; body: string }>
}

/** Bytes as they arrive, cut anywhere, become the protocol's own framing. Throws when they are not what they should be. */
export type FrameDecoder = { push(chunk: Buffer): Buffer[] }

type Definition<Options extends z.ZodObject> = Omit<Provider, 'protocol' | 'options' | 'wire'> & {
  options: Options
  wire(options: z.infer<Options>): Wiring
}

export function defineProvider<Options extends z.ZodObject>(definition: Definition<Options>): Provider {
  return {
    ...definition,
    protocol: definition.protocols[0],
    wire(options) {
      const read = definition.options.safeParse(options)
      if (read.success) return definition.wire(read.data)
      const issue = read.error.issues[0]!
      const param = ['options', ...issue.path].join('.')
      throw fail('invalid_request', `${param} of a provider of type ${definition.type}: ${issue.message}`, { param })
    },
  }
}

export const noEdit: BodyEdit = { set: {}, remove: [] }

/** The vendor serves the protocol's own paths. */
export function sameAddress(call: OutboundCall): Address {
  return { path: call.path, edit: noEdit, headers: [] }
}

/** The protocol's own list of models, where the provider's address is. */
export function ownModels(protocol: OutboundProtocol): ModelList {
  return {
    address: (page) => ({ origin: null, path: protocol.modelsPath(page) }),
    read: protocol.readModels,
  }
}

/** An API key in a header. `write` gives the headers for a key that is not empty. */
export function openApiKey(secret: string, write: (key: string) => string[]): Credential {
  const key = secret.trim()
  if (!/^[\x20-\x7e]*$/.test(key)) {
    throw fail('invalid_request', 'api_key holds characters that cannot stand in a header.', { param: 'api_key' })
  }
  const headers = key === '' ? [] : write(key)
  const secrets = key === '' ? [] : [key]
  return { secrets: () => secrets, authorize: () => headers }
}

/** For a stored key that is none: its calls fail with a reason and others go on, where a throw would stop the hub. */
export function refuseCredential(secret: string): Credential {
  const message = "The key this hub has for the provider can't be read: give it anew."
  return { secrets: () => [secret], authorize: () => Promise.reject(fail('upstream_unauthorized', message)) }
}

export const noOptions = z.strictObject({})
