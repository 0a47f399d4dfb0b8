import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { beginTrace } from '../kernel/trace.ts'
import { http } from '../platform/node-http.ts'
import { peerHeader } from './addresses.ts'
import { discardBody } from './body.ts'
import { sendProblem } from './problem.ts'

/** What a worker does with requests that the control process of its node answers: both ways byte by byte. */
export type ControlRelay = {
  isTheirs(request: IncomingMessage): boolean
  serve(request: IncomingMessage, response: ServerResponse): void
  close(): void
}

export type ControlRelayOptions = {
  socketPath: string
  /** First path segments that this process answers itself, as in `/livez`. */
  ownSegments: ReadonlySet<string>
  /** Whether the control process serves. */
  isUp(): boolean
  clock: Clock
}

/** How long a request waits for a control process that is being started. */
const patienceMs = 15_000
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'expect', peerHeader])

export function createControlRelay({ socketPath, ownSegments, isUp, clock }: ControlRelayOptions): ControlRelay {
  // Ended here before the control process ends them, so that no request is sent into one that closes.
  const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 64, timeout: 30_000 })

  async function untilUp(response: ServerResponse): Promise<boolean> {
    const endsAt = clock.monotonic() + patienceMs
    while (!isUp() && !response.destroyed && clock.monotonic() < endsAt) await clock.sleep(50)
    return isUp()
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isUp() && !(await untilUp(response))) return refuse(request, response, clock.now())
    if (response.destroyed) return
    const headers = passed(request.rawHeaders, true)
    headers.push(peerHeader, request.socket.remoteAddress ?? '', 'connection', 'keep-alive')
    const { method, url } = request
    const hasBody = 'content-length' in request.headers || 'transfer-encoding' in request.headers
    if (!hasBody && /^P/.test(method!)) headers.push('content-length', '0')
    const onward = http.request({ socketPath, method, path: url, agent, setHost: false, headers: headers as never })
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.statusMessage, passed(answer.rawHeaders, false))
      response.flushHeaders()
      answer.pipe(response)
      // It died in the middle: the caller must not take the half for the whole.
      answer.on('error', () => response.destroy())
    })
    onward.on('error', () => {
      if (response.headersSent) response.destroy()
      else if (!response.destroyed) refuse(request, response, clock.now())
    })
    response.on('close', () => {
      if (!response.writableFinished) onward.destroy()
    })
    if (hasBody) request.pipe(onward)
    else onward.end()
  }

  return {
    isTheirs: ({ url = '/' }) => !ownSegments.has(segmentOf(url)),
    serve: (request, response) => void serve(request, response),
    close: () => agent.destroy(),
  }
}

/** `livez` of `/livez?verbose`. */
export function segmentOf(url: string): string {
  return /^\/([^/?]*)/.exec(url)?.[1] ?? ''
}

function passed(raw: readonly string[], isRequest: boolean): string[] {
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    // An answer is framed anew; a request keeps its length, or that it has none.
    if (hopByHop.has(name) || (!isRequest && name === 'transfer-encoding')) continue
    kept.push(raw[i]!, raw[i + 1]!)
  }
  return kept
}

function refuse(request: IncomingMessage, response: ServerResponse, nowMs: number): void {
  discardBody(request)
  const error = fail('unavailable', 'The control process of this node is being started again; calls to models go on.', {
    retryAfterMs: 1000,
  })
  const ids = { ...beginTrace(), requestId: createId('request', nowMs), callerRequestId: '' }
  sendProblem(response, error, ids, request.headers['accept-language'])
}
