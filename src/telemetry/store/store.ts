import type { Chunk, ChunkFile, StoredName } from '../../platform/chunk-file.ts'
import { compareLabels, fromPairs, type Labels, labelOf, metricName } from '../promql/labels.ts'
import type { Column, Source, StoredSeries } from '../promql/source.ts'
import type { Matcher } from '../promql/syntax.ts'
import { type Batch, readBatch, writeBatch } from './batch.ts'
import { grains, hours, type Kind, minutes, raw, windowOf } from './grains.ts'
import { type Points, pack } from './pack.ts'
import { addSample, closeBuckets, type Live, readPoints, type Series, wake } from './series.ts'

export type StoreLimits = {
  /** Series that get samples now; a new one beyond them is dropped, and those that are there go on. */
  maxSeries: number
  /** Of the file. The oldest windows go first. */
  maxBytes: number
  /** How long each grain is kept. */
  keepMs: readonly [raw: number, minutes: number, hours: number]
}

export type Incoming = { labels: Labels; kind: Kind; value: number | null }

/** Why samples were not kept, and how many. */
export type Dropped = { series_limit: number; labels: number; order: number }

export type StoreStats = { series: number; known: number; usedBytes: number; oldestAt: number | null }

export type SampleStore = Source & {
  /** Keeps what was sampled at one moment; `value` null ends a series. Throws when the disk refuses: nothing is lost yet. */
  append(at: number, incoming: readonly Incoming[]): Dropped
  /** Packs what is open and clears away what is old. Happens by itself at each half hour. */
  settle(): void
  /** Labels of series that all matchers match and that had a sample from `from` on. */
  find(matchers: readonly Matcher[], from: number): Labels[]
  stats(): StoreStats
  close(): void
}

const maxLabels = 40
const maxLabelBytes = 1024
const dropsAtOnce = 5000
/** Series that no longer get samples are remembered up to this many times as many as may. */
const rememberedFactor = 4
/** An hour's batches, while the disk refuses. */
const maxUnsaved = 240

/** Opens what the file holds; samples that a process left behind in batches are taken up. */
export function createStore(file: ChunkFile, limits: StoreLimits): SampleStore {
  const byKey = new Map<string, Series>()
  const byId = new Map<number, Series>()
  const byName = new Map<string, Set<Series>>()
  let lastId = 0
  let lastSeq = 0
  let latest = 0
  let settledWindow = 0
  let active = 0
  /** Series that the batch at hand brings to life. */
  const waking = new Set<string>()
  /** Samples that are in memory only, because the disk refused. */
  const unsaved: { batches: Batch[]; names: StoredName[] } = { batches: [], names: [] }

  for (const { id, name, kind, lastAt } of file.names()) {
    remember({ id, labels: fromPairs(JSON.parse(name) as string[]), kind: kind as Kind, lastAt, live: null })
    latest = Math.max(latest, lastAt)
  }
  // As they were when the process ended: what was open is closed in its time, also of a series that never comes back.
  for (const series of byId.values()) {
    if (series.lastAt > 0 && series.lastAt >= latest - limits.keepMs[raw]) awaken(series, series.lastAt)
  }
  for (const { seq, bytes } of file.batches()) {
    lastSeq = seq
    take(readBatch(bytes))
  }
  settledWindow = windowOf(raw, latest)

  function remember(series: Series): void {
    byKey.set(series.labels.key, series)
    byId.set(series.id, series)
    lastId = Math.max(lastId, series.id)
    const name = labelOf(series.labels, metricName)
    const others = byName.get(name)
    if (others === undefined) byName.set(name, new Set([series]))
    else others.add(series)
  }

  function take({ at, ids, values, ended }: Batch): void {
    latest = Math.max(latest, at)
    for (const [i, id] of ids.entries()) add(byId.get(id), at, values[i]!)
    for (const id of ended) add(byId.get(id), at, null)
  }

  function add(series: Series | undefined, at: number, value: number | null): void {
    if (series === undefined || at <= series.lastAt) return
    addSample(series, series.live ?? awaken(series, series.lastAt > 0 ? series.lastAt : at), at, value)
  }

  function awaken(series: Series, at: number): Live {
    const live = wake(file, series, at)
    series.live = live
    active++
    return live
  }

  function find({ labels, kind }: Incoming, names: StoredName[], dropped: Dropped): Series | null {
    const known = byKey.get(labels.key)
    if (known !== undefined && known.live !== null) return known
    if (active + waking.size >= limits.maxSeries && !waking.has(labels.key)) {
      dropped.series_limit++
      return null
    }
    if (known !== undefined) {
      waking.add(labels.key)
      return known
    }
    if (!isSound(labels)) {
      dropped.labels++
      return null
    }
    const series = { id: lastId + 1, labels, kind, lastAt: 0, live: null }
    remember(series)
    waking.add(labels.key)
    names.push({ id: series.id, name: JSON.stringify(labels.pairs), kind, lastAt: 0 })
    return series
  }

  function append(at: number, incoming: readonly Incoming[]): Dropped {
    const dropped: Dropped = { series_limit: 0, labels: 0, order: 0 }
    const names: StoredName[] = []
    const [ids, values, ended]: [number[], number[], number[]] = [[], [], []]
    const seen = new Set<number>()
    for (const each of incoming) {
      const series = find(each, names, dropped)
      if (series === null) continue
      const { value } = each
      if (at <= series.lastAt || seen.has(series.id)) {
        dropped.order++
        continue
      }
      seen.add(series.id)
      if (value === null) ended.push(series.id)
      else {
        ids.push(series.id)
        values.push(value)
      }
    }
    const batch = { at, ids: Uint32Array.from(ids), values: Float64Array.from(values), ended: Uint32Array.from(ended) }
    take(batch)
    waking.clear()
    unsaved.batches.push(batch)
    unsaved.names.push(...names)
    // They stay in memory; only a kill could lose them.
    if (unsaved.batches.length > maxUnsaved) unsaved.batches.shift()
    save()
    if (windowOf(raw, latest) > settledWindow) settle()
    return dropped
  }

  function save(): void {
    while (unsaved.batches.length > 0) {
      lastSeq = file.add(writeBatch(unsaved.batches[0]!), unsaved.names)
      unsaved.batches.shift()
      unsaved.names = []
    }
  }

  function settle(): void {
    const chunks: Chunk[] = []
    const lastAt: { id: number; at: number }[] = []
    const done: Series[] = []
    for (const series of byId.values()) {
      const { live } = series
      if (live === null) continue
      closeBuckets(series, live, latest)
      if (!live.isChanged) continue
      done.push(series)
      for (const { grain, window, bytes } of live.sealed) chunks.push({ series: series.id, grain, window, bytes })
      for (const [grain, { window, points }] of live.heads.entries()) {
        if (points.times.length > 0) chunks.push({ series: series.id, grain, window, bytes: pack(points) })
      }
      lastAt.push({ id: series.id, at: series.lastAt })
    }
    file.settle(chunks, lastAt, lastSeq)
    settledWindow = windowOf(raw, latest)
    for (const { live } of done) {
      live!.sealed = []
      live!.isChanged = false
    }
    rest()
    clear()
  }

  /** Series without new samples leave the memory, and the longest silent ones are forgotten when there are too many. */
  function rest(): void {
    for (const series of byId.values()) {
      if (series.live === null || series.lastAt >= latest - limits.keepMs[raw]) continue
      series.live = null
      active--
    }
    const silent = [...byId.values()].filter(({ live }) => live === null).sort((a, b) => a.lastAt - b.lastAt)
    const tooMany = byId.size - limits.maxSeries * rememberedFactor
    const gone = silent.filter(({ lastAt }, i) => i < tooMany || lastAt < latest - limits.keepMs[hours])
    file.forget(gone.map(({ id }) => id))
    for (const series of gone) {
      byKey.delete(series.labels.key)
      byId.delete(series.id)
      byName.get(labelOf(series.labels, metricName))?.delete(series)
    }
  }

  function clear(): void {
    for (const grain of grains.keys()) {
      const before = windowOf(grain, latest - limits.keepMs[grain]!)
      while (file.drop(grain, before, dropsAtOnce) === dropsAtOnce);
    }
    while (file.usedBytes() > limits.maxBytes) {
      // Minutes first: hours say the most for their bytes, and raw samples are few.
      const grain = [minutes, hours, raw].find((each) => file.oldestWindow(each) !== null)
      if (grain === undefined) return
      const { windowMs } = grains[grain]!
      file.drop(grain, file.oldestWindow(grain)! + windowMs, dropsAtOnce)
    }
  }

  /** From when on a grain has samples; what lies before is for the next coarser one. */
  function horizon(grain: number, otherwise: number): number {
    const byAge = windowOf(grain, latest - limits.keepMs[grain]!)
    return Math.max(byAge, file.oldestWindow(grain) ?? otherwise)
  }

  function* candidates(matchers: readonly Matcher[]): Generator<Series> {
    const name = matchers.find((matcher) => matcher.name === metricName && matcher.op === '=')
    for (const series of name === undefined ? byId.values() : (byName.get(name.value) ?? [])) {
      if (matchers.every((matcher) => matcher.matches(labelOf(series.labels, matcher.name)))) yield series
    }
  }

  function select(
    matchers: readonly Matcher[],
    from: number,
    to: number,
    column: Column,
    take: (samples: number) => void,
  ): StoredSeries[] {
    const rawFrom = horizon(raw, 0)
    const minutesFrom = horizon(minutes, rawFrom)
    const hourlyBefore = Math.min(rawFrom, minutesFrom)
    const start = from < hourlyBefore ? from - grains[hours].bucketMs : from
    const parts = [
      { grain: hours, from: start, to: Math.min(to, hourlyBefore - 1) },
      { grain: minutes, from: Math.max(start, minutesFrom), to: Math.min(to, rawFrom - 1) },
      { grain: raw, from: Math.max(start, rawFrom), to },
    ].filter((part) => part.from <= part.to)
    const found: StoredSeries[] = []
    for (const series of candidates(matchers)) {
      if (series.lastAt < start) continue
      const points = parts.flatMap((part) =>
        readPoints(file, series, part.grain, part.from, part.to).map((each) => ({ ...part, points: each })),
      )
      const joined = join(series.labels, points, column, hourlyBefore)
      take(joined.times.length)
      if (joined.times.length > 0) found.push(joined)
    }
    return found.sort((a, b) => compareLabels(a.labels, b.labels))
  }

  return {
    append,
    settle,
    select,
    find: (matchers, from) =>
      Array.from(candidates(matchers))
        .filter(({ lastAt }) => lastAt >= from)
        .map(({ labels }) => labels),
    stats: () => ({
      series: active,
      known: byId.size,
      usedBytes: file.usedBytes(),
      oldestAt: file.oldestWindow(hours) ?? file.oldestWindow(raw),
    }),
    close() {
      settle()
      file.close()
    },
  }
}

type Part = { from: number; to: number; points: Points }

const columnPlaces: Readonly<Record<Column, number>> = { last: 0, min: 1, max: 2, sum: 3 }
const countPlace = 4

function join(labels: Labels, parts: readonly Part[], column: Column, hourlyBefore: number): StoredSeries {
  const times: number[] = []
  const values: number[] = []
  const counts: number[] = []
  const ended: number[] = []
  const isCounted = parts.some(({ points }) => column === 'sum' && points.columns.length > countPlace)
  for (const { from, to, points } of parts) {
    const chosen = points.columns[columnPlaces[column]] ?? points.columns[0]!
    const counted = column === 'sum' ? points.columns[countPlace] : undefined
    let nextEnded = 0
    for (const [i, at] of points.times.entries()) {
      const isEnded = points.stale[nextEnded] === i
      if (isEnded) nextEnded++
      if (at < from || at > to) continue
      if (isEnded) ended.push(times.length)
      times.push(at)
      values.push(chosen[i]!)
      if (isCounted) counts.push(counted?.[i] ?? 1)
    }
  }
  let stale: Uint8Array | null = null
  if (ended.length > 0) {
    stale = new Uint8Array(times.length)
    for (const i of ended) stale[i] = 1
  }
  return {
    labels,
    times: Float64Array.from(times),
    values: Float64Array.from(values),
    counts: isCounted ? Float64Array.from(counts) : null,
    stale,
    hourlyBefore,
  }
}

function isSound({ pairs }: Labels): boolean {
  return pairs.length <= maxLabels * 2 && pairs.every((text) => text.length <= maxLabelBytes)
}
