import type { Collector } from './collector.ts'

/** Whole disks; their partitions would count everything twice, and loop devices are files on them. */
const wholeDisk = /^(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/
// https://docs.kernel.org/admin-guide/iostats.html: sectors are of 512 bytes whatever the disk's own are.
const sectorBytes = 512

const minuteMs = 60_000
/** The trend is that of the last six hours, from one point a minute; before half an hour of them there is none. */
const trendPoints = 360
const fewestPoints = 30
/** A disk that is full in more than a year is not filling. */
const longestSeconds = 366 * 86_400

/** Room where the data folder lies and until when it lasts, and what the machine's disks read and write. */
export const disk: Collector = {
  name: 'disk',
  open({ metrics, readProc, diskSpace, clock }) {
    const space = metrics.readings(
      'gauge',
      'gatehouse_host_disk_bytes',
      'The file system that holds the data folder.',
      ['kind'],
    )
    const untilFull = metrics.readings(
      'gauge',
      'gatehouse_host_disk_full_in_seconds',
      'Until the file system that holds the data folder is full, if it goes on filling as in the last six hours; absent while it does not fill.',
    )
    const io = ['device', 'direction'] as const
    const moved = metrics.readings(
      'counter',
      'gatehouse_host_disk_io_bytes_total',
      'Bytes read from and written to disks.',
      io,
    )
    const operations = metrics.readings(
      'counter',
      'gatehouse_host_disk_operations_total',
      'Reads and writes that disks completed.',
      io,
    )
    const waited = metrics.readings(
      'counter',
      'gatehouse_host_disk_wait_seconds_total',
      'Time that reads and writes took, queues included.',
      io,
    )
    const busy = metrics.readings('counter', 'gatehouse_host_disk_busy_seconds_total', 'Time a disk was at work.', [
      'device',
    ])
    const trend = createTrend()
    const readSpace = () => {
      const { freeBytes, totalBytes } = diskSpace()
      trend.add(clock.monotonic(), freeBytes)
      return [
        [space, freeBytes, { kind: 'free' }],
        [space, totalBytes, { kind: 'total' }],
        [untilFull, trend.secondsToZero()],
      ] as const
    }
    const readDevices = () =>
      (readProc('diskstats')?.split('\n') ?? []).flatMap((line) => {
        const fields = line.trim().split(/ +/)
        const device = fields[2] ?? ''
        if (!wholeDisk.test(device)) return []
        const at = (i: number) => (fields[i] === undefined ? Number.NaN : Number(fields[i]))
        return [
          ...(['read', 'write'] as const).flatMap((direction, i) => [
            [operations, at(3 + 4 * i), { device, direction }] as const,
            [moved, at(5 + 4 * i) * sectorBytes, { device, direction }] as const,
            [waited, at(6 + 4 * i) / 1000, { device, direction }] as const,
          ]),
          [busy, at(12) / 1000, { device }] as const,
        ]
      })
    return [
      { target: '', when: 'scrape', read: readSpace },
      { target: 'devices', when: 'scrape', read: readDevices },
    ]
  },
}

/** A straight line through the free bytes of the last hours, by least squares. */
function createTrend() {
  const points: { at: number; free: number }[] = []
  return {
    add(at: number, free: number) {
      if (at - (points.at(-1)?.at ?? Number.NEGATIVE_INFINITY) < minuteMs) return
      points.push({ at, free })
      if (points.length > trendPoints) points.shift()
    },
    secondsToZero(): number | null {
      if (points.length < fewestPoints) return null
      const mean = (of: (point: (typeof points)[number]) => number) =>
        points.reduce((sum, point) => sum + of(point), 0) / points.length
      const [meanAt, meanFree] = [mean(({ at }) => at), mean(({ free }) => free)]
      const slope =
        mean(({ at, free }) => (at - meanAt) * (free - meanFree)) / mean(({ at }) => (at - meanAt) * (at - meanAt))
      const seconds = points.at(-1)!.free / (-slope * 1000)
      return seconds > 0 && seconds < longestSeconds ? seconds : null
    },
  }
}
