import type { IncomingHttpHeaders } from 'node:http'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Call } from '../call.ts'
import type { ChatRequest, ChatUsage, UpstreamFailure } from '../chat.ts'
import { failure } from '../failures.ts'
import type { Candidate, ServedModel } from '../models.ts'
import { editResult } from '../protocols/openai-chat/index.ts'
import type { JsonObject, OutboundProtocol, ReplyContext } from '../protocols/protocol.ts'
import {
  type Address,
  applyQuirks,
  editBytes,
  editObject,
  joinEdits,
  membersOf,
  readThinkTags,
  splitThinkTags,
} from '../providers/index.ts'
import type { Asked } from '../request/asked.ts'
import type { UpstreamRequest } from '../upstream.ts'
import { createRelayPipe, createTranslatingPipe, type Pipe } from './pipes.ts'

/** How one candidate is asked and how its answer is read: by passing bytes, or by translating. */
export type Exchange = {
  request: Omit<UpstreamRequest, 'timeoutMs'>
  /** Throws, or returns the failure inside, when a body that came with status 200 is not an answer. */
  readWhole(body: Buffer): WholeRead | { failure: UpstreamFailure }
  openPipe(): Pipe
  readRefusal(status: number, headers: IncomingHttpHeaders, body: string): UpstreamFailure
  /** The provider's headers that a caller may see, as a flat list. */
  passHeaders(headers: IncomingHttpHeaders): string[]
}

export type WholeRead = { body: Buffer; usage: ChatUsage | null; finish: string }

export type ExchangeSource = {
  /** Replaces images given by address with their bytes. */
  fetchImages(chat: ChatRequest): Promise<ChatRequest>
  defaultMaxOutputTokens: number
}

type Prepared = { kind: 'ready'; exchange: Exchange } | { kind: 'skipped'; failure: UpstreamFailure }

/** `skipped` when this provider cannot express the request: another may. A promise only where there is work to wait for. */
export function prepareExchange(
  candidate: Candidate,
  model: ServedModel,
  asked: Asked,
  call: Call,
  source: ExchangeSource,
): Prepared | Promise<Prepared> {
  const protocol = candidate.provider.wiring.protocols.find(({ name }) => name === call.protocol.name)
  if (protocol === undefined) return prepareTranslation(candidate, model, asked, call, source)
  const address = addressOf(candidate, protocol, asked)
  return address === null
    ? { kind: 'skipped', failure: notServed(protocol) }
    : { kind: 'ready', exchange: relay(candidate, protocol, address, asked, call) }
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

function addressOf({ provider, providerModel }: Candidate, protocol: OutboundProtocol, asked: Asked): Address | null {
  const path = protocol.chatPath(providerModel, asked.stream)
  return provider.wiring.address({ protocol, path, model: providerModel, stream: asked.stream })
}

function notServed({ name }: OutboundProtocol): UpstreamFailure {
  return failure('not_found', 404, `The provider has no address for a call of ${name}.`)
}

/** Same protocol on both sides. */
function relay(candidate: Candidate, protocol: OutboundProtocol, address: Address, asked: Asked, call: Call): Exchange {
  const { wiring } = candidate.provider
  const quirks = wiring.quirks === null ? null : applyQuirks(wiring.quirks, asked.members)
  const edit = quirks === null ? address.edit : joinEdits(quirks, address.edit)
  return {
    request: toRequest(address, call, editBytes(asked.bytesFor(candidate.providerModel), edit)),
    readWhole(body) {
      const read = editResult(body, { askedModel: asked.model })
      if (read.errorJson !== null) return { failure: protocol.readError(500, {}, JSON.stringify(read.errorJson)) }
      if (!read.body.includes('"choices"')) throw fail('upstream_garbled')
      return read
    },
    openPipe: () =>
      createRelayPipe({
        askedModel: asked.model,
        hideUsage: !asked.includeUsage,
        choices: asked.choices,
        protocol,
      }),
    readRefusal: (status, headers, body) => wiring.readRefusal(protocol, status, headers, body),
    passHeaders: (headers) => withDropped(passHeaders(headers, call), quirks?.dropped ?? []),
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
  const { kind, wiring } = candidate.provider
  const [protocol] = wiring.protocols
  const address = addressOf(candidate, protocol, asked)
  if (address === null) throw fail('unsupported_parameter', notServed(protocol).message)
  const chat = kind.takesImageUrls ? asked.chat() : await source.fetchImages(asked.chat())
  const { body, dropped } = protocol.writeRequest(chat, {
    model: candidate.providerModel,
    defaultMaxOutputTokens: model.maxOutputTokens ?? source.defaultMaxOutputTokens,
  })
  // What only the caller's protocol has a place for stays behind as well. Callers choose these names, headers are plain.
  const left = Object.entries(chat.extras[call.protocol.name] ?? {}).filter(([, value]) => value !== null)
  const names = left.map(([name]) => name).filter((name) => /^\w{1,40}$/.test(name))
  const quirks = wiring.quirks === null ? null : applyQuirks(wiring.quirks, membersOf(body))
  const edit = quirks === null ? address.edit : joinEdits(quirks, address.edit)
  // A stream is always asked for its usage: without a caller's wish for it nothing of his is lost.
  const lost = quirks?.dropped.filter((name) => name !== 'stream_options' || asked.includeUsage) ?? []
  const unsaid = [...dropped, ...names.slice(0, 20), ...lost]
  const hasThinkTags = wiring.quirks?.think_tags === true
  const context: ReplyContext = {
    id: call.requestId,
    model: asked.model,
    createdMs: call.startedAt,
    includeUsage: asked.includeUsage,
  }
  return {
    request: toRequest(address, call, JSON.stringify(editObject(body, edit))),
    readWhole(bytes) {
      const wire = JSON.parse(bytes.toString('utf8')) as JsonObject
      if ('error' in wire) return { failure: protocol.readError(500, {}, bytes.toString('utf8')) }
      const read = protocol.readResult(wire)
      const result = hasThinkTags ? splitThinkTags(read) : read
      return {
        body: Buffer.from(JSON.stringify(call.protocol.writeResult(result, context))),
        usage: result.usage,
        finish: result.choices[0]?.finish ?? '',
      }
    },
    openPipe() {
      const reader = protocol.createStreamReader()
      const writer = call.protocol.createStreamWriter(context)
      return createTranslatingPipe(hasThinkTags ? readThinkTags(reader) : reader, writer)
    },
    readRefusal: (status, headers, text) => wiring.readRefusal(protocol, status, headers, text),
    passHeaders: (headers) => withDropped(passHeaders(headers, call), unsaid),
  }
}

function toRequest(address: Address, call: Call, body: Buffer | string): Exchange['request'] {
  return { path: address.path, headers: address.headers, body, traceparent: call.traceparent }
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

function passHeaders(headers: IncomingHttpHeaders, { principal }: Call): string[] {
  const passed: string[] = []
  for (const [name, as] of passable) {
    const value = headers[name]
    // A key with a limit of its own is told about that one.
    if (principal.rateLimit !== null && name.startsWith('x-ratelimit')) continue
    if (typeof value === 'string') passed.push(as, value)
  }
  return passed
}
