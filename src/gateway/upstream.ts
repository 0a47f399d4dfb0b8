import type { IncomingHttpHeaders } from 'node:http'
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
import { failure, networkFailure } from './failures.ts'
import type { LiveProvider } from './models.ts'

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
  body: Buffer | string
  /** Until the first content of a stream or the end of a whole answer. */
  timeoutMs: number
  /** The longest silence in between. */
  idleMs: number
  traceparent: string
}

const maxErrorBytes = 65_536

/**
 * Sends one call on the provider's pool. No AbortSignal, no streams, no promises: this runs for every piece of every
 * answer, and each of those costs more than all the rest of the work.
 */
export function callProvider(provider: LiveProvider, request: UpstreamRequest, receiver: Receiver): UpstreamCall {
  const call = new ProviderCall(receiver, request.timeoutMs)
  provider.dispatcher().dispatch(
    {
      origin: provider.origin,
      method: 'POST',
      path: provider.basePath + request.path,
      headers: [...provider.callHeaders, 'traceparent', request.traceparent],
      body: request.body,
      headersTimeout: request.timeoutMs,
      bodyTimeout: request.idleMs,
    },
    call,
  )
  return call
}

/** Both ends of a call in one object: a set of closures for each would be a tenth of what a call allocates. */
class ProviderCall implements Dispatcher.DispatchHandler, UpstreamCall {
  private readonly receiver: Receiver
  private readonly timer: NodeJS.Timeout
  private controller: Dispatcher.DispatchController | null = null
  private isOver = false
  private refusal: { status: number; headers: IncomingHttpHeaders; chunks: Buffer[]; size: number } | null = null
  private decoder: Decoder | null = null

  constructor(receiver: Receiver, timeoutMs: number) {
    this.receiver = receiver
    this.timer = setTimeout(endLateCall, timeoutMs, this)
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
    if (status >= 400) this.refusal = { status, headers, chunks: [], size: 0 }
    const encoding = headers['content-encoding']
    if (encoding !== undefined) this.decoder = this.decode(encoding)
    if (this.refusal === null) this.receiver.onAnswer(headers)
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.isOver) return
    if (this.decoder) this.decoder.write(chunk)
    else this.take(chunk)
  }

  onResponseEnd(): void {
    if (this.decoder) this.decoder.end()
    else this.end()
  }

  onResponseError(_controller: unknown, error: Error): void {
    // A refusal whose body was cut is still that refusal.
    if (this.refusal) this.end()
    // Told one turn later: a closed pool fails before `callProvider` has returned.
    else queueMicrotask(() => this.finish() && this.receiver.onFault(networkFailure(error)))
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
    if (refusal === null) this.receiver.onData(chunk)
    else if (refusal.size < maxErrorBytes) {
      refusal.chunks.push(chunk)
      refusal.size += chunk.length
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
  call.cut(failure('timeout', 0, 'The provider did not answer in time.'))
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
