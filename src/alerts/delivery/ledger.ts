import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { AttemptRow, DeliveryRow, DeliveryStore } from './store.ts'

/** One message over one channel, with its attempts: the row, and what it is about. */
export type Entry = { row: DeliveryRow; attempts: AttemptRow[]; fingerprints: readonly string[] }

/** Why something was not said. */
export type Suppression = {
  fingerprint: string
  receiver: string
  groupKey: string
  by: string
  /** What held it back, such as a silence's id; '' for nothing of its own. */
  byId: string
  at: number
  tenantId?: string
}

/**
 * Who was told what, how, and why not. What is meant is written before it is done, what came of it after. A store that is
 * away holds up no alert: what cannot be written waits in memory and is written later, at most so much of it.
 */
export type Ledger = {
  /** Writes down what is meant, or gives what is known of it already. Never rejects. */
  open(entry: Entry): Promise<Entry>
  /** Writes down how it stands. Never rejects. */
  save(entry: Entry): Promise<void>
  suppress(found: readonly (Suppression & { channelId?: string; channelName?: string })[]): Promise<void>
  /** Whether the channel that stood in for this delivery has told of it. Never rejects. */
  wasStoodInFor(row: DeliveryRow, channelId: string): Promise<boolean>
  /** Whether what waits for the store has it that this channel was told of this group. */
  wasJustTold(channelId: string, groupKey: string): boolean
  /** Writes what waits; says how much still does. */
  flush(): Promise<number>
}

const mostWaitMs = 3000
const mostKept = 10_000

/** The same message over the same channel is the same delivery, whichever process asks for it. */
export function deliveryId(...parts: readonly string[]): string {
  return `dlv_${createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 26)}`
}

export function createLedger(own: { store: DeliveryStore; clock: Clock; log: Log; metrics: Metrics }): Ledger {
  const { store, clock, log, metrics } = own
  const backlog = new Map<string, () => Promise<void>>()
  // For as long as the store cannot say what was delivered.
  const known = new LRUCache<string, Entry>({ max: 5000 })
  const dropped = metrics.counter('gatehouse_alerts_ledger_dropped_total', 'Rows of the ledger of deliveries given up.')
  const waiting = metrics.gauge('gatehouse_alerts_ledger_backlog', 'Rows of the ledger that wait for the store.')
  const suppressed = metrics.counter('gatehouse_alerts_suppressed_total', 'Alerts held back by what held them.', ['by'])
  metrics.beforeRender(() => waiting.with({}).set(backlog.size))
  let isAway = false

  async function attempt<T>(work: () => Promise<T>): Promise<T> {
    // Real time, as for every answer that is waited for: the time of alerts may stand still meanwhile.
    const timer = new AbortController()
    const late = systemClock.sleep(mostWaitMs, timer.signal).then((): never => {
      throw new Error(`the store took longer than ${mostWaitMs} ms`)
    })
    late.catch(() => {})
    try {
      const result = await Promise.race([work(), late])
      if (isAway) log.info('The ledger of deliveries can be written again')
      isAway = false
      return result
    } catch (error) {
      if (!isAway) log.error('The ledger of deliveries cannot be written; alerts go out all the same', { error })
      isAway = true
      throw error
    } finally {
      timer.abort()
    }
  }

  function keep(id: string, write: () => Promise<void>): void {
    backlog.delete(id)
    backlog.set(id, write)
    if (backlog.size <= mostKept) return
    backlog.delete(backlog.keys().next().value!)
    dropped.with({}).inc()
  }

  const write = (entry: Entry) => store.saveDelivery(entry.row, entry.attempts.slice(-20), entry.fingerprints)

  async function save(entry: Entry): Promise<void> {
    known.set(entry.row.id, entry)
    // By reference: what is written later is how it stands then. While the store is away nobody waits for it again.
    if (isAway) return keep(entry.row.id, () => write(entry))
    try {
      await attempt(() => write(entry))
      backlog.delete(entry.row.id)
    } catch {
      keep(entry.row.id, () => write(entry))
    }
  }

  return {
    save,
    wasJustTold: (channelId, groupKey) =>
      [...backlog.keys()].some((id) => {
        const row = known.peek(id)?.row
        return row?.channel_id === channelId && row.group_key === groupKey && row.state === 'delivered'
      }),
    async open(entry) {
      const { id } = entry.row
      const here = known.get(id)
      if (isAway) {
        const held = here ?? entry
        await save(held)
        return held
      }
      try {
        const row = await attempt(() => store.findDelivery(id))
        if (row === undefined) {
          if (here !== undefined) return here
          await save(entry)
          return entry
        }
        // What another node has delivered meanwhile counts; else ours has more in it than was written yet.
        if (here !== undefined && row.state !== 'delivered') return here
        const attempts = await attempt(() => store.attemptsOf([id]))
        // Its end was never written: it may have arrived.
        for (const each of attempts) {
          if (each.outcome !== 'started') continue
          Object.assign(each, {
            outcome: 'failed',
            reason: 'interrupted',
            message: 'The hub stopped meanwhile; it may have arrived.',
          })
        }
        return { row, attempts, fingerprints: entry.fingerprints }
      } catch {
        if (here !== undefined) return here
        known.set(id, entry)
        keep(id, () => write(entry))
        return entry
      }
    },
    async wasStoodInFor({ id, notification_id }, channelId) {
      if (channelId === '') return false
      const other = deliveryId(notification_id, channelId)
      const row = known.get(other)?.row ?? (await attempt(() => store.findDelivery(other)).catch(() => undefined))
      return row?.state === 'delivered' && row.fallback_for === id
    },
    async suppress(found) {
      for (const { by } of found) suppressed.with({ by }).inc()
      const rows = new Map<string, DeliveryRow>()
      const links: { fingerprint: string; delivery_id: string }[] = []
      for (const each of found) {
        const { fingerprint, receiver, groupKey, by, byId, at, tenantId = '', channelId = '', channelName = '' } = each
        const day = String(Math.floor(at / 86_400_000))
        const id = deliveryId(day, fingerprint, receiver, groupKey, channelId, by, byId)
        links.push({ fingerprint, delivery_id: id })
        const same = rows.get(id)
        if (same !== undefined) {
          same.times++
          continue
        }
        rows.set(id, {
          ...emptyRow,
          ...{ id, tenant_id: tenantId, receiver, group_key: groupKey, state: 'suppressed', reason: 'suppressed' },
          ...{ channel_id: channelId, channel_name: channelName, suppressed_by: by, suppressed_by_id: byId },
          ...{ message: `Held back by ${by}${byId === '' ? '' : ` ${byId}`}.`, created_at: at, decided_at: at },
        })
      }
      const put = () => store.countSuppressed([...rows.values()], links)
      const work = put()
      // Counting is not to be done twice: what is only slow is left to end, what failed waits for the store.
      work.catch(() => keep(`${clock.monotonic()} ${links[0]?.delivery_id ?? ''}`, put))
      await attempt(() => work).catch(() => {})
    },
    async flush() {
      if (isAway) await attempt(() => store.revision()).catch(() => {})
      for (const [id, put] of [...backlog]) {
        try {
          await attempt(put)
          if (backlog.get(id) === put) backlog.delete(id)
        } catch {
          break
        }
      }
      return backlog.size
    },
  }
}

export const emptyRow: DeliveryRow = {
  ...{ id: '', tenant_id: '', notification_id: '', receiver: '', channel_id: '', channel_name: '', channel_type: '' },
  ...{
    group_key: '',
    title: '',
    severity: '',
    status: '',
    notify_reason: '',
    state: 'pending',
    reason: '',
    message: '',
  },
  ...{ suppressed_by: '', suppressed_by_id: '', times: 1, fallback_for: '', rendered_hash: '', cut_alerts: 0 },
  ...{ is_text_cut: 0, template_error: '', reached: '[]', trace_id: '', created_at: 0, decided_at: 0 },
}
