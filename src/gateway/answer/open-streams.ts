import { createBag } from '../../kernel/bag.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { StreamReply } from './stream-reply.ts'

/** One sweep over all streams in place of several timers on each. */
export type OpenStreams = {
  /** Returns the verb that ends the watch. */
  watch(stream: WatchedStream): () => void
  stop(): void
}

export type WatchedStream = {
  reply: StreamReply
  /** Monotonic time by which the stream must have ended. */
  deadlineAt: number
  /** What keeps the connection open while the provider is silent. */
  comment: string
  expire(): void
}

export function watchStreams(clock: Clock, limits: { keepAliveMs(): number; slowReaderMs(): number }): OpenStreams {
  const streams = createBag<WatchedStream>()
  const timer = setInterval(() => {
    const now = clock.monotonic()
    const [keepAliveMs, slowReaderMs] = [limits.keepAliveMs(), limits.slowReaderMs()]
    streams.forEach((stream) => {
      const blockedSince = stream.reply.blockedSince()
      if (now >= stream.deadlineAt) stream.expire()
      else if (blockedSince !== null && now - blockedSince > slowReaderMs) stream.reply.destroy()
      else if (now - stream.reply.lastWriteAt() > keepAliveMs) stream.reply.keepAlive(stream.comment)
    })
  }, 1000)
  timer.unref()
  return {
    watch: streams.add,
    stop: () => clearInterval(timer),
  }
}
