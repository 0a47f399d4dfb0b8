import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { everything, type Scope, scopeOf, withinTenant } from '../../kernel/scope.ts'
import { migrations } from '../../migrations/index.ts'
import { readEntry, writeEntry } from '../entry-text.ts'
import type { UsageTables } from '../rows.ts'
import type { UsageEntry } from '../schema.ts'
import { createUsageStore } from '../store.ts'
import { sampleEntry } from '../testing.ts'
import { type AgentChatQuestion, agentChatNames, agentChatUsage } from './agentchat.ts'
import { reportEngines } from './clickhouse/testing.ts'

/** A Wednesday. */
const now = Date.UTC(2026, 10, 25, 10)
const hours = 3_600_000
const ada = scopeOf({ role: 'user', tenantId: 'ten_a', userId: 'usr_a' } as never)

describe.each(reportEngines())('what AgentChat asks, on $name', ({ open, storeOf }) => {
  async function start(entries: readonly Partial<UsageEntry>[]) {
    const database = await open(migrations)
    const db = database.kysely as Kysely<UsageTables>
    const rows = entries.map((changes, index) =>
      readEntry(writeEntry(sampleEntry({ id: `req_${index}`, ...changes }), { nanoUsd: 0, priceId: '' }, 0)),
    )
    await createUsageStore(db).storeRows(rows)
    const parts = { store: storeOf(db), now: () => now }
    return {
      names: (of: 'agent' | 'model', scope: Scope = ada) => agentChatNames(parts, scope, of),
      async ask(question: Partial<AgentChatQuestion> = {}) {
        const whole = { scope: ada, agent: null, model: null, days: 10_000, period: 'day', zone: 'UTC' } as const
        return Object.fromEntries(await agentChatUsage(parts, { ...whole, ...question }))
      },
    }
  }
  const at = (iso: string) => Date.parse(iso)
  const calls = (named: Record<string, { calls: number }>) =>
    Object.fromEntries(Object.entries(named).map(([name, sums]) => [name, sums.calls]))

  test('each day has its calls and tokens by agent and by model, in the order of days', async () => {
    const { ask, names } = await start([
      { startedAt: at('2026-11-24T23:30:00Z'), agent: 'Simple-Agent', modelServed: 'qwen-plus' },
      { startedAt: at('2026-11-20T08:00:00Z'), agent: 'Mars-Agent', modelServed: 'qwen-plus' },
      { startedAt: at('2026-11-20T09:00:00Z'), agent: 'Mars-Agent', modelServed: 'deepseek' },
    ])
    const told = await ask()
    expect(Object.keys(told)).toEqual(['2026-11-20', '2026-11-24'])
    const tokens = (times: number) => ({
      ...{ calls: times },
      tokens: { input_tokens: 1000 * times, output_tokens: 500 * times, total_tokens: 1500 * times },
    })
    expect(told['2026-11-20']).toEqual({
      agent: { 'Mars-Agent': tokens(2) },
      model: { 'qwen-plus': tokens(1), deepseek: tokens(1) },
    })
    expect(await names('agent')).toEqual(['Mars-Agent', 'Simple-Agent'])
    expect(await names('model')).toEqual(['deepseek', 'qwen-plus'])
    const narrowed = await ask({ agent: 'Mars-Agent', model: 'deepseek' })
    expect(narrowed).toEqual({ '2026-11-20': { agent: { 'Mars-Agent': tokens(1) }, model: { deepseek: tokens(1) } } })
  })

  test('the ancestor promised weeks and months and had days alone', async () => {
    const { ask } = await start([
      { startedAt: at('2026-11-01T12:00:00Z') },
      { startedAt: at('2026-11-23T00:00:00Z') },
      { startedAt: at('2026-11-22T23:59:59Z') },
    ])
    const sums = async (period: 'week' | 'month', zone = 'UTC') =>
      Object.entries(await ask({ period, zone })).map(([date, { agent }]) => [date, calls(agent).未指定agent])
    expect(await sums('week')).toEqual([
      ['2026-10-26', 1],
      ['2026-11-16', 1],
      ['2026-11-23', 1],
    ])
    expect(await sums('week', 'Asia/Shanghai')).toEqual([
      ['2026-10-26', 1],
      ['2026-11-23', 2],
    ])
    expect(await sums('month')).toEqual([['2026-11-01', 3]])
  })

  test('the ancestor’s days were those of the database’s clock; these are the zone’s, whole ones', async () => {
    const { ask } = await start([
      { startedAt: at('2026-11-24T15:59:59Z') },
      { startedAt: at('2026-11-24T16:00:00Z') },
      { startedAt: at('2026-11-24T18:16:00Z') },
    ])
    const dates = async (zone: string, days = 10_000) =>
      Object.entries(await ask({ zone, days })).map(([date, { model }]) => [date, calls(model)['gpt-4o']])
    expect(await dates('UTC')).toEqual([['2026-11-24', 3]])
    expect(await dates('Asia/Shanghai')).toEqual([
      ['2026-11-24', 1],
      ['2026-11-25', 2],
    ])
    expect(await dates('Asia/Kathmandu')).toEqual([
      ['2026-11-24', 2],
      ['2026-11-25', 1],
    ])
    // One day is today from its midnight on, not the last 24 hours.
    expect(await dates('Asia/Shanghai', 1)).toEqual([['2026-11-25', 2]])
    expect(await dates('UTC', 1)).toEqual([])
  })

  test('the ancestor lost calls that failed or were broken off, and everything behind a name that was missing', async () => {
    const { ask, names } = await start([
      { outcome: 'success', agent: '', modelServed: 'gpt-4o' },
      { outcome: 'aborted', status: 499 },
      { outcome: 'failure', status: 502, errorCode: 'upstream_error' },
      { outcome: 'truncated' },
      { outcome: 'refused', status: 429, errorCode: 'rate_limited', modelServed: '', agent: 'Refused-Agent' },
    ])
    const [day] = Object.values(await ask())
    expect([calls(day!.agent), calls(day!.model)]).toEqual([{ 未指定agent: 4 }, { 'gpt-4o': 4 }])
    expect(Object.values(await ask({ agent: '未指定agent' }))).toEqual([day])
    expect(await names('agent')).toEqual([])
  })

  test('the ancestor added everything up in memory and broke over long ranges: twenty years of every day are told', async () => {
    const days = [0, 999, 1000, 1001, 2500, 7000]
    const { ask } = await start(days.map((back) => ({ startedAt: now - back * 24 * hours })))
    const dates = [...days].reverse().map((back) => new Date(now - back * 24 * hours).toISOString().slice(0, 10))
    for (const zone of ['UTC', 'America/New_York'])
      expect(Object.keys(await ask({ zone, days: 36_500 }))).toEqual(dates)
    const inWeeks = Object.values(await ask({ period: 'week', days: 7300 }))
    expect(inWeeks.reduce((sum, { agent }) => sum + calls(agent).未指定agent!, 0)).toBe(days.length)
  })

  test('the ancestor showed administrators themselves alone; everybody sees what they see of all reports', async () => {
    const { ask, names } = await start([
      { userId: 'usr_a', agent: 'one' },
      { userId: 'usr_b', agent: 'two' },
      { tenantId: 'ten_b', userId: 'usr_c', agent: 'three' },
      { isSynthetic: true, userId: 'usr_a', agent: 'demo' },
    ])
    const agents = async (scope: Scope) => Object.keys(Object.values(await ask({ scope }))[0]!.agent).sort()
    expect(await agents(ada)).toEqual(['demo', 'one'])
    expect(await agents(withinTenant('ten_a'))).toEqual(['demo', 'one', 'two'])
    expect(await agents(everything)).toEqual(['demo', 'one', 'three', 'two'])
    expect(await names('agent', withinTenant('ten_b'))).toEqual(['three'])
  })

  test('without a call there is nothing, and no error', async () => {
    const { ask, names } = await start([])
    expect([await ask(), await names('agent'), await names('model')]).toEqual([{}, [], []])
  })
})
