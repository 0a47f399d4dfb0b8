/**
 * Telemetry: what was measured, kept and asked. Every metric of the hub is sampled into an embedded store, at three
 * grains; other parts may append samples of their own; PromQL asks for them, over HTTP as Prometheus does, and from other
 * rooms. A Prometheus beside the hub may take the samples (remote write) or answer the questions. It judges nothing: what
 * a number means is for alerts to say.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Heartbeats, unwatched } from '../kernel/heartbeats.ts'
import type { Database } from '../platform/database/database.ts'
import type { Upstreams } from '../platform/fetch.ts'
import { readDiskSpace, readTextIfPresent } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { type Collecting, createCollecting } from './collecting.ts'
import { collectors } from './collectors/index.ts'
import type { CollectorsConfig, PrometheusConfig, TelemetryConfig } from './config.ts'
import { type Fields, readInstant, readNames, readRange, toSearchParams } from './parameters.ts'
import { labelsOf } from './promql/labels.ts'
import { createServerClient } from './remote/server.ts'
import { createWriteQueue } from './remote/write-queue.ts'
import { type MetricsView, metricsRoutes } from './routes.ts'
import { createSampler } from './sampler.ts'
import { createSamples } from './samples.ts'
import { type LabelSet, type QueryResult, type RangeSeries, readAnswer, readData } from './schema.ts'
import type { Kind } from './store/grains.ts'
import type { Kept } from './thread.ts'

export type { CollectorsConfig, PrometheusConfig, TelemetryConfig } from './config.ts'
export { createSystemLogs, type LogDigest, type SystemLogs } from './logs/index.ts'
export { createSampleBench, type SampleBench } from './promql/bench.ts'
export { metricNamesOf, presenceOf } from './promql/presence.ts'
export { QueryError } from './promql/syntax.ts'
export type { LabelSet, QueryResult, RangeSeries } from './schema.ts'
export { openStoredSamples, type StoredSamples } from './stored-samples.ts'

export type TelemetryParts = {
  metrics: Metrics
  clock: Clock
  log: Log
  dataDir: string
  /** The guarded way out, for a Prometheus that the settings name. */
  upstreams: Upstreams
  version: string
  /** Addresses of the hub's own servers; '' where it has none of that kind. */
  own: { postgres: string; redis: string }
  /** What the embedded store tells of itself; null on PostgreSQL. */
  sqlite: Database<unknown>['sqlite']
  guardSecret(secret: string): void
  heartbeats?: Heartbeats
}

/** A sample from elsewhere; `labels` has the metric as `__name__`, and `value` null says that the series ended. */
export type AppendedSample = { labels: LabelSet; kind: Kind; value: number | null }

export type Telemetry = {
  routes: Route[]
  /** The label `instance` of all samples of this hub; undefined where a Prometheus answers, which has those of every node. */
  ownInstance: string | undefined
  /** Resolves when the store is open and the first samples are in it. */
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Keeps samples of one moment. What is beyond the limits is dropped, counted and told; it never rejects. They get the
   * labels of this node, unless they are of no node: what is said of all must be the same wherever it is worked out.
   */
  append(samples: readonly AppendedSample[], atMs?: number, ofNode?: boolean): Promise<void>
  /** The value of a PromQL expression at a moment. Rejects with QueryError, or HubError when nobody can answer. */
  query(expression: string, atMs: number): Promise<QueryResult>
  /** Its values at each step from `startMs` to `endMs`, both included. Rejects like `query`. */
  queryRange(expression: string, range: { startMs: number; endMs: number; stepMs: number }): Promise<RangeSeries[]>
  /** Collectors of this node. */
  collectors: Pick<Collecting, 'names' | 'restart'>
}

const dayMs = 86_400_000
/** On top of the interval: a disk that stalls for a moment wedges nothing. */
const longestSampleMs = 15_000

export function createTelemetry(
  parts: TelemetryParts,
  config: TelemetryConfig,
  prometheus: PrometheusConfig,
  watched: CollectorsConfig,
): Telemetry {
  const { metrics, clock, log, upstreams, version } = parts
  const external = { job: 'gatehouse', instance: config.instance || hostname() }
  const collecting = createCollecting(
    collectors,
    {
      ...{ metrics, clock, log, upstreams, readProc, config: watched },
      ...{ own: parts.own, sqlite: parts.sqlite, guardSecret: parts.guardSecret },
      diskSpace: () => readDiskSpace(parts.dataDir),
    },
    { timeoutMs: watched.timeout_seconds * 1000 },
  )
  const samples = createSamples({
    file: join(parts.dataDir, 'telemetry', 'samples.db'),
    limits: {
      maxSeries: config.max_series,
      maxBytes: config.max_mb * 1024 * 1024,
      keepMs: [config.raw_hours * 3_600_000, config.minute_days * dayMs, config.hour_days * dayMs],
    },
    ...{ clock, log, metrics },
  })
  const limits = { timeoutMs: config.query_timeout_seconds * 1000, maxSamples: config.query_max_samples }
  const { url, authorization } = prometheus
  const server = url === '' ? null : createServerClient({ url, authorization, upstreams, timeoutMs: limits.timeoutMs })
  const outgoing =
    prometheus.remote_write_url === ''
      ? null
      : createWriteQueue({
          url: prometheus.remote_write_url,
          authorization: prometheus.remote_write_authorization,
          maxBytes: prometheus.remote_write_queue_mb * 1024 * 1024,
          ...{ upstreams, clock, log, metrics, version },
        })
  const sampler = createSampler(external)
  const isSent = outgoing !== null
  const stopping = new AbortController()
  let sampling: Promise<void> = Promise.resolve()
  let knownEpoch = 0

  function pass(kept: Kept | null): void {
    for (const body of kept?.bodies ?? []) outgoing?.add(body)
  }

  async function sample(): Promise<void> {
    if (samples.epoch() !== knownEpoch) {
      sampler.reset()
      knownEpoch = samples.epoch()
    }
    const kept = await samples.keep('scrape', { ...sampler.read(metrics.collect(), clock.now()), isSent })
    // What was spelled out may not have arrived; it is spelled out again.
    if (kept === null) sampler.reset()
    pass(kept)
  }

  async function repeat(): Promise<void> {
    const everyMs = config.interval_seconds * 1000
    const heart = (parts.heartbeats ?? unwatched).watch('sampler', everyMs + longestSampleMs)
    let dueAt = clock.monotonic()
    while (!stopping.signal.aborted) {
      // Rounds that were missed, by a machine that slept, are left out.
      dueAt = Math.max(dueAt + everyMs, clock.monotonic())
      await clock.sleep(dueAt - clock.monotonic(), stopping.signal)
      if (stopping.signal.aborted) break
      await sample().catch((error) => log.error('The metrics could not be sampled', { error }))
      heart.beat()
    }
    heart.end()
  }

  function describeMetrics({ metric }: Fields): string {
    const families = metrics.collect().filter(({ name }) => metric === undefined || name === metric)
    return JSON.stringify(
      Object.fromEntries(families.map(({ name, type, help }) => [name, [{ type, help, unit: '' }]])),
    )
  }

  const answer: MetricsView['answer'] = async (path, fields, method) => {
    if (server !== null) return await server.ask(path, toSearchParams(fields), method)
    const now = clock.now()
    if (path === 'query') return { data: await samples.ask('instant', readInstant(fields, now, limits)) }
    if (path === 'query_range') return { data: await samples.ask('range', readRange(fields, limits)) }
    if (path === 'series') return { data: await samples.ask('series', readNames(fields, now, { needsMatch: true })) }
    if (path === 'metadata') return { data: describeMetrics(fields) }
    const names = readNames(fields, now, { needsMatch: false })
    const label = /^label\/(.+)\/values$/.exec(path)?.[1]
    if (label === undefined) return { data: await samples.ask('labels', names) }
    return { data: await samples.ask('values', { ...names, label: decodeURIComponent(label) }) }
  }

  async function data(path: string, fields: Record<string, string>): Promise<QueryResult> {
    const found = await answer(path, fields, 'POST')
    return readData('data' in found ? found.data : readAnswer(found.body))
  }

  return {
    routes: metricsRoutes({ answer }),
    collectors: { names: collecting.names, restart: collecting.restart },
    ownInstance: server === null ? external.instance : undefined,
    async start() {
      await samples.start()
      outgoing?.start()
      collecting.start(config.interval_seconds * 1000)
      await sample()
      sampling = repeat()
    },
    async stop() {
      stopping.abort()
      await collecting.stop()
      await sampling
      await samples.stop()
      await outgoing?.stop()
    },
    async append(incoming, atMs = clock.now(), ofNode = true) {
      const own = ofNode ? external : {}
      const spelled = incoming.map(({ labels, kind, value }) => ({
        ...{ pairs: labelsOf({ ...own, ...labels }).pairs, kind, value },
      }))
      pass(await samples.keep('append', { at: atMs, samples: spelled, isSent }))
    },
    query: (expression, atMs) => data('query', { query: expression, time: String(atMs / 1000) }),
    async queryRange(expression, { startMs, endMs, stepMs }) {
      const range = { start: String(startMs / 1000), end: String(endMs / 1000), step: String(stepMs / 1000) }
      const result = await data('query_range', { query: expression, ...range })
      return result.type === 'matrix' ? result.series : []
    },
  }
}

/** What a hardened machine hides is as good as absent: a scrape must not fail for it. */
function readProc(name: string): string | null {
  try {
    return readTextIfPresent(`/proc/${name}`)
  } catch {
    return null
  }
}
