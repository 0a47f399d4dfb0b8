/**
 * Sources: other gateways whose usage is shown beside our own. Each is read from its own database, strictly without
 * writing, in a thread that serves nobody; what its hours add up to is handed to usage, which keeps it under the name of
 * the source. Not here: reports over it (usage), and judging its rows (risk), which are passed on as they come.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Secrets } from '../platform/secrets.ts'
import { startThread, type Thread } from '../platform/thread.ts'
import type { SourcesConfig } from './config.ts'
import { createDesk, type Desk } from './desk.ts'
import { createFeed, type OnRows } from './feed.ts'
import { createFollower, type Ingest } from './follow.ts'
import type { NameKind } from './reader.ts'
import { sourceRoutes } from './routes.ts'
import { createSourcesStore, type SourcesTables } from './store.ts'
import type { SourceVerbs } from './thread.ts'

export type { SourcesConfig } from './config.ts'
export type { OnRows } from './feed.ts'
export type { Ingest } from './follow.ts'
export type { SourceRow } from './reader.ts'
export { type SourceStatus, sourceCreate, sourceShape } from './schema.ts'
export type { SourcesTables } from './store.ts'

const dayMs = 86_400_000
const everyMs = 5000
const sourcesAtOnce = 200
const maxHeapMb = 512

export type SourcesParts = {
  db: Kysely<SourcesTables>
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  leases: Leases
  heartbeats?: Heartbeats
  clock: Clock
  log: Log
  metrics: Metrics
  guardSecret(secret: string): void
  /** Puts facts in the place of what the source had in those whole hours. */
  ingest: Ingest
  /**
   * Single calls of sources as they are written there, oldest first and each once, after they were counted; nothing of a
   * history that is filled in. At most 50,000 at a time, the newest. While it rejects they are told again.
   */
  onRows?: OnRows
}

export type Sources = {
  routes: Route[]
  /** What ids of sources are called, also of channels, users and keys that are gone there. */
  namesOf(kind: NameKind, ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  start(): Promise<void>
  stop(): Promise<void>
  /** One turn of every source, as the loop makes it on one node; for tests. */
  round(): Promise<void>
}

type DeskOptions = Pick<SourcesParts, 'db' | 'secrets' | 'clock' | 'log' | 'guardSecret'>

export function createSources(parts: SourcesParts, config: SourcesConfig): Sources {
  const { leases, clock, ingest } = parts
  const log = parts.log.child({ room: 'sources' })
  const { store, desk, verbs, close } = openParts({ ...parts, log })
  const feed = createFeed({
    ...(parts.onRows !== undefined && { onRows: parts.onRows }),
    ...{ overlapMs: config.overlap_seconds * 1000, log },
  })
  const noted = measure(parts.metrics, clock)
  const follower = createFollower({
    ...{ store, desk, verbs, ingest, feed, clock, log, config, noted },
  })
  const schedule = createSchedule({ clock, leases, log, heartbeats: parts.heartbeats })
  /** Turns that are under way here, by source. */
  const turns = new Map<string, Promise<void>>()

  async function round(signal: AbortSignal): Promise<void> {
    const all = (await store.list(sourcesAtOnce, '')).filter(({ enabled }) => enabled === 1)
    await Promise.all(
      all.map(async (source) => {
        if (turns.has(source.id)) return
        const turn = follower.turn(source, signal).finally(() => turns.delete(source.id))
        turns.set(source.id, turn)
        await turn
      }),
    )
  }

  async function remove(written: string): Promise<void> {
    const source = await desk.find(written)
    await store.update(source.id, { enabled: 0 })
    await turns.get(source.id)
    const span = await store.span(source.id)
    if (span !== null) {
      // By whole days: hours that have lost their finer sums cannot be taken out of a day.
      const [replaceFrom, replaceTo] = [floorDay(span.first), floorDay(span.last) + dayMs]
      await ingest([], { source: source.name, replaceFrom, replaceTo })
    }
    await store.delete(source.id)
    follower.forget(source.id)
    noted(source.name, { isGone: true })
    await verbs().call('close', source.id)
  }

  return {
    routes: sourceRoutes({ desk, remove, clock }),
    namesOf: store.namesOf,
    async start() {
      schedule.every('sources', everyMs, round, { onOneNode: true, firstDelayMs: 1000 })
    },
    async stop() {
      const stopped = schedule.stop()
      await close()
      await stopped
    },
    round: () => round(new AbortController().signal),
  }
}

/** Sources without anybody who reads them: for the command line. Close it. */
export function openSourceDesk(parts: DeskOptions): Desk & { close(): Promise<void> } {
  const { desk, close } = openParts(parts)
  return { ...desk, close }
}

function openParts({ db, secrets, clock, log, guardSecret }: DeskOptions) {
  const store = createSourcesStore(db)
  let thread: Thread<SourceVerbs> | null = null
  let isClosed = false

  /** Started when it is first needed, and anew after it ended: most hubs have no source. */
  function verbs(): Thread<SourceVerbs> {
    if (thread !== null) return thread
    const started: Thread<SourceVerbs> = startThread<SourceVerbs>(new URL('./thread.ts', import.meta.url), {
      ...{ name: 'sources', data: null, maxHeapMb },
      onEnd(error) {
        if (thread === started) thread = null
        log.error('The thread that reads sources ended; it is started again', { error })
      },
    })
    if (isClosed) void started.end()
    thread = started
    return started
  }

  return {
    ...{ store, verbs },
    desk: createDesk({ store, secrets, clock, verbs, guardSecret }),
    async close() {
      isClosed = true
      await thread?.end()
    },
  }
}

function measure(metrics: Metrics, clock: Clock) {
  const labels = ['source'] as const
  const rows = metrics.counter('gatehouse_sources_rows_total', 'Rows read of other gateways.', labels)
  const up = metrics.gauge('gatehouse_sources_up', '1 while a source can be read.', labels)
  const lag = metrics.gauge(
    'gatehouse_sources_lag_seconds',
    'Time since up to which everything that a source wrote was read.',
    labels,
  )
  const lastRow = metrics.gauge(
    'gatehouse_sources_last_row_timestamp_seconds',
    'When the newest row that was read of a source was written.',
    labels,
  )
  const readUpTo = new Map<string, number>()
  const newest = new Map<string, number>()
  metrics.beforeRender(() => {
    for (const [source, at] of readUpTo) lag.with({ source }).set(Math.max(0, (clock.now() - at) / 1000))
  })
  type Told = { rows?: number; lastRowAt?: number; readUpTo?: number; isUp?: boolean; isGone?: true }
  return (source: string, told: Told): void => {
    if (told.isGone) {
      readUpTo.delete(source)
      newest.delete(source)
      for (const gauge of [up, lag, lastRow]) gauge.remove({ source })
      return
    }
    if (told.rows !== undefined) rows.with({ source }).inc(told.rows)
    if (told.isUp !== undefined) up.with({ source }).set(told.isUp ? 1 : 0)
    if (told.readUpTo !== undefined) readUpTo.set(source, told.readUpTo)
    if (told.lastRowAt === undefined || told.lastRowAt < (newest.get(source) ?? 0)) return
    newest.set(source, told.lastRowAt)
    lastRow.with({ source }).set(told.lastRowAt / 1000)
  }
}

function floorDay(time: number): number {
  return time - (time % dayMs)
}
