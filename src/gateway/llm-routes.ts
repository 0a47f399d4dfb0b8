import type { IncomingMessage, ServerResponse } from 'node:http'
import { discardBody, readBody } from '../http/body.ts'
import { answeredRequestId, type RequestContext } from '../http/context.ts'
import type { Clock } from '../kernel/clock.ts'
import { errorCatalogue, fail, type HubError, toHubError } from '../kernel/errors.ts'
import { mayUseModel, type Principal } from '../kernel/principal.ts'
import type { Log } from '../platform/log.ts'
import type { Ledger } from '../usage/index.ts'
import type { Call, Ending } from './call.ts'
import { type Completer, complete } from './complete.ts'
import { createMeter, type GatewayMetrics, type Meter } from './meter.ts'
import type { ServedModel } from './models.ts'
import { openaiChat } from './protocols/openai-chat/index.ts'
import { readAsked } from './request/asked.ts'

/** The paths that callers of models use. They bypass the control app: every microsecond here is paid on every call. */
export type LlmRoutes = {
  /** Answers a request that is ours and returns true; touches nothing and returns false otherwise. */
  serve(request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
  /** Renders a refusal from before us, such as a drain, in the shape our paths promise. */
  refuse(error: HubError, request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
}

export type LlmRoutesSource = Completer & {
  authenticate(request: IncomingMessage): Principal | Promise<Principal>
  ledger: Ledger
  log: Log
  gatewayMetrics: GatewayMetrics
  maxBodyBytes: number
  /** Headers that let a browser page of an allowed origin read the answer; [] for other callers. */
  corsHeaders(origin: string | undefined): string[]
  clock: Clock
}

const chatPaths = new Set(['/v1/chat/completions', '/api/v1/chat/completions'])
const modelsPath = /^(?:\/api)?\/v1\/models(?:\/(.+))?$/

export function createLlmRoutes(own: LlmRoutesSource): LlmRoutes {
  const pathOf = (request: IncomingMessage) => {
    const url = request.url ?? '/'
    const query = url.indexOf('?')
    return query === -1 ? url : url.slice(0, query)
  }

  return {
    serve(request, response, context) {
      const path = pathOf(request)
      if (chatPaths.has(path)) {
        if (request.method === 'OPTIONS') return false
        void serveChat(request, response, context, own)
        return true
      }
      if (request.method === 'OPTIONS') return false
      const models = modelsPath.exec(path)
      if (models !== null) void serveModels(request, response, context, models[1], own)
      else if (path.startsWith('/v1/')) {
        discardBody(request)
        const error = fail('not_found', `Nothing is served at ${request.method} ${path.slice(0, 200)}.`)
        sendError(response, error, context, own.corsHeaders(request.headers.origin))
      } else return false
      return true
    },
    refuse(error, request, response, context) {
      const path = pathOf(request)
      if (!chatPaths.has(path) && !modelsPath.test(path) && !path.startsWith('/v1/')) return false
      sendError(response, error, context, own.corsHeaders(request.headers.origin))
      return true
    },
  }
}

async function serveChat(
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
  own: LlmRoutesSource,
): Promise<void> {
  const meter = createMeter(
    {
      edge: context,
      endpoint: '/v1/chat/completions',
      protocol: openaiChat.name,
      userAgent: (request.headers['user-agent'] ?? '').slice(0, 200),
    },
    own.clock,
    own.gatewayMetrics,
  )
  const errorHeaders = own.corsHeaders(request.headers.origin)
  let ending: Ending
  try {
    ending = await answerChat(request, response, context, errorHeaders, meter, own)
  } catch (thrown) {
    ending = endWithError(thrown, response, context, errorHeaders, own)
    discardBody(request)
  }
  await settle(ending, meter, response, context, errorHeaders, own)
}

async function answerChat(
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
  errorHeaders: string[],
  meter: Meter,
  own: LlmRoutesSource,
): Promise<Ending> {
  if (request.method !== 'POST') {
    errorHeaders.push('allow', 'POST')
    throw fail('method_not_allowed', 'Use POST.')
  }
  const known = own.authenticate(request)
  const principal = known instanceof Promise ? await known : known
  meter.setPrincipal(principal)
  if (!own.ledger.isWritable()) throw fail('ledger_unavailable', undefined, { retryAfterMs: 5000 })

  const body = await readBody(request, { maxBytes: own.maxBodyBytes })
  const asked = readAsked(body)
  meter.setAsked({ model: asked.model.slice(0, 200), stream: asked.stream, body })
  const call: Call = {
    protocol: openaiChat,
    principal,
    response,
    whenClosed(then) {
      context.whenClosed = then
    },
    requestId: context.requestId,
    // The provider's parent is this call: half of its trace id names it as well as any other number.
    traceparent: `00-${context.traceId}-${context.traceId.slice(16)}-01`,
    headers: ['x-request-id', answeredRequestId(context), 'x-trace-id', context.traceId, ...errorHeaders],
    errorHeaders,
    meter,
    startedAt: context.startedAt,
    startedMono: context.startedMono,
  }
  return await complete(asked, call, own)
}

/** An error before the first byte: a refusal of ours, or what the last provider said. */
function endWithError(
  thrown: unknown,
  response: ServerResponse,
  context: RequestContext,
  headers: string[],
  own: LlmRoutesSource,
): Ending {
  const error = toHubError(thrown)
  if (error.code === 'internal') {
    own.log.error('a call broke', {
      requestId: context.requestId,
      traceId: context.traceId,
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
    send: (instead) => sendError(response, instead ?? error, context, headers),
  }
}

/** The row first, then the last byte: what was answered is never missing from the ledger. */
async function settle(
  ending: Ending,
  meter: Meter,
  response: ServerResponse,
  context: RequestContext,
  errorHeaders: string[],
  own: LlmRoutesSource,
): Promise<void> {
  let unwritten: HubError | null = null
  try {
    await own.ledger.record(meter.close(ending))
  } catch (thrown) {
    unwritten = toHubError(thrown)
    own.log.error('a call could not be entered into the ledger', { requestId: context.requestId, error: unwritten })
  }
  try {
    ending.send(unwritten)
  } catch (thrown) {
    if (response.headersSent) response.destroy()
    else sendError(response, toHubError(thrown), context, errorHeaders)
  }
  // The sweep over streams has let go of it: a caller that never reads the rest must not keep it open for ever.
  if (response.writableLength > 0) response.setTimeout(own.config.slow_reader_seconds * 1000, () => response.destroy())
}

async function serveModels(
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
  id: string | undefined,
  own: LlmRoutesSource,
): Promise<void> {
  const cors = own.corsHeaders(request.headers.origin)
  try {
    if (request.method !== 'GET') {
      cors.push('allow', 'GET')
      throw fail('method_not_allowed', 'Use GET.')
    }
    const principal = await own.authenticate(request)
    const visible = [...own.table().models.values()].filter(
      (model) => model.candidates.length > 0 && mayUseModel(principal, model.name),
    )
    const reply = id === undefined ? { object: 'list', data: visible.map(toWire) } : toWire(findVisible(visible, id))
    sendJson(response, 200, reply, context, cors)
  } catch (thrown) {
    discardBody(request)
    sendError(response, toHubError(thrown), context, cors)
  }
}

function findVisible(models: readonly ServedModel[], id: string): ServedModel {
  const name = decodeName(id)
  const model = models.find((one) => one.name === name)
  if (model) return model
  throw fail('model_not_found', `The model '${name.slice(0, 200)}' does not exist or this key may not use it.`, {
    param: 'model',
  })
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function toWire(model: ServedModel) {
  return { id: model.name, object: 'model', created: Math.floor(model.createdAt / 1000), owned_by: 'gatehouse' }
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  context: RequestContext,
  headers: string[],
): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, [
    'content-type',
    'application/json',
    'content-length',
    String(bytes.length),
    'x-request-id',
    answeredRequestId(context),
    'x-trace-id',
    context.traceId,
    ...headers,
  ])
  response.end(bytes)
}

/** OpenAI's envelope. Whatever a repeat cannot mend says so to clients that would repeat it, an empty purse too. */
function sendError(response: ServerResponse, error: HubError, context: RequestContext, more: string[]): void {
  if (response.destroyed) return
  const headers = [...more]
  const isFinal = !errorCatalogue[error.code].retry || error.vendor?.code === 'insufficient_quota'
  if (error.status === 401) headers.push('www-authenticate', 'Bearer')
  if (error.retryAfterMs !== undefined)
    headers.push('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))))
  else if (!isFinal && (error.status === 429 || error.status === 503)) headers.push('retry-after', '5')
  if (isFinal) headers.push('x-should-retry', 'false')
  sendJson(response, error.status, openaiChat.writeError(error, context.requestId), context, headers)
}
