import type { SourceRow } from './reader.ts'

export type OnRows = (rows: readonly SourceRow[], from: { source: string }) => void | Promise<void>

type State = { from: { at: number; id: number }; newest: number; seen: Map<number, number> }

/**
 * Single rows for those who judge them, each once while this process lives; hours are read again and again. After a
 * restart it goes on where reading had come: rows that came late meanwhile are counted, and not told singly.
 */
export function createFeed(onRows: OnRows | undefined, overlapMs: number) {
  const states = new Map<string, State>()

  return {
    /** From when on single rows are wanted; null when nobody wants any. */
    from(sourceId: string, last: { at: number; id: number } | null, now: number): number | null {
      if (onRows === undefined) return null
      let state = states.get(sourceId)
      if (state === undefined) {
        const from = last ?? { at: now - overlapMs, id: -1 }
        state = { from, newest: from.at, seen: new Map() }
        states.set(sourceId, state)
      }
      return Math.max(state.from.at, state.newest - overlapMs)
    },

    /** In the order of their times. What is told counts as told when the listener took it. */
    async tell(source: { id: string; name: string }, rows: readonly SourceRow[]): Promise<void> {
      const state = states.get(source.id)
      if (onRows === undefined || state === undefined) return
      const { from, seen } = state
      const isNew = ({ id, at }: SourceRow) => !seen.has(id) && (at > from.at || (at === from.at && id > from.id))
      const fresh = rows.filter(isNew).sort((a, b) => a.at - b.at || a.id - b.id)
      if (fresh.length === 0) return
      await onRows(fresh, { source: source.name })
      for (const { id, at } of fresh) seen.set(id, at)
      state.newest = Math.max(state.newest, fresh.at(-1)!.at)
      for (const [id, at] of seen) if (at < state.newest - overlapMs) seen.delete(id)
    },

    forget: (sourceId: string) => states.delete(sourceId),
  }
}
