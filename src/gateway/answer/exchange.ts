import type { IncomingHttpHeaders } from 'node:http'
import { HubError } from '../../kernel/errors.ts'
import type { Call } from '../call.ts'
import { failure } from '../failures.ts'
import type { Candidate, ServedModel } from '../models.ts'
import type { Framing, JsonObject, OutboundProtocol, ReplyContext } from '../protocols/protocol.ts'
import { withoutForeignParts } from '../protocols/vendor-parts.ts'
import type { Asked } from '../request/asked.ts'
import { estimateTokensIn } from '../request/estimate.ts'
import { createRelayPipe, createTranslatingPipe } from './pipes.ts'
import type { Exchange, ExchangeSource, Prepared, StreamShape, Wanted } from './wanted.ts'

/** What `complete` needs of a conversation, in whichever protocol it is held. */
export function wantAnswer(asked: Asked): Wanted {
  return {
    asked,
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
  const native = candidate.provider.kind.protocols.find(({ name }) => name === asked.protocol.name)
  return native
    ? { kind: 'ready', exchange: relay(native, candidate, asked, call) }
    : prepareTranslation(candidate, model, asked, call, source)
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

/** Same protocol on both sides. */
function relay(protocol: OutboundProtocol, candidate: Candidate, asked: Asked, call: Call): Exchange {
  const { model: askedModel, choices, place } = asked
  const { editResult, createEditor } = asked.protocol.relay
  return {
    request: {
      ...toRequest(protocol, candidate, asked, call, asked.bytesFor(candidate.providerModel)),
      headers: asked.headers,
    },
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
    readRefusal: (status, headers, body) => protocol.readError(status, headers, body),
    passHeaders: (headers) => passHeaders(headers, call),
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
  const { kind } = candidate.provider
  const protocol = kind.protocols[0]
  const known = withoutForeignParts(asked.chat(), protocol.name)
  const chat = kind.takesImageUrls ? known.chat : await source.fetchImages(known.chat)
  const { body, dropped } = protocol.writeRequest(chat, {
    model: candidate.providerModel,
    defaultMaxOutputTokens: model.maxOutputTokens ?? source.defaultMaxOutputTokens,
  })
  // What only the caller's protocol has a place for stays behind as well. Callers choose these names, headers are plain.
  const left = Object.entries(chat.extras[asked.protocol.name] ?? {}).filter(([, value]) => value !== null)
  const names = left.map(([name]) => name).filter((name) => /^\w{1,40}$/.test(name))
  const unsaid = [...known.dropped.filter((name) => /^\w{1,40}$/.test(name)), ...dropped, ...names.slice(0, 20)]
  const context: ReplyContext = {
    id: call.requestId,
    model: asked.model,
    createdMs: call.startedAt,
    includeUsage: asked.includeUsage,
    framing: asked.place.framing,
    estimateTokensIn: () => estimateTokensIn(chat),
  }
  return {
    request: toRequest(protocol, candidate, asked, call, JSON.stringify(body)),
    readWhole(bytes) {
      const wire = JSON.parse(bytes.toString('utf8')) as JsonObject
      if ('error' in wire) return { failure: protocol.readError(500, {}, bytes.toString('utf8')) }
      const result = protocol.readResult(wire)
      return {
        body: Buffer.from(JSON.stringify(asked.protocol.writeResult(result, context))),
        usage: result.usage,
        finish: result.choices[0]?.finish ?? '',
      }
    },
    openPipe: () => createTranslatingPipe(protocol.createStreamReader(), asked.protocol.createStreamWriter(context)),
    readRefusal: (status, headers, text) => protocol.readError(status, headers, text),
    passHeaders: (headers) =>
      unsaid.length === 0
        ? passHeaders(headers, call)
        : [...passHeaders(headers, call), 'x-gatehouse-dropped-params', unsaid.join(',')],
  }
}

function toRequest(
  protocol: OutboundProtocol,
  candidate: Candidate,
  asked: Asked,
  call: Call,
  body: Buffer | string,
): Exchange['request'] {
  return {
    path: protocol.chatPath(candidate.providerModel, asked.stream),
    body,
    traceparent: call.traceparent,
  }
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
