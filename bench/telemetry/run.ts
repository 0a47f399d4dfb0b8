/**
 * `node bench/telemetry/run.ts [--series N] [--hours N]`: what samples cost. Feeds a store with rounds of a hub's kind of
 * series, 15 seconds apart on its own clock and as fast as it goes, and asks it what pages and rules ask.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { zstdCompressSync } from 'node:zlib'
import { openChunkFile } from '../../src/platform/chunk-file.ts'
import { labelsOf } from '../../src/telemetry/promql/labels.ts'
import { queryInstant, queryRange } from '../../src/telemetry/promql/query.ts'
import type { Kind } from '../../src/telemetry/store/grains.ts'
import { pack } from '../../src/telemetry/store/pack.ts'
import { createStore } from '../../src/telemetry/store/store.ts'

const everyMs = 15_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs

const { values: options } = parseArgs({
  options: { series: { type: 'string', default: '1000' }, hours: { type: 'string', default: '24' } },
})
const count = Number(options.series)
const rounds = (Number(options.hours) * hourMs) / everyMs

/** One in ten is a gauge of fractions, one in ten a counter of fractions; of the other counters half stand still. */
const series = Array.from({ length: count }, (_, i) => {
  const shape = i % 10 === 0 ? 'gauge' : i % 10 === 1 ? 'sum' : i % 2 === 0 ? 'busy' : 'idle'
  const kind: Kind = shape === 'gauge' ? 'gauge' : 'counter'
  return { labels: labelsOf({ __name__: `metric_${i % 50}`, id: String(i), job: 'bench' }), kind, shape, value: 0 }
})

function draw(): void {
  for (const each of series) {
    if (each.shape === 'gauge') each.value = 1e8 * (1 + 0.1 * Math.random())
    else if (each.shape === 'sum') each.value += Math.random() * 0.2
    else if (each.shape === 'busy') each.value += Math.floor(Math.random() * 20)
  }
}

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const path = join(folder, 'samples.db')
const store = createStore(openChunkFile(path), {
  maxSeries: 100_000,
  maxBytes: 1e11,
  keepMs: [6 * hourMs, 30 * dayMs, 730 * dayMs],
})
const started = Date.UTC(2026, 0, 1)
let cpuMs = 0
let slowestMs = 0
let at = started
for (let round = 0; round < rounds; round++, at += everyMs) {
  draw()
  const before = process.cpuUsage()
  const wall = performance.now()
  store.append(at, series)
  slowestMs = Math.max(slowestMs, performance.now() - wall)
  const { user, system } = process.cpuUsage(before)
  cpuMs += (user + system) / 1000
}
store.settle()
const { usedBytes } = store.stats()
const show = (name: string, value: string) => console.log(`${name.padEnd(44)} ${value}`)
show('series · hours', `${count} · ${options.hours}`)
show(
  'CPU of a round',
  `${(cpuMs / rounds).toFixed(2)} ms, ${((cpuMs / rounds / everyMs) * 100).toFixed(3)} % of a core`,
)
show('slowest round (with packing)', `${slowestMs.toFixed(0)} ms`)
globalThis.gc?.()
const { heapUsed, arrayBuffers } = process.memoryUsage()
show('memory in use, of the whole process', `${((heapUsed + arrayBuffers) / 2 ** 20).toFixed(0)} MiB`)
show('file, in use', `${(usedBytes / 2 ** 20).toFixed(1)} MiB (${(statSync(path).size / 2 ** 20).toFixed(1)} on disk)`)

for (const each of series.slice(0, 4)) {
  const points = { times: [] as number[], columns: [[] as number[]], stale: [] }
  for (let i = 0; i < 120; i++) {
    draw()
    points.times.push(started + i * everyMs)
    points.columns[0]!.push(each.value)
  }
  const bytes = pack(points)
  show(
    `packed: ${each.shape}`,
    `${(bytes.length / 120).toFixed(2)} bytes a sample, ${(zstdCompressSync(bytes).length / 120).toFixed(2)} with zstd on top`,
  )
}

const engine = { source: store, now: () => performance.now() }
const bounds = { maxSamples: 100_000_000, timeoutMs: 60_000 }
function time(name: string, run: () => unknown): void {
  run()
  const begun = performance.now()
  for (let i = 0; i < 5; i++) run()
  show(name, `${((performance.now() - begun) / 5).toFixed(1)} ms`)
}
const now = at - everyMs
time('rule: sum by (job) (rate(metric_2[5m]))', () =>
  queryInstant(engine, 'sum by (job) (rate(metric_2[5m]))', now, bounds),
)
time('rule over all: sum(rate({job="bench"}[5m]))', () =>
  queryInstant(engine, 'sum(rate({job="bench"}[5m]))', now, bounds),
)
const range = (hours: number, stepMs: number) => ({ startMs: now - hours * hourMs, endMs: now, stepMs })
time('page: rate(metric_2[5m]) over 6 h, 360 steps', () =>
  queryRange(engine, 'rate(metric_2[5m])', range(6, 60_000), bounds),
)
time('page: rate(metric_2[5m]) over 24 h, 480 steps', () =>
  queryRange(engine, 'rate(metric_2[5m])', range(24, 180_000), bounds),
)
const begun = performance.now()
store.close()
createStore(openChunkFile(path), { maxSeries: 100_000, maxBytes: 1e11, keepMs: [6 * hourMs, 30 * dayMs, 730 * dayMs] })
show('close and open again', `${(performance.now() - begun).toFixed(0)} ms`)
rmSync(folder, { recursive: true, force: true })
