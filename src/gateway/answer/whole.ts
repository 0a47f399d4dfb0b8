import { type Call, type Ending, leftByCaller } from '../call.ts'
import type { UpstreamFailure } from '../chat.ts'
import { failure } from '../failures.ts'
import type { Answerer, Listener } from './answerer.ts'
import { attemptWhole, type InFlight, type WholeAnswer } from './attempt.ts'
import type { Drains } from './drains.ts'
import { isWorthKeeping, type KeptAnswer } from './kept.ts'
import type { Exchange, WholeRead } from './wanted.ts'

/** Answers in one piece: read to the end, then sent with its length. */
export function answerWhole(
  call: Call,
  inFlight: InFlight,
  limits: { maxBytes: number; drains: Drains | null; kept: KeptAnswer | null; heard: Listener | null },
): Answerer {
  return {
    async attempt(candidate, exchange, { timeoutMs }) {
      const result = await attemptWhole(candidate, { ...exchange.request, timeoutMs, idleMs: timeoutMs }, inFlight, {
        ...limits,
        readRefusal: exchange.readRefusal,
      })
      if (result.kind !== 'done') return result
      if (result.value === null) {
        return { kind: 'done', value: leftByCaller(call, { usage: null, contentBytes: 0, contentEvents: 0 }) }
      }
      const read = readAnswer(exchange, result.value)
      if (result.value.isLeft) return { kind: 'done', value: leftWhole(call, read) }
      if ('failure' in read) return { kind: 'failed', failure: read.failure }
      call.headers.push(...exchange.passHeaders(result.value.headers))
      return { kind: 'done', value: toEnding(call, read, limits) }
    },
    fail(error) {
      throw error
    },
  }
}

/** Nobody waits for it any more, and what it cost is known to the last token. */
function leftWhole(call: Call, read: WholeRead | { failure: UpstreamFailure }): Ending {
  const usage = 'failure' in read ? null : read.usage
  return leftByCaller(call, { usage, contentBytes: 0, contentEvents: 0, isWhole: usage !== null }, 'drain')
}

/** A provider that answers 200 with a page of HTML, or with an error inside, has failed. */
function readAnswer(exchange: Exchange, { body, headers }: WholeAnswer): WholeRead | { failure: UpstreamFailure } {
  try {
    return exchange.readWhole(body, headers)
  } catch {
    return { failure: failure('server_error', 502, 'The provider answered something that is not an answer.') }
  }
}

function toEnding(
  call: Call,
  read: WholeRead,
  { kept, heard }: { kept: KeptAnswer | null; heard: Listener | null },
): Ending {
  const { contentType = 'application/json', contentBytes = read.body.length } = read
  return {
    outcome: 'success',
    status: 200,
    error: null,
    finish: read.finish,
    spent: { usage: read.usage, contentBytes, contentEvents: contentBytes > 0 ? 1 : 0 },
    send(instead) {
      if (instead) throw instead
      const length = String(read.body.length)
      call.response.writeHead(200, ['content-type', contentType, 'content-length', length, ...call.headers])
      call.response.end(read.body)
      heard?.add(read.body)
      if (kept === null || !isWorthKeeping({ outcome: 'success', finish: read.finish })) return
      kept.add(read.body)
      kept.keep(contentType)
    },
  }
}
