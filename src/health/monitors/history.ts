import type { MonitorStore } from './store.ts'
import { addResult, addSum, emptySum, hourMs, minuteMs, type Sum } from './sums.ts'

export type History = {
  grain: 'result' | 'minute' | 'hour'
  total: Sum
  points: { at: number; sum: Sum }[]
}

const rawMs = 6 * hourMs
const minutesMs = 2 * 24 * hourMs
const mostResults = 20_000

/**
 * What a check came to from `from` to `to`, in points of a minute or an hour. Long ranges are read from sums, and their
 * end, which is not summed yet, from finer ones: nothing is missing and nothing counts twice.
 */
export async function readHistory(store: MonitorStore, checkId: string, from: number, to: number): Promise<History> {
  const grain = to - from <= rawMs ? 'result' : to - from <= minutesMs ? 'minute' : 'hour'
  const pointMs = grain === 'hour' ? hourMs : minuteMs
  const points = new Map<number, Sum>()
  const total = emptySum()
  const at = (time: number) => {
    const start = time - (time % pointMs)
    const known = points.get(start) ?? emptySum()
    points.set(start, known)
    return known
  }
  let next = grain === 'result' ? from : from - (from % pointMs)
  if (grain === 'hour') {
    const until = Math.min(to, await store.summedUntil(hourMs))
    for (const row of await store.sums(hourMs, checkId, next, until))
      for (const sum of [total, at(row.at)]) addSum(sum, row)
    next = Math.max(next, until)
  }
  if (grain !== 'result') {
    const until = Math.min(to, await store.summedUntil(minuteMs))
    for (const row of await store.sums(minuteMs, checkId, next, until))
      for (const sum of [total, at(row.at)]) addSum(sum, row)
    next = Math.max(next, until)
  }
  for (const row of await store.results(checkId, next, to, mostResults))
    for (const sum of [total, at(row.at)]) addResult(sum, row)
  return { grain, total, points: [...points].sort(([a], [b]) => a - b).map(([start, sum]) => ({ at: start, sum })) }
}
