import { spawnSync } from 'node:child_process'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { createMetrics, durationBuckets } from './metrics.ts'
import { createLoopLag, watchProcess } from './process-metrics.ts'

/** Each sample line as `name{labels}` → value; fails on a line that is not of the format. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || /^# (HELP|TYPE) [a-z_]+ \S/.test(line)) continue
    const match = /^([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})?) (\S+)$/.exec(line)
    if (match === null) throw new Error(`not the exposition format: ${line}`)
    expect(samples.has(match[1]!), `${match[1]} twice`).toBe(false)
    samples.set(match[1]!, match[2] === 'NaN' ? Number.NaN : Number(match[2]))
  }
  return samples
}

async function render(metrics: ReturnType<typeof createMetrics>) {
  return parse((await metrics.render()).text)
}

test('counters, gauges and histograms are rendered as Prometheus reads them', async () => {
  const metrics = createMetrics()
  const requests = metrics.counter('gatehouse_gateway_requests_total', 'Requests.', ['status'])
  requests.with({ status: '200' }).inc()
  requests.with({ status: '200' }).inc(2)
  requests.with({ status: '502' }).inc()
  const streams = metrics.gauge('gatehouse_gateway_streams', 'Open streams.').with({})
  streams.inc()
  streams.inc()
  streams.dec()
  const latency = metrics
    .histogram('gatehouse_gateway_latency_seconds', 'Latency.', ['kind'], [0.1, 1])
    .with({ kind: 'chat' })
  for (const seconds of [0.1, 0.5, 2]) latency.observe(seconds)
  const { contentType } = await metrics.render()
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(Object.fromEntries(await render(metrics))).toEqual({
    'gatehouse_gateway_requests_total{status="200"}': 3,
    'gatehouse_gateway_requests_total{status="502"}': 1,
    gatehouse_gateway_streams: 1,
    'gatehouse_gateway_latency_seconds_bucket{kind="chat",le="0.1"}': 1,
    'gatehouse_gateway_latency_seconds_bucket{kind="chat",le="1"}': 2,
    'gatehouse_gateway_latency_seconds_bucket{kind="chat",le="+Inf"}': 3,
    'gatehouse_gateway_latency_seconds_sum{kind="chat"}': 2.6,
    'gatehouse_gateway_latency_seconds_count{kind="chat"}': 3,
  })
})

test('label values from outside cannot break the format', async () => {
  const metrics = createMetrics()
  metrics.counter('gatehouse_x_total', 'X.', ['model']).with({ model: 'a"} 1\n# evil \\ {' }).inc()
  expect([...(await render(metrics)).values()]).toEqual([1])
})

test('the same labels are the same series', async () => {
  const metrics = createMetrics()
  const family = metrics.counter('gatehouse_x_total', 'X.', ['a', 'b'])
  expect(family.with({ a: '1', b: '2' })).toBe(family.with({ b: '2', a: '1' }))
  expect(family.with({ a: '1', b: '2' })).not.toBe(family.with({ a: '2', b: '1' }))
})

test('a series that is ended is rendered no more, gives its place to another, and begins anew when it comes back', async () => {
  const metrics = createMetrics({ maxSeries: 2 })
  const state = metrics.gauge('gatehouse_check_state', 'State.', ['check', 'name'])
  state.with({ check: 'chk_a', name: 'A' }).set(1)
  state.with({ check: 'chk_b', name: 'B' }).set(1)
  state.remove({ check: 'chk_a' })
  state.with({ check: 'chk_c', name: 'C' }).set(1)
  expect([...(await render(metrics)).keys()].filter((each) => each.includes('check_state'))).toEqual([
    'gatehouse_check_state{check="chk_b",name="B"}',
    'gatehouse_check_state{check="chk_c",name="C"}',
  ])
  state.remove({ check: 'chk_b' })
  state.with({ check: 'chk_a', name: 'A' }).inc()
  const { samples } = metrics.collect().find(({ name }) => name === 'gatehouse_check_state')!
  expect(samples.map(({ labels, value }) => [labels.check, value])).toEqual([
    ['chk_c', 1],
    ['chk_a', 1],
  ])
})

test('beyond the limit of series the rest is counted together, and said', async () => {
  const metrics = createMetrics({ maxSeries: 3 })
  const family = metrics.counter('gatehouse_x_total', 'X.', ['model'])
  for (let i = 0; i < 10; i++) family.with({ model: `m${i}` }).inc()
  family.with({ model: 'm0' }).inc()
  const samples = await render(metrics)
  expect(samples.get('gatehouse_x_total{model="m0"}')).toBe(2)
  expect(samples.get('gatehouse_x_total{model="other"}')).toBe(7)
  expect(samples.get('gatehouse_metrics_overflow_total{metric="gatehouse_x_total"}')).toBe(7)
  expect([...samples.keys()].filter((key) => key.startsWith('gatehouse_x_total'))).toHaveLength(4)
})

test('a rendering serves everybody for a second', async () => {
  const clock = createManualClock()
  const metrics = createMetrics({ clock })
  const series = metrics.counter('gatehouse_x_total', 'X.').with({})
  let fills = 0
  metrics.beforeRender(() => fills++)
  await metrics.render()
  series.inc()
  await clock.advance(999)
  expect((await render(metrics)).get('gatehouse_x_total')).toBe(0)
  await clock.advance(1)
  expect((await render(metrics)).get('gatehouse_x_total')).toBe(1)
  expect(fills).toBe(2)
})

describe('a name is refused', () => {
  test.each([
    ['without our prefix', 'requests_total', 'X.', []],
    ['as a counter without _total', 'gatehouse_requests', 'X.', []],
    ['with capitals', 'gatehouse_Requests_total', 'X.', []],
    ['without help', 'gatehouse_requests_total', '', []],
    ['with a label Prometheus needs itself', 'gatehouse_requests_total', 'X.', ['le']],
  ])('%s', (_why, name, help, labels) => {
    expect(() => createMetrics().counter(name, help, labels)).toThrow(name)
  })

  test('when a gauge takes a counter’s ending', () => {
    expect(() => createMetrics().gauge('gatehouse_requests_total', 'X.')).toThrow('gatehouse_requests_total')
  })

  test('when it is taken', () => {
    const metrics = createMetrics()
    metrics.counter('gatehouse_x_total', 'X.')
    expect(() => metrics.counter('gatehouse_x_total', 'X.')).toThrow('already')
  })
})

describe('this process', () => {
  function watch() {
    const metrics = createMetrics()
    const watching = watchProcess(metrics, '1.2.3')
    onTestFinished(() => watching.close())
    return metrics
  }

  test('tells its version, CPU, memory, files, loop and collections', async () => {
    const samples = await render(watch())
    expect(samples.get(`gatehouse_build_info{version="1.2.3",node="${process.versions.node}"}`)).toBe(1)
    expect(samples.get('gatehouse_process_cpu_seconds_total{mode="user"}')).toBeGreaterThan(0)
    expect(samples.get('gatehouse_process_resident_memory_bytes')).toBeGreaterThan(1e6)
    expect(samples.get('gatehouse_process_heap_bytes{kind="used"}')).toBeGreaterThan(1e5)
    expect(samples.get('gatehouse_process_open_fds')).toBeGreaterThan(2)
    for (const at of ['p50', 'p99', 'max'])
      expect(samples.has(`gatehouse_event_loop_lag_seconds{at="${at}"}`)).toBe(true)
    expect(samples.has('gatehouse_gc_pause_seconds_count{kind="minor"}')).toBe(true)
  })

  test('a blocked event loop shows as lag', async () => {
    const lag = createLoopLag()
    onTestFinished(() => lag.close())
    await new Promise((resolve) => setTimeout(resolve, 30))
    const end = performance.now() + 60
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(lag.read().maxMs).toBeGreaterThan(40)
  })

  // Where Prometheus' own tool is at hand it has the last word.
  if (spawnSync('promtool', ['--version']).status === 0) {
    test('passes promtool check metrics', async () => {
      const metrics = watch()
      metrics.histogram('gatehouse_x_seconds', 'X.', ['a'], durationBuckets).with({ a: 'b' }).observe(1)
      const { text } = await metrics.render()
      const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
      expect(checked.stdout + checked.stderr).toBe('')
      expect(checked.status).toBe(0)
    })
  }
})

test('readings of others stand until the next ones; nothing takes them back, and what is no number is left out', async () => {
  const clock = createManualClock()
  const metrics = createMetrics({ clock, maxSeries: 3 })
  const level = metrics.readings('gauge', 'gatehouse_x_level', 'Level.', ['tank'])
  const of = (values: Record<string, number>) =>
    Object.entries(values).map(([tank, value]) => ({ labels: { tank }, value }))
  const read = async () => {
    await clock.advance(1000)
    const all = await render(metrics)
    return Object.fromEntries([...all].filter(([name]) => name.startsWith('gatehouse_x_level')))
  }
  level.replace('one', of({ a: 1, b: Number.NaN }))
  level.replace('two', of({ c: 3 }))
  expect(await read()).toEqual({ 'gatehouse_x_level{tank="a"}': 1, 'gatehouse_x_level{tank="c"}': 3 })
  const [before] = metrics.collect().find(({ name }) => name === 'gatehouse_x_level')!.samples
  level.replace('one', of({ a: 2 }))
  expect(metrics.collect().find(({ name }) => name === 'gatehouse_x_level')!.samples[0]).toBe(before)
  level.replace('two', [])
  expect(await read()).toEqual({ 'gatehouse_x_level{tank="a"}': 2 })
  level.replace('two', of({ c: 1, d: 1, e: 1 }))
  expect(Object.keys(await read())).toHaveLength(3)
  expect((await render(metrics)).get('gatehouse_metrics_overflow_total{metric="gatehouse_x_level"}')).toBe(1)
})
