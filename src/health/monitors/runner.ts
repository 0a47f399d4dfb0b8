import { type Clock, waitAtMost } from '../../kernel/clock.ts'
import type { Heartbeats } from '../../kernel/heartbeats.ts'
import { windowEnd } from '../../kernel/windows.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { isNetworkReason, type Push } from '../probes/probe.ts'
import { askMonitor, type World } from './ask.ts'
import type { Doubt } from './doubt.ts'
import { isUnsettled, judge, type News, type Rules, type Standing } from './judge.ts'
import { probeOf, toMonitor, toStanding } from './records.ts'
import type { Monitor } from './schema.ts'
import type { MonitorStore, ResultRow } from './store.ts'

/** Asks every check at its time, on the one node that holds the lease, and writes down what came of it. */
export type Runner = {
  start(): void
  /** Waits for what is under way, and writes it down. */
  stop(): Promise<void>
  /** One turn: takes the lease, reads what changed, begins what is due, writes what came; the loop calls it. */
  turn(): Promise<void>
  /** Resolves when nothing is being asked. */
  idle(): Promise<void>
  isHolding(): boolean
}

export type RunnerParts = {
  store: MonitorStore
  secrets: Pick<Secrets, 'decrypt'>
  world: World
  doubt: Doubt
  /** Sums and deletes what is due; called on the node that runs checks. */
  tidy(): Promise<void>
  leases: Leases
  heartbeats: Heartbeats
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  mostAtOnce: number
}

type Entry = {
  monitor: Monitor
  standing: Standing
  push: Push | null
  /** On the monotonic clock. */
  dueAt: number
  isRunning: boolean
  /** As of when what was last found is true: one of the hub's own checks says what was seen some seconds ago. */
  seenAt: number
}

const leaseName = 'checks:run'
const leaseMs = 15_000
const renewMs = 5000
const followMs = 5000
const tidyMs = 30_000
/** The longest a turn takes: a statement that the store lets run into its time-out, twice. */
const turnMs = 60_000
const restMs = 1000
/** Nobody waits longer for one of the hub's own checks to look again. */
const staleMs = 30_000
/** Checks that were all due while nobody ran them begin within this time. */
const spreadMs = 15_000

export function createRunner(parts: RunnerParts): Runner {
  const { store, secrets, world, doubt, leases, bus, clock, mostAtOnce } = parts
  const log = parts.log
  const gauges = createGauges(parts.metrics)
  const entries = new Map<string, Entry>()
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()
  const off: (() => void)[] = []
  let unsaved = { standings: new Map<string, Standing>(), results: [] as ResultRow[] }
  let isHolding = false
  let isStale = true
  /** null: nobody has said so since this node runs the checks, and the one before it may have died in doubt. */
  let wasDoubting: boolean | null = null
  let stamp = ''
  let [leaseAt, followAt, tidyAt] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let looping: Promise<void> = Promise.resolve()
  let wake = new AbortController()

  async function hold(): Promise<boolean> {
    const now = clock.monotonic()
    if (now - leaseAt < renewMs) return isHolding
    leaseAt = now
    const had = isHolding
    try {
      isHolding = await leases.acquire(leaseName, leaseMs)
    } catch (error) {
      isHolding = false
      log.warn('The lease of checks could not be taken; nothing is asked this turn', { error })
    }
    if (isHolding && !had) isStale = true
    if (!isHolding) {
      wasDoubting = null
      entries.clear()
      gauges.clear()
    }
    return isHolding
  }

  async function follow(): Promise<void> {
    const now = clock.monotonic()
    if (!isStale && now - followAt < followMs) return
    followAt = now
    const seen = await store.stamp()
    if (!isStale && seen === stamp) return
    isStale = false
    stamp = seen
    const rows = await store.loadAll()
    const known = new Set(rows.map(({ id }) => id))
    for (const [id, { monitor }] of entries) {
      if (known.has(id)) continue
      entries.delete(id)
      gauges.forget(monitor)
    }
    for (const row of rows) {
      const before = entries.get(row.id)
      if (before?.monitor.updatedAt === row.updated_at) continue
      try {
        const monitor = toMonitor(row, secrets)
        probeOf(monitor.type)
        // A name is a label: what it was called before must not stay for ever.
        if (before !== undefined) gauges.forget(before.monitor)
        const standing = before?.standing ?? toStanding(row.standing)
        entries.set(row.id, {
          monitor,
          standing,
          push: before?.push ?? (monitor.type === 'push' ? await readPush(row.id) : null),
          dueAt:
            before === undefined
              ? firstDue(monitor, standing)
              : Math.min(before.dueAt, clock.monotonic() + monitor.intervalMs),
          isRunning: before?.isRunning ?? false,
          seenAt: before?.seenAt ?? standing.checkedAt,
        })
        gauges.tell(monitor, standing)
      } catch (error) {
        log.error(`The check ${row.id} cannot be run`, { error })
      }
    }
  }

  async function readPush(id: string): Promise<Push | null> {
    const row = await store.findPush(id)
    if (row === undefined) return null
    return { at: row.at, status: row.status === 'down' ? 'down' : 'up', message: row.message, pingMs: row.ping_ms }
  }

  function firstDue(monitor: Monitor, { checkedAt }: Standing): number {
    const leftMs = checkedAt === 0 ? 0 : Math.max(0, checkedAt + monitor.intervalMs - clock.now())
    const jitterMs = (hashOf(monitor.id) % 1000) / 1000
    // A single new check is asked at once; a crowd spreads out.
    const crowdMs = Math.min(monitor.intervalMs, spreadMs, entries.size * 20)
    return clock.monotonic() + Math.min(leftMs, monitor.intervalMs) + jitterMs * crowdMs
  }

  function begin(): void {
    const now = clock.monotonic()
    for (const entry of entries.values()) {
      if (running.size >= mostAtOnce) return
      if (entry.isRunning || entry.dueAt > now) continue
      entry.isRunning = true
      const work = ask(entry)
        .catch((error) => log.error(`The check ${entry.monitor.id} could not be taken into account`, { error }))
        .finally(() => {
          entry.isRunning = false
          const current = entries.get(entry.monitor.id)
          if (current !== undefined) current.isRunning = false
          running.delete(work)
        })
      running.add(work)
    }
  }

  async function ask(entry: Entry): Promise<void> {
    const begunAt = clock.monotonic()
    const { monitor } = entry
    const { finding, latencyMs } = await askMonitor(monitor, entry.push, { world, clock, log })
    // It was changed or removed meanwhile: what was found is of a check that is no more.
    if (entries.get(monitor.id)?.monitor !== monitor) return
    const host = probeOf(monitor.type).target(monitor.parameters)
    const isNetworkFailure = finding.outcome === 'failed' && isNetworkReason(finding.reason)
    if (host !== null) doubt.note(host, isNetworkFailure)
    const isNetworkDown = isNetworkFailure && host !== null && (await doubt.isNetworkDown())
    tellDoubt()
    const now = clock.now()
    const rules = rulesOf(monitor)
    const parents = monitor.dependsOn.flatMap((id) => entries.get(id) ?? [])
    const before = entry.standing
    const failingSince = before.failures > 0 ? before.failingSince : now
    const { standing, counted, news } = judge(before, finding, { now, latencyMs }, rules, {
      isMaintenance: windowEnd(monitor.windows, now) !== null,
      isNetworkDown,
      downParent: parents.find((each) => each.standing.confirmed === 'down')?.monitor.name ?? '',
      isParentFailing: parents.some(
        ({ standing: { confirmed, failures, checkedAt }, seenAt }) =>
          confirmed !== 'down' &&
          (failures > 0 || checkedAt < failingSince || (seenAt < failingSince && now - failingSince < staleMs)),
      ),
    })
    entry.standing = standing
    entry.seenAt = finding.seenAt ?? now
    if (finding.outcome === 'failed') for (const each of parents) hasten(each)
    if (news !== null) lookAgain(({ monitor: { dependsOn } }) => dependsOn.includes(monitor.id))
    entry.dueAt = begunAt + (isUnsettled(standing, rules) ? monitor.retryIntervalMs : monitor.intervalMs)
    gauges.tell(monitor, standing)
    unsaved.standings.set(monitor.id, standing)
    unsaved.results.push({
      ...{ check_id: monitor.id, at: now, state: counted, in_maintenance: standing.state === 'maintenance' ? 1 : 0 },
      span_ms: spanOf(monitor, before, now),
      latency_ms: standing.latencyMs,
      reason: standing.reason,
      message: counted === 'up' ? '' : standing.message.slice(0, 300),
    })
    if (news === null) return
    // First written down, then told: what was told is not told again after a restart. News do not wait for a store.
    await save().catch((error) => log.warn('Results of checks wait for the store', { error }))
    announce(monitor, standing, news)
  }

  /** Whether a check that others depend on is down is found out before they are called down themselves. */
  function hasten(entry: Entry): void {
    if (entry.isRunning || entry.standing.confirmed === 'down') return
    const soonest =
      (entry.standing.checkedAt === 0 ? 0 : entry.standing.checkedAt - clock.now()) +
      clock.monotonic() +
      entry.monitor.retryIntervalMs
    entry.dueAt = Math.min(entry.dueAt, Math.max(clock.monotonic(), soonest))
  }

  /** What depends on something that went down or is up again is found out at once: whoever is told hears of it too. */
  function lookAgain(isMeant: (entry: Entry) => boolean): void {
    for (const entry of entries.values()) {
      if (isMeant(entry) && !entry.isRunning) entry.dueAt = Math.min(entry.dueAt, clock.monotonic())
    }
  }

  function announce(monitor: Monitor, standing: Standing, { from, to, durationMs, suppressedBy }: News): void {
    const hidden = suppressedBy === '' ? '' : ` It depends on ${suppressedBy}, which is down.`
    bus.announce('check.changed', {
      ...{ check: monitor.name, from, to, message: standing.message + hidden },
      configured: {
        ...{
          id: monitor.id,
          tenantId: monitor.tenantId,
          level: monitor.level,
          reason: standing.reason,
          durationMs,
          suppressedBy,
        },
      },
    })
  }

  function tellDoubt(): void {
    const isDoubting = doubt.isDoubting()
    if (isDoubting === wasDoubting) return
    wasDoubting = isDoubting
    bus.announce('check.doubted', { isDoubting })
  }

  async function save(): Promise<void> {
    if (unsaved.results.length === 0) return
    const { standings, results } = unsaved
    unsaved = { standings: new Map(), results: [] }
    try {
      await store.keep(
        [...standings].map(([id, standing]) => ({ id, standing: JSON.stringify(standing), at: standing.checkedAt })),
        results,
      )
    } catch (error) {
      // Kept for the next turn, newest standing first; what no longer fits is the oldest.
      for (const [id, standing] of standings) if (!unsaved.standings.has(id)) unsaved.standings.set(id, standing)
      unsaved.results = [...results, ...unsaved.results].slice(-50_000)
      throw error
    }
  }

  async function turn(): Promise<void> {
    if (!(await hold())) return
    await follow()
    begin()
    await save()
    if (clock.monotonic() - tidyAt < tidyMs) return
    tidyAt = clock.monotonic()
    await parts.tidy()
  }

  function hear(id: string): void {
    const entry = entries.get(id)
    if (entry === undefined) return
    void readPush(id).then(
      (push) => {
        entry.push = push
        entry.dueAt = clock.monotonic()
        wake.abort()
      },
      (error) => log.warn('A push could not be read; its check sees it at its next turn', { error }),
    )
  }

  return {
    turn,
    isHolding: () => isHolding,
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    start() {
      const heart = parts.heartbeats.watch('checks', turnMs)
      off.push(
        () => heart.end(),
        bus.on('config.changed', ({ kind }) => {
          if (kind !== 'checks') return
          isStale = true
          wake.abort()
        }),
        bus.on('check.changed', ({ check, configured }) => {
          if (configured !== undefined) return
          lookAgain(({ monitor: { type, parameters } }) => type === 'hub' && parameters.part === check)
          wake.abort()
        }),
        bus.on('check.pushed', ({ id }) => hear(id)),
      )
      looping = (async () => {
        while (!stopping.signal.aborted) {
          wake = new AbortController()
          await turn().catch((error) => log.error('A turn of checks failed; the next one goes on', { error }))
          heart.beat()
          await clock.sleep(restMs, AbortSignal.any([stopping.signal, wake.signal]))
        }
      })()
    },
    async stop() {
      stopping.abort()
      for (const each of off.splice(0)) each()
      await looping
      await waitAtMost(clock, 2000, Promise.all(running))
      await save().catch((error) => log.warn('The last results of checks could not be written', { error }))
      if (isHolding) await leases.release(leaseName).catch(() => {})
    },
  }
}

function rulesOf({ failures, successes, isUpsideDown }: Monitor): Rules {
  return { failures, successes, isUpsideDown }
}

/** What was not looked at for long is not counted as what it was found to be afterwards. */
function spanOf({ intervalMs, timeoutMs, retries }: Monitor, { checkedAt }: Standing, now: number): number {
  if (checkedAt === 0) return 1
  return Math.max(1, Math.min(now - checkedAt, 2 * intervalMs + timeoutMs * (retries + 1)))
}

function hashOf(text: string): number {
  let hash = 0
  for (const char of text) hash = (hash * 31 + char.charCodeAt(0)) >>> 0
  return hash
}

/** As Uptime Kuma numbers them, for dashboards that know it; 4 is ours. */
const numberOf = { down: 0, up: 1, pending: 2, maintenance: 3, inconclusive: 4 } as const

function createGauges(metrics: Metrics) {
  const states = metrics.gauge(
    'gatehouse_check_state',
    'State of a configured check: 0 down, 1 up, 2 pending, 3 maintenance, 4 inconclusive.',
    ['check', 'name'],
  )
  const seconds = metrics.gauge('gatehouse_check_seconds', 'How long the last asking of a configured check took.', [
    'check',
    'name',
  ])
  const certificates = metrics.gauge(
    'gatehouse_check_certificate_seconds',
    'How long the certificate that a configured check saw is still valid.',
    ['check', 'name'],
  )
  const told = new Map<string, Pick<Monitor, 'id' | 'name'>>()
  const forget = ({ id, name }: Pick<Monitor, 'id' | 'name'>) => {
    if (!told.delete(id)) return
    for (const gauge of [states, seconds, certificates]) gauge.remove({ check: id, name })
  }
  return {
    forget,
    clear() {
      for (const each of [...told.values()]) forget(each)
    },
    tell({ id, name }: Monitor, { state, latencyMs, checkedAt, observed }: Standing) {
      const before = told.get(id)
      if (before !== undefined && before.name !== name) forget(before)
      told.set(id, { id, name })
      states.with({ check: id, name }).set(numberOf[state])
      if (checkedAt > 0) seconds.with({ check: id, name }).set(latencyMs / 1000)
      if (typeof observed.daysLeft === 'number') {
        certificates.with({ check: id, name }).set(observed.daysLeft * 86_400)
      }
    },
  }
}
