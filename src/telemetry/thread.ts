/**
 * The thread that owns the samples: it keeps them, and it answers queries, so that neither a packed file nor a heavy
 * expression holds up the event loop that serves callers. Samples that come while a query runs are taken in between.
 */
import { type ChunkFile, openChunkFile } from '../platform/chunk-file.ts'
import { answerCalls, threadData } from '../platform/thread.ts'
import { formatInstant, formatLabels, formatMatrix } from './promql/format.ts'
import { fromPairs, type Labels } from './promql/labels.ts'
import { parse } from './promql/parse.ts'
import { type Bounds, type Engine, queryInstant, queryRange } from './promql/query.ts'
import { type Matcher, QueryError } from './promql/syntax.ts'
import { compress } from './remote/snappy.ts'
import { encodeWriteRequest } from './remote/write-request.ts'
import type { Kind } from './store/grains.ts'
import {
  createStore,
  type Dropped,
  type Incoming,
  type SampleStore,
  type StoreLimits,
  type StoreStats,
} from './store/store.ts'

export type ThreadData = { file: string; limits: StoreLimits }

export type Scrape = {
  at: number
  /** Series that have no number yet, with the number they get. */
  added: readonly { ref: number; pairs: readonly string[]; kind: Kind }[]
  refs: Uint32Array
  values: Float64Array
  /** Whether the samples shall come back for remote write. */
  isSent: boolean
}

export type Appended = {
  at: number
  samples: readonly { pairs: readonly string[]; kind: Kind; value: number | null }[]
  isSent: boolean
}

export type Kept = { dropped: Dropped; stats: StoreStats; bodies: { samples: number; bytes: Uint8Array }[] }

export type InstantQuery = { text: string; atMs: number; limit: number } & Bounds
export type RangeQuery = { text: string; startMs: number; endMs: number; stepMs: number; limit: number } & Bounds
export type NamesQuery = { matches: readonly string[]; fromMs: number; limit: number }

const samplesPerBody = 2000

let file: ChunkFile | undefined
let store: SampleStore | undefined

function createVerbs(breathe: () => void) {
  const byRef: Incoming[] = []
  /** What the round before had: what is not in the next one has ended. */
  let round = new Map<string, Incoming>()
  const opened = (): SampleStore => {
    if (store === undefined) throw new Error('the store of samples is not open')
    return store
  }
  const engine = (): Engine => ({ source: opened(), now: () => performance.now(), breathe })
  // A time-out counts from when the question was asked.
  const inTime = <T extends Bounds>(bounds: T, waitedMs: number): T => {
    const left = bounds.timeoutMs - waitedMs
    if (left <= 0) throw new QueryError('timeout', 'query timed out while it waited for its turn')
    return { ...bounds, timeoutMs: left }
  }

  return {
    /** The place a damaged file was moved to; null when all is well. */
    open(): string | null {
      let damaged: string | null = null
      const { file: path, limits } = threadData<ThreadData>()
      file = openChunkFile(path, (movedTo) => {
        damaged = movedTo
      })
      store = createStore(file, limits)
      return damaged
    },
    scrape({ at, added, refs, values, isSent }: Scrape): Kept {
      // Whoever counts from the start again has forgotten the numbers before.
      if (added[0]?.ref === 0) byRef.length = 0
      for (const { ref, pairs, kind } of added) byRef[ref] = { labels: fromPairs(pairs), kind, value: 0 }
      const incoming: Incoming[] = []
      const present = new Map<string, Incoming>()
      for (const [i, ref] of refs.entries()) {
        const known = byRef[ref]!
        known.value = values[i]!
        incoming.push(known)
        present.set(known.labels.key, known)
      }
      for (const [key, { labels, kind }] of round) {
        if (!present.has(key)) incoming.push({ labels, kind, value: null })
      }
      round = present
      return keep(at, incoming, isSent)
    },
    append({ at, samples, isSent }: Appended): Kept {
      return keep(
        at,
        samples.map(({ pairs, kind, value }) => ({ labels: fromPairs(pairs), kind, value })),
        isSent,
      )
    },
    instant({ text, atMs, limit, ...bounds }: InstantQuery, waitedMs: number): string {
      const result = queryInstant(engine(), text, atMs, inTime(bounds, waitedMs))
      if ('series' in result) result.series.length = Math.min(result.series.length, limit)
      return formatInstant(result)
    },
    range({ text, startMs, endMs, stepMs, limit, ...bounds }: RangeQuery, waitedMs: number): string {
      const series = queryRange(engine(), text, { startMs, endMs, stepMs }, inTime(bounds, waitedMs))
      return formatMatrix(series.slice(0, limit))
    },
    series: (query: NamesQuery): string => `[${find(query).map(formatLabels).join(',')}]`,
    labels: (query: NamesQuery): string => JSON.stringify(distinct(find(query), query.limit, null)),
    values: ({ label, ...query }: NamesQuery & { label: string }): string =>
      JSON.stringify(distinct(find(query), query.limit, label)),
    close(): null {
      store?.close()
      store = undefined
      return null
    },
  }

  function keep(at: number, incoming: readonly Incoming[], isSent: boolean): Kept {
    const dropped = opened().append(at, incoming)
    return { dropped, stats: opened().stats(), bodies: isSent ? encode(at, incoming) : [] }
  }

  function find({ matches, fromMs, limit }: NamesQuery): Labels[] {
    const sets = matches.length === 0 ? [[]] : matches.map(readMatchers)
    const found = new Map<string, Labels>()
    for (const matchers of sets) {
      for (const labels of opened().find(matchers, fromMs)) found.set(labels.key, labels)
    }
    return [...found.values()].slice(0, limit)
  }
}

function readMatchers(text: string): readonly Matcher[] {
  const expr = parse(text)
  if (expr.kind !== 'selector') throw new QueryError('bad_data', `invalid parameter "match[]": ${text} is no selector`)
  return expr.matchers
}

/** Names of labels, or the values of one, in order. */
function distinct(labels: readonly Labels[], limit: number, of: string | null): string[] {
  const texts = new Set<string>()
  for (const { pairs } of labels) {
    for (let i = 0; i < pairs.length; i += 2) {
      if (of === null) texts.add(pairs[i]!)
      else if (pairs[i] === of) texts.add(pairs[i + 1]!)
    }
  }
  return [...texts].sort().slice(0, limit)
}

function encode(at: number, incoming: readonly Incoming[]): Kept['bodies'] {
  const bodies: Kept['bodies'] = []
  for (let from = 0; from < incoming.length; from += samplesPerBody) {
    const part = incoming.slice(from, from + samplesPerBody)
    const series = part.map(({ labels, value }) => ({ labels, samples: [{ at, value }] }))
    bodies.push({ samples: part.length, bytes: compress(encodeWriteRequest(series)) })
  }
  return bodies
}

export type SampleVerbs = ReturnType<typeof createVerbs>

answerCalls(createVerbs, { urgent: ['scrape', 'append'] })
