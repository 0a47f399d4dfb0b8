import type { AnnouncementName, Announcements } from '../../kernel/events.ts'

/**
 * Announcements between rooms and between nodes. Delivery is at most once and without order across nodes: who hears
 * one reloads the truth from the store, and polls it besides, so a lost announcement costs a second and never a fault.
 * A listener that throws is logged and does not keep the others from hearing.
 */
export type Bus = {
  announce<N extends AnnouncementName>(name: N, news: Announcements[N]): void
  /** Hears every node's announcements, this one's included, once each. Returns the verb that stops listening. */
  on<N extends AnnouncementName>(name: N, listener: (news: Announcements[N]) => void): () => void
  close(): Promise<void>
}
