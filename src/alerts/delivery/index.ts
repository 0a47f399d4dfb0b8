/**
 * Delivery: a notification becomes worded messages, the messages become attempts, and the ledger keeps what came of each.
 * Not here: whether anybody is told of an alert at all, and when (the pipeline).
 */
import { createHash } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Route } from '../../http/route.ts'
import { type Clock, systemClock, waitAtMost } from '../../kernel/clock.ts'
import type { Announcements } from '../../kernel/events.ts'
import { createId } from '../../kernel/ids.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Log } from '../../platform/log.ts'
import type { Mailer } from '../../platform/mail.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { createSchedule } from '../../platform/schedule.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { createSnapshot } from '../../platform/snapshot.ts'
import type { Notification } from '../alert.ts'
import type { Message } from '../channels/channel.ts'
import { type Configure, createConfigure } from './configure.ts'
import { createDeliver, type Decided } from './deliver.ts'
import { createLedger, type Suppression } from './ledger.ts'
import { makeTest, proveChannels, testChannel } from './proof.ts'
import { toChannel, toReceiver, toStanding } from './records.ts'
import { deliveryRoutes } from './routes.ts'
import type { ConfiguredChannel, Receiver, Severity } from './schema.ts'
import { createStandings, nameOf } from './standings.ts'
import { createDeliveryStore, type DeliveryTables } from './store.ts'

export type { Decided } from './deliver.ts'
export type { Suppression } from './ledger.ts'
export type { DeliveryTables } from './store.ts'

export type DeliveryParts = {
  db: Kysely<DeliveryTables>
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  /** The guarded ways out, for channels of the hub and for those of tenants. */
  ways: { hub: Upstreams; tenant: Upstreams }
  mailer: Pick<Mailer, 'isConfigured' | 'send'>
  /** Where people reach this hub; '' where that is not said. */
  publicUrl: string
  /** The id of a tenant that is written as id or name; null when there is none. */
  tenantIdOf(written: string): Promise<string | null>
  leases: Leases
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  random?: () => number
}

/** Members of `[alerts]` that delivery reads. */
export type DeliveryConfig = {
  attempt_timeout_seconds: number
  channel_max_waiting: number
  max_in_doubt: number
  broken_after: number
  proof_hour: number
  max_channels: number
  delivery_days: number
}

/** Something to say to people that is no group of alerts, such as an escalation. */
export type Telling = {
  /** Ids of channels, or names within the tenant. */
  channels: readonly string[]
  title: string
  text: string
  url?: string
  severity: Severity
  traceId: string
  /** The same from the first word about something to its end. */
  dedupeKey: string
  /** The same again is the same telling; a new one unless said. */
  id?: string
  action?: Message['action']
  tenantId?: string
  /** Fingerprints of alerts it tells of: the ledger finds it by them, and its channels need not be told of them again. */
  about?: readonly string[]
  signal?: AbortSignal
}

export type Delivery = {
  routes: Route[]
  /**
   * Tells the receiver that a notification names; resolves when that is decided. `delivered` when somebody was told, or
   * nobody was to be; the same id again sends only what did not arrive.
   */
  deliver(notification: Notification, options: { signal: AbortSignal }): Promise<Decided>
  tell(telling: Telling): Promise<Decided>
  /** Writes down what was not said, and what held it back. Never rejects. */
  suppressed(found: Suppression | readonly Suppression[]): Promise<void>
  receivers(): Promise<readonly Pick<Receiver, 'name' | 'tenantId'>[]>
  /** How each channel stands, as the announcement that would say so. */
  standings(): Promise<Announcements['channel.changed'][]>
  /** Which of these channels of the hub there are, by id or name; where there is none, those of its receiver `instead`. */
  channelsOf(written: readonly string[], instead: string): string[]
  start(): Promise<void>
  stop(): Promise<void>
  /** What is due now: proofs, rows that wait for the store, rows nobody is at. For schedules and tests. */
  turn(signal?: AbortSignal): Promise<void>
  /** For tests. */
  configure: Configure
}

type Held = { channels: ReadonlyMap<string, ConfiguredChannel>; receivers: readonly Receiver[] }

const dayMs = 86_400_000
/** Longer than any channel may try. */
const abandonedMs = dayMs + 3_600_000

export function createDelivery(parts: DeliveryParts, config: DeliveryConfig): Delivery {
  const { secrets, ways, bus, clock, metrics, random = Math.random } = parts
  const log = parts.log.child({ room: 'alerts' })
  const store = createDeliveryStore(parts.db)
  const wayOf = (tenantId: string) => (tenantId === '' ? ways.hub : ways.tenant)
  const snapshot = createSnapshot<Held>({ name: 'alert channels', load, revision: store.revision, clock, log })
  const ledger = createLedger({ store, clock, log, metrics })
  const standings = createStandings({ store, brokenAfter: () => config.broken_after, bus, clock, log })
  const schedule = createSchedule({ clock, leases: parts.leases, log })
  const stopping = new AbortController()
  const running = new Set<Promise<unknown>>()
  const deliver = createDeliver({
    ...{
      store,
      ledger,
      standings,
      wayOf,
      mailer: parts.mailer,
      publicUrl: parts.publicUrl,
      clock,
      log,
      metrics,
      random,
    },
    channel: (id) => snapshot.get().channels.get(id),
    receiver: (name, tenantId) => {
      const named = snapshot.get().receivers.filter((each) => each.name === name)
      return named.find((each) => each.tenantId === tenantId) ?? named.find((each) => each.tenantId === '')
    },
    timeoutMs: () => config.attempt_timeout_seconds * 1000,
    mostWaiting: () => config.channel_max_waiting,
    mostInDoubt: () => config.max_in_doubt,
  })
  const broken = metrics.gauge('gatehouse_alerts_channels_broken', 'Channels that failed several times in a row.')
  const waiting = metrics.gauge('gatehouse_alerts_waiting', "Messages that wait for a vendor's rate limit.")
  const doubtful = metrics.gauge(
    'gatehouse_alerts_in_doubt',
    'Messages that may have arrived without its being written down yet, and those that wait until they may.',
    ['state'],
  )
  metrics.beforeRender(() => {
    const { inDoubt, waiting: queued } = deliver.inDoubt()
    doubtful.with({ state: 'in_doubt' }).set(inDoubt)
    doubtful.with({ state: 'waiting' }).set(queued)
    broken.with({}).set(standings.broken())
    waiting.with({}).set(deliver.waiting())
  })

  async function load(): Promise<Held> {
    const [rows, receivers] = await Promise.all([store.loadChannels(), store.loadReceivers()])
    const channels = new Map<string, ConfiguredChannel>()
    for (const row of rows) {
      try {
        channels.set(row.id, toChannel(row, secrets))
      } catch (error) {
        // One secret that cannot be opened silences one channel, not all of them.
        log.error(`The channel ${row.name} cannot be used until its secrets are entered again`, { error })
      }
    }
    deliver.forget((id) => channels.has(id))
    await standings.refresh()
    return { channels, receivers: receivers.map(toReceiver) }
  }

  const configure = createConfigure({
    ...{ store, secrets, wayOf, bus, clock, mostChannels: () => config.max_channels },
    changed: () => snapshot.refresh(),
  })

  /** What is under way is waited for when the hub stops, so that its end is written down. */
  function track<T>(work: Promise<T>): Promise<T> {
    const kept = work.finally(() => running.delete(kept))
    running.add(kept)
    return kept
  }

  const signalOf = (signal: AbortSignal | undefined) =>
    signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal])

  let turning: Promise<void> | null = null
  /** One at a time: whoever asks while one is under way gets that one. */
  function turn(signal: AbortSignal = stopping.signal): Promise<void> {
    turning ??= doWhatIsDue(signal).finally(() => {
      turning = null
    })
    return turning
  }

  async function doWhatIsDue(signal: AbortSignal): Promise<void> {
    await ledger.flush()
    await proveChannels(
      [...snapshot.get().channels.values()],
      { deliver, standings, clock, hour: config.proof_hour },
      signal,
    )
    const left = await store.abandon(clock.now() - abandonedMs, clock.now())
    if (left.length > 0) log.error('Messages were never decided: nobody went on with them', { count: left.length })
  }

  async function forget(signal: AbortSignal): Promise<void> {
    const before = clock.now() - config.delivery_days * dayMs
    while (!signal.aborted && (await store.deleteOld(before, 500)) === 500);
  }

  return {
    routes: deliveryRoutes({
      ...{ configure, store, tenantIdOf: parts.tenantIdOf },
      async test(channel) {
        const result = await testChannel(channel, { deliver, clock })
        standings.note(channel, result.outcome)
        return result
      },
      preview(channel, wish) {
        const { title_template, body_template, language, zone, status, severity, alerts } = wish
        const changed: ConfiguredChannel = {
          ...channel,
          ...(title_template === undefined ? {} : { titleTemplate: title_template }),
          ...(body_template === undefined ? {} : { bodyTemplate: body_template }),
          ...{ language: language ?? channel.language, zone: zone ?? channel.zone },
        }
        const made = makeTest(changed, clock.now(), { status, severity, alerts })
        const { message, written, templateError } = deliver.write(changed, made)
        return {
          ...{ title: message.title, text: written.text, body: written.body, template_error: templateError },
          ...{ cut_alerts: written.cut.alerts, is_text_cut: written.cut.isTextCut },
        }
      },
    }),
    deliver: (notification, { signal }) => track(deliver.toReceiver(notification, { signal: signalOf(signal) })),
    tell(telling) {
      const { channels, title, text, url, severity, traceId, dedupeKey, action = 'trigger', tenantId = '' } = telling
      const now = clock.now()
      const held = [...snapshot.get().channels.values()]
      const ids = channels.map(
        (written) =>
          held.find(({ id }) => id === written)?.id ??
          held.find((each) => each.name === written && each.tenantId === tenantId)?.id ??
          written,
      )
      const isOver = action === 'resolve'
      const notification: Notification = {
        ...{
          id: telling.id ?? createId('notification', now),
          receiver: '',
          groupKey: dedupeKey,
          groupLabels: { alertname: title },
        },
        ...{ reason: 'escalation', status: 'firing', truncated: 0, hidden: [], traceId, at: now },
        alerts: [
          {
            fingerprint: '',
            labels: { alertname: title, severity },
            annotations: { description: text },
            ...{ startsAt: now, endsAt: null, generatorUrl: '', tenantId },
          },
        ],
      }
      const key = createHash('sha256').update(dedupeKey).digest('hex')
      const { about = [] } = telling
      const options = { signal: signalOf(telling.signal), action: isOver ? ('resolve' as const) : action, key, about }
      return track(deliver.toChannels(notification, ids, url === undefined ? options : { ...options, url }))
    },
    suppressed: (found) => ledger.suppress((Array.isArray(found) ? found : [found]) as readonly Suppression[]),
    async receivers() {
      return snapshot.get().receivers.map(({ name, tenantId }) => ({ name, tenantId }))
    },
    async standings() {
      const kept = await store.standings()
      // A channel whose secrets cannot be opened is none that could tell: it stands as it stood.
      return (await store.loadChannels()).map(({ id, name, type, tenant_id: tenantId }) => {
        const standing = toStanding(kept.get(id))
        const to = nameOf(standing)
        return {
          channelId: id,
          name,
          type,
          tenantId,
          from: to,
          to,
          message: standing.lastMessage || standing.proofError,
        }
      })
    },
    channelsOf(written, instead) {
      const held = [...snapshot.get().channels.values()]
      const isThere = (name: string) =>
        held.some(({ id, name: own, tenantId }) => id === name || (own === name && tenantId === ''))
      const found = written.filter(isThere)
      if (found.length > 0) return found
      const receiver = snapshot.get().receivers.find(({ name, tenantId }) => name === instead && tenantId === '')
      return (receiver?.targets ?? []).map(({ channelId }) => channelId).filter(isThere)
    },
    turn,
    configure,
    async start() {
      await snapshot.ready()
      schedule.every('alerts-delivery', 60_000, turn, { onOneNode: true, firstDelayMs: 15_000 })
      // Each node has rows of its own that wait.
      schedule.every('alerts-ledger', 5000, () => void ledger.flush(), { onOneNode: false, firstDelayMs: 5000 })
      schedule.every('alerts-retention', 3_600_000, forget, { onOneNode: true, firstDelayMs: 120_000 })
    },
    async stop() {
      stopping.abort()
      await schedule.stop()
      // An attempt under way ends by its own time-out; what hangs longer must not hold up the stop.
      const mostMs = (config.attempt_timeout_seconds + 5) * 1000
      await waitAtMost(systemClock, mostMs, Promise.allSettled(running))
      await ledger.flush()
      snapshot.stop()
    },
  }
}
