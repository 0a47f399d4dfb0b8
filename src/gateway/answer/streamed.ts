import type { Clock } from '../../kernel/clock.ts'
import { fail, type HubError } from '../../kernel/errors.ts'
import { type Call, type Ending, leftByCaller } from '../call.ts'
import type { UpstreamFailure } from '../chat.ts'
import { failure, maskFailure, toCallerError } from '../failures.ts'
import type { Answerer, Listener } from './answerer.ts'
import { attemptStream, type InFlight, type StreamEnd } from './attempt.ts'
import type { Drains } from './drains.ts'
import { isWorthKeeping, type KeptAnswer } from './kept.ts'
import type { OpenStreams } from './open-streams.ts'
import type { Pipe } from './pipes.ts'
import { createStreamReply, type StreamReply } from './stream-reply.ts'
import type { Exchange, StreamShape } from './wanted.ts'

/** Answers piece by piece, as they come. */
export function answerStreamed(
  call: Call,
  shape: StreamShape,
  inFlight: InFlight,
  parts: {
    clock: Clock
    streams: OpenStreams
    deadlineAt: number
    drains: Drains | null
    kept: KeptAnswer | null
    heard: Listener | null
  },
): Answerer {
  const reply = createStreamReply(
    call.response,
    shape.contentType,
    call.headers,
    () => parts.clock.monotonic(),
    () => inFlight.attempt?.resume(),
  )
  const unwatch = parts.streams.watch({
    reply,
    deadlineAt: parts.deadlineAt,
    comment: shape.keepAlive,
    expire: () => inFlight.attempt?.expire(failure('timeout', 504, 'The call ran into its deadline.')),
  })
  const { kept, heard } = parts
  const toKeep = kept === null ? reply : recordReply(reply, kept)
  const written = heard === null ? toKeep : recordReply(toKeep, heard)
  const ownHeaders = call.headers.length

  return {
    async attempt(candidate, exchange, { firstTokenMs, idleMs, watch }) {
      const pipe = exchange.openPipe()
      const result = await attemptStream(
        candidate,
        { ...exchange.request, timeoutMs: firstTokenMs, idleMs, isStreamed: true },
        inFlight,
        {
          pipe,
          reply: written,
          readRefusal: exchange.readRefusal,
          readUnstreamed: (body) => readUnstreamed(exchange, body),
          onAnswer(headers) {
            // The reply reads this list when its head leaves: those of a failed attempt are dropped again.
            call.headers.length = ownHeaders
            call.headers.push(...exchange.passHeaders(headers))
            if (exchange.contentTypeOf) reply.setContentType(exchange.contentTypeOf(headers))
          },
          drains: parts.drains,
          onFirstContent() {
            call.meter.firstContent()
            watch.committed()
          },
        },
      )
      return result.kind === 'done'
        ? {
            kind: 'done',
            value: toEnding(
              maskEnd(result.value, candidate.provider.mask),
              pipe,
              call,
              reply,
              (tail) => {
                kept?.add(tail)
                kept?.keep(shape.contentType)
              },
              heard,
            ),
          }
        : result
    },
    fail(error) {
      if (!reply.isOpen()) throw error
      // A comment has gone out to keep the connection, and the status with it.
      return {
        outcome: 'failure',
        status: 200,
        error,
        finish: '',
        spent: null,
        send: (instead) => endFailed(reply, shape.fail(instead ?? error)),
      }
    },
    close: unwatch,
  }
}

/** Comments that keep the connection are no part of the answer. */
function recordReply(reply: StreamReply, kept: Listener): StreamReply {
  return {
    ...reply,
    write(data) {
      kept.add(data)
      return reply.write(data)
    },
  }
}

function maskEnd(end: StreamEnd, mask: (text: string) => string): StreamEnd {
  return end.failure === null ? end : { ...end, failure: maskFailure(end.failure, mask) }
}

function toEnding(
  end: StreamEnd,
  pipe: Pipe,
  call: Call,
  reply: StreamReply,
  keep: (tail: Buffer | string) => void,
  heard: Listener | null,
): Ending {
  const { usage, contentBytes, contentEvents, finish, tail, isEstimate } = pipe.seen
  const spent = { usage, contentBytes, contentEvents, ...(isEstimate && { isEstimate }) }
  if (end.outcome === 'aborted') {
    return end.drained ? leftByCaller(call, { ...spent, ...end.drained }, 'drain') : leftByCaller(call, spent)
  }
  const error = end.failure === null ? null : midStreamError(end.failure)
  return {
    outcome: end.outcome,
    status: 200,
    error,
    finish: error === null ? finish : '',
    spent,
    send(instead) {
      const failed = instead ?? error
      if (failed === null) {
        reply.end(tail)
        heard?.add(tail)
        if (isWorthKeeping({ outcome: end.outcome, finish })) keep(tail)
      } else endFailed(reply, pipe.fail(failed))
    },
  }
}

/** Where a failure cannot be told in band, an answer that does not end is the only way to say that it is not whole. */
function endFailed(reply: StreamReply, told: string | null): void {
  if (told === null) reply.destroy()
  else reply.end(told)
}

/** A provider that answers a request for a stream with a page or an error under status 200 has failed. */
function readUnstreamed(exchange: Exchange, body: Buffer): UpstreamFailure {
  try {
    const read = exchange.readWhole(body, {})
    if ('failure' in read) return read.failure
  } catch {
    // Falls through: whatever it is, it is no stream.
  }
  return failure('server_error', 502, 'The provider answered a request for a stream with something else.')
}

/** A connection that broke in the middle is a cut answer, whatever broke it. */
function midStreamError(failed: UpstreamFailure): HubError {
  return failed.status === 0 && !failed.code.endsWith('timeout')
    ? fail('upstream_truncated', failed.message)
    : toCallerError(failed)
}
