import { describe, expect, test } from 'vitest'
import { labelsOf, toRecord } from './labels.ts'
import { parse } from './parse.ts'
import { type Engine, queryInstant, queryRange } from './query.ts'
import type { Source, StoredSeries } from './source.ts'
import { QueryError } from './syntax.ts'

const bounds = { maxSamples: 1_000_000, timeoutMs: 10_000 }

/** Series whose samples stand at the given moments, in seconds. */
function sourceOf(series: Record<string, readonly (readonly [seconds: number, value: number])[]>): Source {
  const stored: StoredSeries[] = Object.entries(series).map(([name, samples]) => ({
    labels: labelsOf({ __name__: name }),
    times: Float64Array.from(samples, ([seconds]) => seconds * 1000),
    values: Float64Array.from(samples, ([, value]) => value),
    ...{ stale: null, counts: null, hourlyBefore: Number.NEGATIVE_INFINITY },
  }))
  return {
    select: (matchers) =>
      stored.filter(({ labels }) => matchers.every((m) => m.matches(toRecord(labels)[m.name] ?? ''))),
  }
}

function engineOf(series: Parameters<typeof sourceOf>[0], more: Partial<Engine> = {}): Engine {
  return { source: sourceOf(series), now: () => 0, ...more }
}

const ramp = Array.from({ length: 61 }, (_, i) => [i * 10, i * 10] as const)

function refusal(run: () => unknown): { type: string; message: string } {
  try {
    run()
  } catch (error) {
    if (error instanceof QueryError) return { type: error.type, message: error.message }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('what cannot be answered is refused by name and place', () => {
  test.each([
    ['sum(', '1:5: parse error: unexpected end of input'],
    ['1 +\n  foo(x)', '2:3: parse error: unknown function with name "foo"'],
    ['up and limitk(1, up)', '1:8: parse error: the aggregation limitk is not supported here'],
    ['sort_by_label(up, "a")', '1:1: parse error: the function sort_by_label is not supported here'],
    ['rate(up[5m] anchored)', '1:6: parse error: the modifier anchored is not supported here'],
    ['rate(up[5m * 2])', '1:9: parse error: arithmetic in durations is not supported here'],
    ['up + fill(1) down', '1:6: parse error: fill modifiers are not supported here'],
    ['up{job=~"a(?=b)"}', '1:9: parse error: error parsing regexp: invalid or unsupported Perl syntax: (?=a'],
    ['rate(up)', '1:6: parse error: expected type range vector in call to function "rate", got instant vector'],
    ['{job=~".*"}', '1:1: parse error: vector selector must contain at least one non-empty matcher'],
    [`${'('.repeat(200)}1${')'.repeat(200)}`, '1:101: parse error: the expression nests deeper than 100'],
    [Array(2000).fill('1').join('+'), 'the expression has more than 1000 operators'],
    ['a'.repeat(20_000), 'the expression is longer than 16384 characters'],
  ])('%.40s', (text, message) => {
    const seen = refusal(() => parse(text))
    expect(seen.type).toBe('bad_data')
    expect(seen.message.replace('(?=b', '(?=a')).toBe(message)
  })
})

describe('a query is bounded', () => {
  test('in its steps', () => {
    const range = { startMs: 0, endMs: 11_001_000, stepMs: 1000 }
    expect(refusal(() => queryRange(engineOf({}), '1', range, bounds))).toMatchObject({
      type: 'bad_data',
      message: expect.stringContaining('exceeded maximum resolution of 11,000 points'),
    })
    expect(queryRange(engineOf({}), '1', { ...range, endMs: 11_000_000 }, bounds)[0]!.times).toHaveLength(11_001)
  })

  test('in its samples, also those of a subquery within a subquery', () => {
    const tight = { ...bounds, maxSamples: 5000 }
    const engine = engineOf({ up: ramp })
    expect(queryInstant(engine, 'sum_over_time(up[10m])', 600_000, tight).type).toBe('vector')
    for (const text of ['sum_over_time(up[10m:1ms])', 'max_over_time(max_over_time(up[10m:1s])[10m:1s])']) {
      expect(refusal(() => queryInstant(engine, text, 600_000, tight))).toMatchObject({ type: 'execution' })
    }
  })

  test('in its time, however it spends it', () => {
    let now = 0
    const engine = engineOf({ up: ramp }, { now: () => (now += 50) })
    const text = 'max_over_time(sum(up + up * up)[10m:1s])'
    expect(refusal(() => queryInstant(engine, text, 600_000, { ...bounds, timeoutMs: 100 }))).toEqual({
      type: 'timeout',
      message: 'query timed out after 0.1 s',
    })
  })
})

describe('by the rules of Prometheus 3', () => {
  const at = 600_000
  const valueAt = (text: string, generation?: 2 | 3) => {
    const result = queryInstant(
      engineOf({ up: ramp }, generation === undefined ? {} : { generation }),
      text,
      at,
      bounds,
    )
    return result.type === 'vector' ? result.series[0]?.value : undefined
  }

  test('the left end of a range is not in it', () => {
    expect(valueAt('count_over_time(up[1m])')).toBe(6)
    expect(valueAt('count_over_time(up[1m])', 2)).toBe(7)
    expect(valueAt('count_over_time(up[1m:10s])')).toBe(6)
    expect(valueAt('count_over_time(up[1m:10s])', 2)).toBe(7)
  })

  test('a sample as old as the look-back is too old', () => {
    const engine = (generation: 2 | 3) => engineOf({ up: [[0, 1]] }, { generation })
    const found = (generation: 2 | 3) => queryInstant(engine(generation), 'up', 300_000, bounds)
    expect(found(3)).toMatchObject({ series: [] })
    expect(found(2)).toMatchObject({ series: [{ value: 1 }] })
  })

  test('a counter that begins near zero is extrapolated by half an interval at most', () => {
    const samples = [
      [100, 1],
      [110, 101],
      [120, 201],
    ] as const
    const of = (generation: 2 | 3) =>
      queryInstant(engineOf({ up: samples }, { generation }), 'increase(up[2m])', 120_000, bounds)
    expect(of(3)).toMatchObject({ series: [{ value: expect.closeTo(201, 9) }] })
    expect(of(2)).toMatchObject({ series: [{ value: expect.closeTo(201, 9) }] })
    const higher = samples.map(([seconds, value]) => [seconds, value + 69] as const)
    const two = queryInstant(engineOf({ up: higher }, { generation: 2 }), 'increase(up[2m])', 120_000, bounds)
    const three = queryInstant(engineOf({ up: higher }), 'increase(up[2m])', 120_000, bounds)
    expect(two).toMatchObject({ series: [{ value: expect.closeTo(270, 9) }] })
    expect(three).toMatchObject({ series: [{ value: expect.closeTo(250, 9) }] })
  })

  test('durations are numbers of seconds, and numbers durations', () => {
    expect(queryInstant(engineOf({}), '1h30m', at, bounds)).toMatchObject({ type: 'scalar', value: 5400 })
    expect(valueAt('count_over_time(up[60])')).toBe(6)
  })

  test('an operand takes its own offset, not what stands before it', () => {
    expect(valueAt('up + up offset 1m * 2')).toBe(600 + 540 * 2)
    expect(valueAt('-up offset 1m')).toBe(-540)
    expect(valueAt('up - up @ 300 ^ 1')).toBe(300)
  })

  test('the median distance from the median', () => {
    expect(valueAt('mad_over_time(up[50s])')).toBe(10)
  })
})
