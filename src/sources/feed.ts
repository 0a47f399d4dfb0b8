import type { Log } from '../platform/log.ts'
import type { SourceRow } from './reader.ts'

export type OnRows = (rows: readonly SourceRow[], from: { source: string }) => void | Promise<void>

type State = {
  from: { at: number; id: number }
  newest: number
  seen: Map<number, number>
  /** Not taken by the listener yet. */
  waiting: SourceRow[]
}

const mostWaiting = 50_000

/**
 * Single rows for those who judge them, each once while this process lives; hours are read again and again. After a
 * restart it goes on where reading had come: rows that came late meanwhile are counted, and not told singly.
 */
export function createFeed({ onRows, overlapMs, log }: { onRows?: OnRows; overlapMs: number; log: Log }) {
  const states = new Map<string, State>()

  return {
    /** From when on single rows are wanted; null when nobody wants any. */
    from(sourceId: string, last: { at: number; id: number } | null, now: number): number | null {
      if (onRows === undefined) return null
      let state = states.get(sourceId)
      if (state === undefined) {
        const from = last ?? { at: now - overlapMs, id: -1 }
        state = { from, newest: from.at, seen: new Map(), waiting: [] }
        states.set(sourceId, state)
      }
      return Math.max(state.from.at, state.newest - overlapMs)
    },

    /** In the order of their times, with those that the listener did not take before. It never holds up the reading. */
    async tell(source: { id: string; name: string }, rows: readonly SourceRow[]): Promise<void> {
      const state = states.get(source.id)
      if (onRows === undefined || state === undefined) return
      const { from, seen } = state
      const isNew = ({ id, at }: SourceRow) => !seen.has(id) && (at > from.at || (at === from.at && id > from.id))
      for (const row of rows.filter(isNew)) {
        seen.set(row.id, row.at)
        state.waiting.push(row)
        state.newest = Math.max(state.newest, row.at)
      }
      // An hour that is read again has rows up to the overlap ago.
      for (const [id, at] of seen) if (at < state.newest - overlapMs) seen.delete(id)
      if (state.waiting.length === 0) return
      const told = state.waiting.sort((a, b) => a.at - b.at || a.id - b.id).slice(-mostWaiting)
      state.waiting = told
      try {
        await onRows(told, { source: source.name })
        state.waiting = []
      } catch (error) {
        log.error(`Rows of the source ${source.name} were not taken; they are told again`, { error })
      }
    },

    forget: (sourceId: string) => states.delete(sourceId),
  }
}
