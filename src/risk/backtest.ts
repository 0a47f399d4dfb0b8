import { fail } from '../kernel/errors.ts'
import type { Scope } from '../kernel/scope.ts'
import { createDetector } from './detect.ts'
import { ownSource, type RiskRow, type WatchedBudget } from './schema.ts'
import { readSettings, type SettingsChange } from './settings.ts'
import type { RiskStore } from './store.ts'

const pageRows = 1000
const mostRows = 1_000_000

/** Calls of the ledger page by page; other work has its turn in between. Throws when there are more than `most`. */
export async function* eachPage(
  store: Pick<RiskStore, 'rows'>,
  {
    scope,
    from,
    to,
    most = mostRows,
    withDemo = false,
  }: { scope: Scope; from: number; to: number; most?: number; withDemo?: boolean },
): AsyncGenerator<readonly RiskRow[]> {
  let after = { at: from - 1, id: '\uffff' }
  for (let read = 0; ; ) {
    const rows = await store.rows(scope, to, after, pageRows, withDemo)
    read += rows.length
    if (read > most)
      throw fail('invalid_request', `the range holds more than ${most} calls; ask for a shorter one`, { param: 'to' })
    yield rows
    if (rows.length < pageRows) return
    const last = rows.at(-1)!
    after = { at: last.at, id: last.id }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export type Would = {
  rule: string
  entity: string
  severity: string
  from: number
  to: number
  minutes: number
  numbers: object
}

/**
 * What the rules, changed so, would have found in the calls that are stored: the very code that looks at live traffic. It
 * begins to learn `learn` before the range.
 */
export async function backtest(
  store: Pick<RiskStore, 'rows'>,
  asked: {
    scope: Scope
    from: number
    to: number
    learnMs: number
    change: SettingsChange
    only?: readonly string[] | undefined
    /** What they were is not known: those of today are held against the calls of then. */
    budgets?: readonly WatchedBudget[]
  },
): Promise<{ rows: number; found: Would[] }> {
  const settings = readSettings(asked.change)
  if (asked.only !== undefined) {
    for (const [name, rule] of Object.entries(settings.rules)) if (!asked.only.includes(name)) rule.enabled = false
  }
  const budgets = (asked.budgets ?? []).map((budget) => ({ ...budget, spentNanoUsd: null }))
  const detector = createDetector({ source: ownSource, settings, budgets: () => budgets })
  const open = new Map<string, Would>()
  const found: Would[] = []
  let rows = 0
  for await (const page of eachPage(store, { scope: asked.scope, from: asked.from - asked.learnMs, to: asked.to })) {
    rows += page.length
    detector.feed(page)
    const isEnd = page.length < pageRows
    for (const { rule, entity, severity, from, to, numbers } of detector.close(
      isEnd ? Number.MAX_SAFE_INTEGER : page.at(-1)!.at,
    )) {
      if (to <= asked.from) continue
      const key = `${rule} ${entity}`
      const known = open.get(key)
      if (known !== undefined && to - known.to <= settings.rules[rule]!.quiet_seconds * 1000) {
        Object.assign(known, { to, numbers, minutes: known.minutes + 1 })
        continue
      }
      const would = { rule, entity, severity, from, to, minutes: 1, numbers }
      open.set(key, would)
      found.push(would)
    }
    detector.takeChanged()
  }
  return { rows, found }
}
