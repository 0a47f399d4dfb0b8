import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../../test/harness/control.ts'
import { createManualClock } from '../kernel/clock.ts'
import { createRecordingLog } from '../platform/database/testing-log.ts'
import { createUpstreams, type Upstreams } from '../platform/fetch.ts'
import { createMetrics, type Metrics } from '../platform/metrics.ts'
import { collectorsConfig, prometheusConfig, telemetryConfig } from './config.ts'
import { createTelemetry, type Telemetry } from './index.ts'

const start = Date.UTC(2026, 0, 1)
let dataDir: string
let clock: ReturnType<typeof createManualClock>
let log: ReturnType<typeof createRecordingLog>
let metrics: Metrics
let upstreams: Upstreams
let telemetry: Telemetry

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-telemetry-'))
  clock = createManualClock(start)
  log = createRecordingLog()
  metrics = createMetrics({ clock })
  upstreams = createUpstreams({ allow: ['127.0.0.0/8'], connectTimeoutMs: 1000, log })
})
afterEach(async () => {
  await telemetry.stop()
  await upstreams.close(0)
  rmSync(dataDir, { recursive: true, force: true })
})

function create(config: Record<string, unknown> = {}, prometheus: Record<string, unknown> = {}): Telemetry {
  telemetry = createTelemetry(
    {
      ...{ metrics, clock, log, dataDir, upstreams, version: '1.0.0', sqlite: null },
      own: { postgres: '', redis: '' },
      guardSecret() {},
    },
    telemetryConfig.parse({ instance: 'node-1', ...config }),
    prometheusConfig.parse(prometheus),
    collectorsConfig.parse({ docker_socket: '' }),
  )
  return telemetry
}

async function metric(name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = (await metrics.render()).text
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const line = text.split('\n').find((each) => each.startsWith(name) && wanted.every((part) => each.includes(part)))
  return Number(line?.split(' ').at(-1) ?? Number.NaN)
}

/** Time goes on by rounds of sampling, each of which is in the store before the next. */
async function advance(rounds: number): Promise<void> {
  const newest = async () => {
    const result = await telemetry.query('timestamp(gatehouse_telemetry_series)', clock.now())
    return result.type === 'vector' ? (result.series[0]?.value ?? 0) : 0
  }
  for (let round = 0; round < rounds; round++) {
    const before = await newest()
    await clock.advance(15_000)
    await until('the round is kept', async () => (await newest()) > before)
  }
}

test('every metric is sampled again and again, with the labels of this node', async () => {
  const requests = metrics.counter('gatehouse_test_requests_total', 'Requests.', ['code'])
  const latency = metrics.histogram('gatehouse_test_latency_seconds', 'Latency.', [], [0.1, 1]).with({})
  requests.with({ code: '200' }).inc()
  await create().start()
  for (let round = 0; round < 8; round++) {
    requests.with({ code: '200' }).inc(30)
    latency.observe(0.5)
    await advance(1)
  }
  expect(await telemetry.query('rate(gatehouse_test_requests_total[2m])', clock.now())).toEqual({
    type: 'vector',
    series: [{ labels: { code: '200', instance: 'node-1', job: 'gatehouse' }, value: expect.closeTo(2, 9) }],
  })
  const quantile = await telemetry.query(
    'histogram_quantile(0.5, rate(gatehouse_test_latency_seconds_bucket[2m]))',
    clock.now(),
  )
  expect(quantile).toMatchObject({ series: [{ value: 0.55 }] })
  const range = { startMs: start, endMs: clock.now(), stepMs: 60_000 }
  expect(await telemetry.queryRange('gatehouse_test_requests_total', range)).toMatchObject([
    {
      labels: { __name__: 'gatehouse_test_requests_total' },
      points: [
        [start, 1],
        [start + 60_000, 121],
        [start + 120_000, 241],
      ],
    },
  ])
  await expect(telemetry.query('sum(', clock.now())).rejects.toMatchObject({ name: 'QueryError', type: 'bad_data' })
})

test('a bomb of labels is cut, counted and told once', async () => {
  await create({ max_series: 200 }).start()
  for (let wave = 0; wave < 3; wave++) {
    const bomb = Array.from({ length: 1000 }, (_, i) => ({
      ...{ labels: { __name__: 'bomb', id: `${wave}-${i}` }, kind: 'gauge' as const, value: 1 },
    }))
    await telemetry.append(bomb, start + wave)
  }
  await clock.advance(1000)
  expect(await metric('gatehouse_telemetry_series')).toBe(200)
  expect(await metric('gatehouse_telemetry_dropped_samples_total', { reason: 'series_limit' })).toBeGreaterThan(2700)
  const told = log.lines.filter(({ message }) => message.includes('telemetry.max_series'))
  expect(told).toHaveLength(1)
  // Those that were there before go on.
  await advance(1)
  expect(
    await telemetry.query('count(count_over_time(gatehouse_telemetry_series[1m]) > 1)', clock.now()),
  ).toMatchObject({
    series: [{ value: 1 }],
  })
})

test('samples are taken in while a long query runs', async () => {
  await create({ query_timeout_seconds: 2, query_max_samples: 100_000_000 }).start()
  const many = Array.from({ length: 300 }, (_, i) => ({
    ...{ labels: { __name__: 'many', id: String(i) }, kind: 'gauge' as const, value: i },
  }))
  await telemetry.append(many, start)
  const order: string[] = []
  const text = 'max_over_time(sum(many * on(id) many)[5m:100ms])'
  const query = telemetry.query(text, start + 60_000).then(
    () => order.push('query'),
    () => order.push('query'),
  )
  await telemetry.append(many, start + 1000).then(() => order.push('samples'))
  await query
  expect(order).toEqual(['samples', 'query'])
})

describe('remote write', () => {
  async function receiver(statuses: number[]) {
    const taken: { status: number; bytes: number; authorization: string }[] = []
    const server = createServer(async (request, response) => {
      let bytes = 0
      for await (const chunk of request) bytes += (chunk as Buffer).length
      const status = statuses.shift() ?? 204
      taken.push({ status, bytes, authorization: request.headers.authorization ?? '' })
      response.writeHead(status).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { taken, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/write` }
  }

  test('is tried again while the receiver is busy, and given up when it refuses', async () => {
    const { taken, server, url } = await receiver([503, 429, 204, 400])
    await create({}, { remote_write_url: url, remote_write_authorization: 'Basic dTpw' }).start()
    await until('it was refused for now', () => taken.length === 1)
    await until('it was tried again', async () => {
      await clock.advance(500)
      return taken.length >= 3
    })
    await until('the next round was refused', async () => {
      await clock.advance(15_000)
      return taken.length >= 4
    })
    expect(taken.slice(0, 4).map(({ status }) => status)).toEqual([503, 429, 204, 400])
    expect(new Set(taken.slice(0, 3).map(({ bytes }) => bytes)).size).toBe(1)
    expect(taken[0]!.authorization).toBe('Basic dTpw')
    await until('it is counted', async () => {
      await clock.advance(1000)
      return (await metric('gatehouse_telemetry_remote_write_samples_total', { outcome: 'refused' })) > 0
    })
    expect(await metric('gatehouse_telemetry_remote_write_samples_total', { outcome: 'sent' })).toBeGreaterThan(0)
    server.close()
  })

  test('that nobody takes fills its queue and no more', async () => {
    const { server, url } = await receiver(Array(10_000).fill(503))
    await create({ max_series: 100_000 }, { remote_write_url: url, remote_write_queue_mb: 1 }).start()
    for (let round = 1; round <= 30; round++) {
      const many = Array.from({ length: 5000 }, (_, i) => ({
        ...{ labels: { __name__: 'many', id: `${i * 7919}` }, kind: 'gauge' as const, value: Math.sqrt(i * round) },
      }))
      await telemetry.append(many, start + round)
    }
    await clock.advance(1000)
    expect(await metric('gatehouse_telemetry_remote_write_samples_total', { outcome: 'overflowed' })).toBeGreaterThan(0)
    expect(await metric('gatehouse_telemetry_remote_write_queue_bytes')).toBeLessThanOrEqual(1024 * 1024)
    server.closeAllConnections()
    server.close()
  })
})

test('a series that is no longer read ends at once, rather than standing for five minutes more', async () => {
  const found = metrics.readings('gauge', 'gatehouse_test_level', 'Level.', ['tank'])
  const both = ['a', 'b'].map((tank) => ({ labels: { tank }, value: 1 }))
  found.replace('test', both)
  await create().start()
  const tanks = async () => {
    const result = await telemetry.query('gatehouse_test_level', clock.now())
    return result.type === 'vector' ? result.series.map(({ labels }) => labels.tank) : []
  }
  expect(await tanks()).toEqual(['a', 'b'])
  found.replace('test', both.slice(1))
  await advance(1)
  expect(await tanks()).toEqual(['b'])
  found.replace('test', both)
  await advance(1)
  expect((await tanks()).sort()).toEqual(['a', 'b'])
})
