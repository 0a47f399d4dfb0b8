import type { IncomingHttpHeaders } from 'node:http'
import type { UpstreamFailure } from './chat.ts'
import { failure } from './failures.ts'
import type { Candidate } from './models.ts'
import type { Pipe } from './pipes.ts'
import type { Attempted } from './routing/failover.ts'
import type { StreamReply } from './stream-reply.ts'
import { callProvider, type UpstreamCall, type UpstreamRequest } from './upstream.ts'

/** How the call in flight can be ended from outside: by a caller that hangs up, a deadline, or a drain. */
export type InFlight = {
  call: UpstreamCall | null
  abandon: (() => void) | null
  expire: ((failed: UpstreamFailure) => void) | null
}

export type WholeAnswer = { headers: IncomingHttpHeaders; body: Buffer }

/** What became of a stream: whole, cut by the provider (`failure` says how), or left by its caller. */
export type StreamEnd = { outcome: 'success' | 'truncated' | 'aborted'; failure: UpstreamFailure | null }

type Refusal = (status: number, headers: IncomingHttpHeaders, body: string) => UpstreamFailure

/** One attempt at an answer that is not streamed. */
export function attemptWhole(
  candidate: Candidate,
  request: UpstreamRequest,
  inFlight: InFlight,
  limits: { maxBytes: number; readRefusal: Refusal },
): Promise<Attempted<WholeAnswer | null>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let headers: IncomingHttpHeaders = {}
    inFlight.abandon = () => {
      call.abort()
      resolve({ kind: 'done', value: null })
    }
    const call = callProvider(candidate.provider, request, {
      onAnswer: (received) => {
        headers = received
      },
      onData(chunk) {
        size += chunk.length
        if (size > limits.maxBytes) {
          call.abort()
          resolve({ kind: 'failed', failure: failure('server_error', 502, "The provider's answer is too large.") })
        } else chunks.push(chunk)
      },
      onEnd: () =>
        resolve({ kind: 'done', value: { headers, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) } }),
      onRefused: (status, refusedHeaders, body) =>
        resolve({ kind: 'failed', failure: limits.readRefusal(status, refusedHeaders, body) }),
      onFault: (failed) => resolve({ kind: 'failed', failure: failed }),
    })
    inFlight.call = call
  })
}

/**
 * One attempt at a streamed answer. Until something with content has come, what arrives is held back, so that a failure
 * is still a failed attempt and another provider may answer; from then on the attempt is `done`, however it ends. The
 * terminator is not written: `pipe.seen.tail` waits for the ledger.
 */
export function attemptStream(
  candidate: Candidate,
  request: UpstreamRequest,
  inFlight: InFlight,
  parts: {
    pipe: Pipe
    reply: StreamReply
    readRefusal: Refusal
    onAnswer(headers: IncomingHttpHeaders): void
    onFirstContent(): void
  },
): Promise<Attempted<StreamEnd>> {
  return new Promise((resolve) => {
    const { pipe, reply } = parts
    const { seen } = pipe
    let held: (Buffer | string)[] = []
    let isCommitted = false

    const finish = (end: StreamEnd) => resolve({ kind: 'done', value: end })
    const stop = (failed: UpstreamFailure) => {
      call.abort()
      if (isCommitted) finish({ outcome: 'truncated', failure: failed })
      else resolve({ kind: 'failed', failure: failed })
    }
    const send = (pieces: (Buffer | string)[]) => {
      let mayGoOn = true
      for (const piece of pieces) mayGoOn = reply.write(piece)
      if (!mayGoOn) call.pause()
    }
    const take = (pieces: (Buffer | string)[]) => {
      if (isCommitted) {
        send(pieces)
      } else {
        if (pieces.length > 0) held = held.length === 0 ? pieces : held.concat(pieces)
        // One event without content is the opening formality; a second means the provider is at work.
        if (seen.contentEvents > 0 || seen.isDone || (held.length > 1 && seen.failure === null)) {
          isCommitted = true
          call.gotContent()
          parts.onFirstContent()
          send(held)
          held = []
        }
      }
      if (seen.failure) stop(seen.failure)
      else if (seen.isDone) finish({ outcome: 'success', failure: null })
    }

    inFlight.expire = stop
    inFlight.abandon = () => {
      call.abort()
      finish({ outcome: 'aborted', failure: null })
    }
    const call = callProvider(candidate.provider, request, {
      onAnswer: (headers) => parts.onAnswer(headers),
      onData(chunk) {
        if (seen.isDone) return
        try {
          take(pipe.push(chunk))
        } catch (error) {
          stop(garbled(error))
        }
      },
      onEnd() {
        if (seen.isDone) return
        try {
          take(pipe.close())
        } catch (error) {
          return stop(garbled(error))
        }
        // The connection ended, the answer did not: never a false "stop".
        if (!seen.isDone && !seen.failure) stop(truncated)
      },
      onRefused: (status, headers, body) => stop(parts.readRefusal(status, headers, body)),
      onFault: (failed) => {
        if (!seen.isDone) stop(failed)
      },
    })
    inFlight.call = call
  })
}

const truncated = failure('server_error', 0, 'The provider ended its stream before the answer was whole.')

function garbled(error: unknown): UpstreamFailure {
  return failure(
    'server_error',
    502,
    `The provider's stream cannot be read: ${error instanceof Error ? error.message : 'unknown'}`,
  )
}
