import type { DaySeen } from './kept-days.ts'
import { dayMs, hourMs } from './schema.ts'

/** What of somebody is known apart from whole hours, at the ends of a range: the number of an id in a bucket. */
export type Extra = { bucket: number; number: number }

/**
 * How many different ones each bucket has that begins at one of `starts`, of whole hours from `from` to `to` and of what
 * lies beside them. `days` are those of UTC from `firstDay` on; no number reaches `size`.
 */
export function countDifferent(
  starts: readonly number[],
  { from, to, firstDay, days }: { from: number; to: number; firstDay: number; days: readonly DaySeen[] },
  extras: readonly Extra[],
  size: number,
): Map<number, number> {
  const byBucket = new Map<number, number[]>()
  for (const { bucket, number } of extras) {
    const numbers = byBucket.get(bucket)
    if (numbers === undefined) byBucket.set(bucket, [number])
    else numbers.push(number)
  }
  const found = new Map<number, number>()
  // A mark of its own for every bucket spares emptying the list between them.
  const marks = new Uint32Array(size)
  for (const [index, start] of starts.entries()) {
    const [first, last] = [Math.max(start, from), Math.min(starts[index + 1] ?? to, to)]
    const beside = byBucket.get(start) ?? []
    const day = Math.floor((first - firstDay) / dayMs)
    if (beside.length === 0 && first < last && last - first === hourMs) {
      const amount = days[day]!.amounts[((first - firstDay) % dayMs) / hourMs]!
      if (amount > 0) found.set(start, amount)
      continue
    }
    const mark = index + 1
    let amount = 0
    const see = (number: number) => {
      if (marks[number] === mark) return
      marks[number] = mark
      amount++
    }
    for (let at = day; first < last && firstDay + at * dayMs < last; at++) {
      const { ids, hours } = days[at]!
      const dayStart = firstDay + at * dayMs
      const wanted = hoursBetween(Math.max(0, (first - dayStart) / hourMs), Math.min(24, (last - dayStart) / hourMs))
      for (let i = 0; i < ids.length; i++) if ((hours[i]! & wanted) !== 0) see(ids[i]!)
    }
    for (const number of beside) see(number)
    if (amount > 0) found.set(start, amount)
  }
  return found
}

/** A bit for each hour of a day from `from` to below `to`. */
function hoursBetween(from: number, to: number): number {
  return ((2 ** to - 1) & ~(2 ** from - 1)) >>> 0
}
