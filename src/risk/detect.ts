import { createAddressList } from '../platform/address.ts'
import { networkOf } from './networks.ts'
import { rules } from './rules/index.ts'
import type { Rule } from './rules/rule.ts'
import {
  type BudgetNow,
  type Counted,
  type Detection,
  type EntityKind,
  type Evidence,
  entityKinds,
  type RiskRow,
  type WatchedBudget,
} from './schema.ts'
import type { RiskSettings } from './settings.ts'

/** What one rule remembers of one thing, as it is stored. */
export type Memory = { rule: string; entity: string; memory: unknown }

export type Detector = {
  /** Takes rows in any order; an id that came before within the open minutes counts once. */
  feed(rows: readonly RiskRow[]): void
  /** Closes every minute that ends at or before `until`, and tells what the rules said of them, oldest first. */
  close(until: number): Detection[]
  /** What changed since the last call, to be stored. */
  takeChanged(): Memory[]
  since(): number
  /** Rows whose minute was closed already; they counted in the next. */
  late(): number
  /** Things that were forgotten because there were too many. */
  forgotten(): number
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const lastCalls = 50

/**
 * Runs every rule over minutes of rows of one source. It knows no clock and no store, so that live traffic, a foreign
 * source and a backtest are the same code.
 */
export function createDetector(own: {
  source: string
  settings: RiskSettings
  /** Of a former run. */
  memories?: readonly Memory[]
  since?: number
  closedUntil?: number
  mostEntities?: number
  /** Those that hold now; asked for at every minute. */
  budgets?(): readonly WatchedBudget[]
}): Detector {
  const { settings, mostEntities = 20_000 } = own
  const isAllowedIp = createAddressList(settings.allow.ips)
  const allowedUsers = new Set(settings.allow.users)
  const allowedTokens = new Set(settings.allow.tokens)
  const active = rules.flatMap((rule) => {
    const { enabled, params, severity } = settings.rules[rule.name]!
    return enabled ? [{ rule, params, severity, memories: new Map<string, unknown>() }] : []
  })
  for (const { rule, entity, memory } of own.memories ?? []) {
    active.find((each) => each.rule.name === rule)?.memories.set(entity, memory)
  }
  const changed = new Map<string, Memory>()
  const minutes = new Map<number, Map<string, RiskRow>>()
  const recent = new Map<string, RiskRow[]>()
  let closedUntil = own.closedUntil ?? Number.NEGATIVE_INFINITY
  let since = own.since ?? 0
  let [late, forgotten] = [0, 0]

  function isSpared(rule: Rule, row: RiskRow): boolean {
    if (rule.on === 'ip') return networkOf(row.ip) !== '' && isAllowedIp(row.ip)
    return (
      allowedTokens.has(row.keyId) ||
      (row.keyName !== undefined && allowedTokens.has(row.keyName)) ||
      allowedUsers.has(row.userId) ||
      (row.userName !== undefined && allowedUsers.has(row.userName))
    )
  }

  function remember(key: string, rows: readonly RiskRow[]): void {
    const kept = [...(recent.get(key) ?? []), ...rows].slice(-lastCalls)
    recent.delete(key)
    recent.set(key, kept)
    if (recent.size > mostEntities) recent.delete(recent.keys().next().value!)
  }

  function closeMinute(from: number, rows: readonly RiskRow[]): Detection[] {
    const found: Detection[] = []
    const failures = rows.filter(isFailure).length
    const grouped = new Map<EntityKind, Map<string, RiskRow[]>>()
    const budgets = own.budgets?.() ?? []
    const byId = new Map(budgets.map((budget) => [budget.id, budget]))
    for (const kind of entityKinds) {
      const groups = kind === 'budget' ? groupByBudget(rows, budgets) : groupBy(rows, (row) => entityOf(kind, row))
      grouped.set(kind, groups)
      for (const [entity, some] of groups) remember(`${kind} ${entity}`, some)
    }
    for (const each of active) {
      const { rule, params, severity, memories } = each
      for (const [entity, group] of grouped.get(rule.on)!) {
        // Of one address all rows are spared or none.
        const some =
          rule.on === 'ip' ? (isSpared(rule, group[0]!) ? [] : group) : group.filter((row) => !isSpared(rule, row))
        if (some.length === 0) continue
        const memory = memories.get(entity) ?? rule.begin()
        // Put last, so that what was silent for longest is first to go.
        memories.delete(entity)
        memories.set(entity, memory)
        if (memories.size > mostEntities) {
          memories.delete(memories.keys().next().value!)
          forgotten++
        }
        const others = { requests: rows.length - some.length, failures: failures - some.filter(isFailure).length }
        const budget = rule.on === 'budget' ? byId.get(entity)! : undefined
        const window = {
          from,
          to: from + minuteMs,
          rows: some,
          others,
          since,
          ...(budget && { budget: at(budget, from) }),
        }
        const numbers = rule.see(memory, window, params)
        const name = `${rule.name} ${entity}`
        if (changed.get(name)?.memory !== memory) changed.set(name, { rule: rule.name, entity, memory })
        if (numbers === null) continue
        const last = some.at(-1)!
        const isOfKey = budget === undefined ? rule.on !== 'ip' : budget.of === 'key'
        const isOfUser = budget === undefined ? rule.on !== 'ip' : budget.of !== 'tenant'
        const isChosen = severity !== rule.severity
        found.push({
          ...{ rule: rule.name, source: own.source, kind: rule.on, entity },
          severity: isChosen ? severity : (rule.severityOf?.(numbers) ?? severity),
          tenantId: budget?.tenantId ?? last.tenantId,
          keyId: isOfKey ? last.keyId : '',
          userId: isOfUser ? last.userId : '',
          ip: rule.on === 'ip' ? last.ip : '',
          ...{ from, to: from + minuteMs, numbers },
          evidence: evidenceOf(recent.get(`${rule.on} ${entity}`) ?? some),
        })
      }
    }
    return found
  }

  return {
    feed(rows) {
      for (const row of rows) {
        if (since === 0 || row.at < since) since = row.at
        let minute = Math.floor(row.at / minuteMs) * minuteMs
        if (minute < closedUntil) {
          minute = closedUntil
          late++
        }
        const open = minutes.get(minute) ?? new Map<string, RiskRow>()
        minutes.set(minute, open.set(row.id, row))
      }
    },

    close(until) {
      const due = [...minutes.keys()].filter((minute) => minute + minuteMs <= until).sort((a, b) => a - b)
      const found = due.flatMap((minute) => {
        const rows = [...minutes.get(minute)!.values()].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
        minutes.delete(minute)
        return closeMinute(minute, rows)
      })
      closedUntil = Math.max(closedUntil, Math.floor(until / minuteMs) * minuteMs)
      return found
    },

    takeChanged() {
      const taken = [...changed.values()]
      changed.clear()
      return taken
    },
    since: () => since,
    late: () => late,
    forgotten: () => forgotten,
  }
}

/** What the ledger had of a budget says nothing of long before, nor of another period. */
function at(budget: WatchedBudget, from: number): BudgetNow {
  const { id, of, ofId, limitNanoUsd, readAt, spentNanoUsd, periodAt } = budget
  const { startsAt, endsAt } = periodAt(from)
  const isOfNow = readAt >= startsAt && readAt < endsAt && from > readAt - hourMs
  return { id, of, ofId, limitNanoUsd, startsAt, endsAt, spentNanoUsd: isOfNow ? spentNanoUsd : null }
}

/** A call may count against several budgets. */
function groupByBudget(rows: readonly RiskRow[], budgets: readonly WatchedBudget[]): Map<string, RiskRow[]> {
  const groups = new Map<string, RiskRow[]>()
  if (budgets.length === 0) return groups
  const byOwner = new Map<string, WatchedBudget[]>()
  for (const budget of budgets) {
    const owner = `${budget.of} ${budget.ofId}`
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), budget])
  }
  for (const row of rows) {
    for (const owner of [`key ${row.keyId}`, `user ${row.userId}`, `tenant ${row.tenantId}`]) {
      for (const { id } of byOwner.get(owner) ?? []) {
        const group = groups.get(id)
        if (group === undefined) groups.set(id, [row])
        else group.push(row)
      }
    }
  }
  return groups
}

/** '' and 0 are no token: what new-api writes of top-ups, log-ins and tests carries them. */
function entityOf(kind: Exclude<EntityKind, 'budget'>, row: RiskRow): string {
  if (kind === 'ip') return row.ip
  const hasKey = row.keyId !== '' && row.keyId !== '0'
  if (kind === 'key') return hasKey ? row.keyId : ''
  const who = row.userId || (hasKey ? row.keyId : '')
  return who === '' ? '' : `${who} ${row.model}`
}

function isFailure({ outcome }: RiskRow): boolean {
  return outcome === 'failure' || outcome === 'truncated'
}

function groupBy(rows: readonly RiskRow[], keyOf: (row: RiskRow) => string): Map<string, RiskRow[]> {
  const groups = new Map<string, RiskRow[]>()
  for (const row of rows) {
    const key = keyOf(row)
    if (key === '') continue
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return groups
}

function evidenceOf(rows: readonly RiskRow[]): Evidence {
  return {
    topIps: topOf(rows.map(({ ip }) => ip)),
    topModels: topOf(rows.map(({ model }) => model)),
    lastCalls: rows.slice(-lastCalls),
  }
}

function topOf(values: readonly string[]): Counted[] {
  const counts = new Map<string, number>()
  for (const value of values) if (value !== '') counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, 10)
}
