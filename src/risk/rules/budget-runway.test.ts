import { describe, expect, test } from 'vitest'
import { createDice } from '../../kernel/dice.ts'
import { createDetector } from '../detect.ts'
import type { Detection, RiskRow, WatchedBudget } from '../schema.ts'
import { readSettings } from '../settings.ts'
import { rules } from './index.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** A Monday, first of its month. */
const month = Date.UTC(2026, 5, 1)
const monthEnd = Date.UTC(2026, 6, 1)
const usd = 1e9

const budgetOf = (limitUsd: number, changes: Partial<WatchedBudget> = {}): WatchedBudget => ({
  ...{ id: 'bud_a', of: 'key', ofId: 'key_a', tenantId: 'ten_a', limitNanoUsd: limitUsd * usd },
  periodAt: (at) => {
    const date = new Date(at)
    const first = (ahead: number) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + ahead, 1)
    return { startsAt: first(0), endsAt: first(1) }
  },
  ...{ spentNanoUsd: null, readAt: 0, ...changes },
})
const ofDays = (at: number) => ({ startsAt: at - (at % dayMs), endsAt: at - (at % dayMs) + dayMs })

/** A call an hour, half past, that costs what `usdAt` says. */
const calls = (from: number, to: number, usdAt: (at: number) => number, changes: Partial<RiskRow> = {}): RiskRow[] =>
  Array.from({ length: (to - from) / hourMs }, (_, i) => from + i * hourMs).flatMap((at) => {
    const costNanoUsd = Math.round(usdAt(at) * usd)
    if (costNanoUsd === 0) return []
    return [
      {
        ...{
          id: `r${at} ${changes.keyId}`,
          at: at + hourMs / 2,
          source: 'gatehouse',
          tenantId: 'ten_a',
          userId: 'usr_a',
        },
        ...{ keyId: 'key_a', model: 'm', provider: 'p', ip: '203.0.113.7', tokensIn: 8, tokensOut: 2, costNanoUsd },
        ...{ status: 200, outcome: 'success' as const, ...changes },
      },
    ]
  })

function said(rows: readonly RiskRow[], budgets: readonly WatchedBudget[], severity?: 'critical'): Detection[] {
  const others = rules.filter(({ name }) => name !== 'budget_runway').map(({ name }) => [name, { enabled: false }])
  const own = severity === undefined ? {} : { severity }
  const settings = readSettings({ rules: { ...Object.fromEntries(others), budget_runway: own } })
  const detector = createDetector({ source: 'gatehouse', settings, budgets: () => budgets })
  detector.feed(rows)
  return detector.close(Number.MAX_SAFE_INTEGER).filter(({ rule }) => rule === 'budget_runway')
}
const atWork = (at: number) => {
  const hour = (at % dayMs) / hourMs
  return hour >= 9 && hour < 18 && new Date(at).getUTCDay() % 6 !== 0 ? 1 : 0
}

describe('a budget that ends before its period', () => {
  test('is told with the day on which it ends, and the more gravely the nearer that is', () => {
    const found = said(
      calls(month - 2 * dayMs, monthEnd, () => 2),
      [budgetOf(960)],
    )
    // 48 dollars a day: on the 21st it is gone.
    const first = found[0]!
    expect(first).toMatchObject({ entity: 'bud_a', kind: 'budget', keyId: 'key_a', tenantId: 'ten_a', severity: 'low' })
    expect(first.numbers).toMatchObject({ budget_of: 'key', budget_of_id: 'key_a', limit_nano_usd: 960 * usd })
    expect(first.evidence.lastCalls.length).toBeGreaterThan(10)
    expect(Date.parse(String(first.numbers.runs_out_at))).toBeGreaterThan(Date.UTC(2026, 5, 20, 12))
    expect(Date.parse(String(first.numbers.runs_out_at))).toBeLessThan(Date.UTC(2026, 5, 21, 12))
    const gravest = (day: number) => found.filter(({ from }) => from < Date.UTC(2026, 5, day)).at(-1)?.severity
    expect([10, 17, 19, 21].map(gravest)).toEqual(['low', 'low', 'medium', 'high'])
    expect(
      said(
        calls(month - 2 * dayMs, monthEnd, () => 2),
        [budgetOf(960)],
        'critical',
      )[0]?.severity,
    ).toBe('critical')
  })

  test('whatever the week looks like, the hour is right when weeks repeat themselves', () => {
    const dice = createDice(71)
    for (let round = 0; round < 15; round++) {
      const week = Array.from({ length: 168 }, () => (dice() < 0.4 ? 0 : dice() * 5))
      const usdAt = (at: number) => week[Math.floor(at / hourMs) % 168]!
      const rows = calls(month - 21 * dayMs, monthEnd, usdAt)
      const endsAt = month + (14 + dice() * 12) * dayMs
      let spent = 0
      for (const row of rows) if (row.at >= month && row.at < endsAt) spent += row.costNanoUsd!
      const found = said(
        rows.filter(({ at }) => at < endsAt - 3 * dayMs),
        [budgetOf(spent / usd)],
      )
      const last = found.filter(({ from }) => from >= month).at(-1)!
      const told = Date.parse(String(last.numbers.runs_out_at))
      // A silent night may lie between the last call that fits and the first that does not.
      const next = rows.find(({ at }) => at >= endsAt - hourMs)!.at
      expect({ round, early: told < endsAt - 16 * hourMs, late: told > next + 2 * hourMs }).toEqual({
        ...{ round, early: false, late: false },
      })
    }
  })

  test('of a person, a tenant and a key at once are three, each by its own calls', () => {
    const budgets = [
      budgetOf(400),
      budgetOf(800, { id: 'bud_user', of: 'user', ofId: 'usr_a' }),
      budgetOf(1200, { id: 'bud_tenant', of: 'tenant', ofId: 'ten_a' }),
      budgetOf(1, { id: 'bud_other', of: 'key', ofId: 'key_z' }),
    ]
    const rows = [
      ...calls(month - dayMs, monthEnd, () => 1),
      ...calls(month - dayMs, monthEnd, () => 1, { keyId: 'key_b' }),
      ...calls(month - dayMs, monthEnd, () => 1, { keyId: 'key_c', userId: 'usr_c' }),
    ]
    const found = said(rows, budgets)
    const ends = new Map(found.map(({ entity, keyId, userId }) => [entity, { keyId, userId }]))
    expect(Object.fromEntries(ends)).toEqual({
      bud_a: { keyId: 'key_a', userId: 'usr_a' },
      bud_user: { keyId: '', userId: 'usr_a' },
      bud_tenant: { keyId: '', userId: '' },
    })
  })
})

describe('nothing is said', () => {
  test('of a budget that lasts, though its mornings look as if it did not', () => {
    const working = calls(month - 14 * dayMs, monthEnd, atWork)
    const days = budgetOf(10, { periodAt: ofDays })
    expect(said(working, [days])).toEqual([])
    // 22 working days of nine dollars.
    expect(said(working, [budgetOf(200)])).toEqual([])
    expect(said(working, [budgetOf(150)])).not.toEqual([])
    // By ten o'clock a day that costs twice as much is told, before it is over at three.
    const busy = calls(month - 14 * dayMs, month + 8 * dayMs + 11 * hourMs, (at) =>
      at >= month + 8 * dayMs ? 3 * atWork(at) : atWork(at),
    )
    expect(said(busy, [budgetOf(12, { periodAt: ofDays })]).at(-1)?.from).toBeGreaterThan(month + 8 * dayMs)
  })

  test('of one that has hardly been touched, nor of one that nobody knows enough of yet', () => {
    expect(
      said(
        calls(month - dayMs, month + 2 * dayMs, () => 2),
        [budgetOf(960)],
      ),
    ).toEqual([])
    expect(
      said(
        calls(month - hourMs, month + dayMs, () => 20),
        [budgetOf(960)],
      ),
    ).toEqual([])
    // Watched since the middle of a month: what was spent before is not known.
    expect(
      said(
        calls(month + 10 * dayMs, monthEnd, () => 1),
        [budgetOf(300)],
      ).filter(({ from }) => from < monthEnd),
    ).toEqual([])
  })
})

test('what the ledger says was spent counts, of its own period and not of long ago', () => {
  const readAt = month + 10 * dayMs
  const rows = calls(month + 8 * dayMs, month + 12 * dayMs, () => 1)
  const found = said(rows, [budgetOf(300, { spentNanoUsd: 240 * usd, readAt })])
  expect(found[0]!.from).toBeGreaterThan(readAt - hourMs)
  expect(found[0]!.numbers).toMatchObject({ spent_percent: 80 })
  expect(said(rows, [budgetOf(300, { spentNanoUsd: 240 * usd, readAt: month - dayMs })])).toEqual([])
})
