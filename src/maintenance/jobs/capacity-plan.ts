import { createFindings, defineJob } from '../job.ts'

const dayMs = 86_400_000
/** Less says nothing about a month. */
const leastSpanMs = dayMs

/** Seed 003's monthly look ahead: when the disk is full, and how the store grows, as the last month went. */
export const capacityPlan = defineJob({
  name: 'capacity_plan',
  rhythm: 'monthly',
  summary: { en: 'When the disk will be full, and how the store grows', zh: '容量规划' },
  cron: '30 4 1 * *',
  windowMinutes: 240,
  async run(world, running) {
    const found = createFindings()
    const now = world.clock.now()
    const { freeBytes, totalBytes } = world.disk()
    found.figure('disk_free_bytes', freeBytes)
    found.figure('disk_total_bytes', totalBytes)

    running.progress(0, 2, 'disk')
    const free = await world.trend('min(gatehouse_host_disk_bytes{kind="free"})', 30)
    const slope = slopeOf(free)
    const days = slope === null ? null : slope >= 0 ? Number.POSITIVE_INFINITY : freeBytes / -slope
    found.figure('disk_bytes_per_day', slope === null ? null : -slope)
    found.figure('disk_full_in_days', days)
    if (days === null)
      found.add('inconclusive', 'The disk was not watched for long enough.', '磁盘采样时间不足，无法预测。')
    else if (days < 90) {
      const told = Math.floor(days)
      found.add(days < 14 ? 'fail' : 'warn', `The disk is full in ${told} days.`, `磁盘将在 ${told} 天后写满。`)
    }

    running.progress(1, 2, 'store')
    const [sizes, room, past] = [await world.upkeep.sizes(), await world.upkeep.room(), await running.former(12)]
    found.figure('store_bytes', room.bytes)
    found.figure(
      'store_rows',
      sizes.reduce((sum, { rows }) => sum + rows, 0),
    )
    for (const { table, rows, bytes } of sizes.slice(0, 10)) {
      found.figure(`rows_${table}`, rows)
      found.note(`${table}: ${rows} rows${bytes === null ? '' : `, ${bytes} bytes`}`)
    }
    const former = past.find(
      ({ figures, finishedAt }) => figures.store_bytes !== undefined && now - finishedAt >= leastSpanMs,
    )
    if (former !== undefined) {
      const perDay = (room.bytes - former.figures.store_bytes!) / ((now - former.finishedAt) / dayMs)
      found.figure('store_bytes_per_day', perDay)
      found.note(
        `the store grows by ${Math.round(perDay)} bytes a day since ${new Date(former.finishedAt).toISOString()}`,
      )
    }
    return found.told({
      en:
        days === Number.POSITIVE_INFINITY
          ? 'The disk does not fill up.'
          : `The disk lasts ${Math.floor(days ?? 0)} days.`,
      zh: days === Number.POSITIVE_INFINITY ? '磁盘占用没有增长。' : `磁盘空间可用 ${Math.floor(days ?? 0)} 天。`,
    })
  },
})

/** By how much it changes a day, by least squares; null where there is too little to tell. */
export function slopeOf(points: readonly (readonly [atMs: number, value: number])[]): number | null {
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined || points.length < 3 || last[0] - first[0] < leastSpanMs) return null
  const days = points.map(([at]) => (at - first[0]) / dayMs)
  const meanDay = days.reduce((sum, each) => sum + each, 0) / days.length
  const meanValue = points.reduce((sum, [, value]) => sum + value, 0) / points.length
  let [above, below] = [0, 0]
  for (const [index, day] of days.entries()) {
    above += (day - meanDay) * (points[index]![1] - meanValue)
    below += (day - meanDay) ** 2
  }
  return above / below
}
