import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { startThread, type Thread } from '../platform/thread.ts'
import { QueryError } from './promql/syntax.ts'
import type { StoreLimits } from './store/store.ts'
import type { Kept, SampleVerbs, ThreadData } from './thread.ts'

/** The samples in their thread, as others ask for them. */
export type Samples = {
  start(): Promise<void>
  stop(): Promise<void>
  /** Hands samples over; what cannot be kept is counted and told. Resolves with what remote write shall send. */
  keep<V extends 'scrape' | 'append'>(verb: V, input: Parameters<SampleVerbs[V]>[0]): Promise<Kept | null>
  /** Rejects with QueryError, or with `unavailable` when too many wait or the thread is away. */
  ask<V extends 'instant' | 'range' | 'series' | 'labels' | 'values'>(
    verb: V,
    input: Parameters<SampleVerbs[V]>[0],
  ): Promise<string>
  /** Raised each time the thread begins anew: what was told to the one before is forgotten. */
  epoch(): number
}

/** Batches that may wait while the thread is busy: ten minutes of them. */
const maxWaitingBatches = 40
const maxWaitingQueries = 16
const restartMs = 5000
const tellEveryMs = 60_000

export function createSamples(parts: {
  file: string
  limits: StoreLimits
  clock: Clock
  log: Log
  metrics: Metrics
  /** Of the thread; typed arrays of samples are not in it. */
  maxHeapMb?: number
}): Samples {
  const { file, limits, clock, log, maxHeapMb = 512 } = parts
  const count = createCounts(parts.metrics)
  const stopping = new AbortController()
  let thread: Thread<SampleVerbs> | null = null
  let epoch = 0
  let waitingBatches = 0
  let waitingQueries = 0
  let toldAt = Number.NEGATIVE_INFINITY

  async function open(): Promise<void> {
    const data: ThreadData = { file, limits }
    const started = startThread<SampleVerbs>(new URL('./thread.ts', import.meta.url), {
      ...{ name: 'telemetry', data, maxHeapMb, onEnd: (error) => void restart(error) },
    })
    const damaged = await started.call('open', undefined as never)
    if (damaged !== null) {
      log.error('The file of samples was damaged; it was moved aside and a new one begun', { file: damaged })
    }
    epoch++
    thread = started
  }

  async function restart(error: unknown): Promise<void> {
    thread = null
    count.restarts.inc()
    log.error('The thread of samples ended; it is started again', { error })
    while (!stopping.signal.aborted) {
      await clock.sleep(restartMs, stopping.signal)
      if (stopping.signal.aborted) return
      try {
        return await open()
      } catch (reason) {
        log.error('The thread of samples does not start', { error: reason })
      }
    }
  }

  /** At most one line a minute: a flood of series must not become a flood of lines. */
  function tell(message: string, fields: Record<string, unknown>): void {
    const now = clock.monotonic()
    if (now - toldAt < tellEveryMs) return
    toldAt = now
    log.warn(message, fields)
  }

  function report({ dropped, stats }: Kept): void {
    count.series.set(stats.series)
    count.bytes.set(stats.usedBytes)
    for (const [reason, number] of Object.entries(dropped)) count.dropped.with({ reason }).inc(number)
    if (dropped.series_limit > 0) {
      tell('Samples of new series were dropped: there are as many series as telemetry.max_series allows', {
        count: dropped.series_limit,
      })
    }
    if (dropped.labels > 0) {
      tell('Samples were dropped whose labels are too many or too long', { count: dropped.labels })
    }
  }

  return {
    epoch: () => epoch,
    async start() {
      await open()
    },
    async stop() {
      stopping.abort()
      const ending = thread
      thread = null
      await ending?.call('close', undefined as never).catch((error) => log.warn('The samples did not close', { error }))
      await ending?.end()
    },
    async keep(verb, input) {
      const number = 'refs' in input ? input.refs.length : input.samples.length
      if (thread === null || waitingBatches >= maxWaitingBatches) {
        count.dropped.with({ reason: 'busy' }).inc(number)
        tell('Samples were dropped: their thread does not keep up', { count: number })
        return null
      }
      waitingBatches++
      try {
        const kept = (await thread.call(verb, input as never)) as Kept
        count.kept.inc(number)
        report(kept)
        return kept
      } catch (error) {
        // In memory they are; only a kill before the disk works again would lose them.
        count.dropped.with({ reason: 'disk' }).inc(number)
        tell('Samples could not be written to the disk', { error })
        return null
      } finally {
        waitingBatches--
      }
    },
    async ask(verb, input) {
      if (thread === null) throw fail('unavailable', 'The samples are not available at the moment')
      if (waitingQueries >= maxWaitingQueries) {
        throw fail('unavailable', 'Too many queries wait already; ask again later', { retryAfterMs: 5000 })
      }
      waitingQueries++
      const startedMono = clock.monotonic()
      let outcome = 'failed'
      try {
        const text = (await thread.call(verb, input as never)) as string
        outcome = 'answered'
        return text
      } catch (error) {
        const { name, type, message } = error as QueryError
        if (name !== 'QueryError') throw error
        outcome = type
        throw new QueryError(type, message)
      } finally {
        waitingQueries--
        count.queries.with({ outcome }).inc()
        count.seconds.observe((clock.monotonic() - startedMono) / 1000)
      }
    },
  }
}

function createCounts(metrics: Metrics) {
  return {
    series: metrics.gauge('gatehouse_telemetry_series', 'Series that get samples.').with({}),
    bytes: metrics.gauge('gatehouse_telemetry_file_bytes', 'Bytes in use in the file of samples.').with({}),
    kept: metrics.counter('gatehouse_telemetry_samples_total', 'Samples that were kept.').with({}),
    dropped: metrics.counter('gatehouse_telemetry_dropped_samples_total', 'Samples that were not kept, by reason.', [
      'reason',
    ]),
    queries: metrics.counter('gatehouse_telemetry_queries_total', 'Queries by what came of them.', ['outcome']),
    seconds: metrics
      .histogram('gatehouse_telemetry_query_seconds', 'Time from a question to its answer.', [], [0.01, 0.1, 1, 10, 60])
      .with({}),
    restarts: metrics
      .counter('gatehouse_telemetry_restarts_total', 'How often the thread of samples began anew.')
      .with({}),
  }
}
