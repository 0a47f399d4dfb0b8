import type { Collector } from './collector.ts'

/** What the system allows this process and what it uses of that. The rest it tells itself: `platform/process-metrics.ts`. */
export const processLimits: Collector = {
  name: 'process',
  open({ metrics, readProc }) {
    const files = metrics.readings('gauge', 'gatehouse_process_max_fds', 'File descriptors this process may have open.')
    const threads = metrics.readings('gauge', 'gatehouse_process_threads', 'Threads of this process.')
    const swapped = metrics.readings(
      'gauge',
      'gatehouse_process_swapped_bytes',
      'Memory of this process that was swapped out.',
    )
    const read = () => {
      const status = readProc('self/status') ?? ''
      const limit = /^Max open files +(\d+)/m.exec(readProc('self/limits') ?? '')?.[1]
      const number = (pattern: RegExp) => {
        const found = pattern.exec(status)?.[1]
        return found === undefined ? null : Number(found)
      }
      const swappedKibibytes = number(/^VmSwap:\s+(\d+) kB$/m)
      return [
        [files, limit === undefined ? null : Number(limit)],
        [threads, number(/^Threads:\s+(\d+)$/m)],
        [swapped, swappedKibibytes === null ? null : swappedKibibytes * 1024],
      ] as const
    }
    return [{ target: '', when: 'scrape', read }]
  },
}
