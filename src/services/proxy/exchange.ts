import type { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Pass } from '../../kernel/breaker.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail, type HubError } from '../../kernel/errors.ts'
import { traceparentOf } from '../../kernel/trace.ts'
import type { Log } from '../../platform/log.ts'
import { type BodyKind, bodyKindOf, gatherBody, LongBody } from './body.ts'
import { type Call, type CallOutcome, type CallRecord, toRecord } from './call.ts'
import { type Ask, choose } from './choose.ts'
import type { ServiceProxyConfig } from './config.ts'
import { type Failure, nobodyFit, readFailure, toCallerError } from './failures.ts'
import type { IdentityTokens } from './identity-token.ts'
import type { Member } from './member.ts'
import type { ProxyMetrics } from './metrics.ts'
import type { RequestHeaders } from './request-headers.ts'
import { writeAnswerHead, writeTrailers } from './response-headers.ts'
import { nextSpanId, recordTry, renameSpan } from './spans.ts'
import { joinPath, withoutHubKey } from './target.ts'

export type ExchangeSource = {
  clock: Clock
  log: Log
  metrics: ProxyMetrics
  settings: ServiceProxyConfig
  tokens: IdentityTokens
  requestHeaders: RequestHeaders
  random(): number
  onCall(record: CallRecord): void
  /** Answers with an error on a response whose head has not been sent. */
  answerError(call: Call, response: ServerResponse, error: HubError): void
}

/** Those whose repeat changes nothing more: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2 */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Sends an admitted call to an instance and its answer to the caller. Answers whatever happens. */
export function exchange(own: ExchangeSource, call: Call, response: ServerResponse): void {
  new Exchange(own, call, response).start()
}

/** The headers of a call, the same for every try but for the span in `traceparent`. */
export function introduce({ tokens, requestHeaders }: ExchangeSource, call: Call): string[] {
  const { request, context, fleet, principal, policy } = call
  return requestHeaders.write(request, {
    principal,
    token: principal === null ? '' : tokens.tokenFor(principal, fleet.service, context.startedAt),
    mayPassCredentials: principal === null && !policy.needsCredentials,
    serviceName: fleet.service.name,
    requestId: context.callerRequestId === '' ? context.requestId : context.callerRequestId,
    traceId: context.traceId,
    traceparent: traceparentOf(context),
    isTraceContinued: context.traceState !== '',
    clientIp: context.clientIp,
    speakerIp: context.speakerIp,
    isSpeakerTrusted: context.isSpeakerTrusted,
  })
}

export function pathAt({ fleet, target }: Call): string {
  return joinPath(fleet.service.basePath, { ...target, query: withoutHubKey(target.query) })
}

export function askFor(own: ExchangeSource, call: Call, tried: readonly Member[], nowMs: number): Ask {
  return {
    nowMs,
    random: own.random,
    affinity: call.principal?.id ?? call.context.clientIp,
    header: (name) => String(call.request.headers[name] ?? ''),
    tried,
    protectPercent: own.settings.protect_percent,
  }
}

/** Settles the books of a call that is over. */
export function closeBooks(own: ExchangeSource, call: Call, end: Parameters<typeof toRecord>[1]): void {
  const durationMs = own.clock.monotonic() - call.context.startedMono
  const { series } = call.fleet
  series.byClass[Math.floor(end.status / 100)]?.inc()
  series.seconds.observe(durationMs / 1000)
  if (end.outcome === 'truncated') series.truncated.inc()
  own.onCall(toRecord(call, end, durationMs))
}

const tellEveryMs = 1000

/** Failures of a service are told once a second: one that is down would fill the log. */
export function tellFailure(own: ExchangeSource, call: Call, member: Member, message: string): void {
  const nowMs = own.clock.now()
  const { fleet, context, request } = call
  if (nowMs - fleet.toldAtMs < tellEveryMs) return
  fleet.toldAtMs = nowMs
  own.log.warn(message, {
    requestId: context.requestId,
    traceId: context.traceId,
    method: request.method ?? '',
    address: `${member.instance.host}:${member.instance.port}`,
  })
}

const noTries: readonly Member[] = []

/** Both ends of a call in one object, one try after the other: no closures, streams or promises for each. */
class Exchange implements Dispatcher.DispatchHandler {
  private readonly own: ExchangeSource
  private readonly call: Call
  private readonly response: ServerResponse
  private readonly bodyKind: BodyKind
  private readonly method: string
  private readonly path: string
  private readonly headers: string[]
  private body: Buffer | LongBody | null = null
  private controller: Dispatcher.DispatchController | null = null
  private member: Member | null = null
  private pass: Pass = 0
  /** `member` was given this call and not told yet how it went. */
  private isHeld = false
  private tried: Member[] | null = null
  private attempts = 0
  private spanId = ''
  private tryStartedMono = 0
  /** When the try began, then when its answer did. */
  private lastMono = 0
  /** The turn in which the head of the answer came is over. */
  private isLate = false
  /** The request has begun to leave on the connection. */
  private wasSent = false
  /** The head of an answer has been given to the caller. */
  private isAnswering = false
  /** An answer that another instance may better, read no further. */
  private isDiscarding = false
  private isChunked = false
  /** Of the instance's answer, and of ours: nothing but the end of the connection tells where it ends. */
  private endsWithConnection = false
  private ourEndIsConnection = false
  private isDraining = false
  private hasWritten = false
  /** Nothing more is expected of the instance. */
  private isOver = false
  private outcome: CallOutcome = 'answered'
  private error: HubError | null = null
  private status = 0
  private firstByteMs: number | null = null
  private bytesOut = 0

  constructor(own: ExchangeSource, call: Call, response: ServerResponse) {
    this.own = own
    this.call = call
    this.response = response
    this.bodyKind = bodyKindOf(call.request)
    this.method = call.request.method ?? 'GET'
    this.path = pathAt(call)
    this.headers = introduce(own, call)
    const declared = call.request.headers['content-length']
    if (this.bodyKind === 'long' && declared !== undefined) this.headers.push('content-length', declared)
  }

  start(): void {
    const { call } = this
    this.own.metrics.openCalls.inc()
    call.context.whenClosed = () => this.close()
    if (this.bodyKind === 'short') {
      gatherBody(call.request, (body) => {
        if (this.isOver) return
        this.body = body
        this.attempt()
      })
    } else this.attempt()
  }

  /** Epoch ms. Derived, because reading clocks is a twentieth of what a call costs on some machines. */
  private epochOf(mono: number): number {
    const { startedAt, startedMono } = this.call.context
    return startedAt + mono - startedMono
  }

  private attempt(): void {
    const { own, call } = this
    const { fleet } = call
    this.lastMono = own.clock.monotonic()
    const nowMs = this.epochOf(this.lastMono)
    const choice = choose(fleet.service, fleet.members, askFor(own, call, this.tried ?? noTries, nowMs))
    if (choice === null) {
      this.refuse(nobodyFit(fleet.service))
      return
    }
    if (choice.isPanic) fleet.series.panics.inc()
    const { member } = choice
    if (this.attempts === 0) fleet.budget.earn()
    this.spanId = nextSpanId(call, this.attempts)
    if (this.attempts > 0) renameSpan(this.headers, call, this.spanId)
    this.attempts++
    this.member = member
    this.pass = member.begin(nowMs)
    this.isHeld = true
    this.tryStartedMono = this.lastMono
    this.wasSent = false
    this.controller = null
    this.send(member)
  }

  private send(member: Member): void {
    const { call, headers } = this
    const { request, fleet } = call
    if (this.bodyKind === 'long') {
      this.body = new LongBody(request, this.own.settings.max_body_bytes, this.refuseLongBody)
    }
    const { answerTimeoutMs, idleTimeoutMs } = fleet.service.routing
    member.pool.dispatcher.dispatch(
      {
        method: this.method,
        path: this.path,
        headers,
        body: this.body,
        headersTimeout: answerTimeoutMs,
        bodyTimeout: idleTimeoutMs,
      },
      this,
    )
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    this.wasSent = true
    if (this.isOver) controller.abort(givenUp())
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    if (this.isOver) return
    const raw = controller.rawHeaders as Buffer[]
    if (status < 200) {
      if (status !== 101) this.informs(status, raw)
      return
    }
    const { own, response } = this
    const nowMono = own.clock.monotonic()
    this.lastMono = nowMono
    this.member!.noteLatency(nowMono - this.tryStartedMono)
    if (status === 503 && this.mayRepeat(true)) {
      this.isDiscarding = true
      controller.abort(givenUp())
      return
    }
    this.status = status
    this.firstByteMs = nowMono - this.call.context.startedMono
    const hasBody = this.method !== 'HEAD' && status !== 204 && status !== 304
    const mayTrail = hasBody && response.req.httpVersionMinor > 0
    const { headers, hasLength } = writeAnswerHead(raw, this.call.told, { corsOrigin: this.call.corsOrigin, mayTrail })
    this.isChunked = mayTrail && !hasLength
    this.ourEndIsConnection = hasBody && !hasLength && !this.isChunked
    this.endsWithConnection = hasBody && !hasLength && !isInChunks(raw)
    try {
      response.writeHead(status, statusText, headers)
    } catch {
      // A header that node will not write, such as one with control characters in it.
      this.failWith({ kind: 'garbled', reason: 'answered with a header that is not allowed in HTTP' })
      controller.abort(givenUp())
      return
    }
    this.isAnswering = true
    // Whatever came with the head leaves in one piece with it; a head alone must not wait for the first event.
    process.nextTick(flushHead, this)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isOver) return
    this.bytesOut += chunk.length
    this.hasWritten = true
    if (this.response.write(chunk)) return
    controller.pause()
    if (this.isDraining) return
    this.isDraining = true
    this.response.on('drain', () => this.controller?.resume())
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.isOver) return
    if (this.endsWithConnection && this.member!.pool.isBreaking()) {
      this.breakOff({ kind: 'unreachable', reason: 'closed the connection before its answer was complete' })
      return
    }
    this.isOver = true
    this.hasWritten = true
    this.settle(this.status >= 500 ? 'failed' : 'ok')
    const raw = controller.rawTrailers as Buffer[] | null
    if (raw !== null && raw.length > 0 && this.isChunked) this.response.addTrailers(writeTrailers(raw))
    this.response.end()
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.isOver) return
    if (this.isDiscarding) {
      this.isDiscarding = false
      this.settle('failed', 'answered 503')
      this.repeat()
      return
    }
    const failure = readFailure(error, this.call.fleet.service)
    if (this.isAnswering) this.breakOff(failure)
    // Told one turn later: what cannot be sent fails before `dispatch` has returned.
    else queueMicrotask(() => this.handleFailure(failure))
  }

  private handleFailure(failure: Failure): void {
    if (this.isOver) return
    const isOurs = failure.kind === 'unreachable' || (failure.kind === 'timeout' && !this.wasSent)
    if (isOurs && this.mayRepeat(this.wasSent)) {
      this.settle('failed', failure.reason)
      this.repeat()
    } else if (isOurs && this.mayRepeatHere()) {
      this.settle('unrelated', failure.reason)
      this.repeat(false)
    } else this.failWith(failure)
  }

  /**
   * Whether one more instance may be asked. What was never sent may go anywhere; what was sent only when doing it twice
   * changes nothing and its body is still there. It must also be in the budget.
   */
  private mayRepeat(wasSent: boolean): boolean {
    const { own, call, member } = this
    const { service, members, budget } = call.fleet
    if (this.attempts > service.routing.retries) return false
    if (wasSent && (!idempotent.has(this.method) || this.bodyKind === 'long')) return false
    const nowMs = own.clock.now()
    const next = choose(service, members, askFor(own, call, [...(this.tried ?? noTries), member!], nowMs))
    return next !== null && budget.spend(nowMs)
  }

  /** A kept connection that was closed as the call went out says nothing of the instance: once, it is asked again. */
  private mayRepeatHere(): boolean {
    const { own, call } = this
    if (!this.wasSent || this.attempts > 1 || call.fleet.service.routing.retries === 0) return false
    if (!idempotent.has(this.method) || this.bodyKind === 'long') return false
    return call.fleet.budget.spend(own.clock.now())
  }

  private repeat(isElsewhere = true): void {
    this.call.fleet.series.retries.inc()
    this.tried ??= []
    if (isElsewhere) this.tried.push(this.member!)
    queueMicrotask(() => {
      if (!this.isOver) this.attempt()
    })
  }

  /** Early hints and the like go on as they come: https://www.rfc-editor.org/rfc/rfc8297 */
  private informs(status: number, raw: readonly Buffer[]): void {
    const { response } = this
    if (response.req.httpVersionMinor === 0 || response.headersSent) return
    if (status === 102) response.writeProcessing()
    if (status !== 103) return
    const hints: Record<string, string | string[]> = { link: [] }
    const links = hints.link as string[]
    const { headers } = writeAnswerHead(raw, [], { corsOrigin: '', mayTrail: false })
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!
      // Node wants them one by one, and puts them together again.
      if (/^link$/i.test(name)) links.push(...headers[i + 1]!.split(/,\s*(?=<)/))
      else hints[name] = headers[i + 1]!
    }
    try {
      response.writeEarlyHints(hints)
    } catch {
      // Links that node cannot read are only hints.
    }
  }

  /** In the middle of an answer: it is cut, so that nobody takes what came for the whole. */
  private breakOff(failure: Failure): void {
    const { own, call, response } = this
    const member = this.member!
    this.isOver = true
    this.outcome = 'truncated'
    this.error = toCallerError(failure, call.fleet.service, member, call.principal)
    this.settle('failed', failure.reason)
    tellFailure(own, call, member, `An answer of ${call.fleet.service.name} broke off: its instance ${failure.reason}`)
    // There the end of the connection is the end of the answer: only a reset says otherwise.
    if (this.ourEndIsConnection) response.socket?.resetAndDestroy()
    response.destroy()
  }

  private failWith(failure: Failure): void {
    const { own, call } = this
    const member = this.member!
    const { service } = call.fleet
    this.settle(failure.kind === 'unfit' ? 'unrelated' : 'failed', failure.reason)
    if (failure.kind !== 'unfit')
      tellFailure(own, call, member, `A call of ${service.name} failed: its instance ${failure.reason}`)
    this.refuse(toCallerError(failure, service, member, call.principal))
  }

  private refuse(error: HubError): void {
    this.isOver = true
    this.outcome = error.status < 500 ? 'refused' : 'failed'
    this.error = error
    this.status = error.status
    this.own.answerError(this.call, this.response, error)
  }

  private readonly refuseLongBody = (): void => {
    if (this.isOver) return
    const { max_body_bytes } = this.own.settings
    const error = fail(
      'body_too_large',
      `the body is larger than ${max_body_bytes} bytes (service_proxy.max_body_bytes)`,
    )
    this.settle('unrelated')
    if (this.isAnswering) {
      this.isOver = true
      this.error = error
      this.outcome = 'refused'
      this.response.destroy()
    } else this.refuse(error)
    this.controller?.abort(givenUp())
  }

  /** A try is over. `reason` is what its instance did wrong. */
  private settle(verdict: 'ok' | 'failed' | 'unrelated', reason = ''): void {
    if (!this.isHeld) return
    this.isHeld = false
    if (this.call.context.tracer !== null) this.record(reason)
    const isNow = verdict === 'ok' && !this.isLate
    const nowMs = isNow ? this.epochOf(this.lastMono) : this.own.clock.now()
    this.call.fleet.settle(this.member!, this.pass, verdict, nowMs)
  }

  private record(reason: string): void {
    recordTry(
      this.call,
      { spanId: this.spanId, number: this.attempts - 1, startedMono: this.tryStartedMono, member: this.member! },
      { endedMono: this.own.clock.monotonic(), status: this.isAnswering ? this.status : 0, reason },
    )
  }

  /** The caller's side is over: it has its answer, or it left. */
  private close(): void {
    const { own, call, response } = this
    own.metrics.openCalls.dec()
    if (!this.isOver) {
      this.isOver = true
      this.outcome = 'aborted'
      this.settle('unrelated')
      this.controller?.abort(givenUp())
    } else if (this.outcome === 'answered' && !response.writableFinished) this.outcome = 'aborted'
    closeBooks(own, call, {
      error: this.error,
      firstByteMs: this.firstByteMs,
      instanceId: this.member?.id ?? '',
      status: this.status,
      outcome: this.outcome,
      bytesIn: this.body === null ? 0 : this.body instanceof LongBody ? this.body.bytes : this.body.length,
      bytesOut: this.bytesOut,
      attempts: this.attempts,
      isWebSocket: false,
    })
  }

  /** Sends a head that nothing has come with. */
  flush(): void {
    this.isLate = true
    if (!this.hasWritten && !this.isOver) this.response.flushHeaders()
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flush()
}

function isInChunks(raw: readonly Buffer[]): boolean {
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]!.length === 17 && raw[i]!.toString('latin1').toLowerCase() === 'transfer-encoding') return true
  }
  return false
}

function givenUp(): Error {
  return new Error('given up')
}
