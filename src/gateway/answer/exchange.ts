import type { IncomingHttpHeaders } from 'node:http'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Call } from '../call.ts'
import type { ChatRequest, ChatResult, UpstreamFailure } from '../chat.ts'
import { failure } from '../failures.ts'
import type { Candidate, ServedModel } from '../models.ts'
import type { Framing, JsonObject, OutboundProtocol, RelayedProtocol, ReplyContext } from '../protocols/protocol.ts'
import { withoutForeignParts } from '../protocols/vendor-parts.ts'
import {
  type Address,
  applyQuirks,
  editBytes,
  editObject,
  joinEdits,
  type Members,
  membersAfter,
  membersOf,
  noEdit,
  readThinkTags,
  splitThinkTags,
} from '../providers/index.ts'
import type { Asked } from '../request/asked.ts'
import { estimateTokensIn } from '../request/estimate.ts'
import { editWith, headersWith } from '../transforms.ts'
import { createRelayPipe, createTranslatingPipe } from './pipes.ts'
import type { Exchange, ExchangeSource, Prepared, StreamShape, Wanted } from './wanted.ts'

/** How a caller speaks: what its headers say of a version holds for its own protocol alone. */
type Speaking = Pick<Asked, 'stream' | 'headers'> & { protocol: { name: string } }

/** What goes out with a call besides its conversation. */
export type OutgoingCall = Pick<Call, 'requestId' | 'principal' | 'traceparent'>

/** What `complete` needs of a conversation, in whichever protocol it is held. */
export function wantAnswer(asked: Asked): Wanted {
  return {
    asked,
    conversation: asked,
    prepare: (candidate, model, call, source) => prepareExchange(candidate, model, asked, call, source),
    streamShape: (call) => streamShapeOf(asked, call),
  }
}

const streamTypes: Record<Framing, string> = {
  sse: 'text/event-stream; charset=utf-8',
  'json-array': 'application/json; charset=utf-8',
}

function streamShapeOf({ protocol, place }: Asked, call: Call): StreamShape {
  // Writes no events, only what the protocol says of failures and of silence.
  const writer = protocol.createStreamWriter({
    id: '',
    model: '',
    createdMs: call.startedAt,
    includeUsage: false,
    framing: place.framing,
  })
  return {
    contentType: streamTypes[place.framing],
    keepAlive: writer.keepAlive(),
    fail: (error) => writer.fail(error),
  }
}

/** `skipped` when this provider cannot express the request: another may. A promise only where there is work to wait for. */
function prepareExchange(
  candidate: Candidate,
  model: ServedModel,
  asked: Asked,
  call: Call,
  source: ExchangeSource,
): Prepared | Promise<Prepared> {
  const { wiring } = candidate.provider
  const native = wiring.protocols.find(({ name }) => name === asked.protocol.name)
  // A model that is asked in another protocol than the provider's first is not asked in the first.
  const isFirst = native === wiring.protocols[0] && native === outboundFor(candidate)
  const isServed =
    native !== undefined &&
    (isFirst || native !== wiring.protocols[0]) &&
    (!('takesModel' in native) || native.takesModel!(candidate.providerModel))
  if (!isServed) return prepareTranslation(candidate, model, asked, call, source)
  const address = addressOf(candidate, native, asked)
  return address === null
    ? { kind: 'skipped', failure: notServed(native) }
    : { kind: 'ready', exchange: relay(native, address, candidate, asked, call) }
}

/** The protocol that callers of others are translated to. */
function outboundFor({ provider: { wiring }, providerModel }: Candidate): OutboundProtocol {
  return wiring.translatesTo?.(providerModel) ?? wiring.protocols[0]
}

async function prepareTranslation(
  candidate: Candidate,
  model: ServedModel,
  asked: Asked,
  call: Call,
  source: ExchangeSource,
): Promise<Prepared> {
  try {
    return { kind: 'ready', exchange: await translate(candidate, model, asked, call, source) }
  } catch (error) {
    if (!(error instanceof HubError) || error.code !== 'unsupported_parameter') throw error
    return {
      kind: 'skipped',
      failure: {
        ...failure('invalid_request', 400, error.message),
        param: error.param ?? null,
        vendorCode: error.code,
      },
    }
  }
}

/** Where this provider is asked; `path` in place of the protocol's own. null when it has nothing there. */
export function addressOf(
  { provider, providerModel }: Candidate,
  protocol: RelayedProtocol,
  asked: Speaking,
  path = protocol.chatPath(providerModel, asked.stream),
): Address | null {
  const call = { protocol, path, model: providerModel, stream: asked.stream }
  // What callers say of their protocol's version means nothing to another protocol.
  const isOwn = protocol.name === asked.protocol.name && asked.headers.length > 0
  return provider.wiring.address(isOwn ? { ...call, ...toldOf(asked.headers) } : call)
}

/** Versions and features of an API, out of the headers that a caller's protocol passes on. */
function toldOf(headers: readonly string[]): { betas: string[]; apiVersion?: string } {
  const headerOf = (name: string) => headers[headers.indexOf(name) + 1]!
  const hasVersion = headers.includes('anthropic-version')
  return {
    betas: headers.includes('anthropic-beta') ? headerOf('anthropic-beta').split(',') : [],
    ...(hasVersion ? { apiVersion: headerOf('anthropic-version') } : {}),
  }
}

function notServed({ name }: RelayedProtocol): UpstreamFailure {
  return failure('not_found', 404, `The provider has no address for a call of ${name}.`)
}

/** What a body must lose or change for this provider. Its quirks are those of the first protocol it speaks. */
function adjust(candidate: Candidate, protocol: RelayedProtocol, address: Address, members: Members) {
  const { wiring } = candidate.provider
  const hasQuirks = wiring.quirks !== null && protocol === wiring.protocols[0]
  if (!hasQuirks && candidate.transforms.length === 0) return { edit: address.edit, dropped: [] }
  const { dropped, ...quirks } = hasQuirks ? applyQuirks(wiring.quirks!, members) : { ...noEdit, dropped: [] }
  // An operator's wishes come before what the vendor's address cannot do without.
  const wished = candidate.transforms.reduce(
    (edit, transform) => joinEdits(edit, editWith(transform, membersAfter(members, edit))),
    quirks,
  )
  return { edit: joinEdits(wished, address.edit), dropped }
}

/** Same protocol on both sides. */
function relay(protocol: RelayedProtocol, address: Address, candidate: Candidate, asked: Asked, call: Call): Exchange {
  const { wiring } = candidate.provider
  const { model: askedModel, choices, place } = asked
  const { editResult, createEditor } = asked.protocol.relay
  const { edit, dropped } = adjust(candidate, protocol, address, asked.members)
  return {
    request: toRequest(address, candidate, call, editBytes(asked.bytesFor(candidate.providerModel), edit)),
    readWhole(body) {
      const read = editResult(body, { askedModel })
      if (read.errorJson !== null) return { failure: protocol.readError(500, {}, JSON.stringify(read.errorJson)) }
      return read
    },
    openPipe: () =>
      createRelayPipe(
        createEditor({ askedModel, hideUsage: !asked.includeUsage, choices, framing: place.framing }),
        protocol.readError,
      ),
    readRefusal: (status, headers, body) => wiring.readRefusal(protocol, status, headers, body),
    passHeaders: (headers) => withDropped(passHeaders(headers, call), dropped),
  }
}

/** A conversation in a provider's own protocol, and how its whole answer is read. */
export type Outgoing = {
  /** As it goes out, images fetched. */
  chat: ChatRequest
  request: Exchange['request']
  protocol: OutboundProtocol
  hasThinkTags: boolean
  /** What the provider has no place for. */
  dropped: string[]
  readResult(bytes: Buffer): ChatResult | { failure: UpstreamFailure }
}

/** Throws HubError `unsupported_parameter` when this provider cannot express the conversation. */
export async function writeOutgoing(
  candidate: Candidate,
  model: ServedModel,
  read: ChatRequest,
  asked: Speaking & Pick<Asked, 'includeUsage'>,
  call: OutgoingCall,
  source: ExchangeSource,
): Promise<Outgoing> {
  const { kind, wiring } = candidate.provider
  const protocol = outboundFor(candidate)
  const address = addressOf(candidate, protocol, asked)
  if (address === null) throw fail('unsupported_parameter', notServed(protocol).message)
  const known = withoutForeignParts(read, protocol.name)
  const chat = kind.takesImageUrls ? known.chat : await source.fetchImages(known.chat)
  const {
    body,
    dropped,
    carried = [],
  } = protocol.writeRequest(chat, {
    model: candidate.providerModel,
    defaultMaxOutputTokens: model.maxOutputTokens ?? source.defaultMaxOutputTokens,
  })
  // What only the caller's protocol has a place for stays behind as well. Callers choose these names, headers are plain.
  const left = Object.entries(chat.extras[asked.protocol.name] ?? {}).filter(([, value]) => value !== null)
  const names = left.map(([name]) => name).filter((name) => /^\w{1,40}$/.test(name) && !carried.includes(name))
  const { edit, dropped: lost } = adjust(candidate, protocol, address, membersOf(body))
  const unsaid = [
    ...known.dropped.filter((name) => /^\w{1,40}$/.test(name)),
    ...dropped,
    ...names.slice(0, 20),
    // A stream is always asked for its usage: without a caller's wish for it nothing of theirs is lost.
    ...lost.filter((name) => name !== 'stream_options' || asked.includeUsage),
  ]
  const hasThinkTags = wiring.quirks?.think_tags === true
  return {
    chat,
    request: toRequest(address, candidate, call, JSON.stringify(editObject(body, edit))),
    protocol,
    hasThinkTags,
    dropped: unsaid,
    readResult(bytes) {
      const wire = JSON.parse(bytes.toString('utf8')) as JsonObject
      // OpenAI's Responses say null of it in every answer.
      if ((wire.error ?? null) !== null) return { failure: protocol.readError(500, {}, bytes.toString('utf8')) }
      const result = protocol.readResult(wire)
      return hasThinkTags ? splitThinkTags(result) : result
    },
  }
}

/** Two protocols, with the middle form between them. */
async function translate(
  candidate: Candidate,
  model: ServedModel,
  asked: Asked,
  call: Call,
  source: ExchangeSource,
): Promise<Exchange> {
  const { wiring } = candidate.provider
  const outgoing = await writeOutgoing(candidate, model, asked.chat(), asked, call, source)
  const { chat, protocol, hasThinkTags, dropped } = outgoing
  const context: ReplyContext = {
    id: call.requestId,
    model: asked.model,
    createdMs: call.startedAt,
    includeUsage: asked.includeUsage,
    framing: asked.place.framing,
    estimateTokensIn: () => estimateTokensIn(chat),
  }
  return {
    request: outgoing.request,
    readWhole(bytes) {
      const result = outgoing.readResult(bytes)
      if ('failure' in result) return result
      return {
        body: Buffer.from(JSON.stringify(asked.protocol.writeResult(result, context))),
        usage: result.usage,
        finish: result.choices[0]?.finish ?? '',
      }
    },
    openPipe() {
      const reader = protocol.createStreamReader()
      const writer = asked.protocol.createStreamWriter(context)
      return createTranslatingPipe(hasThinkTags ? readThinkTags(reader) : reader, writer)
    },
    readRefusal: (status, headers, text) => wiring.readRefusal(protocol, status, headers, text),
    passHeaders: (headers) => withDropped(passHeaders(headers, call), dropped),
  }
}

function toRequest(
  address: Address,
  { transforms, providerModel }: Candidate,
  { requestId, principal, traceparent }: OutgoingCall,
  body: Buffer | string,
): Exchange['request'] {
  if (transforms.length === 0) return { path: address.path, headers: address.headers, body, traceparent }
  const { keyId, userId, tenantId } = principal
  const named = { requestId, keyId, userId, tenantId, model: providerModel }
  const headers = transforms.reduce(
    (list: readonly string[], transform) => withHeaders(list, headersWith(transform, named)),
    address.headers,
  )
  return { path: address.path, headers, body, traceparent }
}

/** A header that comes again takes the place of the first. */
function withHeaders(list: readonly string[], more: readonly string[]): readonly string[] {
  const isGiven = (name: string) => more.some((text, at) => at % 2 === 0 && text === name.toLowerCase())
  const kept = list.filter((_, at) => !isGiven(list[at - (at % 2)]!))
  return [...kept, ...more]
}

function withDropped(headers: string[], names: readonly string[]): string[] {
  return names.length === 0 ? headers : [...headers, 'x-gatehouse-dropped-params', names.join(',')]
}

/** What providers say of their own limits and of the call; never cookies, servers, addresses or accounts. */
const passable: readonly (readonly [string, string])[] = [
  ['x-request-id', 'x-upstream-request-id'],
  ['request-id', 'x-upstream-request-id'],
  ['openai-processing-ms', 'openai-processing-ms'],
  ['openai-version', 'openai-version'],
  ['x-ratelimit-limit-requests', 'x-ratelimit-limit-requests'],
  ['x-ratelimit-limit-tokens', 'x-ratelimit-limit-tokens'],
  ['x-ratelimit-remaining-requests', 'x-ratelimit-remaining-requests'],
  ['x-ratelimit-remaining-tokens', 'x-ratelimit-remaining-tokens'],
  ['x-ratelimit-reset-requests', 'x-ratelimit-reset-requests'],
  ['x-ratelimit-reset-tokens', 'x-ratelimit-reset-tokens'],
]

export function passHeaders(headers: IncomingHttpHeaders, { principal }: Call): string[] {
  const passed: string[] = []
  for (const [name, as] of passable) {
    const value = headers[name]
    // A key with a limit of its own is told about that one.
    if (principal.rateLimit !== null && name.startsWith('x-ratelimit')) continue
    if (typeof value === 'string') passed.push(as, value)
  }
  return passed
}
