import type { AnnouncementName, Announcements } from '../../kernel/events.ts'
import type { Log } from '../log.ts'
import type { Bus } from './bus.ts'

type Listener = (news: never) => void

/** Announcements inside this process. Listeners hear after the announcing call has returned, in order. */
export function createMemoryBus({ log }: { log: Log }): Bus & { deliver(name: string, news: unknown): void } {
  const listeners = new Map<string, Set<Listener>>()

  function deliver(name: string, news: unknown): void {
    for (const listener of [...(listeners.get(name) ?? [])]) {
      const told = (error: unknown) => log.error(`A listener to ${name} failed`, { error })
      try {
        const outcome: unknown = listener(news as never)
        // An async function passes for one that returns nothing; its rejection must not end the process.
        if (outcome instanceof Promise) outcome.catch(told)
      } catch (error) {
        told(error)
      }
    }
  }

  return {
    deliver,
    announce(name, news) {
      queueMicrotask(() => deliver(name, news))
    },
    on<N extends AnnouncementName>(name: N, listener: (news: Announcements[N]) => void) {
      // Wrapped, so that the same function given twice is heard twice and stopped once.
      const own: Listener = (news) => listener(news)
      const all = listeners.get(name) ?? new Set()
      listeners.set(name, all.add(own))
      return () => void all.delete(own)
    },
    close: async () => listeners.clear(),
  }
}
