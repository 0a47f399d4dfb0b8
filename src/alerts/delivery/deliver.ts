import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { Mailer } from '../../platform/mail.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { directKeyOf, type Notification } from '../alert.ts'
import { failed, type Message, type Outcome, type Written } from '../channels/channel.ts'
import { createAttempt } from './attempt.ts'
import { createDoubts, type Doubts } from './doubt.ts'
import { heldBackBy } from './due.ts'
import { deliveryId, type Entry, emptyRow, type Ledger } from './ledger.ts'
import { kindOf } from './records.ts'
import type { ConfiguredChannel, Receiver, Target } from './schema.ts'
import type { Standings } from './standings.ts'
import type { DeliveryStore } from './store.ts'
import { word } from './templates/index.ts'
import { worstOf } from './templates/view.ts'
import { createThrottle, type Throttle } from './throttle.ts'

export type Decided = 'delivered' | 'failed'

export type DeliverOptions = {
  signal: AbortSignal
  action?: Message['action']
  url?: string
  key?: string
  /** Fingerprints that the ledger is to find it by, besides those of its alerts. */
  about?: readonly string[]
}

export type Deliver = {
  /** To the receiver that the notification names. */
  toReceiver(notification: Notification, options: DeliverOptions): Promise<Decided>
  toChannels(notification: Notification, channelIds: readonly string[], options: DeliverOptions): Promise<Decided>
  /** One attempt, now, without rate limit, repeat or fallback. */
  once(
    channel: ConfiguredChannel,
    notification: Notification,
    options?: { parameters?: Record<string, unknown>; action?: Message['action'] },
  ): Promise<{ outcome: Outcome; latencyMs: number; templateError: string }>
  write(
    channel: ConfiguredChannel,
    notification: Notification,
  ): { message: Message; written: Written; templateError: string }
  waiting(): number
  inDoubt: Doubts['count']
  /** Forgets what it holds of channels that are gone. */
  forget(known: (channelId: string) => boolean): void
}

const firstBackoffMs = 1000
const longestBackoffMs = 60_000

export function createDeliver(own: {
  store: Pick<DeliveryStore, 'thread' | 'keepThread' | 'wasTold' | 'pagesOver' | 'recentAttempts'>
  ledger: Ledger
  standings: Standings
  channel(id: string): ConfiguredChannel | undefined
  receiver(name: string, tenantId: string): Receiver | undefined
  wayOf(tenantId: string): Pick<Upstreams, 'send'>
  mailer: Pick<Mailer, 'isConfigured' | 'send'>
  publicUrl: string
  timeoutMs(): number
  mostWaiting(): number
  /** Messages that may have arrived without the store's knowing it, at one time. */
  mostInDoubt(): number
  clock: Clock
  log: Log
  metrics: Metrics
  random(): number
}): Deliver {
  const { store, ledger, standings, clock, log, metrics } = own
  const throttles = new Map<string, Promise<Throttle>>()
  const ready = new Map<string, Throttle>()
  const underWay = new Map<string, Promise<Decided>>()
  const direct = new LRUCache<string, true>({ max: 5000 })
  const deliveries = metrics.counter(
    'gatehouse_alerts_deliveries_total',
    'Messages by kind of channel and how they ended.',
    ['type', 'outcome'],
  )
  const doubts = createDoubts({ most: own.mostInDoubt, clock })
  const attempt = createAttempt({
    ...{ store, ledger, doubts, wayOf: own.wayOf, mailer: own.mailer, timeoutMs: own.timeoutMs, clock, log, metrics },
  })

  function throttleOf({ id, type }: ConfiguredChannel): Promise<Throttle> {
    const known = throttles.get(id)
    if (known !== undefined) return known
    const { rates } = kindOf(type)
    const made = (async () => {
      const longest = Math.max(...rates.map(({ perMs }) => perMs))
      const most = Math.max(...rates.map(({ messages }) => messages))
      const sent = await store.recentAttempts(id, clock.now() - longest, most).catch(() => [])
      const sentAgoMs = sent.map((at) => Math.max(0, clock.now() - at))
      const throttle = createThrottle({ clock, rates, mostWaiting: own.mostWaiting, sentAgoMs })
      ready.set(id, throttle)
      return throttle
    })()
    throttles.set(id, made)
    return made
  }

  const urlOf = () => (own.publicUrl === '' ? '' : `${own.publicUrl.replace(/\/$/, '')}/alerts`)

  function prepare(
    channel: ConfiguredChannel,
    notification: Notification,
    options: Partial<DeliverOptions> = {},
    parameters = channel.parameters,
  ) {
    const { language, zone, titleTemplate, bodyTemplate } = channel
    const { action, key, url = urlOf() } = options
    const { message, templateError } = word(
      notification,
      { language, zone, titleTemplate, bodyTemplate },
      { url, ...(action === undefined ? {} : { action }), ...(key === undefined ? {} : { key }) },
    )
    const written = kindOf(channel.type).write(message, parameters)
    return { message, written, templateError, hash: createHash('sha256').update(written.body).digest('hex') }
  }

  function newEntry(
    notification: Notification,
    channel: ConfiguredChannel | null,
    channelId: string,
    fallbackFor = '',
    about: readonly string[] = [],
  ): Entry {
    const { id, receiver, groupKey, status, reason, traceId, alerts, hidden } = notification
    return {
      row: {
        ...emptyRow,
        ...{ id: deliveryId(id, channelId), notification_id: id, receiver, channel_id: channelId, group_key: groupKey },
        ...{ tenant_id: channel?.tenantId ?? notification.alerts[0]?.tenantId ?? '', status, notify_reason: reason },
        ...{ channel_name: channel?.name ?? '', channel_type: channel?.type ?? '', severity: worstOf(alerts) },
        ...{ trace_id: traceId, created_at: clock.now(), fallback_for: fallbackFor },
      },
      attempts: [],
      fingerprints: [...new Set([...[...alerts, ...hidden].map(({ fingerprint }) => fingerprint), ...about])].filter(
        (each) => each !== '',
      ),
    }
  }

  async function decide(entry: Entry, state: Decided, outcome: Pick<Outcome, 'reason' | 'message'>): Promise<Decided> {
    Object.assign(entry.row, { state, reason: outcome.reason, message: outcome.message, decided_at: clock.now() })
    await ledger.save(entry)
    deliveries.with({ type: entry.row.channel_type || 'none', outcome: state }).inc()
    return state
  }

  /** One message over one channel until it is decided. */
  async function insist(
    channel: ConfiguredChannel,
    notification: Notification,
    options: DeliverOptions,
    fallbackFor: string,
  ): Promise<Decided> {
    const { signal } = options
    const entry = await ledger.open(newEntry(notification, channel, channel.id, fallbackFor, options.about))
    if (entry.row.state === 'delivered') return 'delivered'
    if (entry.row.state === 'failed' && (await ledger.wasStoodInFor(entry.row, channel.fallbackId))) return 'delivered'
    const { message, written, hash, templateError } = prepare(channel, notification, options)
    Object.assign(entry.row, {
      ...{ state: 'pending', reason: '', message: '', title: message.title, rendered_hash: hash },
      ...{ cut_alerts: written.cut.alerts, is_text_cut: Number(written.cut.isTextCut), template_error: templateError },
    })
    const throttle = await throttleOf(channel)
    const begun = clock.monotonic()
    const leftMs = () => channel.giveUpMs - (clock.monotonic() - begun)
    for (let tries = 0; ; tries++) {
      const turn = await throttle.wait(leftMs(), signal)
      if (turn === 'stopped') return stopped(entry)
      if (turn === 'full' || turn === 'late') {
        return decide(entry, 'failed', failed('queue_full', "The vendor's rate limit leaves no turn for it in time."))
      }
      const outcome = await attempt(entry, channel, { message, written, hash }, { waitedMs: turn.waitedMs, signal })
      if (outcome.isDelivered) {
        standings.note(channel, outcome)
        deliveries.with({ type: channel.type, outcome: 'delivered' }).inc()
        return 'delivered'
      }
      if (signal.aborted) return stopped(entry)
      const { brokenSince } = standings.note(channel, outcome)
      if (!outcome.mayRepeat) return decide(entry, 'failed', outcome)
      if (outcome.reason === 'limited') throttle.pause(outcome.retryAfterMs ?? firstBackoffMs)
      if (brokenSince > 0 && channel.fallbackId !== '') {
        return decide(entry, 'failed', { reason: 'fallback', message: `${outcome.message} Its fallback goes on.` })
      }
      const backoffMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** tries) * (0.5 + own.random() / 2)
      const waitMs = Math.max(backoffMs, outcome.retryAfterMs ?? 0)
      if (waitMs >= leftMs()) {
        const told = `Given up after ${tries + 1} attempts in ${Math.round((clock.monotonic() - begun) / 1000)} s. ${outcome.message}`
        return decide(entry, 'failed', { reason: 'gave_up', message: told })
      }
      await clock.sleep(waitMs, signal)
      if (signal.aborted) return stopped(entry)
    }
  }

  /** Left as it is: whoever asked asks again, after a start or on another node. */
  async function stopped(entry: Entry): Promise<Decided> {
    Object.assign(entry.row, { reason: 'stopped', message: 'The hub stopped meanwhile.' })
    await ledger.save(entry)
    return 'failed'
  }

  async function withFallback(
    channel: ConfiguredChannel,
    notification: Notification,
    options: DeliverOptions,
  ): Promise<Decided> {
    let at: ConfiguredChannel | undefined = channel
    let fallbackFor = ''
    const seen = new Set<string>()
    while (at !== undefined && !seen.has(at.id)) {
      seen.add(at.id)
      const decided = await insist(at, notification, options, fallbackFor)
      if (decided === 'delivered' || options.signal.aborted) return decided
      fallbackFor = deliveryId(notification.id, at.id)
      const next: ConfiguredChannel | undefined = own.channel(at.fallbackId)
      at = next?.enabled ? next : undefined
    }
    return 'failed'
  }

  /** The channel and whoever stands in for it, in order. */
  function chainOf(channel: ConfiguredChannel): ConfiguredChannel[] {
    const chain: ConfiguredChannel[] = []
    for (
      let at: ConfiguredChannel | undefined = channel;
      at !== undefined && !chain.includes(at);
      at = own.channel(at.fallbackId)
    ) {
      chain.push(at)
    }
    return chain
  }

  // When nobody can say, it is told: once too often is better than never.
  const wasTold = async (channelId: string, groupKey: string) =>
    ledger.wasJustTold(channelId, groupKey) || store.wasTold(channelId, groupKey).catch(() => true)

  async function toTarget(target: Target, notification: Notification, options: DeliverOptions): Promise<Decided> {
    const channel = own.channel(target.channelId)
    if (channel === undefined) {
      const entry = await ledger.open(newEntry(notification, null, target.channelId))
      return decide(entry, 'failed', failed('no_channel', `There is no channel ${target.channelId}.`))
    }
    const isOver = notification.status === 'resolved'
    const severity = worstOf(notification.alerts)
    if (!isOver) {
      const by = heldBackBy(target, channel, { severity, isOver, wasTold: false, at: clock.now() })
      if (by === '') {
        if (wasToldDirectly(channel.id, notification)) {
          await hold('told_directly', channel, notification)
          return 'delivered'
        }
        const incidentId = await pagedBy(channel.id, notification)
        if (incidentId === '') {
          const decided = await withFallback(channel, notification, options)
          if (decided === 'delivered' && notification.groupKey.startsWith('direct:'))
            direct.set(`${channel.id} ${notification.groupKey}`, true)
          return decided
        }
        await hold('incident', channel, notification, incidentId)
        return 'delivered'
      }
      await hold(by, channel, notification)
      return by === 'disabled' ? 'failed' : 'delivered'
    }
    // Its beginning may have gone over a channel that stood in, which has to hear of the end as well.
    const chain = chainOf(channel)
    const told = await Promise.all(chain.map(({ id }) => wasTold(id, notification.groupKey)))
    const hearing = chain.filter((_, index) => told[index])
    if (hearing.length === 0) {
      await hold('not_told', channel, notification)
      return 'delivered'
    }
    const results = await Promise.all(
      hearing.map(async (each): Promise<Decided> => {
        const by = heldBackBy(target, each, { severity, isOver, wasTold: true, at: clock.now() })
        if (by === '') return withFallback(each, notification, options)
        await hold(by, each, notification)
        return by === 'disabled' ? 'failed' : 'delivered'
      }),
    )
    return results.includes('delivered') ? 'delivered' : 'failed'
  }

  /** Whether this channel heard of every alert of the message while the store was away; it hears of their ends so as well. */
  function wasToldDirectly(channelId: string, { reason, alerts, truncated, groupKey }: Notification): boolean {
    if ((reason !== 'first' && reason !== 'new_alerts') || truncated > 0 || groupKey.startsWith('direct:')) return false
    const firing = alerts.filter(({ endsAt }) => endsAt === null)
    return firing.length > 0 && firing.every((alert) => direct.has(`${channelId} ${directKeyOf(alert)}`))
  }

  /** The incident whose page this channel had about every alert of the message since it began; '' where there is none. */
  async function pagedBy(channelId: string, { reason, alerts, truncated }: Notification): Promise<string> {
    if ((reason !== 'first' && reason !== 'new_alerts') || truncated > 0) return ''
    const firing = alerts.filter(({ endsAt }) => endsAt === null)
    // When nobody can say, it is told.
    const pages = await store
      .pagesOver(
        channelId,
        firing.map(({ fingerprint }) => fingerprint),
      )
      .catch(() => new Map<string, { at: number; incidentId: string }>())
    const isKnown = firing.every(({ fingerprint, startsAt }) => (pages.get(fingerprint)?.at ?? -1) >= startsAt)
    return isKnown && firing.length > 0 ? pages.get(firing[0]!.fingerprint)!.incidentId : ''
  }

  function hold(
    by: string,
    channel: ConfiguredChannel,
    { alerts, receiver, groupKey }: Notification,
    byId = channel.id,
  ): Promise<void> {
    const common = { receiver, groupKey, by, byId, at: clock.now(), tenantId: channel.tenantId }
    return ledger.suppress(
      alerts.map(({ fingerprint }) => ({ fingerprint, ...common, channelId: channel.id, channelName: channel.name })),
    )
  }

  /** The same notification asked for twice at a time is sent once. */
  function oneAtATime(id: string, work: () => Promise<Decided>): Promise<Decided> {
    const running = underWay.get(id)
    if (running !== undefined) return running
    const started = work().finally(() => underWay.delete(id))
    underWay.set(id, started)
    return started
  }

  async function toAll(
    targets: readonly Target[],
    notification: Notification,
    options: DeliverOptions,
  ): Promise<Decided> {
    const results = await Promise.all(
      targets.map((target) =>
        toTarget(target, notification, options).catch((error: unknown): Decided => {
          // One channel that breaks here keeps no other from telling.
          log.error('Delivering an alert broke', { error, traceId: notification.traceId })
          return 'failed'
        }),
      ),
    )
    return results.includes('delivered') ? 'delivered' : 'failed'
  }

  return {
    toReceiver: (notification, options) =>
      oneAtATime(notification.id, async () => {
        const tenants = new Set(notification.alerts.map(({ tenantId }) => tenantId))
        const receiver = own.receiver(notification.receiver, tenants.size === 1 ? [...tenants][0]! : '')
        if (receiver !== undefined) return toAll(receiver.targets, notification, options)
        const entry = await ledger.open(newEntry(notification, null, ''))
        return decide(entry, 'failed', failed('no_receiver', `There is no receiver ${notification.receiver}.`))
      }),
    toChannels: (notification, channelIds, options) =>
      oneAtATime(notification.id, () =>
        toAll(
          channelIds.map((channelId) => ({ channelId, severities: [], times: [] })),
          notification,
          options,
        ),
      ),

    async once(channel, notification, options = {}) {
      const parameters = options.parameters ?? channel.parameters
      const { message, written, hash, templateError } = prepare(channel, notification, options, parameters)
      const entry = await ledger.open(newEntry(notification, channel, channel.id))
      Object.assign(entry.row, { title: message.title, rendered_hash: hash, template_error: templateError })
      const begun = clock.monotonic()
      const outcome = await attempt(entry, channel, { message, written, hash }, { parameters, signal: null })
      await decide(entry, outcome.isDelivered ? 'delivered' : 'failed', outcome)
      return { outcome, latencyMs: Math.round(clock.monotonic() - begun), templateError }
    },
    write: (channel, notification) => prepare(channel, notification),
    waiting: () => [...ready.values()].reduce((sum, each) => sum + each.waiting(), 0),
    inDoubt: doubts.count,
    forget(known) {
      doubts.forget(known)
      for (const id of throttles.keys()) {
        if (known(id)) continue
        throttles.delete(id)
        ready.delete(id)
      }
    },
  }
}
