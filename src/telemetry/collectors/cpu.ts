import type { Collector } from './collector.ts'

// https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat: in hundredths of a second.
const modes = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const
const ticksPerSecond = 100

/** What the machine's processors spend their time on, and how many processes want one. */
export const cpu: Collector = {
  name: 'cpu',
  open({ metrics, readProc }) {
    const help = "Time of all the machine's processors, by what they did."
    const seconds = metrics.readings('counter', 'gatehouse_host_cpu_seconds_total', help, ['mode'])
    const processors = metrics.readings('gauge', 'gatehouse_host_cpus', 'Processors of the machine.')
    const load = metrics.readings('gauge', 'gatehouse_host_load', 'Processes that run or wait, on average.', [
      'minutes',
    ])
    const read = () => {
      const stat = readProc('stat') ?? ''
      const ticks = /^cpu +(.+)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? []
      const averages = readProc('loadavg')?.trim().split(' ') ?? []
      return [
        ...modes.map((mode, i) => [seconds, (ticks[i] ?? Number.NaN) / ticksPerSecond, { mode }] as const),
        [processors, stat.match(/^cpu\d+ /gm)?.length ?? null] as const,
        ...['1', '5', '15'].map((minutes, i) => [load, toNumber(averages[i]), { minutes }] as const),
      ]
    }
    return [{ target: '', when: 'scrape', read }]
  },
}

function toNumber(text: string | undefined): number | null {
  return text ? Number(text) : null
}
