import type { Log } from '../log.ts'
import type { Link } from '../processes/link.ts'
import type { Bus } from './bus.ts'
import { createMemoryBus } from './memory.ts'

/** Announcements between the processes of one node, passed on by their supervisor. This one's own do not wait for it. */
export function createLinkedBus({ link, log }: { link: Link; log: Log }): Bus {
  const local = createMemoryBus({ log })
  link.onAnnouncement(local.deliver)
  return {
    on: local.on,
    announce(name, news) {
      local.announce(name, news)
      link.announce(name, news)
    },
    close: local.close,
  }
}
