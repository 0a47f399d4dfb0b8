import type { JournalEntry } from './entry.ts'

/** Most entries kept in memory beside the files. Past it the oldest are read from the files again. */
const mostRecent = 5000

/** The newest entries, so that carrying them on need not read them back. */
export function createRecent() {
  /** Null before `from`: what was carried on must die young, and not wait here until the list is cut. */
  let entries: (JournalEntry | null)[] = []
  let from = 0
  const clear = () => {
    entries = []
    from = 0
  }
  return {
    clear,
    size: () => entries.length - from,
    add(bodies: readonly string[], memos: readonly unknown[], lastSeq: number) {
      if (entries.length - from + bodies.length > mostRecent) clear()
      const before = lastSeq - bodies.length
      bodies.forEach((body, i) => void entries.push({ seq: before + i + 1, body, memo: memos[i] }))
    },
    read: (limit: number) => entries.slice(from, from + limit) as JournalEntry[],
    remove(upToSeq: number) {
      while (from < entries.length && entries[from]!.seq <= upToSeq) entries[from++] = null
      if (from === entries.length) clear()
      else if (from > 1000) {
        entries = entries.slice(from)
        from = 0
      }
    },
  }
}
