import type { Clock } from '../../kernel/clock.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { PostedAlert } from '../alert.ts'
import { type Matcher, matchesAll, showMatchers } from './matchers.ts'
import { type Active, never } from './merge.ts'
import { groupKeyOf, groupLabelsOf, type Routing } from './routing.ts'
import type { RoutingSettingsBook } from './routing-settings.ts'
import type { SilenceBook } from './silence-book.ts'
import { compileSilence, hides, type Silence, stateOf } from './silences.ts'
import { type EndingRow, type PipelineStore, toActive } from './store.ts'

/** What the routes of the pipeline stand on. */
export type PipelineView = {
  store: PipelineStore
  routing: RoutingSettingsBook
  silences: SilenceBook
  clock: Clock
  take(alerts: readonly PostedAlert[], options: { source: string; isGuess?: boolean }): Promise<void>
  resolveTimeoutMs: number
  startedAt: number
  version: string
}

/** One alert with who would be told of it now, and what keeps anybody from it. */
export type Shown = {
  alert: Active
  isFiring: boolean
  silencedBy: string[]
  inhibitedBy: string
  receivers: { receiver: string; route: string; groupKey: string; mutedBy: string | null }[]
}

export type Moment = { routing: Routing; silences: readonly Silence[]; now: number }

export async function momentOf({ store, routing, clock }: PipelineView): Promise<Moment> {
  const now = clock.now()
  const [compiled, rows] = await Promise.all([routing.compiled(), store.silences(now)])
  return {
    routing: compiled,
    silences: rows.map(compileSilence).filter((each) => stateOf(each, now) === 'active'),
    now,
  }
}

export function show(alert: Active, { routing, silences, now }: Moment): Shown {
  return {
    ...{ alert, isFiring: alert.endsAt > now, inhibitedBy: alert.inhibitedBy },
    silencedBy: silences.filter((each) => hides(each, alert)).map(({ id }) => id),
    receivers: routing.find(alert.labels).map(({ node }) => ({
      ...{ receiver: node.receiver, route: node.path, mutedBy: routing.mutedBy(node, now) },
      groupKey: groupKeyOf(node, groupLabelsOf(node, alert.labels, alert.tenantId)),
    })),
  }
}

/** Who would be told of these labels and why: each step of the way with its matchers. */
export function tryRouting(routing: Routing, labels: Readonly<Record<string, string>>, tenantId: string, now: number) {
  return routing.find(labels).map(({ node, way }) => {
    const groupLabels = groupLabelsOf(node, labels, tenantId)
    return {
      ...{ receiver: node.receiver, route: node.path, group_labels: groupLabels },
      group_key: groupKeyOf(node, groupLabels),
      path: way.map((step) => ({ route: step.path, matchers: showMatchers(step.matchers), continue: step.continues })),
      ...{ group_wait_seconds: node.waitMs / 1000, group_interval_seconds: node.intervalMs / 1000 },
      ...{ repeat_interval_seconds: node.repeatMs / 1000, muted_by: routing.mutedBy(node, now) },
    }
  })
}

type Filter = {
  state: 'firing' | 'suppressed' | 'resolved'
  severity?: string | undefined
  matchers: readonly Matcher[]
  receiver?: string | undefined
}

const rowsAtOnce = 500
const mostScans = 40

/**
 * Alerts in keyset pages: what fires by fingerprint, what is over newest first. A page may hold fewer than `limit` where
 * few of many match; its cursor goes on all the same.
 */
export async function listAlerts(
  view: PipelineView,
  scope: Scope,
  filter: Filter,
  limit: number,
  cursor: string | undefined,
): Promise<{ data: Shown[]; next: string | null }> {
  const moment = await momentOf(view)
  const data: Shown[] = []
  let after = cursor
  for (let scan = 0; scan < mostScans; scan++) {
    const rows = await readRows(view.store, scope, filter, after)
    for (const { key, alert } of rows) {
      // The page is full, and there is more.
      if (data.length === limit) return { data, next: after ?? null }
      after = key
      const shown = show(alert, moment)
      if (isWanted(shown, filter)) data.push(shown)
    }
    if (rows.length < rowsAtOnce) return { data, next: null }
  }
  return { data, next: after ?? null }
}

async function readRows(store: PipelineStore, scope: Scope, filter: Filter, after: string | undefined) {
  const { severity } = filter
  if (filter.state === 'resolved') {
    const rows = await store.listEndings(scope, { severity }, rowsAtOnce, after)
    return rows.map((row) => ({ key: row.id, alert: fromEnding(row) }))
  }
  const actives = await store.listActive(scope, { severity, state: 'firing' }, rowsAtOnce, after)
  return actives.map((alert) => ({ key: alert.fingerprint, alert }))
}

export function fromEnding(row: EndingRow): Active {
  // What ended by nobody saying it any more ended when that was seen.
  return { ...toActive(row), endsAt: Math.min(row.ends_at, row.seen_at, never) }
}

function isWanted(shown: Shown, { state, matchers, receiver }: Filter): boolean {
  if (!matchesAll(matchers, shown.alert.labels)) return false
  if (receiver !== undefined && !shown.receivers.some((each) => each.receiver === receiver)) return false
  return state !== 'suppressed' || isSuppressed(shown)
}

/** Nobody is told of it now: it is silenced or inhibited, or every route of it is muted. */
export function isSuppressed({ silencedBy, inhibitedBy, receivers }: Shown): boolean {
  return silencedBy.length > 0 || inhibitedBy !== '' || receivers.every(({ mutedBy }) => mutedBy !== null)
}
