import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { z } from 'zod'
import { limitKeyOf } from '../../http/addresses.ts'
import { discardBody } from '../../http/body.ts'
import { answeredRequestId, type RequestContext } from '../../http/context.ts'
import { sendProblem, toProblem } from '../../http/problem.ts'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import { refuseUpgrade, type Upgrades } from '../../http/upgrades.ts'
import { waitAtMost } from '../../kernel/clock.ts'
import { derive } from '../../kernel/derive.ts'
import { fail, type HubError, toHubError } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { type AdmissionSource, findRefusal, readTurn, takeTurn } from './admission.ts'
import { type Call, toRecord } from './call.ts'
import { type ExchangeSource, exchange } from './exchange.ts'
import type { Fleet, Fleets } from './fleet.ts'
import { isCircling } from './request-headers.ts'
import { findPathFault, readTarget, type Target } from './target.ts'
import type { Tunnel } from './tunnel.ts'
import { openTunnel, wantsWebSocket } from './web-socket.ts'

export type DoorSource = Omit<ExchangeSource, 'answerError'> &
  AdmissionSource & {
    fleets: Fleets
    /** Who calls; null without credentials. Throws, or rejects, for bad ones. */
    authenticate(request: IncomingMessage): Principal | null | Promise<Principal | null>
    /** First segments below /api that are the hub's own. */
    isReserved(name: string): boolean
    corsOrigins(): readonly string[]
  }

type Verb = (call: Call) => void
type Refuse = (error: HubError, call: Call | null, headers: readonly string[]) => void

/** The door of the proxy: who may come in, and in what form everybody else is turned away. */
export function createDoor(own: DoorSource) {
  const originsNow = derive(
    () => [own.corsOrigins()],
    (list) => new Set(list),
  )
  const tunnels = new Set<Tunnel>()
  const exchanges: ExchangeSource = { ...own, answerError: answerCallError }
  const sockets = { ...exchanges, tunnels, refuse: refuseSocket }

  function corsOriginOf(request: IncomingMessage): string {
    const { origin } = request.headers
    if (origin === undefined) return ''
    const origins = originsNow()
    return origins.has('*') ? '*' : origins.has(origin) ? origin : ''
  }

  function ids(context: RequestContext): string[] {
    return ['x-request-id', answeredRequestId(context), 'x-trace-id', context.traceId]
  }

  /** Everything before a call goes out. Exactly one of `pass` and `refuse` is called, once. */
  function admit(request: IncomingMessage, context: RequestContext, target: Target, pass: Verb, refuse: Refuse): void {
    const fault = findPathFault(target.rest)
    if (fault !== null) {
      refuse(fail('invalid_request', `${fault}.`, { param: 'path' }), null, [])
      return
    }
    if (isCircling(request)) {
      const said = 'This request has come through the hub again and again: an instance sends it back here.'
      refuse(fail('invalid_request', said, { status: 508 }), null, [])
      return
    }
    const fleet = own.fleets.find(target.name)
    const decide = (principal: Principal | null, refusal: HubError | null) => {
      try {
        judge({ request, context, target, fleet, principal, refusal }, pass, refuse)
      } catch (thrown) {
        refuse(toHubError(thrown), null, [])
      }
    }
    let known: Principal | null | Promise<Principal | null>
    try {
      known = own.authenticate(request)
    } catch (thrown) {
      decide(null, toHubError(thrown))
      return
    }
    if (!(known instanceof Promise)) decide(known, null)
    else
      known.then(
        (principal) => decide(principal, null),
        (thrown: unknown) => decide(null, toHubError(thrown)),
      )
  }

  type Visit = {
    request: IncomingMessage
    context: RequestContext
    target: Target
    fleet: Fleet | undefined
    principal: Principal | null
    refusal: HubError | null
  }

  function judge(visit: Visit, pass: Verb, refuse: Refuse): void {
    const { request, context, target, fleet, principal } = visit
    context.principal = principal
    context.route = target.name
    const method = request.method ?? 'GET'
    // A preflight asks on behalf of another method; what that needs, it needs.
    const asked = (method === 'OPTIONS' && request.headers['access-control-request-method']) || method
    const policy = fleet?.endpoints.policyOf(asked, target.rest) ?? null
    const path = `/api/${target.name}${target.rest}`
    // A name that nobody has is the caller's invention.
    if (context.tracer !== null) {
      context.route = fleet === undefined ? '/api/:service/*' : `/api/${target.name}${policy?.template || '/*'}`
    }
    const service = fleet?.service
    const { refusal: badCredentials } = visit
    const refusal = findRefusal(own, {
      ...{ name: target.name, service, policy, principal, refusal: badCredentials, method, path },
    })
    if (fleet === undefined || policy === null) {
      refuse(refusal ?? fail('service_not_found'), null, [])
      return
    }
    const corsOrigin = corsOriginOf(request)
    const call: Call = { request, context, fleet, target, policy, principal, told: ids(context), corsOrigin }
    if (refusal !== null) {
      refuse(refusal, call, refusal.code === 'method_not_allowed' ? ['allow', policy.allow.join(', ')] : [])
      return
    }
    const caller = principal?.id ?? limitKeyOf(context.clientIp)
    const turn = takeTurn(own, fleet.service, policy, caller, context.requestId)
    if (turn === null) pass(call)
    else if (!(turn instanceof Promise)) hold(call, turn, pass, refuse)
    else
      turn.then(
        (taken) => hold(call, taken, pass, refuse),
        (thrown: unknown) => refuse(cannotCount(thrown), call, []),
      )
  }

  function hold(call: Call, turn: Parameters<typeof readTurn>[1], pass: Verb, refuse: Refuse): void {
    const { headers, refusal } = readTurn(call.policy, turn)
    if (refusal !== null) {
      refuse(refusal, call, headers)
      return
    }
    call.told.push(...headers)
    pass(call)
  }

  function serve(request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean {
    const target = readTarget(request.url ?? '')
    if (target === null || own.isReserved(target.name)) return false
    if (answerPreflight(request, response, context)) return true
    admit(
      request,
      context,
      target,
      (call) => {
        if (response.destroyed) return
        exchange(exchanges, call, response)
      },
      (error, call, headers) => {
        if (response.destroyed) return
        for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i]!, headers[i + 1]!)
        answerError(request, response, context, error)
        if (call !== null) noteRefusal(call, error, false)
      },
    )
    return true
  }

  /** A refusal at the door is a call that is over. */
  function noteRefusal(call: Call, error: HubError, isWebSocket: boolean): void {
    const durationMs = own.clock.monotonic() - call.context.startedMono
    const outcome = error.status < 500 ? 'refused' : 'failed'
    const nothing = { firstByteMs: null, instanceId: '', bytesIn: 0, bytesOut: 0, attempts: 0 }
    call.fleet.series.byClass[Math.floor(error.status / 100)]?.inc()
    own.onCall(toRecord(call, { ...nothing, status: error.status, outcome, isWebSocket, error }, durationMs))
  }

  /** The hub's own word for pages of origins it was told of; other preflights are the service's affair. */
  function answerPreflight(request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean {
    const method = request.headers['access-control-request-method']
    if (request.method !== 'OPTIONS' || method === undefined) return false
    const origin = corsOriginOf(request)
    if (origin === '') return false
    discardBody(request)
    const wanted = request.headers['access-control-request-headers']
    response.writeHead(204, [
      ...['access-control-allow-origin', origin, 'access-control-allow-methods', method],
      ...(wanted === undefined ? [] : ['access-control-allow-headers', wanted]),
      ...['access-control-max-age', '600'],
      ...['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
      ...ids(context),
    ])
    response.end()
    return true
  }

  function answerCallError({ request, context }: Call, response: ServerResponse, error: HubError): void {
    answerError(request, response, context, error)
  }

  function answerError(
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext,
    error: HubError,
  ): void {
    discardBody(request)
    tellIfOurs(error, context)
    // Of an answer that turned out unreadable.
    response.statusMessage = ''
    const origin = corsOriginOf(request)
    if (origin !== '') response.setHeader('access-control-allow-origin', origin).setHeader('vary', 'origin')
    sendProblem(response, error, context, request.headers['accept-language'])
  }

  function refuseSocket({ context }: Call, socket: Duplex, error: HubError): void {
    tellIfOurs(error, context)
    refuseUpgrade(socket, error, toProblem(error, context), ids(context))
  }

  function tellIfOurs(error: HubError, { requestId, traceId }: RequestContext): void {
    if (error.code !== 'internal') return
    own.log.error('a call of a plugin service broke', { requestId, traceId, error: error.cause ?? error })
  }

  const upgrades: Upgrades = {
    isOurs(request) {
      const target = readTarget(request.url ?? '')
      return target !== null && !own.isReserved(target.name) && wantsWebSocket(request)
    },
    serve(request, socket, head, context) {
      // What the caller says before the instance has answered stays where it is.
      const target = readTarget(request.url ?? '')!
      admit(
        request,
        context,
        target,
        (call) => openTunnel(sockets, call, socket, head),
        (error, call, headers) => {
          tellIfOurs(error, context)
          refuseUpgrade(socket, error, toProblem(error, context), [...ids(context), ...headers])
          if (call !== null) noteRefusal(call, error, true)
        },
      )
    },
    async drain(limitMs) {
      if (tunnels.size === 0) return 0
      const all = Promise.all([...tunnels].map(({ over }) => over))
      await waitAtMost(own.clock, limitMs, all)
      const cut = tunnels.size
      for (const tunnel of [...tunnels]) tunnel.cut()
      await all
      return cut
    },
  }

  return { serve, upgrades }
}

function cannotCount(cause: unknown): HubError {
  return fail('unavailable', 'The limit of this endpoint cannot be counted now, try again shortly.', {
    retryAfterMs: 5000,
    cause,
  })
}

/** The key that `x-gatehouse-identity` is verified with, for plugins: no credentials are needed to read it. */
export function identityRoutes(jwks: { keys: readonly Record<string, string>[] }): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/.well-known/jwks.json',
      access: 'public',
      tag: 'services',
      summary: 'The public key that signs x-gatehouse-identity, as a JSON Web Key Set.',
      reply: z.object({ keys: z.array(z.record(z.string(), z.string())) }),
      handle: () => reply(200, jwks, { 'cache-control': 'public, max-age=300' }),
    }),
  ]
}
