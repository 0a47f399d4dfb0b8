import type { ServerResponse } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Collector, startCollector } from '../../../test/harness/collector.ts'
import { until } from '../../../test/harness/control.ts'
import { createManualClock } from '../../kernel/clock.ts'
import { beginTrace, createSpanId, readTrace } from '../../kernel/trace.ts'
import { createUpstreams } from '../fetch.ts'
import { createMetrics } from '../metrics.ts'
import { silentLog } from '../testing.ts'
import { readPairs, type TracingConfig, tracingConfig } from './config.ts'
import { createExporter } from './exporter.ts'
import { createTracer, type Span } from './tracer.ts'

const startMs = Date.UTC(2026, 0, 1)
const span: Span = {
  name: 'work',
  kind: 'client',
  ...{ spanId: '00f067aa0ba902b7', parentSpanId: '' },
  ...{ startMs: startMs + 0.25, endMs: startMs + 2.5 },
  attributes: {},
}

type Settings = Partial<TracingConfig>

async function open(
  settings: Settings = {},
  { answer, address }: { answer?: (response: ServerResponse, number: number) => boolean; address?: string } = {},
) {
  const clock = createManualClock(startMs)
  const times: number[] = []
  const collector: Collector = await startCollector((response, number) => {
    times.push(clock.monotonic())
    return answer?.(response, number) ?? false
  })
  const upstreams = createUpstreams({ allow: ['127.0.0.0/8'], connectTimeoutMs: 1000, log: silentLog })
  const metrics = createMetrics({ clock })
  const lines: string[] = []
  const keep = (message: string) => void lines.push(message)
  const config = tracingConfig.parse({ otlp_url: address ?? collector.url, ...settings })
  const exporter = createExporter({
    ...{ config, upstreams, clock, metrics, version: '1.2.3', instanceId: 'here:1', random: () => 0.5 },
    log: { ...silentLog, info: keep, warn: keep },
  })
  const tracer = createTracer({
    ...{ sampleRatio: config.sample_ratio, contentBytes: 0 },
    send: exporter.add,
  })
  onTestFinished(async () => {
    await exporter.close()
    await upstreams.close(0)
    await collector.close()
  })
  const outcome = (name: string) =>
    metrics
      .collect()
      .find((family) => family.name === 'gatehouse_tracing_spans_total')!
      .samples.find(({ labels }) => labels.outcome === name)!.value
  return {
    ...{ clock, times, collector, exporter, tracer, lines, outcome },
    /** Lets time go on until it is so. */
    drive: (what: string, isSo: () => boolean) =>
      until(
        what,
        async () => {
          if (!isSo()) await clock.advance(250)
          return isSo()
        },
        { everyMs: 2 },
      ),
    record(count = 1, over: Partial<Span> = {}) {
      for (let i = 0; i < count; i++) tracer.record(beginTrace(), { ...span, spanId: createSpanId(), ...over })
    },
  }
}

const answerWith =
  (status: number, headers: Record<string, string> = {}, body = '') =>
  (response: ServerResponse) => {
    response.writeHead(status, headers).end(body)
    return true
  }

describe('what a collector is given', () => {
  test('is OTLP as it is written down: ids in hex, nanoseconds as text, kinds as numbers', async () => {
    const { tracer, collector, drive } = await open({
      ...{ service_name: 'hub', resource_attributes: 'deployment.environment.name=prod,team=a%20b' },
      headers: 'authorization=Bearer%20secret,x-scope-orgid=1',
    })
    const place = readTrace(
      { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=1' },
      '',
    )
    const attributes = { text: 'a "b"\n中', count: 3, share: 0.5, isSo: true, list: ['x'], none: undefined, empty: '' }
    tracer.record(place, {
      ...{ ...span, kind: 'server', parentSpanId: place.parentSpanId, isParentRemote: true, attributes },
      error: { type: 'upstream_timeout', message: 'too late' },
    })
    await drive('a span has come', () => collector.spans.length === 1)
    expect(collector.faults).toEqual([])
    expect(collector.spans[0]).toMatchObject({
      ...{ traceId: place.traceId, spanId: span.spanId, parentSpanId: place.parentSpanId, traceState: 'a=1' },
      ...{ name: 'work', kind: 2, flags: 0x301, status: { code: 2, message: 'too late' } },
      attributes: {
        text: 'a "b"\n中',
        count: 3,
        share: 0.5,
        isSo: true,
        list: ['x'],
        'error.type': 'upstream_timeout',
      },
      resource: {
        ...{ 'service.name': 'hub', 'service.version': '1.2.3', 'service.instance.id': 'here:1', team: 'a b' },
        'deployment.environment.name': 'prod',
      },
    })
    expect(Object.keys(collector.spans[0]!.attributes)).not.toContain('empty')
    expect(collector.spans[0]!.startNanos).toBe(BigInt(startMs) * 1_000_000n + 250_000n)
    expect(collector.spans[0]!.endNanos).toBe(BigInt(startMs) * 1_000_000n + 2_500_000n)
    expect(collector.requests[0]).toMatchObject({
      path: '/v1/traces',
      headers: { authorization: 'Bearer secret', 'x-scope-orgid': '1', 'user-agent': 'gatehouse/1.2.3' },
    })
  })

  test.each(['/api/public/otel', '/api/public/otel/', '/api/public/otel/v1/traces'])(
    'goes to /v1/traces below the address, as in %s',
    async (path) => {
      const one = await open()
      const { collector, drive, record } = await open({ otlp_url: `${one.collector.url}${path}` })
      record()
      await drive('it has come', () => one.collector.requests.length === 1)
      expect(one.collector.requests[0]!.path).toBe('/api/public/otel/v1/traces')
      expect(collector.requests).toEqual([])
    },
  )

  test('leaves as soon as a batch is full, and in batches of that many at most', async () => {
    const { collector, record, clock } = await open({ batch_max_spans: 4, interval_seconds: 300 })
    record(10)
    await until('two batches are there', () => collector.spans.length === 8)
    expect(collector.requests.map(({ spans }) => spans)).toEqual([4, 4])
    await clock.advance(300_000)
    await until('the rest is there', () => collector.spans.length === 10)
  })

  test('is what was still waiting when the hub ends', async () => {
    const { collector, record, exporter, outcome } = await open({ interval_seconds: 300 })
    record(3)
    await exporter.close()
    expect(collector.spans).toHaveLength(3)
    expect(outcome('sent')).toBe(3)
  })
})

describe('a collector in trouble', () => {
  test.each([429, 502, 503, 504])('that answers %s is asked again, no sooner than it says', async (status) => {
    const refuse = answerWith(status, { 'retry-after': '7' })
    const { times, collector, record, drive, outcome } = await open(
      {},
      { answer: (response, number) => number === 1 && refuse(response) },
    )
    record(2)
    await drive('it has come at last', () => outcome('sent') === 2)
    expect(collector.spans).toHaveLength(2)
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(7000)
    expect(collector.requests).toHaveLength(2)
  })

  test('is asked ever more slowly, and what it never took is counted as failed', async () => {
    const { times, collector, record, drive, outcome, lines } = await open({}, { answer: answerWith(503) })
    record(5)
    await drive('it was given up', () => outcome('failed') === 5)
    const waits = times.slice(1).map((at, i) => at - times[i]!)
    expect(waits).toHaveLength(5)
    for (const [i, wait] of waits.entries()) expect(wait).toBeGreaterThanOrEqual(1000 * 2 ** i)
    expect(collector.spans).toEqual([])
    expect(lines).toEqual(['The collector cannot be given spans, it is tried again'])
  })

  test.each([400, 401, 404, 500])('that answers %s is not asked the same again', async (status) => {
    const refuse = answerWith(status, {}, 'no such tenant')
    const { collector, record, drive, outcome, lines } = await open(
      {},
      { answer: (response, number) => number === 1 && refuse(response) },
    )
    record(2)
    await drive('it was refused', () => outcome('rejected') === 2)
    record(1)
    await drive('the next one has come', () => outcome('sent') === 1)
    expect(collector.spans).toHaveLength(1)
    expect(lines).toEqual([
      'The collector refuses spans, they are dropped: look at tracing.otlp_url and tracing.headers',
      'The collector takes spans again',
    ])
  })

  test('that took a part says how many it rejected', async () => {
    const body = JSON.stringify({ partialSuccess: { rejectedSpans: '2', errorMessage: 'too old' } })
    const { record, drive, outcome } = await open({}, { answer: answerWith(200, {}, body) })
    record(5)
    await drive('it was told', () => outcome('sent') === 3)
    expect(outcome('rejected')).toBe(2)
  })

  test('that is not there costs memory up to a bound, and what is beyond it is counted', async () => {
    const { record, outcome, lines } = await open({ queue_max_mb: 0.1 }, { address: 'http://127.0.0.1:1' })
    record(1000, { attributes: { text: 'x'.repeat(1000) } })
    expect(outcome('overflowed')).toBeGreaterThan(850)
    expect(outcome('overflowed')).toBeLessThan(950)
    expect(lines.filter((line) => line.includes('queue_max_mb'))).toHaveLength(1)
  })

  test('that never answers does not keep the hub from ending', async () => {
    const { record, exporter, outcome } = await open(
      { timeout_seconds: 0.1, interval_seconds: 300 },
      { answer: () => true },
    )
    record(3)
    await exporter.close()
    expect(outcome('failed')).toBe(3)
  })
})

describe('whether a trace is kept', () => {
  const tracerOf = (sampleRatio: number) => createTracer({ sampleRatio, contentBytes: 0, send: () => {} })
  const traceparent = (flags: string) => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`

  test.each([
    ['01', true],
    ['00', false],
  ])('is what its caller has decided, flags %s, whatever the ratio', (flags, isKept) => {
    for (const ratio of [0, 1]) {
      const place = readTrace({ traceparent: traceparent(flags) }, '')
      expect(tracerOf(ratio).admit(place, true)).toBe(isKept)
      expect(place.traceFlags).toBe(flags)
    }
  })

  test('is decided by ratio where it begins, and those behind us are told', () => {
    const tracer = tracerOf(0.25)
    const places = Array.from({ length: 4000 }, () => beginTrace())
    const kept = places.filter((place) => tracer.admit(place, false))
    expect(kept.length).toBeGreaterThan(850)
    expect(kept.length).toBeLessThan(1150)
    for (const place of places) expect(place.traceFlags).toBe(kept.includes(place) ? '01' : '00')
  })

  test('is the same for everybody who keeps this share, and for those who keep more', () => {
    const traceIds = Array.from({ length: 500 }, () => beginTrace().traceId)
    const keptAt = (ratio: number) => traceIds.filter((traceId) => tracerOf(ratio).admit(beginTrace(traceId), false))
    expect(keptAt(0.3)).toEqual(keptAt(0.3))
    expect(keptAt(0.7)).toEqual(expect.arrayContaining(keptAt(0.3)))
    expect(keptAt(1)).toHaveLength(500)
    expect(keptAt(0)).toEqual([])
  })

  test('probes are kept only where a caller asks for it', () => {
    expect(tracerOf(1).admit(beginTrace(), true)).toBe(false)
    expect(tracerOf(1).admit(readTrace({ traceparent: traceparent('01') }, ''), true)).toBe(true)
  })
})

test.each([
  [
    'a=1, b=x%2Cy ,',
    [
      ['a', '1'],
      ['b', 'x,y'],
    ],
  ],
  ['', []],
  ['authorization=Basic cGs6c2s=', [['authorization', 'Basic cGs6c2s=']]],
  ['=1', null],
  ['a', null],
  ['a=%0d%0ax: 1', null],
  ['a=%zz', null],
])('pairs are read as OpenTelemetry writes them: %s', (text, pairs) => {
  expect(readPairs(text)).toEqual(pairs)
})
