import { type Collector, createFollowers } from './collector.ts'

/** Whole disks; their partitions would count everything twice, and loop devices are files on them. */
const wholeDisk = /^(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/
// https://docs.kernel.org/admin-guide/iostats.html: sectors are of 512 bytes whatever the disk's own are.
const sectorBytes = 512

/** Room where the data folder lies, and what the machine's disks read and write. */
export const disk: Collector = {
  name: 'disk',
  open({ metrics, readProc, diskSpace }) {
    const space = metrics.gauge('gatehouse_host_disk_bytes', 'The file system that holds the data folder.', ['kind'])
    const moved = metrics.counter('gatehouse_host_disk_io_bytes_total', 'Bytes read from and written to disks.', [
      ...(['device', 'direction'] as const),
    ])
    const busy = metrics.counter('gatehouse_host_disk_busy_seconds_total', 'Time a disk was at work.', ['device'])
    const followMoved = createFollowers((key) => {
      const [device, direction] = key.split(' ') as [string, string]
      return moved.with({ device, direction })
    })
    const followBusy = createFollowers((device) => busy.with({ device }))
    return () => {
      try {
        const { freeBytes, totalBytes } = diskSpace()
        space.with({ kind: 'free' }).set(freeBytes)
        space.with({ kind: 'total' }).set(totalBytes)
      } catch {
        // A file system that does not answer is for the health check to tell.
      }
      for (const line of readProc('diskstats')?.split('\n') ?? []) {
        const fields = line.trim().split(/ +/)
        const device = fields[2] ?? ''
        if (!wholeDisk.test(device)) continue
        followMoved(`${device} read`, Number(fields[5]) * sectorBytes)
        followMoved(`${device} write`, Number(fields[9]) * sectorBytes)
        followBusy(device, Number(fields[12]) / 1000)
      }
    }
  },
}
