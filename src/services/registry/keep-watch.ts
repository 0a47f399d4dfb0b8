import type { Clock } from '../../kernel/clock.ts'
import type { Heartbeats } from '../../kernel/heartbeats.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Log } from '../../platform/log.ts'
import type { ServicesConfig } from '../config.ts'
import type { InstanceFacts, ServicesStore } from '../store.ts'
import type { Catalogue } from './catalogue.ts'
import type { Hearing } from './hearing.ts'
import { type Judgement, judge, type Suspect } from './judge.ts'
import type { Polled, Polling } from './polling.ts'
import { type InstanceRecord, originOf, type ServiceRecord, stateOf } from './records.ts'

/**
 * The round that every node makes each second: it writes down who was heard here, learns who was heard elsewhere, and on
 * the one node that holds the lease it asks health paths and judges.
 */
export type KeepWatch = {
  /** One round; the loop calls it, and tests do. */
  round(): Promise<void>
  start(): void
  stop(): Promise<void>
  /** How often instances are asked to send a heartbeat. */
  intervalMs(): number
  protection(): { isProtected: boolean; silent: number; total: number }
  isJudge(): boolean
}

export type KeepWatchParts = {
  store: ServicesStore
  catalogue: Catalogue
  hearing: Hearing
  polling: Polling
  leases: Leases
  bus: Bus
  clock: Clock
  log: Log
  config: ServicesConfig
  heartbeats: Heartbeats
  /** Takes what came with beats and must be stored, and says whether there was any. */
  flushMetadata(): Promise<boolean>
}

const roundMs = 1000
/** With statements of the store that run into their time-out: an outage wedges nothing. */
const longestRoundMs = 60_000
/** Beats are written at most this often. */
const flushMs = 2000
const leaseMs = 15_000
const renewMs = 5000
/** A round that comes so late means that this process, or the machine under it, stood still and heard nobody. */
const stallMs = 3000
const forgetMs = 3_600_000
/** How long a late heartbeat finds an instance that was taken off. */
const tombstoneMs = 24 * 3_600_000

const leaseName = 'services:judge'

export function createKeepWatch(parts: KeepWatchParts): KeepWatch {
  const { store, catalogue, hearing, polling, leases, bus, clock, log, config } = parts
  const stopping = new AbortController()
  const criticalSince = new Map<string, number>()
  let protection = { isProtected: false, silent: 0, total: 0 }
  let lastRoundAt = clock.monotonic()
  let lastFlushAt = Number.NEGATIVE_INFINITY
  let lastLeaseAt = Number.NEGATIVE_INFINITY
  let lastForgetAt = clock.monotonic()
  let isDeaf = false
  let isJudge = false
  let looping: Promise<void> = Promise.resolve()
  let last: Promise<void> = Promise.resolve()

  function intervalMs(): number {
    return Math.max(config.heartbeat_seconds * 1000, (hearing.size() / config.max_beats_per_second) * 1000)
  }

  function notice(): void {
    const now = clock.monotonic()
    const gapMs = now - lastRoundAt
    lastRoundAt = now
    if (gapMs <= stallMs) return
    log.warn('This process stood still and may not have heard heartbeats; everybody gets their whole time again', {
      durationMs: Math.round(gapMs),
    })
    hearing.restart()
    polling.restart()
  }

  async function flush(): Promise<void> {
    const ids = hearing.take()
    const at = clock.now()
    try {
      if (ids.length > 0) await store.noteHeard(ids, at)
      hearing.wrote(ids, at)
      if (await parts.flushMetadata()) await catalogue.apply()
      hearing.follow(await store.readHeard())
    } catch (error) {
      hearing.putBack(ids)
      if (!isDeaf) log.warn('Heartbeats could not be shared through the store; nobody is judged meanwhile', { error })
      isDeaf = true
      return
    }
    if (!isDeaf) return
    isDeaf = false
    // What other nodes heard meanwhile is not known here.
    hearing.restart()
  }

  async function takeLease(): Promise<void> {
    try {
      const held = await leases.acquire(leaseName, leaseMs)
      if (held && !isJudge) {
        polling.restart()
        criticalSince.clear()
      }
      isJudge = held
    } catch {
      // Not to know who judges is not to judge.
      isJudge = false
    }
  }

  function suspects(): { suspect: Suspect; record: ServiceRecord; instance: InstanceRecord }[] {
    const told = intervalMs()
    return catalogue.list().flatMap((record) =>
      record.instances
        .filter(({ state }) => state !== 'gone')
        .map((instance) => {
          const { row, state } = instance
          const { silentMs, paceMs } = hearing.silenceOf(row.id)
          const { failures, found } = polling.findingOf(row.id)
          const isPolled = record.row.health_check_url !== ''
          const suspect: Suspect = {
            ...{ id: row.id, state, silence: row.silence, poll: row.poll, isEphemeral: row.is_ephemeral === 1 },
            ...{ isPolled, silentMs, paceMs: Math.max(told, paceMs), failures, found },
          }
          return { suspect, record, instance }
        }),
    )
  }

  const rules = { missedHeartbeats: config.missed_heartbeats, protectShare: config.protect_percent / 100 }

  async function judgeAll(): Promise<void> {
    let all = suspects()
    let judgement = judge(
      all.map(({ suspect }) => suspect),
      rules,
    )
    if (protection.isProtected && !judgement.isProtected) {
      // The first are heard again. The others get as long to be heard as if the hub had just come.
      hearing.restart()
      polling.restart()
      all = suspects()
      judgement = judge(
        all.map(({ suspect }) => suspect),
        rules,
      )
    }
    const gone = overdue(all, judgement)
    const byId = new Map(all.map((each) => [each.suspect.id, each]))
    const changes = [
      ...judgement.changes,
      ...gone.map((id) => ({
        id,
        facts: { gone_at: clock.now() } as InstanceFacts,
        reason: 'it was critical for too long',
      })),
    ]
    if (changes.length > 0) {
      await store.setFacts(
        changes.map(({ id, facts }) => ({ ids: [id], facts })),
        clock.now(),
      )
      for (const { id, facts, reason } of changes) announce(byId.get(id)!, facts, reason)
      await catalogue.apply()
    }
    tellProtection(judgement)
  }

  /** Who was critical for longer than its service allows. Nobody, while the hub doubts itself. */
  function overdue(all: ReturnType<typeof suspects>, { isProtected }: Judgement): string[] {
    const now = clock.monotonic()
    const due: string[] = []
    const critical = new Set<string>()
    for (const { suspect, record, instance } of all) {
      if (instance.state !== 'critical') continue
      critical.add(suspect.id)
      const since = criticalSince.get(suspect.id) ?? now
      criticalSince.set(suspect.id, since)
      const afterMs = record.row.deregister_after_ms ?? config.deregister_after_seconds * 1000
      if (!isProtected && now - since >= afterMs) due.push(suspect.id)
    }
    for (const id of criticalSince.keys()) if (!critical.has(id)) criticalSince.delete(id)
    return due
  }

  function announce({ record, instance }: ReturnType<typeof suspects>[number], facts: InstanceFacts, reason: string) {
    const to = stateOf({ ...instance.row, ...facts })
    if (to === instance.state) return
    bus.announce('service.instance.changed', {
      ...{ service: record.row.name, instanceId: instance.row.id, from: instance.state, to, reason },
    })
  }

  function tellProtection({ isProtected, silent, total }: Judgement): void {
    const was = protection.isProtected
    protection = { isProtected, silent, total }
    if (was !== isProtected) bus.announce('service.protected', protection)
  }

  async function makeRound(): Promise<void> {
    notice()
    const now = clock.monotonic()
    if (now - lastFlushAt >= flushMs) {
      lastFlushAt = now
      await flush()
    }
    if (now - lastLeaseAt >= renewMs) {
      lastLeaseAt = now
      await takeLease()
    }
    // Judging needs what others heard, and a place to write the verdict.
    if (!isJudge || isDeaf || catalogue.isStale()) return
    // The process may have stood still while this round waited for the store.
    notice()
    polling.ask(polledOnes(catalogue))
    await judgeAll()
    if (clock.monotonic() - lastForgetAt < forgetMs) return
    lastForgetAt = clock.monotonic()
    await store.forgetOld(clock.now() - tombstoneMs)
  }

  // One at a time: whoever asks while one is under way gets the one after it.
  function round(): Promise<void> {
    const next = last.catch(() => {}).then(makeRound)
    last = next
    return next
  }

  return {
    round,
    intervalMs,
    protection: () => protection,
    isJudge: () => isJudge,
    start() {
      lastRoundAt = clock.monotonic()
      hearing.restart()
      const heart = parts.heartbeats.watch('registry', longestRoundMs)
      looping = (async () => {
        while (!stopping.signal.aborted) {
          await round().catch((error) => log.warn('Watching plugin services failed; it goes on next second', { error }))
          heart.beat()
          await clock.sleep(roundMs, stopping.signal)
        }
        heart.end()
      })()
    },
    async stop() {
      stopping.abort()
      await looping
      await flush()
      if (isJudge) await leases.release(leaseName).catch(() => {})
      await polling.idle()
    },
  }
}

function polledOnes(catalogue: Catalogue): Polled[] {
  return catalogue
    .list()
    .flatMap(({ row, instances }) =>
      row.health_check_url === '' || row.enabled === 0
        ? []
        : instances
            .filter(({ state }) => state !== 'gone' && state !== 'maintenance')
            .map((each) => ({ id: each.row.id, origin: originOf(each.row), path: row.health_check_url })),
    )
}
