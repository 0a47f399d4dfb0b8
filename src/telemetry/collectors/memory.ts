import type { Collector } from './collector.ts'

// https://docs.kernel.org/filesystems/proc.html#meminfo
const kinds = {
  ...{ MemTotal: 'total', MemAvailable: 'available', MemFree: 'free', Buffers: 'buffers', Cached: 'cached' },
  ...{ SwapTotal: 'swap_total', SwapFree: 'swap_free' },
} as const

/** The machine's memory: `available` is what programs can still have without swapping. */
export const memory: Collector = {
  name: 'memory',
  open({ metrics, readProc }) {
    const bytes = metrics.readings('gauge', 'gatehouse_host_memory_bytes', "The machine's memory.", ['kind'])
    const read = () =>
      [...(readProc('meminfo')?.matchAll(/^(\w+): +(\d+) kB$/gm) ?? [])].flatMap(([, name, kibibytes]) => {
        const kind = kinds[name as keyof typeof kinds]
        return kind === undefined ? [] : [[bytes, Number(kibibytes) * 1024, { kind }] as const]
      })
    return [{ target: '', when: 'scrape', read }]
  },
}
