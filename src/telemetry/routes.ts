import { z } from 'zod'
import { type Reply, reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { HubError } from '../kernel/errors.ts'
import type { Fields } from './parameters.ts'
import { QueryError, type QueryErrorType } from './promql/syntax.ts'

/** What the paths answer with: JSON of Prometheus' `data`, or the whole answer of the Prometheus that was asked. */
export type MetricsView = {
  /** `path` as under Prometheus' `/api/v1`. Rejects with QueryError or HubError. */
  answer(
    path: string,
    fields: Fields,
    method: 'GET' | 'POST',
  ): Promise<{ data: string } | { status: number; body: string }>
}

const text = z.union([z.string(), z.array(z.string())]).optional()
const json = { 'content-type': 'application/json', 'cache-control': 'no-store' }

/** https://prometheus.io/docs/prometheus/latest/querying/api/ — shapes, errors and parameters are Prometheus' own. */
const paths = [
  {
    path: 'query',
    summary: 'The value of a PromQL expression at one moment.',
    fields: ['query', 'time', 'timeout', 'limit'],
  },
  {
    path: 'query_range',
    summary: 'The value of a PromQL expression over a range of time.',
    fields: ['query', 'start', 'end', 'step', 'timeout', 'limit'],
  },
  { path: 'series', summary: 'Series that selectors match.', fields: ['match[]', 'start', 'end', 'limit'] },
  { path: 'labels', summary: 'Names of labels.', fields: ['match[]', 'start', 'end', 'limit'] },
] as const

export function metricsRoutes(view: MetricsView): Route[] {
  const common = { access: 'super_admin', tag: 'telemetry', reply: z.looseObject({ status: z.string() }) } as const
  return [
    ...paths.flatMap(({ path, summary, fields }) => {
      // What other versions of Prometheus or Grafana send besides is not our business to refuse.
      const shape = z.looseObject(Object.fromEntries(fields.map((name) => [name, text])))
      return [
        defineRoute({
          ...common,
          method: 'GET',
          path: `/api/metrics/${path}`,
          summary,
          query: shape,
          handle: ({ query }) => respond(view, path, query as Fields, 'GET'),
        }),
        defineRoute({
          ...common,
          method: 'POST',
          path: `/api/metrics/${path}`,
          summary: `${summary} Parameters as a form.`,
          query: shape,
          body: shape.optional(),
          takesForm: true,
          handle: ({ query, body }) => respond(view, path, { ...(query as Fields), ...(body as Fields) }, 'POST'),
        }),
      ]
    }),
    defineRoute({
      ...common,
      method: 'GET',
      path: '/api/metrics/label/:name/values',
      summary: 'Values of a label.',
      params: z.object({ name: z.string() }),
      query: z.looseObject({ 'match[]': text, start: text, end: text, limit: text }),
      handle: ({ params, query }) =>
        respond(view, `label/${encodeURIComponent(params.name)}/values`, query as Fields, 'GET'),
    }),
    defineRoute({
      ...common,
      method: 'GET',
      path: '/api/metrics/metadata',
      summary: 'Types and help texts of metrics.',
      query: z.looseObject({ metric: text, limit: text }),
      handle: ({ query }) => respond(view, 'metadata', query as Fields, 'GET'),
    }),
  ]
}

async function respond(view: MetricsView, path: string, fields: Fields, method: 'GET' | 'POST'): Promise<Reply> {
  try {
    const answer = await view.answer(path, fields, method)
    if ('body' in answer) return reply(answer.status, answer.body, json)
    return reply(200, `{"status":"success","data":${answer.data}}`, json)
  } catch (error) {
    if (error instanceof QueryError) return refuse(error.type, error.message)
    // Clients of Prometheus' API read no problem+json.
    if (error instanceof HubError && error.code === 'upstream_timeout') return refuse('timeout', error.message)
    if (error instanceof HubError && error.status >= 500 && error.code !== 'internal') {
      return refuse('unavailable', error.message)
    }
    throw error
  }
}

const statuses: Readonly<Record<QueryErrorType, number>> = {
  ...{ bad_data: 400, execution: 422, timeout: 503, canceled: 499, unavailable: 503, internal: 500 },
}

function refuse(errorType: QueryErrorType, error: string): Reply {
  return reply(statuses[errorType] ?? 500, JSON.stringify({ status: 'error', errorType, error }), json)
}
