import { dayMs } from './traffic.ts'

export type Question = {
  name: string
  /** ms for 95 of 100 answers at ten million rows; null where no goal was set. */
  goalMs: number | null
  /** Another one each time it is asked, so that no answer can be one that was kept. */
  ask(number: number): { method: 'GET' | 'POST'; path: string; body?: object }
}

/** What a console asks, over 30 days that end at another minute each time. */
export function questionsFor(now: number, key: string): Question[] {
  const minute = 60_000
  const rangeOf = (number: number) => {
    const to = now - (number % 50) * 37 * minute
    return { from: to - 30 * dayMs, to }
  }
  const get = (path: string, more: string) => (number: number) => {
    const { from, to } = rangeOf(number)
    return { method: 'GET' as const, path: `/api/${path}?start_ms=${from}&end_ms=${to}${more}` }
  }
  const query = (body: object) => (number: number) => {
    const { from, to } = rangeOf(number)
    const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
    return { method: 'POST' as const, path: '/api/stats/query', body: { ...times, ...body } }
  }
  return [
    { name: 'top models by tokens', goalMs: 100, ask: get('stats/top', '&by=model&metric=tokens') },
    { name: 'top keys by requests', goalMs: 100, ask: get('stats/top', '&by=token&metric=reqs') },
    { name: 'top users by cost', goalMs: 100, ask: get('stats/top', '&by=user&metric=cost') },
    { name: 'series by hour', goalMs: 100, ask: get('stats/series', '&slot_sec=3600') },
    { name: 'series by day', goalMs: 100, ask: get('stats/series', '&slot_sec=86400') },
    { name: 'heat map, Asia/Shanghai', goalMs: 100, ask: get('stats/heatmap', '&time_zone=Asia/Shanghai') },
    { name: 'heat map, Asia/Kathmandu', goalMs: 100, ask: get('stats/heatmap', '&time_zone=Asia/Kathmandu') },
    { name: 'key figures', goalMs: 30, ask: get('stats/kpi', '') },
    { name: 'key figures of a tenant', goalMs: 30, ask: get('stats/kpi', '&tenant=ten_3') },
    { name: 'list of requests, first page', goalMs: 50, ask: () => ({ method: 'GET', path: '/api/logs?limit=50' }) },
    {
      name: 'list of requests of a key',
      goalMs: 50,
      ask: () => ({ method: 'GET', path: `/api/logs?limit=50&key_id=${key}` }),
    },
    {
      name: 'one model by user, filtered',
      goalMs: null,
      ask: query({ dimensions: ['user'], measures: ['requests', 'cost_nano_usd'], filters: { model: ['model-1'] } }),
    },
    {
      name: 'a key by day and model',
      goalMs: null,
      ask: query({ dimensions: ['model'], measures: ['requests'], granularity: 'day', filters: { key: [key] } }),
    },
    {
      name: 'different people and keys by model',
      goalMs: null,
      ask: query({ dimensions: ['model'], measures: ['distinct_users', 'distinct_keys'] }),
    },
    {
      name: 'percentiles by model',
      goalMs: null,
      ask: query({ dimensions: ['model'], measures: ['latency_ms_p50', 'latency_ms_p99', 'first_token_ms_p95'] }),
    },
  ]
}
