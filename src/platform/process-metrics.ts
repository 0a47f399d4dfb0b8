import { readdirSync } from 'node:fs'
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import type { Metrics } from './metrics.ts'

/** How late the event loop ran since the last reading, in milliseconds. */
export type LoopLag = { read(): { p50Ms: number; p99Ms: number; maxMs: number }; close(): void }

const resolutionMs = 10

/** Watches how late timers fire. Each watcher has its own readings, so two readers do not disturb each other. */
export function createLoopLag(): LoopLag {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  // The histogram holds whole intervals between two ticks, the agreed one included.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs)
  return {
    read() {
      if (delay.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 }
      const lag = { p50Ms: late(delay.percentile(50)), p99Ms: late(delay.percentile(99)), maxMs: late(delay.max) }
      delay.reset()
      return lag
    },
    close: () => void delay.disable(),
  }
}

/** Registers what is known of this process: CPU, memory, files, event loop, garbage collection, version. */
export function watchProcess(metrics: Metrics, version: string): { close(): void } {
  metrics
    .gauge('gatehouse_build_info', 'The version that runs; the value is always 1.', ['version', 'node'])
    .with({ version, node: process.versions.node })
    .set(1)
  metrics
    .gauge('gatehouse_process_start_time_seconds', 'When this process started, in seconds since the epoch.')
    .with({})
    .set(Math.round(performance.timeOrigin) / 1000)
  const cpu = metrics.counter('gatehouse_process_cpu_seconds_total', 'CPU time spent by this process.', ['mode'])
  const resident = metrics.gauge('gatehouse_process_resident_memory_bytes', 'Resident memory of this process.').with({})
  const heap = metrics.gauge('gatehouse_process_heap_bytes', 'Memory of the JavaScript heap and outside it.', ['kind'])
  const openFiles = metrics.gauge('gatehouse_process_open_fds', 'Open file descriptors; -1 where unknown.').with({})
  const loop = metrics.gauge('gatehouse_event_loop_lag_seconds', 'How late the event loop ran since last asked.', [
    'at',
  ])
  const pauses = metrics.histogram(
    'gatehouse_gc_pause_seconds',
    'Pauses for garbage collection.',
    ['kind'],
    [0.0001, 0.001, 0.01, 0.1, 1],
  )
  const pauseOf = new Map([
    [constants.NODE_PERFORMANCE_GC_MAJOR, pauses.with({ kind: 'major' })],
    [constants.NODE_PERFORMANCE_GC_MINOR, pauses.with({ kind: 'minor' })],
    [constants.NODE_PERFORMANCE_GC_INCREMENTAL, pauses.with({ kind: 'incremental' })],
    [constants.NODE_PERFORMANCE_GC_WEAKCB, pauses.with({ kind: 'weak_callbacks' })],
  ])
  const collections = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      pauseOf.get((entry as unknown as { detail: { kind: number } }).detail.kind)?.observe(entry.duration / 1000)
    }
  })
  collections.observe({ entryTypes: ['gc'] })

  const lag = createLoopLag()
  let before = { user: 0, system: 0 }
  metrics.beforeRender(() => {
    const now = process.cpuUsage()
    cpu.with({ mode: 'user' }).inc((now.user - before.user) / 1e6)
    cpu.with({ mode: 'system' }).inc((now.system - before.system) / 1e6)
    before = now
    const memory = process.memoryUsage()
    resident.set(memory.rss)
    heap.with({ kind: 'used' }).set(memory.heapUsed)
    heap.with({ kind: 'total' }).set(memory.heapTotal)
    heap.with({ kind: 'external' }).set(memory.external)
    openFiles.set(countOpenFiles())
    const { p50Ms, p99Ms, maxMs } = lag.read()
    loop.with({ at: 'p50' }).set(p50Ms / 1000)
    loop.with({ at: 'p99' }).set(p99Ms / 1000)
    loop.with({ at: 'max' }).set(maxMs / 1000)
  })
  return {
    close() {
      lag.close()
      collections.disconnect()
    },
  }
}

function countOpenFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return -1
  }
}
