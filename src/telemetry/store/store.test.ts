import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openChunkFile } from '../../platform/chunk-file.ts'
import { labelsOf } from '../promql/labels.ts'
import { createMatcher } from '../promql/parse.ts'
import type { Column } from '../promql/source.ts'
import { type Kind, push } from './grains.ts'
import { createPoints, pack, unpack } from './pack.ts'
import { createStore, type SampleStore, type StoreLimits } from './store.ts'

const minuteMs = 60_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const start = Date.UTC(2026, 2, 1)
const keepAll: StoreLimits = { maxSeries: 1000, maxBytes: 1e9, keepMs: [6 * hourMs, 30 * dayMs, 730 * dayMs] }

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-samples-'))
  path = join(folder, 'samples.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function open(limits = keepAll): SampleStore {
  return createStore(openChunkFile(path), limits)
}

function read(store: SampleStore, name: string, from: number, to: number, column: Column = 'last') {
  return store.select([createMatcher('__name__', '=', name)], from, to, column, () => {})[0] ?? null
}

function valuesIn(store: SampleStore, name: string, from: number, to: number, column: Column = 'last'): number[] {
  return Array.from(read(store, name, from, to, column)?.values ?? [])
}

type Taken = { at: number; value: number | null }

/** Samples some seconds apart, with gaps; a counter that now and then begins anew, and ends now and then. */
function takenSamples(kind: Kind): fc.Arbitrary<Taken[]> {
  const step = fc.record({
    afterMs: fc.oneof(
      { weight: 20, arbitrary: fc.constant(15_000) },
      { weight: 4, arbitrary: fc.integer({ min: 1000, max: 40_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: minuteMs, max: 3 * hourMs }) },
    ),
    change:
      kind === 'gauge'
        ? fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }))
        : fc.integer({ min: 0, max: 50 }),
    fate: fc.oneof(
      { weight: 20, arbitrary: fc.constant('goes on' as const) },
      { weight: 3, arbitrary: fc.constant('begins anew' as const) },
      { weight: 1, arbitrary: fc.constant('ends' as const) },
    ),
  })
  return fc.array(step, { minLength: 50, maxLength: 600 }).map((steps) => {
    let at = start
    let value = 0
    return steps.map(({ afterMs, change, fate }) => {
      at += afterMs
      if (fate === 'ends') return { at, value: null }
      value = kind === 'gauge' ? change : fate === 'begins anew' ? change : value + change
      return { at, value }
    })
  })
}

function fill(store: SampleStore, kind: Kind, taken: readonly Taken[]): void {
  const labels = labelsOf({ __name__: 'it' })
  for (const { at, value } of taken) {
    expect(store.append(at, [{ labels, kind, value }])).toEqual({ series_limit: 0, labels: 0, order: 0 })
  }
}

/** Makes everything so far old enough that a coarser grain answers. */
function age(store: SampleStore, byMs: number): void {
  const labels = labelsOf({ __name__: 'later' })
  store.append(start + 60 * dayMs + byMs, [{ labels, kind: 'gauge', value: 1 }])
  store.settle()
}

function growth(values: readonly number[]): number {
  return values.slice(1).reduce((sum, value, i) => sum + (value < values[i]! ? value : value - values[i]!), 0)
}

test('whatever is packed comes out as it was', () => {
  const value = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -0, Number.NaN, 2 ** 53, 5e-324))
  const points = fc
    .array(
      fc.record({ afterMs: fc.integer({ min: 1, max: 1e9 }), values: fc.tuple(value, value), isEnd: fc.boolean() }),
    )
    .map((rows) => {
      const made = createPoints(2)
      let at = start
      for (const { afterMs, values, isEnd } of rows) {
        at += afterMs
        if (isEnd) made.stale.push(made.times.length)
        push(made, at, values)
      }
      return made
    })
  fc.assert(
    fc.property(points, (made) => {
      expect(unpack(pack(made))).toEqual(made)
    }),
  )
})

test('bytes that were not packed are refused, not believed', () => {
  const bytes = pack({ times: [1, 2, 3], columns: [[1.5, 2.5, 3.5]], stale: [1] })
  for (let length = 0; length < bytes.length; length++) expect(() => unpack(bytes.subarray(0, length))).toThrow()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
      try {
        unpack(noise)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }),
  )
})

describe('what is down-sampled', () => {
  test('a counter grows by as much as its raw samples say, resets and all', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(takenSamples('counter'), (taken) => {
        rmSync(path, { force: true })
        const store = open()
        fill(store, 'counter', taken)
        age(store, -31 * dayMs)
        const to = taken.at(-1)!.at
        const values = taken.flatMap(({ value }) => (value === null ? [] : [value]))
        const kept = read(store, 'it', start, to + hourMs)!
        const coarse = Array.from(kept.values).filter((_, i) => kept.stale?.[i] !== 1)
        expect(growth(coarse)).toBe(growth(values.slice(values.indexOf(coarse[0]!))))
        // Each minute by itself too, as far as its edges are samples.
        const resets = values.filter((value, i) => i > 0 && value < values[i - 1]!).length
        expect(coarse.filter((value, i) => i > 0 && value < coarse[i - 1]!).length).toBe(resets)
        store.close()
      }),
      { numRuns: 25 },
    )
  })

  test('a gauge has the least, the greatest, the sum and the number of its raw samples', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(takenSamples('gauge'), fc.constantFrom(minuteMs, hourMs), (taken, bucketMs) => {
        rmSync(path, { force: true })
        const store = open()
        fill(store, 'gauge', taken)
        age(store, bucketMs === minuteMs ? -31 * dayMs : 0)
        const buckets = Map.groupBy(
          taken.filter(({ value }) => value !== null),
          ({ at }) => Math.floor(at / bucketMs),
        )
        const to = taken.at(-1)!.at + hourMs
        for (const [column, combine] of Object.entries({
          last: (values: number[]) => values.at(-1)!,
          min: (values: number[]) => Math.min(...values),
          max: (values: number[]) => Math.max(...values),
          sum: (values: number[]) => values.reduce((sum, value) => sum + value, 0),
        })) {
          const kept = read(store, 'it', start, to, column as Column)!
          const values = Array.from(kept.values).filter((_, i) => kept.stale?.[i] !== 1)
          expect(values).toEqual([...buckets.values()].map((members) => combine(members.map(({ value }) => value!))))
          if (column === 'sum') {
            const counts = Array.from(kept.counts!).filter((_, i) => kept.stale?.[i] !== 1)
            expect(counts).toEqual([...buckets.values()].map((members) => members.length))
          }
        }
        store.close()
      }),
      { numRuns: 20 },
    )
  })

  test('restarts, clean or by a kill, change nothing of it', { timeout: 60_000 }, () => {
    const cuts = fc.array(fc.record({ at: fc.integer({ min: 1, max: 599 }), isKill: fc.boolean() }), { maxLength: 6 })
    fc.assert(
      fc.property(takenSamples('gauge'), takenSamples('counter'), cuts, (gauge, counter, places) => {
        const results = [[], places].map((breaks) => {
          rmSync(path, { force: true })
          rmSync(`${path}-wal`, { force: true })
          return [gauge, counter].map((taken, i) => {
            rmSync(path, { force: true })
            const kind = i === 0 ? 'gauge' : 'counter'
            let store = open()
            let from = 0
            for (const { at, isKill } of breaks.toSorted((a, b) => a.at - b.at)) {
              fill(store, kind, taken.slice(from, at))
              from = Math.max(from, at)
              // A store that is merely left behind has written what a killed one has.
              if (!isKill) store.close()
              store = open()
            }
            fill(store, kind, taken.slice(from))
            const fresh = valuesIn(store, 'it', start, start + 60 * dayMs)
            age(store, -31 * dayMs)
            const minutes = valuesIn(store, 'it', start, start + 60 * dayMs, 'sum')
            age(store, 0)
            const hours = valuesIn(store, 'it', start, start + 60 * dayMs, 'max')
            store.close()
            return { fresh, minutes, hours }
          })
        })
        expect(results[1]).toEqual(results[0])
      }),
      { numRuns: 15 },
    )
  })

  test('grains follow each other without a gap or an overlap', () => {
    const store = open({ ...keepAll, keepMs: [hourMs, 6 * hourMs, 30 * dayMs] })
    const labels = labelsOf({ __name__: 'it' })
    const until = start + 2 * dayMs
    for (let at = start; at < until; at += 15_000) {
      store.append(at, [{ labels, kind: 'counter', value: (at - start) / 1000 }])
    }
    const { times, values } = read(store, 'it', start, until)!
    // The first sample of a counter stays, because nobody knows what was before it.
    expect(times[0]).toBe(start)
    const gaps = Array.from(times, (at, i) => at - (times[i - 1] ?? at)).slice(2)
    expect(new Set(gaps)).toEqual(new Set([hourMs, minuteMs, 15_000]))
    expect(Array.from(values)).toEqual(Array.from(times, (at) => (at - start) / 1000))
    expect(gaps).toEqual(gaps.toSorted((a, b) => b - a))
    store.close()
  })

  test('the end of a series is kept', () => {
    const store = open()
    const labels = labelsOf({ __name__: 'it' })
    for (const [i, value] of [1, 2, null].entries()) {
      store.append(start + i * 15_000, [{ labels, kind: 'gauge', value }])
    }
    age(store, -31 * dayMs)
    const { stale, times } = read(store, 'it', start, start + hourMs)!
    expect([Array.from(stale!), Array.from(times)]).toEqual([
      [0, 1],
      [start + 15_000, start + 30_000],
    ])
    store.close()
  })
})

describe('limits', () => {
  const gauge = (name: string, record: Record<string, string> = {}) => ({
    ...{ labels: labelsOf({ __name__: name, ...record }), kind: 'gauge' as const, value: 1 },
  })

  test('a bomb of labels is cut; series that were there go on', () => {
    const store = open({ ...keepAll, maxSeries: 100 })
    store.append(start, [gauge('old')])
    const bomb = Array.from({ length: 5000 }, (_, i) => gauge('bomb', { user: `user-${i}` }))
    expect(store.append(start + 15_000, bomb).series_limit).toBe(4901)
    expect(store.append(start + 30_000, [...bomb.slice(-50), gauge('old')])).toMatchObject({ series_limit: 50 })
    expect(store.stats()).toMatchObject({ series: 100, known: 100 })
    expect(valuesIn(store, 'old', start, start + hourMs)).toHaveLength(2)
    store.close()
  })

  test('series that end make room, and the longest silent are forgotten first', () => {
    const store = open({ ...keepAll, maxSeries: 10 })
    for (let day = 0; day < 8; day++) {
      const batch = Array.from({ length: 10 }, (_, i) => gauge('daily', { day: String(day), i: String(i) }))
      expect(store.append(start + day * dayMs, batch)).toMatchObject({
        series_limit: day === 0 ? 0 : expect.any(Number),
      })
      store.append(start + day * dayMs + 7 * hourMs, [gauge('tick')])
      store.settle()
    }
    expect(store.stats().known).toBeLessThanOrEqual(41)
    const days = store.find([createMatcher('__name__', '=', 'daily')], 0).map(({ pairs }) => pairs[3])
    expect(days).toContain('7')
    expect(days).not.toContain('0')
    store.close()
  })

  test('labels that are too long or too many are refused', () => {
    const store = open()
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`label_${i}`, 'x']))
    expect(store.append(start, [gauge('a', { x: 'y'.repeat(2000) }), gauge('b', many), gauge('c')]).labels).toBe(2)
    expect(store.stats().known).toBe(1)
    store.close()
  })

  test('a sample that is not later than the one before is not kept', () => {
    const store = open()
    store.append(start, [gauge('a')])
    expect(store.append(start, [gauge('a')]).order).toBe(1)
    expect(store.append(start - 1, [gauge('a')]).order).toBe(1)
    expect(store.append(start + 1, [gauge('a'), gauge('a')]).order).toBe(1)
    expect(valuesIn(store, 'a', 0, start + hourMs)).toEqual([1, 1])
    store.close()
  })

  test('the file stays below its size, and the newest samples are those that stay', () => {
    const maxBytes = 400_000
    const store = open({ ...keepAll, maxBytes })
    const series = Array.from({ length: 20 }, (_, i) => labelsOf({ __name__: 'it', i: String(i) }))
    let at = start
    for (; at < start + 3 * dayMs; at += minuteMs) {
      store.append(
        at,
        series.map((labels, i) => ({ labels, kind: 'gauge' as const, value: Math.sin(at * (i + 1)) })),
      )
    }
    store.settle()
    expect(store.stats().usedBytes).toBeLessThanOrEqual(maxBytes)
    expect(read(store, 'it', at - hourMs, at)!.times.length).toBeGreaterThan(50)
    store.close()
  })

  test('what a disk refuses is written when it works again', () => {
    const file = openChunkFile(path)
    let isFull = false
    const refuse = () => {
      if (isFull) throw new Error('database or disk is full')
    }
    const store = createStore(
      {
        ...file,
        add: (...args) => {
          refuse()
          return file.add(...args)
        },
        settle: (...args) => {
          refuse()
          file.settle(...args)
        },
      },
      keepAll,
    )
    store.append(start, [gauge('a')])
    isFull = true
    // Over the end of a window too, which would be packed now.
    for (let i = 1; i < 200; i++) {
      expect(() => store.append(start + i * 15_000, [gauge('a'), gauge('new')])).toThrow('full')
    }
    expect(valuesIn(store, 'a', start, start + hourMs)).toHaveLength(200)
    isFull = false
    store.append(start + 200 * 15_000, [gauge('a')])
    file.close()
    const after = open()
    expect(valuesIn(after, 'a', start, start + hourMs)).toHaveLength(201)
    expect(valuesIn(after, 'new', start, start + hourMs)).toHaveLength(199)
    after.close()
  })

  test('a file that is no database is moved aside and told', () => {
    writeFileSync(path, 'this is no database, it is a text '.repeat(500))
    let moved = ''
    const store = createStore(
      openChunkFile(path, (to) => {
        moved = to
      }),
      keepAll,
    )
    store.append(start, [gauge('a')])
    store.close()
    expect(moved).toContain('samples.db.damaged-')
    expect(readdirSync(folder).filter((name) => name.includes('damaged'))).toHaveLength(1)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(valuesIn(open(), 'a', start, start + 1)).toEqual([1])
  })
})
