import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics, Readings } from '../platform/metrics.ts'
import type { Collector, CollectorParts, Reader, Reading } from './collectors/collector.ts'

export type Collecting = {
  /** Reads everything once, in the background, and goes on. */
  start(everyMs: number): void
  /** One round of what is read in the background; resolves when each has ended, been refused or run out of time. */
  round(): Promise<void>
  names(): string[]
  /** Closes what a collector has open, forgets what it is at, and reads once. Rejects when that fails. */
  restart(collector: string): Promise<void>
  stop(): Promise<void>
}

/**
 * Runs readers: each with a time-out of its own, none beside itself, and none can fail another. Whether the last reading
 * succeeded and what it took are metrics; when it begins or ceases to fail, the log says why.
 */
export function createCollecting(
  collectors: readonly Collector[],
  parts: CollectorParts,
  { timeoutMs }: { timeoutMs: number },
): Collecting {
  const { metrics, clock, config } = parts
  const log = parts.log.child({ room: 'telemetry' })
  const gauges = createGauges(metrics)
  const jobs: Job[] = []
  for (const collector of collectors) {
    if ((config.off as readonly string[]).includes(collector.name)) continue
    for (const reader of collector.open(parts)) {
      const job = createJob(collector.name, reader, { clock, log, timeoutMs, ...gauges })
      if (reader.when === 'scrape') metrics.beforeRender(job.readNow)
      jobs.push(job)
    }
  }
  const inBackground = jobs.filter(({ reader }) => reader.when === 'interval')
  const stopping = new AbortController()
  let repeating: Promise<unknown> = Promise.resolve()

  async function repeat(job: Job, everyMs: number): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedAt = clock.monotonic()
      await job.read(stopping.signal)
      await clock.sleep(Math.max(0, startedAt + everyMs - clock.monotonic()), stopping.signal)
    }
  }

  return {
    start(everyMs) {
      repeating = Promise.all(inBackground.map((job) => repeat(job, everyMs)))
    },
    async round() {
      await Promise.all(inBackground.map((job) => job.read(stopping.signal)))
    },
    names: () => [...new Set(jobs.map(({ collector }) => collector))],
    async restart(collector) {
      for (const job of jobs.filter((each) => each.collector === collector)) await job.restart(stopping.signal)
    },
    async stop() {
      stopping.abort()
      await repeating
      await Promise.all(
        jobs.map(({ reader }) =>
          Promise.resolve(reader.close?.()).catch((error) => log.warn('A collector did not close', { error })),
        ),
      )
    },
  }
}

type Gauges = { up: Readings<'collector' | 'target'>; seconds: Readings<'collector' | 'target'> }

function createGauges(metrics: Metrics): Gauges {
  const labels = ['collector', 'target'] as const
  return {
    up: metrics.readings(
      'gauge',
      'gatehouse_collector_up',
      'Whether the last reading succeeded; at 0 its metrics are absent.',
      labels,
    ),
    seconds: metrics.readings('gauge', 'gatehouse_collector_seconds', 'What the last reading took.', labels),
  }
}

type Job = {
  collector: string
  reader: Reader
  read(stopping: AbortSignal): Promise<void>
  readNow(): void
  restart(stopping: AbortSignal): Promise<void>
}

function createJob(
  collector: string,
  reader: Reader,
  { clock, log, timeoutMs, up, seconds }: { clock: Clock; log: Log; timeoutMs: number } & Gauges,
): Job {
  const { target } = reader
  const owner = `${collector}/${target}`
  let families = new Set<Readings>()
  let isUp: boolean | null = null
  let reading: Promise<void> | null = null
  /** What the reader is at, which may outlast the reading that gave it up. */
  let running: Promise<readonly Reading[]> | null = null

  function run(signal: AbortSignal): Promise<readonly Reading[]> {
    if (running !== null) return running
    const begun: Promise<readonly Reading[]> = Promise.resolve()
      .then(() => reader.read(signal))
      .finally(() => {
        if (running === begun) running = null
      })
    running = begun
    return begun
  }

  function publish(readings: readonly Reading[]): void {
    const found = new Map<Readings, { labels: Readonly<Record<string, string>>; value: number }[]>()
    for (const [family, value, labels = {}] of readings) {
      if (!found.has(family)) found.set(family, [])
      if (value !== null) found.get(family)!.push({ labels, value })
    }
    for (const family of families) if (!found.has(family)) family.replace(owner, [])
    for (const [family, samples] of found) family.replace(owner, samples)
    families = new Set(found.keys())
  }

  function report(succeeded: boolean, startedAt: number, error?: unknown): void {
    const labels = { collector, target }
    up.replace(owner, [{ labels, value: succeeded ? 1 : 0 }])
    seconds.replace(owner, [{ labels, value: (clock.monotonic() - startedAt) / 1000 }])
    const name = target === '' ? collector : `${collector} (${target})`
    if (!succeeded) {
      publish([])
      if (isUp !== false) log.warn(`The collector ${name} cannot read; its metrics are absent until it can`, { error })
    } else if (isUp === false) log.info(`The collector ${name} reads again`)
    isUp = succeeded
  }

  async function attempt(stopping: AbortSignal): Promise<void> {
    const startedAt = clock.monotonic()
    const ending = new AbortController()
    const end = () => ending.abort()
    stopping.addEventListener('abort', end)
    try {
      const late = clock.sleep(timeoutMs, ending.signal).then(() => null)
      const readings = await Promise.race([run(ending.signal), late])
      if (stopping.aborted) return
      if (readings === null) throw new Error(`It did not end within ${timeoutMs} ms`)
      publish(readings)
      report(true, startedAt)
    } catch (error) {
      if (!stopping.aborted) report(false, startedAt, error)
    } finally {
      ending.abort()
      stopping.removeEventListener('abort', end)
    }
  }

  function read(stopping: AbortSignal): Promise<void> {
    reading ??= attempt(stopping).finally(() => {
      reading = null
    })
    return reading
  }

  function readNow(): void {
    const startedAt = clock.monotonic()
    try {
      publish(reader.read(new AbortController().signal) as readonly Reading[])
      report(true, startedAt)
    } catch (error) {
      report(false, startedAt, error)
    }
  }

  return {
    ...{ collector, reader, read, readNow },
    async restart(stopping) {
      // What hangs ends by its own time-out, and nobody waits for what it would say.
      await reading
      await reader.close?.()
      running = null
      if (reader.when === 'scrape') readNow()
      else await read(stopping)
      if (isUp === false) throw fail('unavailable', `${collector} still cannot read; the log says why`)
    },
  }
}
