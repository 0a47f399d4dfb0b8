import type { IncomingMessage, ServerResponse } from 'node:http'
import { discardBody } from '../../http/body.ts'
import type { RequestContext } from '../../http/context.ts'
import { fail, type HubError, toHubError } from '../../kernel/errors.ts'
import type { UsageEntry } from '../../usage/index.ts'
import type { Call, Ending } from '../call.ts'
import { createMeter, type Meter } from '../meter.ts'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { gemini } from '../protocols/gemini/index.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import type { ErrorWriter } from '../protocols/protocol.ts'
import { readAgentHeader } from '../request/agent.ts'
import { recordCall, recordStep } from '../spans.ts'
import type { Visit } from './endpoint.ts'
import { type Endpoint, endpoints, type LlmSource } from './index.ts'
import { sendError } from './replies.ts'

/** The paths that callers of models use. They bypass the control app: every microsecond here is paid on every call. */
export type LlmRoutes = {
  /** Answers a request that is ours and returns true; touches nothing and returns false otherwise. */
  serve(request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
  /** Whether a path is one of these, served or not. */
  isOurs(request: IncomingMessage): boolean
  /** Largest body that this request may declare. */
  bodyLimit(request: IncomingMessage): number
  /** Renders a refusal from before us, such as a drain, in the shape our paths promise. */
  refuse(error: HubError, request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
}

type Found = { endpoint: Endpoint; groups: Visit['groups'] }
/** What stands at a path: who answers its methods. */
type Place = { methods: Found[] }

const noGroups: Visit['groups'] = {}

export function createLlmRoutes(own: LlmSource): LlmRoutes {
  const find = createFinder(endpoints)

  return {
    serve(request, response, context) {
      if (request.method === 'OPTIONS') return false
      const url = request.url ?? '/'
      const query = url.indexOf('?')
      const path = query === -1 ? url : url.slice(0, query)
      const place = find(path)
      if (place === null) {
        if (!path.startsWith('/v1/') && !path.startsWith('/v1beta/')) return false
        discardBody(request)
        const error = fail('not_found', `Nothing is served at ${request.method} ${path.slice(0, 200)}.`)
        sendError(response, error, errorsAt(place, path, request), context, own.corsHeaders(request.headers.origin))
        return true
      }
      const found = place.methods.find(({ endpoint }) => endpoint.method === request.method)
      if (found) void visit(speaking(found, request), path, url.slice(path.length), request, response, context, own)
      else refuseMethod(place, path, request, response, context, own)
      return true
    },
    isOurs({ url = '/' }) {
      const query = url.indexOf('?')
      const path = query === -1 ? url : url.slice(0, query)
      return find(path) !== null || path.startsWith('/v1/') || path.startsWith('/v1beta/')
    },
    bodyLimit(request) {
      const place = find((request.url ?? '/').split('?', 1)[0]!)
      const takesUploads = place?.methods.some(({ endpoint }) => endpoint.takesUploads) ?? false
      return takesUploads ? Math.max(own.maxUploadBytes(), own.maxBodyBytes) : own.maxBodyBytes
    },
    refuse(error, request, response, context) {
      const path = (request.url ?? '/').split('?', 1)[0]!
      const place = find(path)
      if (place === null && !path.startsWith('/v1/') && !path.startsWith('/v1beta/')) return false
      sendError(response, error, errorsAt(place, path, request), context, own.corsHeaders(request.headers.origin))
      return true
    },
  }
}

/** Plain paths by one look into a map; patterns, in order, only for what is not there. */
function createFinder(all: readonly Endpoint[]): (path: string) => Place | null {
  const plain = new Map<string, Place>()
  const patterns: { pattern: RegExp; endpoint: Endpoint }[] = []
  for (const endpoint of all) {
    for (const path of endpoint.paths) {
      if (typeof path !== 'string') {
        patterns.push({ pattern: path, endpoint })
        continue
      }
      const place = plain.get(path) ?? { methods: [] }
      place.methods.push({ endpoint, groups: noGroups })
      plain.set(path, place)
    }
  }
  return (path) => {
    const known = plain.get(path)
    if (known) return known
    const methods: Found[] = []
    for (const { pattern, endpoint } of patterns) {
      const match = pattern.exec(path)
      if (match) methods.push({ endpoint, groups: match.groups ?? noGroups })
    }
    return methods.length === 0 ? null : { methods }
  }
}

/** Whose errors a request gets: the endpoint's at its path, else those of the API that the path or a header names. */
function errorsAt(place: Place | null, path: string, { headers }: IncomingMessage): ErrorWriter {
  const endpoint = place?.methods[0]?.endpoint
  if (endpoint !== undefined) return endpoint.errorsOf?.(headers) ?? endpoint.errors
  if (path.startsWith('/v1beta/')) return gemini
  const isAnthropics = path.startsWith('/v1/messages') || headers['anthropic-version'] !== undefined
  return isAnthropics ? anthropicMessages : openaiChat
}

/** The endpoint in the words of the caller's protocol. */
function speaking(found: Found, { headers }: IncomingMessage): Found {
  const { endpoint } = found
  if (endpoint.errorsOf === undefined) return found
  return { ...found, endpoint: { ...endpoint, errors: endpoint.errorsOf(headers) } }
}

/** A method nobody serves here is a request like another: it is written down, and told what would have been right. */
function refuseMethod(
  place: Place,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
  own: LlmSource,
): void {
  const { methods } = place
  const allowed = [...new Set(methods.map(({ endpoint }) => endpoint.method))].join(', ')
  const endpoint = { ...methods[0]!.endpoint, errors: errorsAt(place, path, request) }
  const headers = [...own.corsHeaders(request.headers.origin), 'allow', allowed]
  const error = fail('method_not_allowed', `Use ${allowed}.`)
  const ending = endWithError(error, endpoint, response, context, headers, own)
  discardBody(request)
  if (!endpoint.isRecorded) ending.send(null)
  else void settle(ending, endpoint, openMeter(endpoint, request, context, own), response, context, headers, own)
}

function openMeter(endpoint: Endpoint, request: IncomingMessage, context: RequestContext, own: LlmSource): Meter {
  return createMeter(
    {
      edge: context,
      endpoint: endpoint.name,
      protocol: endpoint.errors.name,
      userAgent: (request.headers['user-agent'] ?? '').slice(0, 200),
      agent: readAgentHeader(request.headers),
    },
    own.clock,
    own.gatewayMetrics,
  )
}

async function visit(
  { endpoint, groups }: Found,
  path: string,
  search: string,
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
  own: LlmSource,
): Promise<void> {
  const meter = openMeter(endpoint, request, context, own)
  context.route = endpoint.name
  const errorHeaders = own.corsHeaders(request.headers.origin)
  let ending: Ending | undefined
  let visited: Visit | undefined
  context.route = endpoint.name
  try {
    const known = context.tracer === null ? own.authenticate(request) : authenticateTraced(request, context, own)
    const principal = known instanceof Promise ? await known : known
    meter.setPrincipal(principal)
    context.principal = principal
    own.checkScope(principal, path, context.clientIp)
    if (endpoint.isRecorded && !own.ledger.isWritable()) {
      throw fail('ledger_unavailable', undefined, { retryAfterMs: 5000 })
    }
    const query = search === '' ? noQuery : new URLSearchParams(search)
    visited = {
      endpoint,
      request,
      response,
      context,
      principal,
      meter,
      groups,
      query,
      errorHeaders,
      own,
    }
    ending = await endpoint.answer(visited)
  } catch (thrown) {
    ending = endWithError(thrown, endpoint, response, context, errorHeaders, own)
    discardBody(request)
  }
  if (!endpoint.isRecorded) ending?.send(null)
  else if (ending !== undefined) {
    const entry = await settle(ending, endpoint, meter, response, context, errorHeaders, own, visited?.call)
    visited?.call?.mirror?.begin(entry)
    visited?.call?.talk?.begin(entry)
  }
}

async function authenticateTraced(request: IncomingMessage, context: RequestContext, own: LlmSource) {
  const startedMono = own.clock.monotonic()
  try {
    const principal = await own.authenticate(request)
    recordStep(context, own.clock, 'authenticate', startedMono)
    return principal
  } catch (error) {
    recordStep(context, own.clock, 'authenticate', startedMono, toHubError(error))
    throw error
  }
}

const noQuery = new URLSearchParams()

/** An error before the first byte: a refusal of ours, or what the last provider said. */
function endWithError(
  thrown: unknown,
  { errors }: Endpoint,
  response: ServerResponse,
  context: RequestContext,
  headers: string[],
  own: LlmSource,
): Ending {
  const error = toHubError(thrown)
  if (error.code === 'internal') {
    own.log.error('a call broke', {
      requestId: context.requestId,
      traceId: context.traceId,
      spanId: context.spanId,
      error: error.cause ?? error,
    })
  }
  const isRefusal = error.status < 500 && !error.code.startsWith('upstream_')
  return {
    outcome: error.code === 'client_closed' ? 'aborted' : isRefusal ? 'refused' : 'failure',
    status: error.status,
    error,
    finish: '',
    spent: null,
    send: (instead) => sendError(response, instead ?? error, errors, context, headers),
  }
}

/** The row first, then the last byte: what was answered is never missing from the ledger. null: it has no row. */
async function settle(
  ending: Ending,
  { errors }: Endpoint,
  meter: Meter,
  response: ServerResponse,
  context: RequestContext,
  errorHeaders: string[],
  own: LlmSource,
  call?: Call,
): Promise<UsageEntry | null> {
  let unwritten: HubError | null = null
  const entry = meter.close(ending)
  const isTraced = context.tracer !== null
  const startedMono = isTraced ? own.clock.monotonic() : 0
  try {
    await own.ledger.record(entry)
  } catch (thrown) {
    unwritten = toHubError(thrown)
    own.log.error('a call could not be entered into the ledger', {
      requestId: context.requestId,
      traceId: context.traceId,
      error: unwritten,
    })
  }
  if (isTraced) recordStep(context, own.clock, 'settle', startedMono, unwritten)
  try {
    ending.send(unwritten)
  } catch (thrown) {
    if (response.headersSent) response.destroy()
    else sendError(response, toHubError(thrown), errors, context, errorHeaders)
  }
  if (isTraced) recordCall(context, entry, own.clock, call?.captured?.attributes())
  // The sweep over streams has let go of it: a caller that never reads the rest must not keep it open for ever.
  if (response.writableLength > 0) response.setTimeout(own.config.slow_reader_seconds * 1000, () => response.destroy())
  return unwritten === null ? entry : null
}
