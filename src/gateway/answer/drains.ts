/**
 * Providers that are read to their end although their caller has left, so that their last word on what it cost is heard.
 * Bounded in number and in time; a hub that stops ends them all.
 */
export type Drains = {
  /** `end` is called when the time is over or the hub stops; null when as many as may are being read already. */
  begin(end: () => void): (() => void) | null
  /** Ends all, and lets what they were for be written down. */
  stop(): Promise<void>
}

const mostDrains = 1000

export function createDrains(limitMs: () => number): Drains {
  const ends = new Map<number, () => void>()
  let number = 0
  let isStopped = false
  return {
    begin(end) {
      if (isStopped || ends.size >= mostDrains) return null
      const id = number++
      const timer = setTimeout(end, limitMs())
      timer.unref()
      ends.set(id, end)
      return () => {
        clearTimeout(timer)
        ends.delete(id)
      }
    },
    async stop() {
      isStopped = true
      for (const end of [...ends.values()]) end()
      // What ends here is written into the journal before the next turn of the loop is over.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
