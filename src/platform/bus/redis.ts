import { randomUUID } from 'node:crypto'
import type { Log } from '../log.ts'
import type { Redis } from '../redis.ts'
import type { Bus } from './bus.ts'
import { createMemoryBus } from './memory.ts'

const channel = 'gatehouse:bus'

/**
 * Announcements between nodes by Redis pub/sub. This node's own are delivered at once and do not wait for Redis, so an
 * outage parts the nodes and never the rooms of one. `ready` resolves when the first subscription stands.
 */
export function createRedisBus({ redis, log }: { redis: Redis; log: Log }): Bus & { ready: Promise<void> } {
  const node = randomUUID()
  const local = createMemoryBus({ log })
  // A connection that has subscribed can do nothing else. Its subscription waits for the connection, and is renewed by
  // the client after each reconnection.
  const ears = redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null, commandTimeout: undefined })
  // The first connection tells of outages.
  ears.on('error', () => {})
  ears.on('message', (_channel, text) => {
    const heard = read(text)
    if (heard !== null && heard.node !== node) local.deliver(heard.name, heard.news)
  })
  const ready = ears.subscribe(channel).then(
    () => {},
    (error) => log.warn('Announcements of other nodes are not heard', { error }),
  )

  return {
    ready,
    on: local.on,
    announce(name, news) {
      local.announce(name, news)
      redis.publish(channel, JSON.stringify({ node, name, news })).catch((error) => {
        log.warn(`Other nodes do not hear ${name}; they will find out by themselves`, { error })
      })
    },
    async close() {
      await local.close()
      ears.disconnect()
    },
  }
}

// Whoever can reach Redis can write here: what does not look like an announcement is not one.
function read(text: string): { node: string; name: string; news: unknown } | null {
  try {
    const { node, name, news } = JSON.parse(text) as Record<string, unknown>
    return typeof node === 'string' && typeof name === 'string' ? { node, name, news } : null
  } catch {
    return null
  }
}
