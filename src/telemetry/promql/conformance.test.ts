import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { providePrometheus, type Service, startPrometheus } from '../../../test/harness/services.ts'
import { openChunkFile } from '../../platform/chunk-file.ts'
import { compress } from '../remote/snappy.ts'
import { encodeWriteRequest } from '../remote/write-request.ts'
import { createStore, type SampleStore } from '../store/store.ts'
import { formatInstant, formatMatrix } from './format.ts'
import { queryInstant, queryRange } from './query.ts'
import { QueryError } from './syntax.ts'
import { endMs, generateExpressions, generateSeries, startMs, stepMs } from './testing-expressions.ts'

const provided = await providePrometheus()
const program = 'service' in provided ? provided.service : ''
const count = Number(process.env.GATEHOUSE_TEST_EXPRESSIONS ?? 1000)

type Answer = { status: string; errorType?: string; error?: string; data?: { resultType: string; result: unknown } }

describe.skipIf(program === '')('the same samples give the same numbers as in Prometheus', () => {
  let prometheus: Service
  let store: SampleStore
  let generation: 2 | 3 = 3
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-promql-'))

  beforeAll(async () => {
    const version = execFileSync(program, ['--version'], { encoding: 'utf8' })
    generation = Number(/version (\d+)\./.exec(version)?.[1]) >= 3 ? 3 : 2
    prometheus = await startPrometheus(program)
    store = createStore(openChunkFile(join(folder, 'telemetry.db')), {
      maxSeries: 10_000,
      maxBytes: 1e9,
      // All of it raw: what becomes of it later has tests of its own.
      keepMs: [365 * 86_400_000, 365 * 86_400_000, 730 * 86_400_000],
    })
    const series = generateSeries()
    const moments = new Set(series.flatMap(({ samples }) => samples.map(({ at }) => at)))
    for (const at of [...moments].sort((a, b) => a - b)) {
      store.append(
        at,
        series.flatMap(({ labels, kind, samples }) =>
          samples.filter((sample) => sample.at === at).map(({ value }) => ({ labels, kind, value })),
        ),
      )
    }
    const body = compress(encodeWriteRequest(series))
    const answer = await fetch(`${prometheus.url}/api/v1/write`, {
      method: 'POST',
      headers: { 'content-encoding': 'snappy', 'content-type': 'application/x-protobuf' },
      body: Buffer.from(body),
    })
    expect(await answer.text()).toBe('')
    expect(answer.status).toBe(204)
  })

  afterAll(async () => {
    await prometheus?.destroy()
    store?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function ask(path: string, parameters: Record<string, string>): Promise<Answer> {
    const answer = await fetch(`${prometheus.url}/api/v1/${path}`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
    })
    return (await answer.json()) as Answer
  }

  function answerOurselves(run: () => string): Answer {
    try {
      return { status: 'success', data: JSON.parse(run()) as Answer['data'] & object }
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      return { status: 'error', errorType: error.type, error: error.message }
    }
  }

  test(`${count} expressions, at one moment and over a range`, async () => {
    const engine = { source: store, now: () => performance.now(), generation }
    const bounds = { maxSamples: 50_000_000, timeoutMs: 30_000 }
    const faults: string[] = []
    for (const [i, text] of generateExpressions(count).entries()) {
      const isRange = i % 2 === 1
      const theirs = isRange
        ? await ask('query_range', {
            query: text,
            start: String(startMs / 1000 + 600),
            end: String(endMs / 1000 + 400),
            step: String(stepMs / 1000),
          })
        : await ask('query', { query: text, time: String((startMs + 2_411_000 + (i % 7) * 61_000) / 1000) })
      const ours = answerOurselves(() =>
        isRange
          ? formatMatrix(
              queryRange(engine, text, { startMs: startMs + 600_000, endMs: endMs + 400_000, stepMs }, bounds),
            )
          : formatInstant(queryInstant(engine, text, startMs + 2_411_000 + (i % 7) * 61_000, bounds)),
      )
      const fault = compare(ours, theirs)
      if (fault !== null) faults.push(`${isRange ? 'range' : 'instant'} ${text}\n    ${fault}`)
    }
    expect(faults.slice(0, 25).join('\n')).toBe('')
  }, 120_000)
})

function compare(ours: Answer, theirs: Answer): string | null {
  if (ours.status !== theirs.status || ours.errorType !== theirs.errorType) {
    return `ours ${ours.status} ${ours.errorType ?? ''} ${ours.error ?? ''} · theirs ${theirs.status} ${theirs.errorType ?? ''} ${theirs.error ?? ''}`
  }
  if (ours.data === undefined || theirs.data === undefined) return null
  if (ours.data.resultType !== theirs.data.resultType) return `${ours.data.resultType} for ${theirs.data.resultType}`
  if (ours.data.resultType === 'scalar' || ours.data.resultType === 'string') {
    return isNear(ours.data.result as Point, theirs.data.result as Point)
      ? null
      : show(ours.data.result, theirs.data.result)
  }
  const [left, right] = [ours.data.result as Row[], theirs.data.result as Row[]].map(byLabels) as [Rows, Rows]
  for (const labels of new Set([...left.keys(), ...right.keys()])) {
    const [a, b] = [left.get(labels), right.get(labels)]
    if (a === undefined || b === undefined) return `${labels} is only in ${a === undefined ? 'theirs' : 'ours'}`
    if (a.length !== b.length) return `${labels} has ${a.length} points for ${b.length}`
    const wrong = a.findIndex((point, i) => !isNear(point, b[i]!))
    if (wrong !== -1) return `${labels}: ${show(a[wrong], b[wrong])}`
  }
  return null
}

type Point = [number, string]
type Row = { metric: Record<string, string>; value?: Point; values?: Point[] }
type Rows = Map<string, Point[]>

function byLabels(rows: Row[]): Rows {
  return new Map(
    rows.map(({ metric, value, values }) => [
      JSON.stringify(Object.entries(metric).sort()),
      values ?? (value === undefined ? [] : [value]),
    ]),
  )
}

function isNear(ours: Point, theirs: Point): boolean {
  if (ours[0] !== theirs[0]) return false
  if (ours[1] === theirs[1]) return true
  const [a, b] = [ours[1], theirs[1]].map((text) => Number(text.replace('Inf', 'Infinity'))) as [number, number]
  // What is left of a cancellation is noise of the order of the last bit of what was cancelled.
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)) || Math.abs(a - b) < 1e-10
}

function show(ours: unknown, theirs: unknown): string {
  return `ours ${JSON.stringify(ours)} · theirs ${JSON.stringify(theirs)}`
}
