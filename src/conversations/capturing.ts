import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import { createCapture } from './capture.ts'
import { createChoices } from './choices.ts'
import type { ConversationsConfig } from './config.ts'
import { finishErasures } from './erase.ts'
import type { conversationRoutes } from './routes.ts'
import type { Tape } from './schema.ts'
import { type ConversationTables, createConversationStore } from './store.ts'

/** What is said in calls, without what people ask about it. */
export type CallConversations = {
  /** What the routes for people are made of. */
  control: Parameters<typeof conversationRoutes>[0]
  /** Listens to a call; null for callers of whom nothing is kept. Costs a look into a map. */
  listen(principal: Principal): Tape | null
  /** Resolves when all that waited is kept. */
  idle(): Promise<void>
  /** After the migrations. Rejects when the store is away. */
  start(): Promise<void>
  stop(): Promise<void>
}

export type ConversationParts = {
  db: Kysely<ConversationTables>
  bus: Bus
  leases: Leases
  heartbeats?: Heartbeats
  /** A compact JWS over claims, verifiable with the keys of `/.well-known/jwks.json`. */
  sign(claims: Readonly<Record<string, unknown>>): string
  tenantOf(scope: 'key' | 'user' | 'tenant', id: string): Promise<string | null>
  clock: Clock
  log: Log
  metrics: Metrics
}

const dayMs = 86_400_000
const hourMs = 3_600_000
const stopMs = 2000
const batchRows = 1000

export function createCallConversations(parts: ConversationParts, config: ConversationsConfig): CallConversations {
  const { bus, clock, leases, metrics, sign, tenantOf } = parts
  const log = parts.log.child({ room: 'conversations' })
  const store = createConversationStore(parts.db)
  const choices = createChoices({ store, bus, clock, log }, config)
  const schedule = createSchedule({ clock, leases, log, heartbeats: parts.heartbeats })
  const capture = createCapture(
    { store, choices, clock, log, metrics },
    { maxCallBytes: () => config.max_call_bytes, maxQueueBytes: () => config.queue_max_mb * 1024 * 1024 },
  )

  async function tidy(signal: AbortSignal): Promise<void> {
    await finishErasures({ store, sign, clock }, signal)
    const inBatches = async (some: () => Promise<number>) => {
      for (let gone = batchRows; gone === batchRows && !signal.aborted; ) {
        gone = await some()
        await clock.sleep(50, signal)
      }
    }
    await inBatches(() => store.deleteExpiredMessages(clock.now(), batchRows))
    const oldest = () => clock.now() - config.session_retention_days * dayMs
    await inBatches(() => store.deleteOldSessions(oldest(), batchRows))
  }

  return {
    control: {
      ...{ store, sign, tenantOf, clock },
      async changed() {
        bus.announce('config.changed', { kind: 'conversations' })
        await choices.refresh()
      },
    },
    listen: capture.open,
    idle: capture.idle,
    async start() {
      await choices.ready()
      schedule.every('conversations-tidy', hourMs, tidy, { onOneNode: true, firstDelayMs: 60_000 })
    },
    async stop() {
      await capture.stop(stopMs)
      await schedule.stop()
      choices.stop()
    },
  }
}
