import type { Scope } from '../../kernel/scope.ts'
import { createPeriods } from '../quota/periods.ts'
import { bucketsOf } from './buckets.ts'
import type { Filters } from './pieces-store.ts'
import { ask, type ReportStore } from './query.ts'
import { dayMs, ownSources } from './schema.ts'

/** What AgentChat calls the agent and the model of a call that names none. */
export const unnamed = { agent: '未指定agent', model: '未指定model' } as const

export const agentChatPeriods = ['day', 'week', 'month'] as const

export type AgentChatQuestion = {
  scope: Scope
  agent: string | null
  model: string | null
  /** So many days of the zone, today among them. */
  days: number
  period: (typeof agentChatPeriods)[number]
  zone: string
}

type Named<Value> = { agent: Record<string, Value>; model: Record<string, Value> }
export type AgentChatTokens = { input_tokens: number; output_tokens: number; total_tokens: number }
type Sums = { calls: number; tokens: AgentChatTokens }

type Parts = { store: ReportStore; now: () => number }

/** Buckets are written into a query: a long time is asked for in pieces. */
const daysAtOnce = 1000

/**
 * Calls and tokens by day, week or month, once by agent and once by model: each map is the whole, so that one of them is
 * to be added up. Only what came before a provider is a call; what was turned away is none. Weeks begin on Monday and are
 * named by it, months by their first day.
 */
export async function agentChatUsage(parts: Parts, question: AgentChatQuestion): Promise<Map<string, Named<Sums>>> {
  const { agent, model, period, zone, scope } = question
  const { from, to } = await spanOf(parts, question)
  const filters: Filters = {
    source: ownSources,
    ...(agent === null ? {} : { agent: [agent === unnamed.agent ? '' : agent] }),
    ...(model === null ? {} : { model: [model === unnamed.model ? '' : model] }),
  }
  const dateOf = createDates(zone)
  const found = new Map<string, Named<Sums>>()
  for (const piece of piecesOf(from, to, period, zone)) {
    for (const dimension of ['agent', 'model'] as const) {
      const { rows } = await ask(parts.store, {
        ...{
          scope,
          ...piece,
          dimensions: [dimension],
          filters,
          measures: agentChatMeasures,
          order: 'bucket',
          limit: mostRows,
        },
      })
      for (const { bucket, values, measures } of rows) {
        const calls = measures.requests! - measures.refused!
        if (calls <= 0) continue
        const date = dateOf(bucket)
        const named = found.get(date) ?? { agent: {}, model: {} }
        const [tokensIn, tokensOut] = [measures.tokens_in!, measures.tokens_out!]
        const tokens = { input_tokens: tokensIn, output_tokens: tokensOut, total_tokens: tokensIn + tokensOut }
        named[dimension][values[0] || unnamed[dimension]] = { calls, tokens }
        found.set(date, named)
      }
    }
  }
  return found
}

/** Every name of an agent or a model that the reader's calls were made with, in the order of the alphabet. */
export async function agentChatNames(parts: Parts, scope: Scope, of: 'agent' | 'model'): Promise<string[]> {
  const { from, to } = await spanOf(parts, { days: 3650, zone: 'UTC' })
  if (from >= to) return []
  const { rows } = await ask(parts.store, {
    ...{ scope, from, to, buckets: { kind: 'one' }, dimensions: [of], filters: { source: ownSources } },
    ...{ measures: ['requests', 'refused'], order: 'bucket', limit: mostRows },
  })
  const isCalled = ({ measures }: (typeof rows)[number]) => measures.requests! > measures.refused!
  return rows.flatMap((row) => (row.values[0]! !== '' && isCalled(row) ? [row.values[0]!] : [])).sort()
}

const mostRows = 100_000
const agentChatMeasures = ['requests', 'refused', 'tokens_in', 'tokens_out'] as const

/** From the midnight that began the first of the days on, but not from before anything is known. */
async function spanOf({ store, now }: Parts, { days, zone }: Pick<AgentChatQuestion, 'days' | 'zone'>) {
  const to = now() + 1
  const first = await store.firstDay()
  if (first === null) return { from: to, to }
  const period = createPeriods()
  const today = period('day', zone, to)
  // Noon of a day is in that day whatever its clocks do.
  const start = period('day', zone, today.startsAt + dayMs / 2 - (days - 1) * dayMs).startsAt
  return { from: Math.max(start, first), to }
}

function* piecesOf(from: number, to: number, period: AgentChatQuestion['period'], zone: string) {
  const start = createPeriods()
  for (let at = from; at < to; ) {
    // A piece ends where a month does, and none may cut a week: those are few enough to be asked for at once.
    const later = period === 'week' ? to : start('month', zone, at + daysAtOnce * dayMs).startsAt
    const end = Math.min(later, to)
    yield { from: at, to: end, buckets: bucketsOf(at, end, period, zone) }
    at = end
  }
}

function createDates(zone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' })
  return (at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
    return `${parts.year}-${parts.month}-${parts.day}`
  }
}
