import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import {
  type BrotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  type Gunzip,
  type Inflate,
} from 'node:zlib'
import type { Dispatcher } from 'undici'
import type { UpstreamFailure } from './chat.ts'
import { failure, lateFailure, networkFailure } from './failures.ts'
import type { LiveProvider } from './models.ts'
import type { FrameDecoder, OutgoingRequest } from './providers/index.ts'

/** What is heard of one call to a provider. Exactly one of `onEnd`, `onRefused` and `onFault` comes, and comes last. */
export type Receiver = {
  onAnswer(headers: IncomingHttpHeaders): void
  onData(chunk: Buffer): void
  onEnd(): void
  /** The provider answered with an error status; `body` is at most 64 KiB of what it said. */
  onRefused(status: number, headers: IncomingHttpHeaders, body: string): void
  onFault(failed: UpstreamFailure): void
}

export type UpstreamCall = {
  pause(): void
  resume(): void
  /** Ends the call and its connection. The receiver hears nothing more. */
  abort(): void
  /** Content has come: from now on only silence is timed. */
  gotContent(): void
}

export type UpstreamRequest = {
  path: string
  /** A stream can be sent once; who signs bodies cannot sign it. */
  body: Buffer | string | Readable | null
  /** POST unless said. */
  method?: 'GET' | 'POST' | 'DELETE'
  /** Beyond credentials and what every call carries: a flat list. */
  headers: readonly string[]
  /** In place of those of a JSON body: a flat list. */
  bodyHeaders?: readonly string[]
  /** Until the first content of a stream or the end of a whole answer. */
  timeoutMs: number
  /** The longest silence in between. */
  idleMs: number
  /** The answer comes piece by piece: what is late is its first content, or the next piece. */
  isStreamed?: boolean
  traceparent: string
}

const maxErrorBytes = 65_536

/** Those parts of a provider that a call needs. */
export type CalledProvider = Pick<LiveProvider, 'dispatcher' | 'origin' | 'basePath' | 'wiring' | 'credential'>

/**
 * Sends one call on the provider's pool. No AbortSignal, no streams, and promises only where a token must be fetched
 * first: this runs for every piece of every answer, and each of those costs more than all the rest of the work.
 */
export function callProvider(provider: CalledProvider, request: UpstreamRequest, receiver: Receiver): UpstreamCall {
  const call = new ProviderCall(provider, request, receiver)
  call.authorize()
  return call
}

/** Compressed pieces cannot be forwarded as they come. */
const jsonHeaders = [
  ...['content-type', 'application/json', 'accept', 'application/json, text/event-stream'],
  ...['accept-encoding', 'identity', 'user-agent', 'gatehouse'],
]

/** Both ends of a call in one object: a set of closures for each would be a tenth of what a call allocates. */
class ProviderCall implements Dispatcher.DispatchHandler, UpstreamCall {
  private readonly provider: CalledProvider
  private readonly request: UpstreamRequest
  private readonly receiver: Receiver
  readonly isStreamed: boolean
  private readonly timer: NodeJS.Timeout
  private controller: Dispatcher.DispatchController | null = null
  private isOver = false
  private refusal: { status: number; headers: IncomingHttpHeaders; chunks: Buffer[]; size: number } | null = null
  private decoder: Decoder | null = null
  private frames: FrameDecoder | null = null
  private sentCredentials: readonly string[] = []
  private mayRenew: boolean
  /** What comes in now is the rest of an exchange that is to be repeated. */
  private isStale = false

  constructor(provider: CalledProvider, request: UpstreamRequest, receiver: Receiver) {
    this.provider = provider
    this.request = request
    this.receiver = receiver
    this.isStreamed = request.isStreamed === true
    this.mayRenew = provider.credential.renew !== undefined && !(request.body instanceof Readable)
    this.timer = setTimeout(endLateCall, request.timeoutMs, this)
  }

  authorize(): void {
    const { origin, basePath, credential } = this.provider
    const { path, method = 'POST', body } = this.request
    const signed = body === null || body instanceof Readable ? '' : body
    const outgoing: OutgoingRequest = { method, origin, path: basePath + path, body: signed }
    const credentials = credential.authorize(outgoing)
    if (credentials instanceof Promise) {
      credentials.then(
        (fetched) => this.send(fetched),
        (error: Error) => this.cut(networkFailure(error)),
      )
    } else this.send(credentials)
  }

  private send(credentials: readonly string[]): void {
    if (this.isOver) return
    this.sentCredentials = credentials
    const { provider, request } = this
    provider.dispatcher().dispatch(
      {
        origin: provider.origin,
        method: request.method ?? 'POST',
        path: provider.basePath + request.path,
        headers: [
          ...credentials,
          ...request.headers,
          ...(request.bodyHeaders ?? jsonHeaders),
          ...['traceparent', request.traceparent],
        ],
        body: request.body,
        headersTimeout: request.timeoutMs,
        bodyTimeout: request.idleMs,
      },
      this,
    )
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.isOver) controller.abort(givenUp())
  }

  onResponseStart(_controller: unknown, status: number, headers: IncomingHttpHeaders): void {
    // Informational answers (early hints) come before the real one.
    if (this.isOver || status < 200) return
    // Followed, it would take our credentials wherever it points.
    if (status >= 300 && status < 400) {
      this.cut(failure('server_error', 502, 'The provider answered with a redirect.'))
      return
    }
    if (status === 401 && this.renew()) {
      this.isStale = true
      return
    }
    if (status >= 400) this.refusal = { status, headers, chunks: [], size: 0 }
    const encoding = headers['content-encoding']
    if (encoding !== undefined) this.decoder = this.decode(encoding)
    if (this.refusal !== null) return
    this.frames = this.provider.wiring.createDecoder?.(headers) ?? null
    this.receiver.onAnswer(headers)
  }

  /** A fetched token can end before its time: once a call, what was refused for it is sent again with another one. */
  private renew(): boolean {
    if (!this.mayRenew || !this.provider.credential.renew!(this.sentCredentials)) return false
    this.mayRenew = false
    return true
  }

  private repeat(): void {
    this.isStale = false
    this.controller = null
    if (!this.isOver) this.authorize()
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.isOver || this.isStale) return
    if (this.decoder) this.decoder.write(chunk)
    else this.take(chunk)
  }

  onResponseEnd(): void {
    if (this.isStale) this.repeat()
    else if (this.decoder) this.decoder.end()
    else this.end()
  }

  onResponseError(_controller: unknown, error: Error): void {
    // A refusal whose body was cut is still that refusal.
    if (this.isStale) this.repeat()
    else if (this.refusal) this.end()
    // Told one turn later: a closed pool fails before `callProvider` has returned.
    else queueMicrotask(() => this.finish() && this.receiver.onFault(networkFailure(error, this.isStreamed)))
  }

  pause(): void {
    this.controller?.pause()
    this.decoder?.pause()
  }

  resume(): void {
    this.decoder?.resume()
    this.controller?.resume()
  }

  abort(): void {
    if (this.finish()) this.controller?.abort(givenUp())
  }

  gotContent(): void {
    clearTimeout(this.timer)
  }

  /** Ends the call with a failure of its own making. */
  cut(failed: UpstreamFailure): void {
    if (!this.finish()) return
    this.receiver.onFault(failed)
    this.controller?.abort(givenUp())
  }

  /** True for the first who ends the call. */
  private finish(): boolean {
    if (this.isOver) return false
    this.isOver = true
    clearTimeout(this.timer)
    this.decoder?.destroy()
    return true
  }

  private take(chunk: Buffer): void {
    if (this.isOver) return
    const { refusal } = this
    if (refusal === null) {
      if (this.frames === null) this.receiver.onData(chunk)
      else this.reframe(this.frames, chunk)
    } else if (refusal.size < maxErrorBytes) {
      refusal.chunks.push(chunk)
      refusal.size += chunk.length
    }
  }

  private reframe(frames: FrameDecoder, chunk: Buffer): void {
    let pieces: Buffer[] = []
    try {
      pieces = frames.push(chunk)
    } catch (error) {
      this.cut(failure('server_error', 502, `The provider's stream cannot be read: ${(error as Error).message}.`))
    }
    for (const piece of pieces) {
      // The receiver may have ended the call at the piece before.
      if (!this.isOver) this.receiver.onData(piece)
    }
  }

  private end(): void {
    if (!this.finish()) return
    if (this.refusal === null) {
      this.receiver.onEnd()
      return
    }
    const { status, headers, chunks } = this.refusal
    this.receiver.onRefused(status, headers, Buffer.concat(chunks).toString('utf8', 0, maxErrorBytes))
  }

  private decode(encoding: string | string[]): Decoder | null {
    const decoder = createDecoder(encoding)
    decoder?.on('data', (chunk: Buffer) => this.take(chunk))
    decoder?.on('end', () => this.end())
    decoder?.on('error', () => {
      // What a refusal meant to say is lost, that it is one is not.
      if (this.refusal) this.end()
      else this.cut(failure('server_error', 502, "The provider's answer could not be decompressed."))
    })
    return decoder
  }
}

function endLateCall(call: ProviderCall): void {
  call.cut(lateFailure(call.isStreamed))
}

function givenUp(): Error {
  return new Error('given up')
}

type Decoder = Gunzip | BrotliDecompress | Inflate

/** Providers are asked for plain bytes; some compress all the same. */
function createDecoder(encoding: string | string[]): Decoder | null {
  switch (String(encoding).toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'br':
      return createBrotliDecompress()
    case 'deflate':
      return createInflate()
    default:
      return null
  }
}
