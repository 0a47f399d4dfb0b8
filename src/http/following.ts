import { Readable } from 'node:stream'
import type { Clock } from '../kernel/clock.ts'
import { formatSse } from '../kernel/sse.ts'
import { type Reply, reply } from './reply.ts'

/** How far work is; `told` is null where nobody here can say. */
export type Standing = { isOver: boolean; told: object | null }

const stepMs = 1000

/**
 * Follows long work as server-sent events: `progress` each second while it goes on, then `end`, and the stream is over. What
 * cannot be told is a line of comment, so that nothing on the way takes the silence for an end. Asks no more once `closed`.
 */
export function follow(read: () => Promise<Standing>, { clock, closed }: { clock: Clock; closed: AbortSignal }): Reply {
  return reply(200, Readable.from(events(read, clock, closed)), {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
}

async function* events(read: () => Promise<Standing>, clock: Clock, closed: AbortSignal): AsyncGenerator<string> {
  while (!closed.aborted) {
    const { isOver, told } = await read()
    const event = isOver ? 'end' : 'progress'
    if (told !== null) yield formatSse({ event, data: JSON.stringify(told) })
    else if (!isOver) yield ': under way elsewhere\n\n'
    if (isOver) return
    await clock.sleep(stepMs, closed)
  }
}
