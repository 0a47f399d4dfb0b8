import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { answeredRequestId, type RequestContext } from '../../http/context.ts'
import type { Principal } from '../../kernel/principal.ts'
import { traceparentOf } from '../../kernel/trace.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { Spools } from '../../platform/spool.ts'
import type { Ledger } from '../../usage/index.ts'
import type { Call, Ending } from '../call.ts'
import type { Completer } from '../complete.ts'
import type { GatewayMetrics, Meter } from '../meter.ts'
import type { PinStore } from '../operations/pinned/store.ts'
import type { ErrorWriter } from '../protocols/protocol.ts'
import { readSessionHeader } from '../request/session-id.ts'
import type { Responses } from '../responses/responses.ts'
import { readWishHeaders } from '../routing/wish.ts'

/** Something callers of models may ask of us: a path, a method, and who answers. A member of this shelf. */
export type Endpoint = {
  /** As the ledger names it, e.g. `/v1/chat/completions`. */
  name: string
  method: 'GET' | 'POST' | 'DELETE'
  /** A path as it is, or a pattern over all of it whose groups `answer` finds in `visit.groups`. */
  paths: readonly (string | RegExp)[]
  /** Whose errors are answered here. */
  errors: ErrorWriter
  /** The same where several protocols have one address, and headers tell whose caller it is. */
  errorsOf?(headers: IncomingHttpHeaders): ErrorWriter
  /** A row for each request, whatever became of it. Without, `answer` sends everything itself and returns nothing. */
  isRecorded: boolean
  /** Files come here, as large as `gateway.max_upload_bytes` and not `server.max_body_bytes` allows. */
  takesUploads?: boolean
  /** Throws HubError while a status can still be sent. */
  answer(visit: Visit): Promise<Ending | undefined>
}

/** One request at an endpoint, its caller already known. */
export type Visit = {
  /** Once its answer has come so far. */
  call?: Call
  endpoint: Endpoint
  request: IncomingMessage
  response: ServerResponse
  context: RequestContext
  principal: Principal
  meter: Meter
  /** What a pattern's named groups caught, still percent-encoded. */
  groups: Readonly<Record<string, string | undefined>>
  query: URLSearchParams
  /** Headers of any answer, errors included. */
  errorHeaders: string[]
  own: LlmSource
}

/** What endpoints answer with. */
export type LlmSource = Completer & {
  responses: Responses
  authenticate(request: Pick<IncomingMessage, 'headers' | 'url'>): Principal | Promise<Principal>
  /** Whether the caller's key may ask for this path from this address; throws `forbidden`. */
  checkScope(principal: Principal, path: string, clientIp: string): void
  ledger: Ledger
  log: Log
  gatewayMetrics: GatewayMetrics
  maxBodyBytes: number
  maxUploadBytes(): number
  spools: Spools
  pins: PinStore
  openWebSocket: Upstreams['openWebSocket']
  /** Headers that let a browser page of an allowed origin read the answer; [] for other callers. */
  corsHeaders(origin: string | undefined): string[]
}

/** A call as the gateway follows it from here on. */
export function toCall(visit: Visit): Call {
  const { principal, request, response, context, meter, errorHeaders, endpoint } = visit
  const sessionId = readSessionHeader(request.headers)
  if (sessionId !== '') meter.setFacts({ sessionId })
  const call: Call = {
    principal,
    response,
    whenClosed(then) {
      context.whenClosed = then
    },
    requestId: context.requestId,
    clientIp: context.clientIp,
    context,
    traceparent: traceparentOf(context),
    headers: [...idHeaders(context, endpoint.errors), ...errorHeaders],
    errorHeaders,
    meter,
    wish: readWishHeaders(request.headers),
    startedAt: context.startedAt,
    startedMono: context.startedMono,
    mirror: null,
    sessionId,
    talk: null,
    captured: null,
  }
  visit.call = call
  return call
}

/** By which a caller and an operator can speak of the same request. */
export function idHeaders(context: RequestContext, { idHeader }: ErrorWriter): string[] {
  const id = answeredRequestId(context)
  const ids = ['x-request-id', id, 'x-trace-id', context.traceId]
  if (idHeader !== undefined) ids.push(idHeader, id)
  return ids
}

export function defineEndpoint(endpoint: Endpoint): Endpoint {
  return endpoint
}
