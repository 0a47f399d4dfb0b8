import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { readTenantId, scopeOf, showTenantId, withinTenant } from '../../kernel/scope.ts'
import type { SettlingLedger } from '../ledger.ts'
import { readTime } from '../logs.ts'
import { isZone } from '../quota/periods.ts'
import { logColumns } from '../rows.ts'
import { bucketsOf, granularities } from './buckets.ts'
import { type ExportRow, eachRequest, toCsv, toJson } from './export.ts'
import type { Filters } from './pieces-store.ts'
import { type Answer, type Asked, ask, askable } from './query.ts'
import {
  heatmap,
  kpi,
  type Range,
  type ReportParts,
  series,
  type TopBy,
  type TopMetric,
  top,
  topBy,
  topMetrics,
} from './reports.ts'
import { type Dimension, dayMs, dimensions } from './schema.ts'

const count = z.number().int()
const ratio = z.number().nullable().describe('null where there was nothing to tell it of.')
const moment = z.coerce.number().int().min(0).max(8_640_000_000_000)
const value = z.string().max(200)
const zone = z.string().max(60).refine(isZone, 'is no time zone: write a name such as Asia/Shanghai')

const filterShape = Object.fromEntries(
  dimensions.map((name) => [name, z.union([value, z.array(value).max(100)]).optional()]),
) as Record<Dimension, z.ZodOptional<z.ZodUnion<[typeof value, z.ZodArray<typeof value>]>>>

const range = {
  start_ms: moment.describe('Epoch ms, inclusive.'),
  end_ms: moment.describe('Epoch ms, exclusive.'),
  ...filterShape,
}

const slot = z.coerce
  .number()
  .int()
  .min(60)
  .max(31 * 86_400)
  .refine((seconds) => seconds % 60 === 0, 'is to be whole minutes, such as 60, 300, 900, 1800 or 3600')

const topKeys = z.enum(Object.keys(topBy) as [TopBy, ...TopBy[]])
const topMetric = z.enum(Object.keys(topMetrics) as [TopMetric, ...TopMetric[]])
const topLimit = z.coerce.number().int().min(1).max(1000)

const state = {
  as_of: count.describe('Every request this node had answered by then is counted, epoch ms.'),
  lag_ms: count,
  pending: count.describe('Requests this node has recorded that are not counted yet.'),
  is_exact: z.boolean().describe('False where sums of whole quarters of an hour stand for parts whose rows are gone.'),
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

const seriesColumns = [
  'bucket',
  ...Object.keys(sums).slice(0, 2),
  ...Object.keys(distinct),
  ...Object.keys(sums).slice(2),
]
const requestColumns = [
  ...logColumns.filter((name) => name !== 'attempt_log' && name !== 'route_log' && name !== 'usage_details'),
]

export type AnalyticsRouteParts = ReportParts & {
  clock: Pick<Clock, 'now'>
  ledger: Pick<SettlingLedger, 'pending' | 'dataAsOf'>
}

/** `/api/stats/*` and `/api/export/*`. */
export function analyticsRoutes(parts: AnalyticsRouteParts): Route[] {
  const { store, clock, ledger } = parts
  const stateOf = (...answers: Answer[]) => {
    const as_of = ledger.dataAsOf()
    return {
      ...{ as_of, lag_ms: Math.max(0, clock.now() - as_of), pending: ledger.pending() },
      is_exact: answers.every((answer) => answer.isExact),
    }
  }
  const shared = { access: 'user', tag: 'usage' } as const

  const exported = z.strictObject({
    query_type: z.enum(['series', 'top', 'heatmap', 'requests']),
    ...range,
    slot_sec: slot.default(300),
    by: topKeys.default('user'),
    metric: topMetric.default('tokens'),
    limit: topLimit.default(1000),
    time_zone: zone.default('UTC'),
  })

  async function tableOf(principal: Principal, query: z.infer<typeof exported>) {
    const asked = readRange(principal, query)
    if (query.query_type === 'requests') {
      return { columns: requestColumns, rows: eachRequest(store, asked), about: stateOf() }
    }
    if (query.query_type === 'series') {
      const { answer, points } = await series(parts, asked, query.slot_sec * 1000)
      return { columns: seriesColumns, rows: points, about: stateOf(answer) }
    }
    if (query.query_type === 'heatmap') {
      const { answer, cells } = await heatmap(parts, asked, query.time_zone)
      return { columns: ['weekday', 'hour', ...Object.keys(sums)], rows: cells, about: stateOf(answer) }
    }
    const { answer, rows } = await top(parts, asked, query.by, query.metric, query.limit)
    const { id, name } = topBy[query.by]
    const columns = [id, name, ...Object.keys(sums)].filter((column) => column !== null)
    return { columns, rows: rows as Iterable<ExportRow>, about: stateOf(answer) }
  }

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
        const { answer, rows } = await top(parts, readRange(principal!, query), by, metric, limit)
        return { data: rows, by, metric, limit, ...stateOf(answer) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/stats/heatmap',
      summary: 'Counts by weekday and hour of the day.',
      query: z.strictObject({ ...range, time_zone: zone.default('UTC') }),
      reply: z.object({
        data: z.array(z.object({ weekday: count.describe('Monday is 1.'), hour: count, ...sums })),
        time_zone: z.string(),
        ...state,
      }),
      async handle({ principal, query }) {
        const { answer, cells } = await heatmap(parts, readRange(principal!, query), query.time_zone)
        return { data: cells, time_zone: query.time_zone, ...stateOf(answer) }
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
        const { answer, now, previous } = await kpi(parts, readRange(principal!, query))
        return { data: now, previous, ...stateOf(answer) }
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
        time_zone: zone.default('UTC').describe('Whose days, weeks and months are meant.'),
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
        const asked = readRange(principal!, { ...body.filters, start_ms: from, end_ms: to }, 'to')
        const isBucketed = body.granularity !== null
        const answer = await ask(store, {
          ...asked,
          buckets: body.granularity === null ? { kind: 'one' } : bucketsOf(from, to, body.granularity, body.time_zone),
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
    ...(['csv', 'json'] as const).map((format) =>
      defineRoute({
        ...shared,
        method: 'GET',
        path: `/api/export/${format}`,
        summary: `A report or the single requests of a range as ${format === 'csv' ? 'CSV for spreadsheets' : 'JSON'}, however many.`,
        query: exported,
        reply: z.unknown(),
        async handle({ principal, query }) {
          const { columns, rows, about } = await tableOf(principal!, query)
          const { query_type, start_ms, end_ms } = query
          const name = `${query_type === 'top' ? `top_${query.by}_${query.metric}` : `${query_type}_data`}_${start_ms}_${end_ms}`
          return reply(200, format === 'csv' ? toCsv(columns, rows) : toJson(rows, about), {
            'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json; charset=utf-8',
            'content-disposition': `attachment; filename="${name}.${format}"`,
          })
        },
      }),
    ),
  ]
}

type AskedRange = { start_ms: number; end_ms: number } & Partial<Record<Dimension, string | string[] | undefined>>

const longestMs = 3660 * dayMs

function readRange(principal: Principal, asked: AskedRange, param = 'end_ms'): Range {
  const { start_ms: from, end_ms: to } = asked
  if (to <= from) throw fail('invalid_request', `${param} is to be later than the start of the range`, { param })
  if (to - from > longestMs) throw fail('invalid_request', 'A range of more than ten years is not answered', { param })
  const filters: Filters = {}
  for (const name of dimensions) {
    const given = asked[name]
    if (given === undefined) continue
    const values = typeof given === 'string' ? [given] : given
    filters[name] = name === 'tenant' ? values.map(readTenantId) : values
  }
  return { scope: scopeOf(principal), from, to, filters }
}

function shown(name: Dimension, text: string): string {
  return name === 'tenant' ? showTenantId(text) : text
}
