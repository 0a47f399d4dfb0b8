import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { withinTenant } from '../../kernel/scope.ts'
import type { SettlingLedger } from '../ledger.ts'
import { readTime } from '../logs.ts'
import { agentChatRoutes } from './agentchat-routes.ts'
import {
  filterShape,
  moment,
  range,
  readRange,
  shown,
  slot,
  topKeys,
  topLimit,
  topMetric,
  zone,
} from './asked-range.ts'
import { bucketsOf, granularities } from './buckets.ts'
import { exportRoutes } from './export-routes.ts'
import { type Answer, type Asked, ask, askable } from './query.ts'
import { heatmap, kpi, type ReportParts, series, top, topBy } from './reports.ts'
import { dayMs, dimensions } from './schema.ts'

const count = z.number().int()
const ratio = z.number().nullable().describe('null where there was nothing to tell it of.')

const state = {
  as_of: count.describe('Every request this node had answered by then is counted, epoch ms.'),
  lag_ms: count,
  pending: count.describe('Requests this node has recorded that are not counted yet.'),
  is_exact: z.boolean().describe('False where sums of whole quarters of an hour stand for parts whose rows are gone.'),
  answered_by: z
    .enum(['store', 'clickhouse'])
    .describe('Where it was asked: store where no analytics.url is set, or ClickHouse was away or too far behind.'),
}

const sums = {
  reqs: count,
  tokens: count.describe('In and out together.'),
  quota_sum: count.describe('500000 are one dollar.'),
  tokens_in: count,
  tokens_out: count,
  tokens_cached_read: count,
  tokens_cached_write: count,
  tokens_reasoning: count,
  successes: count,
  failures: count,
  cost_nano_usd: count,
  unpriced_requests: count.describe('Requests whose cost is unknown and not in the sum.'),
  wasted_nano_usd: count,
}

const distinct = { users: count.describe('Different people.'), tokens_cnt: count.describe('Different keys.') }

const indicators = z.object({
  ...sums,
  ...distinct,
  aborted: count,
  refused: count,
  cache_hits: count,
  success_rate: ratio,
  tokens_per_second: ratio,
  latency_ms_avg: ratio,
  first_token_ms_avg: ratio,
  latency_ms_p50: ratio,
  latency_ms_p95: ratio,
  latency_ms_p99: ratio,
  first_token_ms_p50: ratio,
  first_token_ms_p95: ratio,
})

export type AnalyticsRouteParts = ReportParts & {
  clock: Pick<Clock, 'now'>
  ledger: Pick<SettlingLedger, 'pending' | 'dataAsOf'>
  /** Whose days are meant where a caller does not say. */
  timeZone: string
}

/** `/api/stats/*`, and what stands beside it. */
export function analyticsRoutes(parts: AnalyticsRouteParts): Route[] {
  const { store, clock, ledger, timeZone } = parts
  const stateOf = (...answers: Answer[]) => {
    const copied = answers.flatMap(({ copiedAsOf }) => (copiedAsOf === null ? [] : [copiedAsOf]))
    const as_of = Math.min(ledger.dataAsOf(), ...copied)
    return {
      ...{ as_of, lag_ms: Math.max(0, clock.now() - as_of), pending: ledger.pending() },
      is_exact: answers.every((answer) => answer.isExact),
      answered_by:
        answers.length > 0 && copied.length === answers.length ? ('clickhouse' as const) : ('store' as const),
    }
  }
  const shared = { access: 'user', tag: 'usage' } as const

  return [
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/stats/series',
      summary: 'Counts of every slot of a range, 0 where nothing came.',
      query: z.strictObject({ ...range, slot_sec: slot.default(60).describe('Whole minutes; slots begin in UTC.') }),
      reply: z.object({
        data: z.array(z.object({ bucket: count.describe('Where the slot begins, epoch ms.'), ...distinct, ...sums })),
        total_points: count,
        ...state,
      }),
      async handle({ principal, query }) {
        const { answer, points } = await series(parts, readRange(principal!, query), query.slot_sec * 1000)
        return { data: points, total_points: points.length, ...stateOf(answer) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/stats/top',
      summary: 'Who or what used most.',
      query: z.strictObject({ ...range, by: topKeys, metric: topMetric, limit: topLimit.default(50) }),
      reply: z.object({
        data: z.array(
          z.object({
            ...Object.fromEntries(
              Object.values(topBy).flatMap(({ id }) => (id === null ? [] : [[id, z.string().optional()]])),
            ),
            ...Object.fromEntries(
              Object.values(topBy).flatMap(({ name }) =>
                name === null ? [] : [[name, z.string().nullable().optional()]],
              ),
            ),
            ...sums,
          }),
        ),
        by: z.string(),
        metric: z.string(),
        limit: count,
        ...state,
      }),
      async handle({ principal, query }) {
        const { by, metric, limit } = query
        const asked = readRange(principal!, query, { isBySource: by === 'source' })
        const { answer, rows } = await top(parts, asked, by, metric, limit)
        return { data: rows, by, metric, limit, ...stateOf(answer) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/stats/heatmap',
      summary: 'Counts by weekday and hour of the day.',
      query: z.strictObject({
        ...range,
        time_zone: zone.optional().describe('The setting usage.time_zone unless said.'),
      }),
      reply: z.object({
        data: z.array(z.object({ weekday: count.describe('Monday is 1.'), hour: count, ...sums })),
        time_zone: z.string(),
        ...state,
      }),
      async handle({ principal, query }) {
        const { time_zone = timeZone } = query
        const { answer, cells } = await heatmap(parts, readRange(principal!, query), time_zone)
        return { data: cells, time_zone, ...stateOf(answer) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/stats/kpi',
      summary: 'The key figures of a range, and of the one of the same length before it.',
      query: z.strictObject(range),
      reply: z.object({ data: indicators, previous: indicators, ...state }),
      async handle({ principal, query }) {
        const { answer, before, now, previous } = await kpi(parts, readRange(principal!, query))
        // How exact the former range is was never told; from where it comes is.
        return { data: now, previous, ...stateOf(answer, { ...before, isExact: true }) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/registry/usage',
      access: 'service',
      tag: 'services',
      summary: 'What the calling plugin service has used of models with the token it sends; the last day unless said.',
      query: z.strictObject({
        start_ms: moment.optional().describe('Epoch ms, inclusive.'),
        end_ms: moment.optional().describe('Epoch ms, exclusive.'),
      }),
      reply: z.object({ service: z.string(), data: indicators, ...state }),
      async handle({ principal, query }) {
        const { service, tenantId, keyId } = principal!
        if (service === '') throw fail('forbidden', 'this tells a plugin service of itself; people ask /api/stats/kpi')
        // One more, for what was answered within this millisecond.
        const to = query.end_ms ?? clock.now() + 1
        const span = readRange(principal!, { start_ms: query.start_ms ?? to - dayMs, end_ms: to })
        const { answer, now } = await kpi(parts, { ...span, scope: withinTenant(tenantId), filters: { key: [keyId] } })
        return { service, data: now, ...stateOf(answer) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'POST',
      path: '/api/stats/query',
      summary: 'Any measures by any dimensions over any range.',
      changes: false,
      body: z.strictObject({
        from: z.union([z.string().max(40), moment]).describe('ISO 8601 or epoch ms, inclusive.'),
        to: z.union([z.string().max(40), moment]).describe('Exclusive.'),
        time_zone: zone
          .optional()
          .describe('Whose days, weeks and months are meant; the setting usage.time_zone unless said.'),
        granularity: z.enum(granularities).nullable().default(null).describe('null: the whole range at once.'),
        dimensions: z.array(z.enum(dimensions)).max(5).default([]),
        measures: z.array(z.enum(askable)).min(1).max(askable.length).default(['requests']),
        filters: z.strictObject(filterShape).default({}),
        order_by: z
          .enum([
            'requests',
            'successes',
            'failures',
            'tokens',
            'tokens_in',
            'tokens_out',
            'cost_nano_usd',
            'wasted_nano_usd',
          ])
          .nullable()
          .default(null)
          .describe('Largest first; null: in the order of time and names.'),
        limit: z.number().int().min(1).max(10_000).default(1000),
      }),
      reply: z.object({
        data: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))),
        has_more: z.boolean(),
        complete_from: count
          .nullable()
          .describe('Epoch ms: what was asked can be told from rows alone, and older ones are gone.'),
        ...state,
      }),
      async handle({ principal, body }) {
        const from = readTime(String(body.from), 'from')
        const to = readTime(String(body.to), 'to')
        const asked = readRange(
          principal!,
          { ...body.filters, start_ms: from, end_ms: to },
          {
            ...{ param: 'to', isBySource: body.dimensions.includes('source') },
          },
        )
        const { time_zone = timeZone } = body
        const isBucketed = body.granularity !== null
        const answer = await ask(store, {
          ...asked,
          buckets: body.granularity === null ? { kind: 'one' } : bucketsOf(from, to, body.granularity, time_zone),
          dimensions: [...new Set(body.dimensions)],
          measures: body.measures,
          order: body.order_by ?? 'bucket',
          limit: body.limit + 1,
        })
        const names = [...new Set(body.dimensions)]
        const data = answer.rows.slice(0, body.limit).map((row) => ({
          ...(isBucketed ? { bucket: row.bucket } : {}),
          ...Object.fromEntries(names.map((name, index) => [name, shown(name, row.values[index]!)])),
          ...Object.fromEntries(body.measures.map((name: Asked) => [name, row.measures[name] ?? null])),
        }))
        const has_more = answer.rows.length > body.limit
        return { data, has_more, complete_from: answer.completeFrom, ...stateOf(answer) }
      },
    }),
    ...exportRoutes(parts, stateOf),
    ...agentChatRoutes(parts),
  ]
}
