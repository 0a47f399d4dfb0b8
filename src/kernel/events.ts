/**
 * What rooms tell each other without knowing each other. An announcement carries no reply; where one is needed, the
 * verb is passed as an argument instead. `hub.ts` has the one block that says who hears what.
 */
export type Announcements = {
  /** Stored configuration of a kind changed; every node reloads its snapshot of it. */
  'config.changed': { kind: 'keys' | 'routes' | 'prices' }
  /** A health check changed its verdict. */
  'check.changed': { check: string; from: string; to: string; message: string }
}

export type AnnouncementName = keyof Announcements
