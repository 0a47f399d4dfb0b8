import type { Clock } from '../../../kernel/clock.ts'
import type { WebSocket } from '../../../platform/web-socket.ts'
import type { ChatUsage } from '../../chat.ts'
import type { Spent } from '../../meter.ts'
import { addUsage } from '../asking/read-usage.ts'
import { errorEvent, readFromCaller, readFromProvider } from './events.ts'

/** A caller and a provider talking, each as fast as the other listens. */
export type RealtimeSession = {
  /** Ends as soon as no answer is under way. */
  retire(): void
  /** Ends now. */
  end(how: SessionEnd): void
  /** Resolves when both sides have been told. */
  over: Promise<void>
}

export type SessionEnd = {
  outcome: 'success' | 'truncated' | 'aborted'
  /** Close code and reason for the caller and for the provider; null for a side that is gone. */
  caller: Close | null
  provider: Close | null
  /** What the caller is told in an event before it. */
  message: string | null
}

type Close = { code: number; reason: string }

export type SessionParts = {
  caller: WebSocket
  provider: WebSocket
  names: { asked: string; sent: string }
  clock: Clock
  limits: { idleMs: number; totalMs: number; keepAliveMs: number; slowReaderMs: number }
  onFirstContent(): void
  /** Enters the session into the ledger; the caller's last frame waits for it. */
  settle(end: SessionEnd, spent: Spent | null): Promise<void>
}

const mostBufferedBytes = 1024 * 1024
/** Pings in a row without a word. */
const mostUnanswered = 3
const fewBufferedBytes = 256 * 1024

export function runSession(parts: SessionParts): RealtimeSession {
  const { caller, provider, names, clock, limits } = parts
  const startedAt = clock.monotonic()
  let lastAt = startedAt
  let pingedAt = startedAt
  const unanswered = { caller: 0, provider: 0 }
  let blockedSince: number | null = null
  let answersOpen = 0
  let deltas = 0
  let usage: ChatUsage | null = null
  let isRetiring = false
  let isOver = false
  const over = Promise.withResolvers<void>()

  const pass = (from: WebSocket, to: WebSocket, data: Buffer, binary: boolean) => {
    if (to.readyState !== to.OPEN) return
    to.send(data, { binary }, () => {
      if (!from.isPaused || to.bufferedAmount > fewBufferedBytes) return
      blockedSince = null
      // Whoever did not read did not answer pings either.
      unanswered.caller = unanswered.provider = 0
      lastAt = clock.monotonic()
      from.resume()
    })
    if (to.bufferedAmount > mostBufferedBytes && !from.isPaused) {
      blockedSince ??= clock.monotonic()
      from.pause()
    }
  }

  const end = (how: SessionEnd) => {
    if (isOver) return
    isOver = true
    clearInterval(timer)
    const spent: Spent | null = usage !== null || deltas > 0 ? { usage, contentBytes: 0, contentEvents: deltas } : null
    // First the provider: nothing more is to be consumed.
    close(provider, how.provider)
    void parts.settle(how, spent).finally(() => {
      if (how.message !== null && caller.readyState === caller.OPEN) {
        caller.send(errorEvent('server_error', 'upstream_truncated', how.message))
      }
      close(caller, how.caller)
      over.resolve()
    })
  }
  const goAway = (reason: string) =>
    end({ outcome: 'success', caller: { code: 1001, reason }, provider: { code: 1000, reason: '' }, message: null })

  provider.on('message', (data, isBinary) => {
    if (isOver) return
    lastAt = clock.monotonic()
    unanswered.provider = 0
    const bytes = data as Buffer
    if (isBinary) return pass(provider, caller, bytes, true)
    const read = readFromProvider(bytes, names)
    if (read.kind === 'created') answersOpen++
    else if (read.kind === 'delta') {
      if (deltas++ === 0) parts.onFirstContent()
    } else if (read.kind === 'done') {
      answersOpen = Math.max(0, answersOpen - 1)
      if (read.usage) usage = addUsage(usage, read.usage)
    }
    pass(provider, caller, read.data, false)
    if (isRetiring && answersOpen === 0) goAway('The hub is stopping.')
  })
  caller.on('message', (data, isBinary) => {
    if (isOver) return
    lastAt = clock.monotonic()
    unanswered.caller = 0
    const bytes = data as Buffer
    if (isBinary) return pass(caller, provider, bytes, true)
    const allowed = readFromCaller(bytes, names)
    if (allowed) pass(caller, provider, allowed, false)
    else
      caller.send(
        errorEvent('invalid_request_error', 'model_not_found', 'A session keeps the model it was opened for.'),
      )
  })
  caller.on('pong', () => {
    unanswered.caller = 0
  })
  provider.on('pong', () => {
    unanswered.provider = 0
  })
  caller.on('ping', () => {
    unanswered.caller = 0
  })
  provider.on('ping', () => {
    unanswered.provider = 0
  })
  // Each error is followed by its close.
  caller.on('error', () => {})
  provider.on('error', () => {})
  caller.on('close', (code, reason) =>
    end({
      // Who leaves an answer that is being given has broken it off; else a session is over when its caller says so.
      outcome: answersOpen > 0 ? 'aborted' : 'success',
      caller: null,
      provider: sendable(code) ? { code, reason: reason.toString() } : { code: 1000, reason: '' },
      message: null,
    }),
  )
  provider.on('close', (code, reason) => {
    const isOrderly = sendable(code) && code !== 1011
    end({
      outcome: isOrderly && answersOpen === 0 ? 'success' : 'truncated',
      caller: sendable(code)
        ? { code, reason: reason.toString() }
        : { code: 1011, reason: 'The provider cut the connection.' },
      provider: null,
      message: isOrderly ? null : 'The provider cut the connection.',
    })
  })

  const timer = setInterval(() => {
    const now = clock.monotonic()
    if (now - startedAt > limits.totalMs) return goAway('The session has lasted as long as it may.')
    if (blockedSince === null && now - lastAt > limits.idleMs) return goAway('Nobody has said anything for too long.')
    if (blockedSince !== null && now - blockedSince > limits.slowReaderMs) {
      return provider.isPaused ? caller.terminate() : provider.terminate()
    }
    if (blockedSince !== null || now - pingedAt < limits.keepAliveMs) return
    pingedAt = now
    // A peer that answers no ping is gone, whatever its connection says. Counted and not timed: a busy moment of ours is
    // nobody's silence.
    if (++unanswered.provider > mostUnanswered) return provider.terminate()
    if (++unanswered.caller > mostUnanswered) return caller.terminate()
    for (const side of [caller, provider]) if (side.readyState === side.OPEN) side.ping()
  }, 1000)
  timer.unref()

  return {
    retire() {
      isRetiring = true
      if (answersOpen === 0) goAway('The hub is stopping.')
    },
    end,
    over: over.promise,
  }
}

function close(side: WebSocket, how: Close | null): void {
  // What it was not let say is of no use any more.
  if (side.isPaused) side.resume()
  if (how !== null && side.readyState === side.OPEN) side.close(how.code, cutReason(how.reason))
}

/** A close frame has room for 123 bytes of reason: https://www.rfc-editor.org/rfc/rfc6455#section-5.5 */
function cutReason(reason: string): string {
  return Buffer.byteLength(reason) <= 123
    ? reason
    : Buffer.from(reason)
        .toString('latin1', 0, 123)
        .replace(/[^\x20-\x7e]/g, '')
}

/** Codes that may stand in a frame: https://www.rfc-editor.org/rfc/rfc6455#section-7.4 */
function sendable(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999)
  )
}
