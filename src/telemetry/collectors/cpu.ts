import { type Collector, createFollowers } from './collector.ts'

// https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat: in hundredths of a second.
const modes = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const
const ticksPerSecond = 100

/** What the machine's processors spend their time on, and how many processes want one. */
export const cpu: Collector = {
  name: 'cpu',
  open({ metrics, readProc }) {
    const seconds = metrics.counter(
      'gatehouse_host_cpu_seconds_total',
      "Time of all the machine's processors, by what they did.",
      ['mode'],
    )
    const processors = metrics.gauge('gatehouse_host_cpus', 'Processors of the machine; 0 where unknown.').with({})
    const load = metrics.gauge('gatehouse_host_load', 'Processes that run or wait, on average.', ['minutes'])
    const follow = createFollowers((mode) => seconds.with({ mode }))
    return () => {
      const stat = readProc('stat')
      if (stat !== null) {
        const ticks = /^cpu +(.+)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? []
        for (const [i, mode] of modes.entries()) follow(mode, (ticks[i] ?? Number.NaN) / ticksPerSecond)
        processors.set(stat.match(/^cpu\d+ /gm)?.length ?? 0)
      }
      const averages = readProc('loadavg')?.split(' ').map(Number) ?? []
      for (const [i, minutes] of ['1', '5', '15'].entries()) {
        if (Number.isFinite(averages[i])) load.with({ minutes }).set(averages[i]!)
      }
    }
  },
}
