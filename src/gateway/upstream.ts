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
  stream: boolean
  /** Until the first content of a stream or the end of a whole answer, and the longest silence in between. */
  timeoutMs: number
  requestId: string
  traceparent: string
}

const maxErrorBytes = 65_536

/**
 * Sends one call on the provider's pool. No AbortSignal, no streams, no promises: this runs for every piece of every
 * answer, and each of those costs more than all the rest of the work.
 */
export function callProvider(provider: LiveProvider, request: UpstreamRequest, receiver: Receiver): UpstreamCall {
  let controller: Dispatcher.DispatchController | undefined
  let isOver = false
  let refusal: { status: number; headers: IncomingHttpHeaders; chunks: Buffer[]; size: number } | undefined
  let decoder: Decoder | undefined

  const finish = (tell: () => void) => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    decoder?.destroy()
    tell()
  }
  const cut = (failed: UpstreamFailure) =>
    finish(() => {
      receiver.onFault(failed)
      controller?.abort(new Error('given up'))
    })
  const take = (chunk: Buffer) => {
    if (isOver) return
    if (!refusal) receiver.onData(chunk)
    else if (refusal.size < maxErrorBytes) {
      refusal.chunks.push(chunk)
      refusal.size += chunk.length
    }
  }
  const end = () =>
    finish(() => {
      if (!refusal) return receiver.onEnd()
      const { status, headers, chunks } = refusal
      receiver.onRefused(status, headers, Buffer.concat(chunks).toString('utf8', 0, maxErrorBytes))
    })
  const timer = setTimeout(() => cut(failure('timeout', 0, 'The provider did not answer in time.')), request.timeoutMs)

  provider.dispatcher().dispatch(
    {
      origin: provider.origin,
      method: 'POST',
      path: provider.basePath + request.path,
      headers: [
        ...provider.headers,
        'content-type',
        'application/json',
        'accept',
        request.stream ? 'text/event-stream' : 'application/json',
        // Compressed pieces cannot be forwarded as they come.
        'accept-encoding',
        'identity',
        'user-agent',
        'gatehouse',
        'traceparent',
        request.traceparent,
      ],
      body: request.body,
      headersTimeout: request.timeoutMs,
      bodyTimeout: request.timeoutMs,
    },
    {
      onRequestStart(started) {
        controller = started
        if (isOver) started.abort(new Error('given up'))
      },
      onResponseStart(_controller, status, headers) {
        // Informational answers (early hints) come before the real one.
        if (isOver || status < 200) return
        // Followed, it would take our credentials wherever it points.
        if (status >= 300 && status < 400)
          return cut(failure('server_error', 502, 'The provider answered with a redirect.'))
        if (status >= 400) refusal = { status, headers, chunks: [], size: 0 }
        decoder = createDecoder(headers['content-encoding'])
        decoder?.on('data', take)
        decoder?.on('end', end)
        decoder?.on('error', () => {
          // What a refusal meant to say is lost, that it is one is not.
          if (refusal) end()
          else cut(failure('server_error', 502, "The provider's answer could not be decompressed."))
        })
        if (!refusal) receiver.onAnswer(headers)
      },
      onResponseData(_controller, chunk) {
        if (isOver) return
        if (decoder) decoder.write(chunk)
        else take(chunk)
      },
      onResponseEnd() {
        if (decoder) decoder.end()
        else end()
      },
      // Told one turn later: a closed pool fails before `callProvider` has returned.
      onResponseError(_controller, error) {
        // A refusal whose body was cut is still that refusal.
        if (refusal) {
          const { status, headers } = refusal
          finish(() => receiver.onRefused(status, headers, ''))
        } else queueMicrotask(() => finish(() => receiver.onFault(networkFailure(error))))
      },
    },
  )

  return {
    pause() {
      controller?.pause()
      decoder?.pause()
    },
    resume() {
      decoder?.resume()
      controller?.resume()
    },
    abort: () =>
      finish(() => {
        controller?.abort(new Error('given up'))
      }),
    gotContent: () => clearTimeout(timer),
  }
}

type Decoder = Gunzip | BrotliDecompress | Inflate

/** Providers are asked for plain bytes; some compress all the same. */
function createDecoder(encoding: string | string[] | undefined): Decoder | undefined {
  switch (String(encoding).toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'br':
      return createBrotliDecompress()
    case 'deflate':
      return createInflate()
    default:
      return undefined
  }
}
