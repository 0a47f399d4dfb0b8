import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Pass } from '../../kernel/breaker.ts'
import type { HubError } from '../../kernel/errors.ts'
import type { Call, CallOutcome } from './call.ts'
import { choose } from './choose.ts'
import { askFor, closeBooks, type ExchangeSource, introduce, pathAt, tellFailure } from './exchange.ts'
import { type Failure, nobodyFit, readFailure, toCallerError } from './failures.ts'
import type { Member } from './member.ts'
import { writeAnswerHead } from './response-headers.ts'
import { nextSpanId, recordTry, renameSpan } from './spans.ts'
import { joinSockets, type Tunnel, type TunnelSocket } from './tunnel.ts'

export type Socketing = ExchangeSource & {
  tunnels: Set<Tunnel>
  /** Answers a request for an upgrade with an error. */
  refuse(call: Call, socket: Duplex, error: HubError): void
}

/** Takes an admitted request for a WebSocket to an instance, and then every byte either side sends to the other. */
export function openTunnel(own: Socketing, call: Call, socket: Duplex, head: Buffer): void {
  new Opening(own, call, socket, head).start()
}

/** From the caller's request for an upgrade to the instance's answer. */
class Opening implements Dispatcher.DispatchHandler {
  private readonly own: Socketing
  private readonly call: Call
  private readonly socket: Duplex
  private readonly head: Buffer
  private readonly headers: string[]
  private controller: Dispatcher.DispatchController | null = null
  private member: Member | null = null
  private pass: Pass = 0
  private isHeld = false
  private wasSent = false
  private tried: Member[] = []
  private spanId = ''
  private tryStartedMono = 0
  private isOver = false
  private isAnswering = false
  private isClosed = false
  private status = 0
  private firstByteMs: number | null = null
  private bytesOut = 0

  constructor(own: Socketing, call: Call, socket: Duplex, head: Buffer) {
    this.own = own
    this.call = call
    this.socket = socket
    this.head = head
    this.headers = introduce(own, call)
  }

  start(): void {
    this.socket.once('close', () => this.leave())
    if (this.socket.destroyed) this.leave()
    else this.attempt()
  }

  private attempt(): void {
    const { own, call } = this
    const { fleet } = call
    const nowMs = own.clock.now()
    const choice = choose(fleet.service, fleet.members, askFor(own, call, this.tried, nowMs))
    if (choice === null) {
      this.refuse(nobodyFit(fleet.service))
      return
    }
    const { member } = choice
    if (this.tried.length === 0) fleet.budget.earn()
    this.member = member
    this.pass = member.begin(nowMs)
    this.isHeld = true
    this.spanId = nextSpanId(call, this.tried.length)
    if (this.tried.length > 0) renameSpan(this.headers, call, this.spanId)
    this.tryStartedMono = own.clock.monotonic()
    const { answerTimeoutMs, idleTimeoutMs } = fleet.service.routing
    member.pool.dispatcher.dispatch(
      {
        method: 'GET',
        path: pathAt(call),
        headers: this.headers,
        upgrade: 'websocket',
        headersTimeout: answerTimeoutMs,
        bodyTimeout: idleTimeoutMs,
      },
      this,
    )
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    this.wasSent = true
    if (this.isOver) controller.abort(new Error('given up'))
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    instance: TunnelSocket,
  ): void {
    if (this.isOver) {
      instance.destroy()
      return
    }
    const { own, call, socket, member, pass } = this
    this.isOver = true
    this.isHeld = false
    this.firstByteMs = own.clock.monotonic() - call.context.startedMono
    const { headers } = writeAnswerHead(controller.rawHeaders as Buffer[], call.told, {
      corsOrigin: '',
      mayTrail: false,
    })
    socket.write(
      writeHead(status, ['connection', 'Upgrade', 'upgrade', 'websocket', ...headers], 'Switching Protocols'),
      'latin1',
    )
    if (this.head.length > 0) instance.write(this.head)
    const tunnel = joinSockets(socket, instance, own.settings.web_socket_idle_seconds * 1000)
    own.tunnels.add(tunnel)
    own.metrics.openTunnels.inc()
    void tunnel.over.then(({ bytesIn, bytesOut, isClean }) => {
      own.tunnels.delete(tunnel)
      own.metrics.openTunnels.dec()
      call.fleet.settle(member!, pass, 'ok', own.clock.now())
      this.record(status, '')
      this.close(isClean ? 'answered' : 'aborted', null, { status, bytesIn, bytesOut })
    })
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    if (this.isOver || status < 200) return
    this.status = status
    this.isAnswering = true
    this.firstByteMs = this.own.clock.monotonic() - this.call.context.startedMono
    const { headers } = writeAnswerHead(controller.rawHeaders as Buffer[], this.call.told, {
      corsOrigin: this.call.corsOrigin,
      mayTrail: false,
    })
    this.socket.write(writeHead(status, [...headers, 'connection', 'close'], statusText), 'latin1')
    this.socket.on('drain', () => this.controller?.resume())
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isOver) return
    this.bytesOut += chunk.length
    if (!this.socket.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (this.isOver) return
    this.isOver = true
    this.settle(this.status >= 500 ? 'failed' : 'ok')
    this.socket.end()
    this.close('answered', null, { status: this.status, bytesIn: 0, bytesOut: this.bytesOut })
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.isOver) return
    const failure = readFailure(error, this.call.fleet.service)
    if (this.isAnswering) this.breakOff(failure)
    else queueMicrotask(() => this.fail(failure))
  }

  private fail(failure: Failure): void {
    if (this.isOver) return
    const { own, call } = this
    const member = this.member!
    const { service, members, budget } = call.fleet
    this.settle(failure.kind === 'unfit' ? 'unrelated' : 'failed', failure.reason)
    this.tried.push(member)
    const hasNext =
      failure.kind !== 'unfit' &&
      !this.wasSent &&
      this.tried.length <= service.routing.retries &&
      choose(service, members, askFor(own, call, this.tried, own.clock.now())) !== null
    if (hasNext && budget.spend(own.clock.now())) {
      call.fleet.series.retries.inc()
      this.attempt()
      return
    }
    tellFailure(own, call, member, `A WebSocket of ${service.name} failed: its instance ${failure.reason}`)
    this.refuse(toCallerError(failure, service, member, call.principal))
  }

  private breakOff(failure: Failure): void {
    const { own, call, socket } = this
    const member = this.member!
    this.isOver = true
    this.settle('failed', failure.reason)
    tellFailure(own, call, member, `An answer of ${call.fleet.service.name} broke off: its instance ${failure.reason}`)
    const error = toCallerError(failure, call.fleet.service, member, call.principal)
    this.close('truncated', error, { status: this.status, bytesIn: 0, bytesOut: this.bytesOut })
    socket.destroy()
  }

  private refuse(error: HubError): void {
    this.isOver = true
    this.close(error.status < 500 ? 'refused' : 'failed', error, { status: error.status, bytesIn: 0, bytesOut: 0 })
    this.own.refuse(this.call, this.socket, error)
  }

  /** The caller has gone before there was an answer. */
  private leave(): void {
    if (this.isOver) return
    this.isOver = true
    this.settle('unrelated')
    this.controller?.abort(new Error('given up'))
    this.close('aborted', null, { status: 0, bytesIn: 0, bytesOut: this.bytesOut })
  }

  private settle(verdict: 'ok' | 'failed' | 'unrelated', reason = ''): void {
    if (!this.isHeld) return
    this.isHeld = false
    this.record(this.status, reason)
    this.call.fleet.settle(this.member!, this.pass, verdict, this.own.clock.now())
  }

  private record(status: number, reason: string): void {
    const { call, spanId, tryStartedMono: startedMono, member } = this
    if (call.context.tracer === null) return
    const endedMono = this.own.clock.monotonic()
    const number = this.tried.includes(member!) ? this.tried.length - 1 : this.tried.length
    recordTry(
      call,
      { spanId, number, startedMono, member: member! },
      { endedMono, status, reason, isWebSocket: status === 101 },
    )
  }

  private close(
    outcome: CallOutcome,
    error: HubError | null,
    end: { status: number; bytesIn: number; bytesOut: number },
  ): void {
    if (this.isClosed) return
    this.isClosed = true
    closeBooks(this.own, this.call, {
      ...{ ...end, outcome, error, firstByteMs: this.firstByteMs, instanceId: this.member?.id ?? '' },
      attempts: this.tried.length + (this.tried.includes(this.member!) || this.member === null ? 0 : 1),
      isWebSocket: true,
    })
  }
}

function writeHead(status: number, headers: readonly string[], statusText = ''): string {
  let text = `HTTP/1.1 ${status} ${statusText}\r\n`
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${text}\r\n`
}

/** Whether a request asks for what is tunnelled here. */
export function wantsWebSocket({ headers }: IncomingMessage): boolean {
  return /^websocket$/i.test(headers.upgrade ?? '')
}
