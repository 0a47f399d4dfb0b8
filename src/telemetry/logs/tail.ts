import { Readable } from 'node:stream'
import { fail } from '../../kernel/errors.ts'
import { type LineFilter, passes } from '../../platform/log/search.ts'
import type { LineKind, LogControl } from '../../platform/log.ts'

export type Tails = {
  /** The lines that pass from now on, as server-sent events, until `signal` aborts or the hub stops. */
  open(filter: Omit<LineFilter, 'sinceMs' | 'untilMs'>, kinds: readonly LineKind[], signal: AbortSignal): Readable
  /** Ends all of them: they would hold up a hub that stops. */
  end(): void
}

/** A reader that is slower than the log loses lines and is told how many: the log waits for nobody. */
const mostWaitingBytes = 1024 * 1024
const mostTails = 20
/** Proxies close connections on which nothing is heard. */
const pingMs = 15_000

export function createTails(log: LogControl): Tails {
  const ending = new AbortController()
  let open = 0

  return {
    end: () => ending.abort(),
    open(filter, kinds, signal) {
      if (open >= mostTails) {
        throw fail(
          'rate_limited',
          `${open} callers follow the log already, which is the most this node serves at once`,
          {
            retryAfterMs: 5000,
          },
        )
      }
      open++
      let missed = 0
      const stream = new Readable({ read: tellMissed, highWaterMark: mostWaitingBytes })
      const all = { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY, ...filter }

      function send(event: string, data: string): void {
        stream.push(`event: ${event}\ndata: ${data}\n\n`)
      }
      function tellMissed(): void {
        if (missed === 0 || stream.readableLength >= mostWaitingBytes) return
        const count = missed
        missed = 0
        send('missed', `{"count":${count}}`)
      }

      const unlisten = log.listen((line, kind, rank, module) => {
        if (!kinds.includes(kind) || !passes({ at: 0, rank, module, text: line }, all)) return
        if (stream.readableLength >= mostWaitingBytes) {
          missed++
          return
        }
        tellMissed()
        send('line', line.trimEnd())
      })
      const ping = setInterval(() => {
        if (stream.readableLength < mostWaitingBytes) stream.push(': still here\n\n')
      }, pingMs)
      ping.unref()
      const over = AbortSignal.any([signal, ending.signal])
      const finish = () => {
        unlisten()
        clearInterval(ping)
        open--
        stream.push(null)
      }
      if (over.aborted) finish()
      else {
        over.addEventListener('abort', finish, { once: true })
        stream.push(': the log from here on\n\n')
      }
      return stream
    },
  }
}
