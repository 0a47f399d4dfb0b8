import { createFindings, defineJob } from '../job.ts'

type Indicator = {
  name: string
  en: string
  zh: string
  expression: string
  unit: string
  isOver(value: number): boolean
  target: string
}

/** Seed 003's indicators and targets, over a week. Where nothing was called, nothing is measured. */
const indicators: readonly Indicator[] = [
  {
    ...{ name: 'requests_per_second', en: 'requests', zh: 'QPS', unit: '/s', target: '' },
    expression: 'sum(rate(gatehouse_http_request_seconds_count[7d]))',
    isOver: () => false,
  },
  {
    ...{ name: 'response_seconds_p95', en: 'response time (p95)', zh: '响应时间（P95）', unit: ' s', target: '0.5 s' },
    expression:
      'histogram_quantile(0.95, sum by (le) (rate(gatehouse_http_request_seconds_bucket[7d]))) and sum(increase(gatehouse_http_request_seconds_count[7d])) >= 50',
    isOver: (value) => value > 0.5,
  },
  {
    ...{ name: 'failed_percent', en: 'calls that failed', zh: '调用失败率', unit: ' %', target: '0.1 %' },
    expression:
      '100 * sum(rate(gatehouse_gateway_requests_total{outcome=~"failure|truncated"}[7d])) / sum(rate(gatehouse_gateway_requests_total[7d])) and sum(increase(gatehouse_gateway_requests_total[7d])) >= 50',
    isOver: (value) => value > 0.1,
  },
  {
    ...{ name: 'first_token_seconds_p95', en: 'first token (p95)', zh: '首字延迟（P95）', unit: ' s', target: '10 s' },
    expression:
      'histogram_quantile(0.95, sum by (le) (rate(gatehouse_gateway_first_token_seconds_bucket[7d]))) and sum(increase(gatehouse_gateway_first_token_seconds_count[7d])) >= 20',
    isOver: (value) => value > 10,
  },
  {
    ...{ name: 'slow_queries_per_minute', en: 'slow queries', zh: '慢查询', unit: '/min', target: '10/min' },
    expression: '60 * sum(rate(gatehouse_postgres_slow_queries_total[7d]))',
    isOver: (value) => value > 10,
  },
  {
    ...{ name: 'buffer_hit_percent', en: 'buffer hits', zh: '缓冲区命中率', unit: ' %', target: '99 %' },
    expression:
      '100 * sum(rate(gatehouse_postgres_blocks_total{from="hit"}[7d])) / sum(rate(gatehouse_postgres_blocks_total[7d])) and sum(rate(gatehouse_postgres_blocks_total[7d])) > 100',
    isOver: (value) => value < 99,
  },
  {
    ...{ name: 'cache_hit_percent', en: 'cache hits', zh: '缓存命中率', unit: ' %', target: '90 %' },
    expression:
      '100 * sum(rate(gatehouse_redis_keyspace_lookups_total{result="hit"}[7d])) / sum(rate(gatehouse_redis_keyspace_lookups_total[7d])) and sum(rate(gatehouse_redis_keyspace_lookups_total[7d])) > 10',
    isOver: (value) => value < 90,
  },
  {
    ...{ name: 'event_loop_lag_seconds', en: 'event loop lag', zh: '事件循环延迟', unit: ' s', target: '0.5 s' },
    expression: 'avg_over_time(gatehouse_event_loop_lag_seconds{at="p99"}[7d])',
    isOver: (value) => value > 0.5,
  },
  {
    ...{
      name: 'store_write_wait_seconds',
      en: 'waiting for the store, a write',
      zh: '写入等待',
      unit: ' s',
      target: '0.05 s',
    },
    expression:
      'sum(rate(gatehouse_sqlite_write_wait_seconds_total[7d])) / sum(rate(gatehouse_sqlite_writes_total[7d]))',
    isOver: (value) => value > 0.05,
  },
]

/** Seed 003's weekly look at speed: its own targets, and how this week compares with the last that was looked at. */
export const performanceAnalysis = defineJob({
  name: 'performance_analysis',
  rhythm: 'weekly',
  summary: { en: 'Speed and failures of the last week against their targets', zh: '性能分析' },
  cron: '0 5 * * 0',
  windowMinutes: 120,
  async run(world, running) {
    const found = createFindings()
    const before = (await running.former(1))[0]?.figures ?? {}
    let measured = 0
    for (const [index, { name, en, zh, expression, unit, isOver, target }] of indicators.entries()) {
      running.progress(index, indicators.length, name)
      const value = await world.measure(expression)
      found.figure(name, value)
      if (value === null) continue
      measured += 1
      const was = before[name] === undefined ? '' : `, after ${before[name].toPrecision(3)}${unit} the time before`
      found.note(`${en}: ${value.toPrecision(3)}${unit}${target && ` (target ${target})`}${was}`)
      if (isOver(value))
        found.add(
          'warn',
          `${en}: ${value.toPrecision(3)}${unit}, the target is ${target}.`,
          `${zh}：${value.toPrecision(3)}${unit}，目标 ${target}。`,
        )
    }
    if (measured === 0) found.add('inconclusive', 'Nothing was measured.', '没有任何采样数据。')
    return found.told({ en: `${measured} indicators are within their targets.`, zh: `${measured} 项指标均达标。` })
  },
})
