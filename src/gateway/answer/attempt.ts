import type { IncomingHttpHeaders } from 'node:http'
import type { Spent } from '../account.ts'
import type { UpstreamFailure } from '../chat.ts'
import { failure } from '../failures.ts'
import type { Candidate } from '../models.ts'
import type { Attempted } from '../routing/failover.ts'
import { callProvider, type UpstreamRequest } from '../upstream.ts'
import type { Drains } from './drains.ts'
import type { Pipe, Seen } from './pipes.ts'
import type { StreamReply } from './stream-reply.ts'

/**
 * What of a call can be reached from outside while an attempt runs. The verbs sit in an object of their own: stored as
 * fields of a shared literal, V8 keeps every call's closures, and all they hold, alive until the next full collection.
 */
export type InFlight = { attempt: RunningAttempt | null }

export type RunningAttempt = {
  /** The caller has hung up. */
  abandon(): void
  /** The time of the call is over. */
  expire(failed: UpstreamFailure): void
  /** The caller reads again. */
  resume(): void
}

/** `isLeft`: its caller had hung up and it was read to its end all the same. */
export type WholeAnswer = { headers: IncomingHttpHeaders; body: Buffer; isLeft: boolean }

/** What became of a stream: whole, cut by the provider (`failure` says how), or left by its caller. */
export type StreamEnd = {
  outcome: 'success' | 'truncated' | 'aborted'
  failure: UpstreamFailure | null
  /** The caller left and the provider was read on; `isWhole` when it came to its own end. */
  drained?: { isWhole: boolean }
}

type Refusal = (status: number, headers: IncomingHttpHeaders, body: string) => UpstreamFailure

/** One attempt at an answer that is not streamed. */
export function attemptWhole(
  candidate: Candidate,
  request: UpstreamRequest,
  inFlight: InFlight,
  limits: { maxBytes: number; readRefusal: Refusal; drains: Drains | null },
): Promise<Attempted<WholeAnswer | null>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let headers: IncomingHttpHeaders = {}
    let isLeft = false
    let endDrain: (() => void) | null = null
    const giveUp = () => {
      call.abort()
      endDrain?.()
      resolve({ kind: 'done', value: null })
    }
    inFlight.attempt = {
      abandon() {
        endDrain = limits.drains?.begin(giveUp) ?? null
        if (endDrain === null) giveUp()
        else isLeft = true
      },
      expire() {},
      resume() {},
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
      onEnd() {
        endDrain?.()
        const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
        resolve({ kind: 'done', value: { headers, body, isLeft } })
      },
      onRefused(status, refusedHeaders, body) {
        if (isLeft) giveUp()
        else resolve({ kind: 'failed', failure: limits.readRefusal(status, refusedHeaders, body) })
      },
      onFault(failed) {
        if (isLeft) giveUp()
        else resolve({ kind: 'failed', failure: failed })
      },
    })
  })
}

export type StreamParts = {
  pipe: Pipe
  reply: StreamReply
  readRefusal: Refusal
  /** A body that came with status 200 and is no stream, at most 64 KiB of it. */
  readUnstreamed(body: Buffer): UpstreamFailure
  onAnswer(headers: IncomingHttpHeaders): void
  onFirstContent(): void
  /** Where the provider is read on when the caller leaves; null where it is told to stop. */
  drains: Drains | null
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
  parts: StreamParts,
): Promise<Attempted<StreamEnd>> {
  return new Promise((resolve) => {
    const { pipe, reply } = parts
    const { seen } = pipe
    let held: (Buffer | string)[] = []
    let unstreamed: Buffer | null = null
    let isCommitted = false
    let isPaused = false

    let endDrain: (() => void) | null = null
    const finish = (end: StreamEnd) => resolve({ kind: 'done', value: end })
    const finishDrain = () => {
      call.abort()
      endDrain?.()
      finish({ outcome: 'aborted', failure: null, drained: { isWhole: seen.isDone } })
    }
    const stop = (failed: UpstreamFailure) => {
      call.abort()
      if (endDrain !== null) finishDrain()
      else if (isCommitted) finish({ outcome: 'truncated', failure: failed })
      else resolve({ kind: 'failed', failure: failed, ...wasteOf(pipe.seen) })
    }
    const send = (pieces: (Buffer | string)[]) => {
      let mayGoOn = true
      for (const piece of pieces) mayGoOn = reply.write(piece)
      if (mayGoOn) return
      isPaused = true
      call.pause()
    }
    const take = (pieces: (Buffer | string)[]) => {
      if (endDrain !== null) {
        // Metered by the pipe, written to nobody.
        if (seen.isDone || seen.failure) finishDrain()
        return
      }
      if (isCommitted) {
        send(pieces)
      } else {
        held = held.concat(pieces.filter((piece) => !isComment(piece)))
        if (seen.contentEvents > 0 || seen.isDone || (held.length > mostHeldEvents && seen.failure === null)) {
          isCommitted = true
          call.gotContent()
          parts.onFirstContent()
          send(held)
          held = []
        }
      }
      if (seen.failure) stop(seen.failure)
      else if (seen.isDone) {
        // Nothing drains a reply that has ended: what the provider still sends is let through to nowhere.
        if (isPaused) call.resume()
        finish({ outcome: 'success', failure: null })
      }
    }

    inFlight.attempt = {
      abandon() {
        endDrain = parts.drains?.begin(finishDrain) ?? null
        if (endDrain === null) {
          call.abort()
          finish({ outcome: 'aborted', failure: null })
          return
        }
        held = []
        // Only silence is timed from here on, and nothing holds it back any more.
        call.gotContent()
        call.resume()
      },
      expire: (failed) => stop(failed),
      resume: () => call.resume(),
    }
    const call = callProvider(candidate.provider, request, {
      onAnswer(headers) {
        if (/^(application\/json|text\/html)/i.test(String(headers['content-type']))) unstreamed = Buffer.alloc(0)
        parts.onAnswer(headers)
      },
      onData(chunk) {
        if (seen.isDone) return
        if (unstreamed) {
          if (unstreamed.length < 65_536) unstreamed = Buffer.concat([unstreamed, chunk])
          return
        }
        try {
          take(pipe.push(chunk))
        } catch (error) {
          stop(garbled(error))
        }
      },
      onEnd() {
        if (seen.isDone) return
        if (unstreamed) return stop(parts.readUnstreamed(unstreamed))
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
  })
}

/** What a provider did for an answer that nobody gets; nothing when it neither reported nor said anything. */
function wasteOf({ usage, contentBytes, contentEvents, isEstimate }: Seen): { wasted?: Spent } {
  if (usage === null && contentBytes === 0 && contentEvents === 0) return {}
  return { wasted: { usage, contentBytes, contentEvents, ...(isEstimate && { isEstimate }) } }
}

/**
 * Events without content that are held back: the openings of a few choices, empty deltas of a busy provider. More than
 * that must be content of a kind that is not known here.
 */
const mostHeldEvents = 16

/** Keeps a connection busy and says nothing; we do that ourselves. */
function isComment(piece: Buffer | string): boolean {
  const text = piece.toString('latin1')
  return text.startsWith(':') && !/[\r\n]data/.test(text)
}

const truncated = failure('server_error', 0, 'The provider ended its stream before the answer was whole.')

function garbled(error: unknown): UpstreamFailure {
  return failure(
    'server_error',
    502,
    `The provider's stream cannot be read: ${error instanceof Error ? error.message : 'unknown'}`,
  )
}
