import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { everything } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createDetector, type Detector } from './detect.ts'
import { storeDetections } from './findings.ts'
import { rules } from './rules/index.ts'
import { ownSource, type RiskRow, type WatchedBudget } from './schema.ts'
import type { RiskSettings } from './settings.ts'
import type { FindingRow, RiskStore, SourceRow } from './store.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
/** Rows reach the store within seconds of their end; a call that took longer counts in a later minute. */
const lagMs = 5000
/** Looked at again for rows of calls that took long. */
const overlapMs = 15 * minuteMs
const pageRows = 2000
const mostPages = 30
const mostWaiting = 100_000
/** What happened longer before the hub began to watch is learnt from and not told. */
const tellBackMs = 60 * minuteMs

type Watched = {
  detector: Detector
  row: SourceRow
  seen: Map<string, number>
  /** Where this memory began: which calls before it were counted only the node knows that counted them. */
  seenFrom: number
  settings: RiskSettings
}

/**
 * Rows in, findings stored. Memories, the place in the ledger and the findings move in one transaction: a node that dies
 * leaves no call counted twice, and one that was overtaken by another throws its own away.
 */
export function createWatch(own: {
  store: RiskStore
  settings(): RiskSettings
  /** Budgets of own traffic, with what they have spent; not asked for more often than once a minute. */
  budgets?(): Promise<readonly WatchedBudget[]>
  mostEntities: number
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
}) {
  const { store, bus, clock, log, metrics } = own
  const watched = new Map<string, Watched>()
  const rowsTotal = metrics.counter('gatehouse_risk_rows_total', 'Calls that the risk rules have looked at.').with({})
  const lateTotal = metrics
    .counter('gatehouse_risk_late_rows_total', 'Calls that came after their minute; they count in the next.')
    .with({})
  const foundTotal = metrics.counter('gatehouse_risk_findings_total', 'Findings that were opened.', ['rule'])
  const lag = metrics.gauge('gatehouse_risk_lag_seconds', 'How far behind the rules are with own traffic.').with({})
  const waitingRows = metrics
    .gauge('gatehouse_risk_waiting_rows', 'Calls of foreign sources that wait to be looked at.')
    .with({})
  let waiting = 0
  let budgets: readonly WatchedBudget[] = []
  let budgetsReadAt = Number.NEGATIVE_INFINITY
  let line: Promise<unknown> = Promise.resolve()

  /** One at a time on this node, in the order of the calls. */
  function inLine<T>(work: () => Promise<T>): Promise<T> {
    const turn = line.then(work, work)
    line = turn.catch(() => {})
    return turn
  }

  async function open(source: string, from: number): Promise<Watched> {
    const held = watched.get(source)
    const row = await store.findSource(source)
    const settings = own.settings()
    if (held !== undefined && held.settings === settings && held.row.version === (row?.version ?? 0)) return held
    const known = row ?? { source, since: 0, closed_until: from, watched_from: clock.now(), version: 0 }
    const opened: Watched = {
      settings,
      row: known,
      seen: new Map(),
      seenFrom: known.closed_until,
      detector: createDetector({
        ...{ source, settings, mostEntities: own.mostEntities, since: known.since, closedUntil: known.closed_until },
        memories: await store.memories(source, own.mostEntities * rules.length),
        budgets: () => (source === ownSource ? budgets : []),
      }),
    }
    watched.set(source, opened)
    return opened
  }

  async function save(each: Watched, until: number): Promise<FindingRow[]> {
    const { detector, row } = each
    const lateBefore = detector.late()
    const detections = detector.close(until).filter(({ to }) => to >= row.watched_from - tellBackMs)
    const closedUntil = Math.max(row.closed_until, Math.floor(until / minuteMs) * minuteMs)
    const next = { ...row, since: detector.since(), closed_until: closedUntil, version: row.version + 1 }
    const changed = detector.takeChanged()
    if (changed.length === 0 && detections.length === 0 && closedUntil === row.closed_until) return []
    let opened: FindingRow[]
    try {
      opened = await store.transaction(async (trx) => {
        if (!(await store.saveSource(trx, next))) throw new Overtaken()
        await store.saveMemories(trx, row.source, changed, closedUntil)
        return storeDetections(store, trx, detections, clock.now())
      })
    } catch (error) {
      // What the detector remembers is ahead of the store: it is read anew, and the rows come again.
      watched.delete(row.source)
      if (error instanceof Overtaken) return []
      throw error
    }
    each.row = next
    if (detector.late() > lateBefore) lateTotal.inc(detector.late() - lateBefore)
    for (const finding of opened) {
      foundTotal.with({ rule: finding.rule }).inc()
      bus.announce('risk.found', told(finding))
    }
    return opened
  }

  /** Reads what is new in the ledger. Rows of the overlap are known by their ids. */
  async function look(): Promise<void> {
    const now = clock.now()
    const until = now - lagMs
    if (own.budgets !== undefined && clock.monotonic() - budgetsReadAt >= minuteMs) {
      budgets = await own.budgets()
      budgetsReadAt = clock.monotonic()
    }
    const each = await open(ownSource, Math.floor((now - 28 * dayMs) / minuteMs) * minuteMs)
    const { detector, seen } = each
    let after = { at: Math.max(each.row.closed_until - overlapMs, each.seenFrom) - 1, id: '\uffff' }
    for (let page = 0; page < mostPages; page++) {
      const rows = await store.rows(everything, until, after, pageRows)
      const fresh = rows.filter(({ id }) => !seen.has(id))
      for (const { id, at } of fresh) seen.set(id, at)
      detector.feed(fresh)
      rowsTotal.inc(fresh.length)
      const last = rows.at(-1)
      const isEnd = rows.length < pageRows
      const upTo = isEnd ? until : last!.at
      await save(each, upTo)
      if (!watched.has(ownSource)) return
      if (isEnd) break
      after = { at: last!.at, id: last!.id }
    }
    for (const [id, at] of seen) if (at < each.row.closed_until - overlapMs - minuteMs) seen.delete(id)
    lag.set(Math.max(0, (clock.now() - each.row.closed_until) / 1000))
  }

  /** Closes what its rule has not spoken of for long enough; a foreign source's time is that of its rows. */
  async function closeQuiet(): Promise<void> {
    const settings = own.settings()
    const times = new Map((await store.listSources()).map((row) => [row.source, row.closed_until]))
    for (const finding of await store.openFindings(2000)) {
      const rule = settings.rules[finding.rule]
      const quietMs = (rule?.quiet_seconds ?? 0) * 1000
      if ((times.get(finding.source) ?? clock.now()) - finding.last_at < quietMs) continue
      if (await store.closeFinding(everything, finding.id, clock.now(), 'silence', 0)) {
        bus.announce('risk.closed', { ...told(finding), by: 'silence' })
      }
    }
  }

  return {
    look: () => inLine(look),
    closeQuiet,

    /**
     * Calls of foreign sources, each once and roughly in the order of their time. Resolves when they are judged and what
     * was found is stored; rejects with `unavailable` when too many wait.
     */
    async observe(rows: readonly RiskRow[]): Promise<void> {
      if (waiting + rows.length > mostWaiting) {
        throw fail('unavailable', `${waiting} calls wait for the risk rules already; send these again later`, {
          retryAfterMs: 1000,
        })
      }
      waiting += rows.length
      waitingRows.set(waiting)
      try {
        await inLine(async () => {
          const bySource = new Map<string, RiskRow[]>()
          for (const row of rows) {
            if (row.source === ownSource || row.source === '')
              throw fail('invalid_request', 'a row of a foreign source names its source', { param: 'source' })
            const some = bySource.get(row.source)
            if (some === undefined) bySource.set(row.source, [row])
            else some.push(row)
          }
          for (const [source, some] of bySource) {
            const each = await open(source, 0)
            each.detector.feed(some)
            // Closed at once, so that nothing waits in memory that a restart would lose; the rest of a minute counts in the next.
            await save(each, some.reduce((latest, { at }) => Math.max(latest, at), 0) + minuteMs)
            rowsTotal.inc(some.length)
          }
        })
      } finally {
        waiting -= rows.length
        waitingRows.set(waiting)
      }
    },

    forget: (): Promise<number> => store.forgetMemories(clock.now() - 60 * dayMs),
    async stop(): Promise<void> {
      await line
      log.debug('The risk rules rest')
    },
  }
}

class Overtaken extends Error {}

export function told({ id, rule, severity, source, tenant_id, entity }: FindingRow) {
  return { findingId: id, rule, severity, source, tenantId: tenant_id, entity }
}
