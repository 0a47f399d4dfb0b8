import { hostname } from 'node:os'
import type { Clock } from '../kernel/clock.ts'
import type { Bus } from './bus/bus.ts'
import { createLinkedBus } from './bus/linked.ts'
import { createMemoryBus } from './bus/memory.ts'
import { createRedisBus } from './bus/redis.ts'
import type { Cache } from './cache/cache.ts'
import { createMemoryCache } from './cache/memory.ts'
import { createRedisCache } from './cache/redis.ts'
import { type ClickHouse, openClickHouse } from './clickhouse/client.ts'
import type { AnalyticsConfig } from './clickhouse/config.ts'
import type { DatabaseConfig, DataConfig, LogConfig, MailConfig, NetworkConfig, RedisConfig } from './config.ts'
import type { Counter } from './counter/counter.ts'
import { createLinkedCounter } from './counter/linked.ts'
import { createMemoryCounter } from './counter/memory.ts'
import { createRedisCounter } from './counter/redis.ts'
import { type Database, openDatabase, waitForDatabase } from './database/index.ts'
import { createUpstreams, type Upstreams } from './fetch.ts'
import type { Leases } from './lease/lease.ts'
import { createLinkedLeases } from './lease/linked.ts'
import { createMemoryLeases } from './lease/memory.ts'
import { createRedisLeases } from './lease/redis.ts'
import { measureLog } from './log/measure.ts'
import type { LogControl } from './log.ts'
import { createMailer, type Mailer } from './mail.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { watchProcess } from './process-metrics.ts'
import { showMetrics, tellMetrics } from './processes/metrics.ts'
import type { Seat } from './processes/seat.ts'
import { openRedis, type Redis, redisFailed, waitForRedis } from './redis.ts'
import { createSchedule, type Schedule } from './schedule.ts'
import { createSecrets, loadMasterKey, type Secrets } from './secrets.ts'
import { readPairs, type TracingConfig } from './tracing/config.ts'
import { createExporter } from './tracing/exporter.ts'
import { createTracer, type Tracer } from './tracing/tracer.ts'

export type PlatformConfig = {
  data: DataConfig
  database: DatabaseConfig
  analytics: AnalyticsConfig
  redis: RedisConfig
  log: LogConfig
  network: NetworkConfig
  mail: MailConfig
  tracing: TracingConfig
  /** What the store must survive, as the ledger's settings say. */
  usage: { durability: 'crash' | 'power-loss' }
}

export type PlatformOptions = {
  clock: Clock
  /** From `openLog` of open-log.ts; opened first, so that the wait for the database can be told. */
  log: LogControl
  version: string
  /** The store is there and is not to be changed. */
  isReadOnly?: boolean
  /** The value of GATEHOUSE_SECRET_KEY; '' for the key in the data folder. */
  secretKey: string
  /** Set in one of several processes of a node: what they share is with their supervisor. */
  seat?: Seat | undefined
}

/** All that touches disk, network and process, opened once and handed to the rooms piece by piece. */
export type Platform<Tables> = {
  log: LogControl
  metrics: Metrics
  database: Database<Tables>
  /** A read replica of it, for reports; null without one. It may be away at any time, at the start too. */
  replica: Database<Tables> | null
  /** Where reports are asked instead, null without one; it may be away at any time too. */
  clickhouse: ClickHouse | null
  counter: Counter
  bus: Bus
  /** Shared through Redis where there is one; else at most `maxBytes` in this process. */
  openCache(maxBytes: number): Cache
  leases: Leases
  schedule: Schedule
  secrets: Secrets
  upstreams: Upstreams
  mailer: Mailer
  /** null: nobody collects spans. */
  tracer: Tracer | null
  /** One round trip to Redis; null on a hub without one. */
  pingRedis: (() => Promise<void>) | null
  /** Stops jobs, then closes everything in the reverse order of its opening. */
  close(): Promise<void>
}

/**
 * Opens everything, and decides between one node and many: the only place that looks whether Redis is configured. Waits
 * for the database as configured and rejects when it does not come; Redis may come later. What was opened before a
 * failure is closed again.
 */
export async function openPlatform<Tables>(
  config: PlatformConfig,
  options: PlatformOptions,
): Promise<Platform<Tables>> {
  const { clock, log } = options
  const closers: (() => unknown)[] = []
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) {
      try {
        await close()
      } catch (error) {
        log.warn('A part could not be closed', { error })
      }
    }
  }
  function keep<T>(part: T, close: (part: T) => unknown): T {
    closers.push(() => close(part))
    return part
  }

  try {
    for (const secret of [options.secretKey, ...passwordsOf(config)]) log.scrubber.add(secret)
    const secrets = createSecrets(loadMasterKey({ secretKey: options.secretKey, dataDir: config.data.dir }))
    const metrics = createMetrics({ clock })
    keep(watchProcess(metrics, options.version), (watch) => watch.close())
    measureLog(metrics, log)
    const upstreams = keep(openUpstreams(config.network, log, metrics), (each) => each.close())
    const mailer = keep(createMailer({ ...config.mail, clock, log, metrics }), (each) => each.close())
    const tracer = openTracing(config.tracing, { ...options, upstreams, metrics, keep })
    const redis = config.redis.url === '' ? null : keep(openRedis(config.redis.url, log), (each) => each.disconnect())
    const shared = openShared(redis, options)
    if (options.seat !== undefined) {
      const share = options.seat.kind === 'worker' ? tellMetrics : showMetrics
      keep(share(metrics, options.seat.link, clock), (stop) => stop())
    }
    for (const part of [shared.counter, shared.leases, shared.bus])
      keep<{ close(): Promise<void> }>(part, (each) => each.close())
    const database = keep(await openStore<Tables>(config, options), (each) => each.close())
    const replica = await openReplica<Tables>(config, log)
    if (replica !== null) keep(replica, (each) => each.close())
    const clickhouse =
      config.analytics.url === '' ? null : keep(openAnalytics(config.analytics), (each) => each.close())
    if (redis !== null) await waitForRedis(redis, clock, 2000)
    const schedule = keep(createSchedule({ clock, leases: shared.leases, log }), (each) => each.stop())
    return {
      log,
      metrics,
      database,
      replica,
      clickhouse,
      ...shared,
      openCache: (maxBytes) => (redis === null ? createMemoryCache({ clock, maxBytes }) : createRedisCache({ redis })),
      schedule,
      secrets,
      upstreams,
      mailer,
      tracer,
      pingRedis: pingOf(redis),
      close: closeAll,
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function openUpstreams(network: NetworkConfig, log: LogControl, metrics: Metrics): Upstreams {
  return createUpstreams({
    allow: network.allow_private,
    connectTimeoutMs: network.connect_timeout_seconds * 1000,
    proxy: network.proxy,
    log,
    metrics,
  })
}

/** Spans are made only where somebody collects them. */
function openTracing(
  config: TracingConfig,
  parts: PlatformOptions & {
    upstreams: Upstreams
    metrics: Metrics
    keep<T>(part: T, close: (part: T) => unknown): T
  },
): Tracer | null {
  if (config.otlp_url === '') return null
  const { log, version, clock, upstreams, metrics } = parts
  for (const [, value] of readPairs(config.headers) ?? []) log.scrubber.add(value.replace(/^\S+ /, ''))
  const exporter = createExporter({
    ...{ config, upstreams, clock, log, metrics, version, random: Math.random },
    instanceId: `${hostname()}:${process.pid}`,
  })
  parts.keep(exporter, (each) => each.close())
  return createTracer({
    sampleRatio: config.sample_ratio,
    contentBytes: config.capture_content ? config.capture_max_bytes : 0,
    send: exporter.add,
  })
}

function openShared(
  redis: Redis | null,
  { clock, log, seat }: PlatformOptions,
): { counter: Counter; leases: Leases; bus: Bus } {
  if (redis === null && seat !== undefined) {
    const { link } = seat
    return {
      counter: createLinkedCounter({ link }),
      leases: createLinkedLeases({ link }),
      bus: createLinkedBus({ link, log }),
    }
  }
  if (redis === null) {
    return {
      counter: createMemoryCounter({ clock }),
      leases: createMemoryLeases({ clock }),
      bus: createMemoryBus({ log }),
    }
  }
  return {
    counter: createRedisCounter({ redis, clock }),
    leases: createRedisLeases({ redis }),
    bus: createRedisBus({ redis, log }),
  }
}

function openStore<Tables>(
  { data, database, usage }: PlatformConfig,
  { clock, log, isReadOnly = false }: PlatformOptions,
): Promise<Database<Tables>> {
  const open = () =>
    openDatabase<Tables>({
      url: database.url,
      dataDir: data.dir,
      poolSize: database.pool_size,
      statementTimeoutMs: database.statement_timeout_seconds * 1000,
      // Rows leave the journal once the store has them: it must hold them as firmly.
      survivesPowerLoss: usage.durability === 'power-loss',
      isReadOnly,
      log,
    })
  return waitForDatabase(open, {
    tries: database.wait_tries,
    intervalMs: database.wait_interval_seconds * 1000,
    clock,
    log,
  })
}

async function openReplica<Tables>(
  { data, database }: PlatformConfig,
  log: LogControl,
): Promise<Database<Tables> | null> {
  if (database.replica_url === '') return null
  return openDatabase<Tables>({
    ...{ url: database.replica_url, dataDir: data.dir, poolSize: database.pool_size, log },
    statementTimeoutMs: database.statement_timeout_seconds * 1000,
  })
}

function openAnalytics({ url, statement_timeout_seconds }: AnalyticsConfig): ClickHouse {
  return openClickHouse({ url, statementTimeoutMs: statement_timeout_seconds * 1000 })
}

function pingOf(redis: Redis | null): Platform<unknown>['pingRedis'] {
  if (redis === null) return null
  return async () => {
    await redis.ping().catch((cause) => Promise.reject(redisFailed(cause)))
  }
}

function passwordsOf({ database, analytics, redis, network, mail }: PlatformConfig): string[] {
  return [database.url, database.replica_url, analytics.url, redis.url, network.proxy, mail.url].flatMap((url) => {
    if (!URL.canParse(url)) return []
    const { password } = new URL(url)
    return [password, decodeLeniently(password)]
  })
}

// A bare % is legal in a URL's password and none of our business.
function decodeLeniently(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
