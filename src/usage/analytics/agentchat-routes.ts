import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Principal } from '../../kernel/principal.ts'
import { scopeOf } from '../../kernel/scope.ts'
import { agentChatNames, agentChatPeriods, agentChatUsage } from './agentchat.ts'
import { zone } from './asked-range.ts'
import type { ReportStore } from './query.ts'

const count = z.number().int()
const name = z.string().max(200).nullable().optional()

const asked = z.strictObject({
  agent: name.describe('Calls of this agent alone.'),
  model: name.describe('Calls that this model answered alone.'),
  delta_days: count.min(1).max(36_500).default(10_000).describe('Whole days of the zone, today among them.'),
  granularity: z.enum(agentChatPeriods).default('day').describe('Weeks and months are named by their first day.'),
  time_zone: zone.optional().describe('Whose days are meant; the setting usage.time_zone unless said.'),
})

const tokens = z.object({ input_tokens: count, output_tokens: count, total_tokens: count })

function enveloped<Data extends z.ZodType>(data: Data) {
  return z.object({ status_code: z.literal(200), status_message: z.literal('SUCCESS'), data })
}

function byDate<Value extends z.ZodType>(value: Value) {
  const named = z.record(z.string(), value)
  return enveloped(z.record(z.string(), z.object({ agent: named, model: named })))
}

const success = { status_code: 200 as const, status_message: 'SUCCESS' as const }

/** AgentChat's four paths with its names and its envelope. Errors are errors here: no 200 that holds one. */
export function agentChatRoutes(parts: { store: ReportStore; clock: Pick<Clock, 'now'>; timeZone: string }): Route[] {
  const own = { store: parts.store, now: parts.clock.now }
  const shared = { access: 'user', tag: 'usage', changes: false } as const
  const usageOf = (principal: Principal, body: z.infer<typeof asked>) =>
    agentChatUsage(own, {
      ...{ scope: scopeOf(principal), agent: body.agent || null, model: body.model || null },
      ...{ days: body.delta_days, period: body.granularity, zone: body.time_zone ?? parts.timeZone },
    })

  const report = <Value>(
    path: string,
    summary: string,
    value: z.ZodType<Value>,
    pick: (sums: { calls: number; tokens: z.infer<typeof tokens> }) => Value,
  ) =>
    defineRoute({
      ...{ ...shared, method: 'POST', path, summary, body: asked, reply: byDate(value) },
      async handle({ principal, body }) {
        const picked = (sums: Record<string, Parameters<typeof pick>[0]>) =>
          Object.fromEntries(Object.entries(sums).map(([name, each]) => [name, pick(each)]))
        const found = await usageOf(principal!, body)
        const dates = [...found].map(([date, { agent, model }]) => [
          date,
          { agent: picked(agent), model: picked(model) },
        ])
        return { ...success, data: Object.fromEntries(dates) }
      },
    })

  const list = (path: string, of: 'agent' | 'model', summary: string) =>
    defineRoute({
      ...{ ...shared, method: 'GET', path, summary, reply: enveloped(z.array(z.string())) },
      async handle({ principal }) {
        return { ...success, data: await agentChatNames(own, scopeOf(principal!), of) }
      },
    })

  return [
    report('/api/v1/usage', 'Tokens by day, week or month, by agent and by model.', tokens, (sums) => sums.tokens),
    report('/api/v1/usage_count', 'Calls by day, week or month, by agent and by model.', count, (sums) => sums.calls),
    list('/api/v1/usage/models_list', 'model', 'Models that calls were answered by.'),
    list('/api/v1/usage/agents_list', 'agent', 'Agents that calls were made for.'),
  ]
}
