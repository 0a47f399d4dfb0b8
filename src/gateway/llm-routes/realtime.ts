import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { RequestContext } from '../../http/context.ts'
import { refuseUpgrade, type Upgrades } from '../../http/upgrades.ts'
import { waitAtMost } from '../../kernel/clock.ts'
import { fail, type HubError, toHubError } from '../../kernel/errors.ts'
import { createSpanId, traceparentOf } from '../../kernel/trace.ts'
import type { WebSocket } from '../../platform/web-socket.ts'
import type { Outcome } from '../../usage/index.ts'
import type { UpstreamFailure } from '../chat.ts'
import { admitPlain, findModel } from '../complete.ts'
import { failure, maskFailure, toCallerError } from '../failures.ts'
import { createMeter, type Meter, type Spent } from '../meter.ts'
import type { Candidate } from '../models.ts'
import { speaksOpenai } from '../operations/asking/address.ts'
import { connectRealtime, mostMessageBytes } from '../operations/realtime/connect.ts'
import { type RealtimeSession, runSession } from '../operations/realtime/session.ts'
import { readAgentHeader } from '../request/agent.ts'
import type { RouteRun } from '../routing/run.ts'
import { readWishHeaders } from '../routing/wish.ts'
import { recordAttempt, recordCall } from '../spans.ts'
import { idHeaders, type LlmSource } from './endpoint.ts'
import { openaiErrors } from './operations.ts'

const paths = new Set(['/v1/realtime', '/api/v1/realtime'])
/** Browsers cannot set headers on a WebSocket: OpenAI's own way of sending a key from there. */
const keyProtocol = 'openai-insecure-api-key.'

/** Talking with a model over a WebSocket: https://platform.openai.com/docs/guides/realtime-websocket */
export function createRealtime(own: LlmSource): Upgrades {
  const sessions = new Set<RealtimeSession>()
  const acceptor = new WebSocketServer({
    noServer: true,
    maxPayload: mostMessageBytes,
    perMessageDeflate: false,
    // Never the one that holds the key.
    handleProtocols: (offered) => [...offered].find((each) => !each.startsWith('openai-insecure')) ?? false,
  })

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): Promise<void> {
    const meter = createMeter(
      {
        edge: context,
        endpoint: '/v1/realtime',
        protocol: 'openai-realtime',
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 200),
        agent: readAgentHeader(request.headers),
      },
      own.clock,
      own.gatewayMetrics,
    )
    const told: string[] = []
    let upstream: WebSocket
    let candidate: Candidate
    let asked: string
    try {
      ;({ upstream, candidate, asked } = await reach(request, socket, context, meter, told))
    } catch (thrown) {
      await refuse(toHubError(thrown), socket, context, meter, told)
      return
    }
    acceptor.handleUpgrade(request, socket, head, (caller) => {
      const seconds = (value: number) => value * 1000
      const session = runSession({
        caller,
        provider: upstream,
        names: { asked, sent: candidate.providerModel },
        clock: own.clock,
        limits: {
          idleMs: seconds(own.config.realtime_idle_seconds),
          totalMs: seconds(own.config.realtime_max_seconds),
          keepAliveMs: seconds(own.config.keep_alive_seconds),
          slowReaderMs: seconds(own.config.slow_reader_seconds),
        },
        onFirstContent: meter.firstContent.bind(meter),
        settle: ({ outcome, message }, spent) =>
          record(meter, context, outcome, 101, message === null ? null : fail('upstream_truncated', message), spent),
      })
      sessions.add(session)
      void session.over.then(() => sessions.delete(session))
      upstream.resume()
    })
  }

  /** Everything before the first word: who calls, what for, and a provider that listens. */
  async function reach(
    request: IncomingMessage,
    socket: Duplex,
    context: RequestContext,
    meter: Meter,
    told: string[],
  ): Promise<{ upstream: WebSocket; candidate: Candidate; asked: string }> {
    const { headers, url = '' } = request
    const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())
    const key = offered.find((each) => each.startsWith(keyProtocol))?.slice(keyProtocol.length)
    const isSent = headers.authorization === undefined && key !== undefined
    const principal = await own.authenticate(
      isSent ? { headers: { authorization: `Bearer ${key}` }, url: '' } : request,
    )
    meter.setPrincipal(principal)
    own.checkScope(principal, '/v1/realtime', context.clientIp)
    if (!own.ledger.isWritable()) throw fail('ledger_unavailable', undefined, { retryAfterMs: 5000 })
    const query = new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?')) : '')
    if (query.has('call_id')) {
      throw fail('unsupported_parameter', 'call_id: calls by telephone or WebRTC do not go through here.', {
        param: 'call_id',
      })
    }
    const asked = query.get('model') ?? ''
    if (asked === '') throw fail('invalid_request', 'model is missing from the address.', { param: 'model' })
    meter.setAsked({ model: asked.slice(0, 200), stream: true, body: null })
    const model = findModel(asked, principal, own.table())
    await admitPlain({ ...context, principal }, told, own)
    const run = own.router.open(model, {
      needs: { tools: false, structuredOutput: false, images: () => false },
      wish: readWishHeaders(headers),
      tenantId: principal.tenantId,
      affinity: '',
      traceId: context.traceId,
      inputTokens: () => 0,
    })
    try {
      return await reachOne(run, asked, query, request, socket, context, meter, offered)
    } finally {
      const told = run.close()
      meter.setRoute(told)
      own.router.decisions.keep(context.requestId, told)
    }
  }

  /** One provider after another until one opens a session. */
  async function reachOne(
    run: RouteRun,
    asked: string,
    query: URLSearchParams,
    { headers }: IncomingMessage,
    socket: Duplex,
    context: RequestContext,
    meter: Meter,
    offered: readonly string[],
  ): Promise<{ upstream: WebSocket; candidate: Candidate; asked: string }> {
    if (run.plan.refusal !== null) throw run.plan.refusal
    const beta = headers['openai-beta']
    const terms = {
      protocols: offered.filter((each) => each === 'realtime' || each.startsWith('openai-beta.')),
      beta: typeof beta === 'string' ? beta : undefined,
      intent: query.get('intent'),
    }
    let last: UpstreamFailure = failure(
      'invalid_request',
      400,
      `No provider of the model '${asked.slice(0, 200)}' serves realtime.`,
    )
    let leave = () => {}
    socket.once('close', () => leave())
    const able = run.plan.order.filter(({ provider }) => speaksOpenai(provider))
    for (const candidate of able.slice(0, own.config.max_attempts)) {
      const trip = run.begin(candidate, 0)
      if (trip === null) continue
      const endAttempt = meter.startAttempt(candidate, candidate.key.id)
      const attempt = { spanId: createSpanId(), startedMono: own.clock.monotonic(), waitedMs: 0 }
      const traceparent = traceparentOf(context, attempt.spanId)
      const connected = await connectRealtime(candidate, { ...terms, traceparent }, own.openWebSocket, (then) => {
        leave = then
      })
      recordAttempt(context, own.clock, candidate, attempt, 'socket' in connected ? null : connected.failure)
      if (socket.destroyed) {
        if ('socket' in connected) connected.socket.terminate()
        trip.left()
        throw fail('client_closed')
      }
      if ('socket' in connected) {
        leave = () => {}
        trip.succeeded()
        endAttempt(null)
        return { upstream: connected.socket, candidate, asked }
      }
      last = maskFailure(connected.failure, candidate.provider.mask)
      trip.failed(last)
      endAttempt(last)
      if (last.code === 'invalid_request') break
    }
    throw toCallerError(last)
  }

  async function refuse(
    error: HubError,
    socket: Duplex,
    context: RequestContext,
    meter: Meter,
    told: readonly string[],
  ): Promise<void> {
    if (error.code === 'internal') {
      own.log.error('a realtime session broke before it began', {
        requestId: context.requestId,
        traceId: context.traceId,
        error: error.cause ?? error,
      })
    }
    const isRefusal = error.status < 500 && !error.code.startsWith('upstream_')
    const outcome = error.code === 'client_closed' ? 'aborted' : isRefusal ? 'refused' : 'failure'
    await record(meter, context, outcome, error.status, error, null)
    const headers = [...idHeaders(context, openaiErrors), ...told]
    refuseUpgrade(socket, error, openaiErrors.writeError(error, context.requestId), headers)
  }

  async function record(
    meter: Meter,
    context: RequestContext,
    outcome: Outcome,
    status: number,
    error: HubError | null,
    spent: Spent | null,
  ): Promise<void> {
    try {
      const entry = meter.close({ outcome, status, error, finish: '', spent })
      await own.ledger.record(entry)
      recordCall(context, entry, own.clock)
    } catch (thrown) {
      const { requestId } = context
      own.log.error('a realtime session could not be entered into the ledger', { requestId, error: thrown })
    }
  }

  return {
    isOurs: ({ url = '', headers }) => paths.has(url.split('?', 1)[0]!) && /^websocket$/i.test(headers.upgrade ?? ''),
    serve: (request, socket, head, context) => void open(request, socket, head, context),
    async drain(limitMs) {
      const running = [...sessions]
      for (const session of running) session.retire()
      const all = Promise.all(running.map(({ over }) => over))
      await waitAtMost(own.clock, limitMs, all)
      const cut = sessions.size
      for (const session of sessions) {
        const away = { code: 1001, reason: 'The hub is stopping.' }
        session.end({ outcome: 'truncated', caller: away, provider: away, message: 'The hub is stopping.' })
      }
      await all
      return cut
    },
  }
}
