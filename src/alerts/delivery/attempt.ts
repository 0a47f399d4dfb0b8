import type { Clock } from '../../kernel/clock.ts'
import { createId } from '../../kernel/ids.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { Mailer } from '../../platform/mail.ts'
import { durationBuckets, type Metrics } from '../../platform/metrics.ts'
import { type Message, type Outcome, type SendContext, toOutcome, type Written } from '../channels/channel.ts'
import type { Doubts, Ticket } from './doubt.ts'
import type { Entry, Ledger } from './ledger.ts'
import { kindOf } from './records.ts'
import type { ConfiguredChannel } from './schema.ts'
import type { AttemptRow, DeliveryStore } from './store.ts'

/** A message in a channel's own form. */
export type Prepared = { message: Message; written: Written; hash: string }

export type AttemptOptions = {
  parameters?: Record<string, unknown>
  waitedMs?: number
  /** null for what nobody sends again after a kill: it is in nobody's way and waits for nobody. */
  signal: AbortSignal | null
}

/** One attempt: written down as begun, sent, and written down with what came of it before another may be in doubt. */
export type Attempt = (
  entry: Entry,
  channel: ConfiguredChannel,
  prepared: Prepared,
  options: AttemptOptions,
) => Promise<Outcome>

/** What may have arrived although nobody heard so. */
const doubtful: readonly string[] = ['interrupted', 'timeout', 'unreachable']

export function createAttempt(own: {
  store: Pick<DeliveryStore, 'thread' | 'keepThread'>
  ledger: Pick<Ledger, 'save'>
  doubts: Doubts
  wayOf(tenantId: string): Pick<Upstreams, 'send'>
  mailer: Pick<Mailer, 'isConfigured' | 'send'>
  timeoutMs(): number
  clock: Clock
  log: Log
  metrics: Metrics
}): Attempt {
  const { store, ledger, doubts, wayOf, clock, log, metrics } = own
  const attempts = metrics.counter(
    'gatehouse_alerts_attempts_total',
    'Attempts to deliver by kind of channel and reason.',
    ['type', 'reason'],
  )
  const seconds = metrics.histogram(
    'gatehouse_alerts_attempt_seconds',
    'What one attempt took.',
    ['type'],
    durationBuckets,
  )

  /** The ways out of one message, on which it comes to be in doubt at the moment it may arrive and not before. */
  function openWays(entry: Entry, channel: ConfiguredChannel, signal: AbortSignal | null) {
    const way = wayOf(channel.tenantId)
    if (signal === null) return { way, mailer: own.mailer, leave: () => {} }
    let ticket: Ticket | null = null
    async function enter(): Promise<void> {
      ticket ??= doubts.enter(channel.id, { isUrgent: entry.row.severity === 'critical', signal: signal! })
      await ticket.turn
    }
    const guarded: Pick<Upstreams, 'send'> = {
      async send(url, options = {}) {
        const changes = options.method !== undefined && options.method !== 'GET'
        const answer = await way.send(url, changes ? { ...options, beforeWriting: enter } : options)
        ticket?.answered()
        return answer
      },
    }
    const mailer: Pick<Mailer, 'isConfigured' | 'send'> = {
      isConfigured: own.mailer.isConfigured,
      async send(mail) {
        await enter()
        const taken = await own.mailer.send(mail)
        ticket?.answered()
        return taken
      },
    }
    return {
      ...{ way: guarded, mailer },
      leave() {
        ticket?.leave()
        ticket = null
      },
    }
  }

  return async (
    entry,
    channel,
    { message, written, hash },
    { parameters = channel.parameters, waitedMs = 0, signal },
  ) => {
    const kind = kindOf(channel.type)
    const row: AttemptRow = {
      ...{ id: createId('deliveryAttempt', clock.now()), delivery_id: entry.row.id, started_at: clock.now() },
      ...{ outcome: 'started', reason: '', message: '', http_status: 0, body_code: '', latency_ms: 0 },
      ...{ waited_ms: waitedMs, rendered_hash: hash },
    }
    const mayHaveArrived = entry.attempts.some(({ reason }) => doubtful.includes(reason))
    entry.attempts.push(row)
    await ledger.save(entry)
    const begun = clock.monotonic()
    const reached = new Set(JSON.parse(entry.row.reached) as string[])
    const ways = openWays(entry, channel, kind.knowsRepeats?.(parameters) ? null : signal)
    try {
      const thread = await store.thread(channel.id, message.key).catch(() => '')
      const context: SendContext = {
        ...{ way: ways.way, mailer: ways.mailer, now: clock.now(), timeoutMs: own.timeoutMs() },
        ...{ reached: new Set(reached), thread, attempt: entry.attempts.length, mayHaveArrived },
        async reach(address) {
          reached.add(address)
          entry.row.reached = JSON.stringify([...reached])
          await ledger.save(entry)
          ways.leave()
        },
      }
      const outcome = await kind.send(written, message, parameters, context).catch((thrown: unknown) => {
        const found = toOutcome(thrown)
        if (found.reason === 'broken') log.error('Sending an alert broke', { error: thrown, traceId: message.traceId })
        return found
      })
      const latencyMs = Math.round(clock.monotonic() - begun)
      Object.assign(row, {
        ...{ outcome: outcome.isDelivered ? 'delivered' : 'failed', reason: outcome.reason, message: outcome.message },
        ...{ http_status: outcome.status, body_code: outcome.code, latency_ms: latencyMs },
      })
      entry.row.reached = JSON.stringify([...new Set([...reached, ...(outcome.reached ?? [])])])
      // In one write: whoever is killed between two would not know that it arrived.
      if (outcome.isDelivered) {
        Object.assign(entry.row, { state: 'delivered', reason: '', message: outcome.message, decided_at: clock.now() })
      }
      attempts.with({ type: channel.type, reason: outcome.reason || 'delivered' }).inc()
      seconds.with({ type: channel.type }).observe(latencyMs / 1000)
      // First: who is killed after it tells the ticket that there is once more, and opens no second one.
      if (outcome.thread !== undefined) {
        await store.keepThread(channel.id, message.key, outcome.thread, clock.now()).catch((error: unknown) => {
          log.error('A ticket that was opened could not be written down: its end must be told by hand', { error })
        })
      }
      await ledger.save(entry)
      return outcome
    } finally {
      ways.leave()
    }
  }
}
