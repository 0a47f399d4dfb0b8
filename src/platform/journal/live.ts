/** The numbers of the rows that are still in the queue, kept as runs: there is one, unless rows were lost or set aside. */
export type Live = {
  /** `first` is greater than every number added before. */
  add(first: number, count: number): void
  /** Returns how many of the numbers up to and including `seq` were there. */
  removeThrough(seq: number): number
  removeOne(seq: number): boolean
  has(seq: number): boolean
  size(): number
  first(): number | null
}

export function createLive(): Live {
  let runs: { from: number; to: number }[] = []
  let size = 0
  const runOf = (seq: number) => runs.findIndex(({ from, to }) => from <= seq && seq <= to)
  return {
    add(first, count) {
      const last = runs.at(-1)
      if (last?.to === first - 1) last.to += count
      else runs.push({ from: first, to: first + count - 1 })
      size += count
    },
    removeThrough(seq) {
      const before = size
      const isGone = (run: { to: number }) => run.to <= seq
      for (const run of runs) {
        if (isGone(run)) size -= run.to - run.from + 1
        else if (run.from <= seq) {
          size -= seq - run.from + 1
          run.from = seq + 1
        }
      }
      if (runs.some(isGone)) runs = runs.filter((run) => !isGone(run))
      return before - size
    },
    removeOne(seq) {
      const index = runOf(seq)
      const run = runs[index]
      if (run === undefined) return false
      const halves = [
        { from: run.from, to: seq - 1 },
        { from: seq + 1, to: run.to },
      ]
      runs.splice(index, 1, ...halves.filter(({ from, to }) => from <= to))
      size--
      return true
    },
    has: (seq) => runOf(seq) !== -1,
    size: () => size,
    first: () => runs[0]?.from ?? null,
  }
}
