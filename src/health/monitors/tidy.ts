import type { Clock } from '../../kernel/clock.ts'
import type { MonitorStore, SumRow } from './store.ts'
import { addResult, addSum, emptySum, hourMs, minuteMs, type Sum, toSumRow } from './sums.ts'

/** Results are written down at most this long after they came. */
const lateMs = 10_000
const sliceMs = hourMs
const mostSlices = 50
const deleteAtOnce = 5000

/** Sums minutes and hours that are over, and deletes what is older than it is to be kept. */
export function createTidy({
  store,
  clock,
  keepMs,
}: {
  store: MonitorStore
  clock: Pick<Clock, 'now'>
  keepMs(): { raw: number; minute: number; hour: number }
}): () => Promise<void> {
  let deletedAt = 0

  async function sumMinutes(): Promise<void> {
    const end = floor(clock.now() - lateMs, minuteMs)
    let from = await store.summedUntil(minuteMs)
    if (from === 0) from = floor((await store.firstResultAt()) ?? end, minuteMs)
    for (let slice = 0; from < end && slice < mostSlices; slice++) {
      const until = Math.min(from + sliceMs, end)
      const sums = createSums(minuteMs)
      for (const row of await store.resultsOfAll(from, until)) addResult(sums.at(row.check_id, row.at), row)
      await store.putSums(minuteMs, sums.rows(), until)
      from = until
    }
  }

  async function sumHours(): Promise<void> {
    const end = floor(await store.summedUntil(minuteMs), hourMs)
    let from = await store.summedUntil(hourMs)
    if (from === 0) from = floor((await store.firstResultAt()) ?? end, hourMs)
    for (let slice = 0; from < end && slice < mostSlices; slice++) {
      const sums = createSums(hourMs)
      for (const row of await store.sumsOfAll(minuteMs, from, from + hourMs)) addSum(sums.at(row.check_id, row.at), row)
      await store.putSums(hourMs, sums.rows(), from + hourMs)
      from += hourMs
    }
  }

  async function deleteOld(): Promise<void> {
    const now = clock.now()
    if (now - deletedAt < 10 * minuteMs) return
    deletedAt = now
    // What is not summed yet is never deleted: after a long outage the sums come first.
    const kept = keepMs()
    const rawBefore = Math.min(now - kept.raw, await store.summedUntil(minuteMs))
    for (let batch = 0; batch < 20; batch++) {
      if ((await store.deleteResults(rawBefore, deleteAtOnce)) < deleteAtOnce) break
    }
    await store.deleteSums(minuteMs, Math.min(now - kept.minute, await store.summedUntil(hourMs)))
    await store.deleteSums(hourMs, now - kept.hour)
    await store.deleteOrphans()
  }

  return async () => {
    await sumMinutes()
    await sumHours()
    await deleteOld()
  }
}

function createSums(grainMs: number) {
  const sums = new Map<string, { checkId: string; at: number; sum: Sum }>()
  return {
    at(checkId: string, time: number): Sum {
      const at = floor(time, grainMs)
      const key = `${checkId}:${at}`
      const known = sums.get(key) ?? { checkId, at, sum: emptySum() }
      sums.set(key, known)
      return known.sum
    },
    rows: (): SumRow[] => [...sums.values()].map(({ checkId, at, sum }) => toSumRow(grainMs, checkId, at, sum)),
  }
}

function floor(time: number, stepMs: number): number {
  return time - (time % stepMs)
}
