import { fail } from '../../kernel/errors.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Buckets } from './buckets.ts'
import type { ReportCopy } from './clickhouse/reports.ts'
import { cover, type DeletedBefore } from './cover.ts'
import { countDifferent } from './distinct.ts'
import type { Filters, Selection, Shape } from './pieces-store.ts'
import {
  cubeKeys,
  type Dimension,
  dayMs,
  dimensionColumns,
  type Facet,
  hourMs,
  type Measure,
  measures,
  facets as narrow,
} from './schema.ts'
import { quantileOf } from './sketch.ts'
import type { AnalyticsStore, Order, SumRow, Whose } from './store.ts'

const shares = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 } as const
const percentiles = Object.keys(shares) as (keyof typeof shares)[]

/** Whatever a report may ask for: sums, and what is worked out of them. */
export const askable = [
  ...measures.filter((name) => !/_sum$|_count$|^generation/.test(name)),
  'tokens',
  'success_rate',
  'latency_ms_avg',
  'first_token_ms_avg',
  'tokens_per_second',
  'distinct_users',
  'distinct_keys',
  'distinct_ips',
  ...percentiles.map((name) => `latency_ms_${name}` as const),
  ...percentiles.map((name) => `first_token_ms_${name}` as const),
] as const

export type Asked = (typeof askable)[number]

const counted = ['user', 'key', 'ip'] as const
const timed = ['latency', 'first_token'] as const

type Figure = { of: readonly Measure[]; make(sum: (name: Measure) => number): number | null }

/** Ratios of nothing are null: no data is not 0. */
const ratio = (a: number, b: number) => (b === 0 ? null : a / b)

/** What is worked out of sums, and of which. */
const figures: Partial<Record<string, Figure>> = {
  tokens: { of: ['tokens_in', 'tokens_out'], make: (sum) => sum('tokens_in') + sum('tokens_out') },
  success_rate: {
    of: ['successes', 'requests', 'refused', 'aborted'],
    make: (sum) => ratio(sum('successes'), sum('requests') - sum('refused') - sum('aborted')),
  },
  latency_ms_avg: {
    of: ['latency_ms_sum', 'requests'],
    make: (sum) => ratio(sum('latency_ms_sum'), sum('requests')),
  },
  first_token_ms_avg: {
    of: ['first_token_ms_sum', 'first_token_count'],
    make: (sum) => ratio(sum('first_token_ms_sum'), sum('first_token_count')),
  },
  tokens_per_second: {
    of: ['generation_tokens', 'generation_ms_sum'],
    make: (sum) => ratio(sum('generation_tokens') * 1000, sum('generation_ms_sum')),
  },
}

/** The sums that an answer needs for what was asked; what is counted or spread apart needs none. */
function sumsFor(name: Asked | Order): readonly Measure[] {
  return (measures as readonly string[]).includes(name) ? [name as Measure] : (figures[name]?.of ?? [])
}

export type Question = {
  scope: Scope
  /** Epoch ms, `to` is exclusive. */
  from: number
  to: number
  buckets: Buckets
  dimensions: readonly Dimension[]
  filters: Filters
  /** Nothing else is read, and nothing else is in the answer. */
  measures: readonly (Asked | Measure)[]
  order: Order
  limit: number
}

export type Answer = {
  rows: AnswerRow[]
  /** False where rows of single requests are gone and the sums of whole quarters of an hour stand for their parts. */
  isExact: boolean
  /** What was asked can be told of requests from here on only, since older rows are gone; null: of all. */
  completeFrom: number | null
  /** A copy answered, which has everything up to then, epoch ms; null: the store itself did. */
  copiedAsOf: number | null
}

/** Where reports are asked: of the copy first, where there is one. */
export type ReportStore = AnalyticsStore & { copy?: ReportCopy }

export type AnswerRow = { bucket: number; values: readonly string[]; measures: Record<string, number | null> }

const mostGroups = 100_000

/**
 * Answers from the narrowest sums that know every dimension in question, and from rows where none does. Every sum is
 * exact, percentiles are within 2 %, numbers of different users, keys and addresses are counted, never added.
 */
export async function ask(store: ReportStore, question: Question): Promise<Answer> {
  const copiedAsOf = store.copy?.usableAsOf() ?? null
  if (copiedAsOf === null) return answerFrom(store, question)
  try {
    return { ...(await answerFrom(store.copy!.store, question)), copiedAsOf }
  } catch (error) {
    // All of it from one place: what one store has deleted says nothing of the other.
    if (!store.copy!.noteFailure(error)) throw error
    return answerFrom(store, question)
  }
}

async function answerFrom(store: AnalyticsStore, question: Question): Promise<Answer> {
  const deleted = await store.deletedBefore()
  const told: Answer = { rows: [], isExact: true, completeFrom: null, copiedAsOf: null }
  const select: Select = (shape, within = question) => {
    const covered = cover({ ...within, buckets: question.buckets }, shape, deleted)
    told.isExact &&= covered.isExact
    if (covered.completeFrom !== null) told.completeFrom = Math.max(told.completeFrom ?? 0, covered.completeFrom)
    const { scope, buckets, dimensions, filters } = question
    return { scope, shape, segments: covered.segments, buckets, dimensions, filters }
  }

  const countedToo = counted.filter((name) => question.measures.includes(`distinct_${name}s`))
  const timedToo = timed.filter((kind) => percentiles.some((name) => question.measures.includes(`${kind}_ms_${name}`)))
  const [sums, different, durations] = await Promise.all([
    sumUp(store, question, select),
    Promise.all(countedToo.map((name) => countDistinct(store, question, name, deleted, select))),
    Promise.all(timedToo.map((kind) => spreadOf(store, question, kind, select))),
  ])
  for (const sum of sums) {
    // A correction may leave sums of nothing behind.
    if (Object.values(sum.sums).every((amount) => amount === 0)) continue
    const measures = workOut(sum, question.measures)
    const group = groupOf(sum)
    for (const [index, name] of countedToo.entries()) measures[`distinct_${name}s`] = different[index]!.get(group) ?? 0
    for (const [index, kind] of timedToo.entries()) {
      const spread = durations[index]!.get(group) ?? new Map<number, number>()
      for (const name of percentiles) {
        const asked = `${kind}_ms_${name}` as const
        if (question.measures.includes(asked)) measures[asked] = quantileOf(spread, shares[name])
      }
    }
    told.rows.push({ bucket: sum.bucket, values: sum.values, measures })
  }
  return told
}

type Span = { from: number; to: number }
type Select = (shape: Shape, within?: Span) => Selection

/** Few of many are found by what orders them alone; only then are their other sums read. */
async function sumUp(store: AnalyticsStore, question: Question, select: Select): Promise<SumRow[]> {
  const { dimensions, buckets, order, limit, measures: asked } = question
  const wanted = [...new Set<Measure>(['requests', ...asked.flatMap(sumsFor), ...sumsFor(order)])]
  const selection = select(shapeOf(question, []))
  const [dimension] = dimensions
  const isRanking = order !== 'bucket' && buckets.kind === 'one' && dimensions.length === 1 && limit <= mostRanked
  if (!isRanking || wanted.length < manySums) return store.sums(selection, { measures: wanted, order, limit })
  const first = await store.sums(selection, { measures: sumsFor(order), order, limit })
  if (first.length === 0) return []
  const filters = { ...selection.filters, [dimension!]: first.map(({ values }) => values[0]!) }
  return store.sums({ ...selection, filters }, { measures: wanted, order, limit })
}

/** Above so many that are asked for, looking twice is no longer cheaper; nor is it for so few sums. */
const [mostRanked, manySums] = [200, 4]

/** How many different ones each group has. */
async function countDistinct(
  store: AnalyticsStore,
  question: Question,
  name: (typeof counted)[number],
  deleted: DeletedBefore,
  select: Select,
): Promise<Map<string, number>> {
  // Hours that are gone are no whole days any more.
  const isKept = name !== 'ip' && question.from >= Math.ceil(deleted.hour / dayMs) * dayMs
  const whose = isKept ? wholeTenantOf(question) : undefined
  if (name !== 'ip' && whose !== undefined) {
    const found = await countSeen(store, question, name, whose, select)
    return new Map([...found].map(([bucket, amount]) => [groupOf({ bucket, values: [] }), amount]))
  }
  const selection = select(name === 'ip' ? { kind: 'rows' } : shapeOf(question, [name]))
  const found = bounded(await store.distinct(selection, name, mostGroups))
  return new Map(found.map((row) => [groupOf(row), row.amount]))
}

/** How many durations of each order of magnitude each group has. */
async function spreadOf(
  store: AnalyticsStore,
  question: Question,
  kind: (typeof timed)[number],
  select: Select,
): Promise<Map<string, Map<number, number>>> {
  const groups = new Map<string, Map<number, number>>()
  for (const found of bounded(await store.durations(select(durationShapeOf(question)), kind, mostGroups))) {
    const group = groupOf(found)
    const buckets = groups.get(group) ?? new Map<number, number>()
    groups.set(group, buckets.set(found.duration, found.amount))
  }
  return groups
}

/** Whose people and keys are all counted; undefined where some of them are left out. */
function wholeTenantOf({ scope, dimensions, filters, buckets }: Question): Whose | undefined {
  const isWhole = (time: number) => time % hourMs === 0
  const isOfHours =
    buckets.kind === 'one' ||
    (buckets.kind === 'equal' ? isWhole(buckets.sizeMs) && isWhole(buckets.shiftMs) : buckets.starts.every(isWhole))
  if (!isOfHours || dimensions.length > 0 || scope.kind === 'person') return undefined
  const sources = filters.source ?? null
  const names = Object.keys(filters).filter((name) => name !== 'source')
  if (names.length === 0) return { tenantId: scope.kind === 'tenant' ? scope.tenantId : null, sources }
  const isOne = names.length === 1 && filters.tenant?.length === 1 && scope.kind === 'everything'
  return isOne ? { tenantId: filters.tenant![0]!, sources } : undefined
}

/** Whole hours are counted from days that are kept in memory, what is left at both ends from the store. */
async function countSeen(
  store: AnalyticsStore,
  question: Question,
  counted: 'user' | 'key',
  whose: Whose,
  select: Select,
): Promise<Map<number, number>> {
  const { from, to, buckets } = question
  const [first, last] = [Math.ceil(from / hourMs) * hourMs, Math.floor(to / hourMs) * hourMs]
  const ends =
    first < last
      ? [
          { from, to: first },
          { from: last, to },
        ]
      : [{ from, to }]
  const firstDay = first - (first % dayMs)
  const { days, numberOf, size } = await store.seenByDay(counted, whose, firstDay, first < last ? last : firstDay)
  const segments = ends.flatMap((end) => select(shapeOf(question, [counted]), end).segments)
  const selection = { ...select(shapeOf(question, [counted]), ends[0]!), segments, dimensions: [counted] }
  const found = bounded(await store.distinct(selection, counted, mostGroups))
  const extras = found.map(({ bucket, values }) => ({ bucket, number: numberOf(values[0]!) }))
  const starts = buckets.kind === 'one' ? [0] : buckets.starts
  return countDifferent(starts, { from: first, to: Math.max(first, last), firstDay, days }, extras, size())
}

function groupOf({ bucket, values }: { bucket: number; values: readonly string[] }): string {
  return JSON.stringify([bucket, values])
}

function bounded<Row>(rows: readonly Row[]): readonly Row[] {
  if (rows.length < mostGroups) return rows
  throw fail(
    'invalid_request',
    'That many groups are of no use to anybody: narrow the question or ask for fewer dimensions',
    {
      param: 'dimensions',
    },
  )
}

function workOut({ sums }: SumRow, asked: Question['measures']): Record<string, number | null> {
  const sum = (name: Measure) => sums[name] ?? 0
  const worked: Record<string, number | null> = {}
  for (const name of asked) {
    const figure = figures[name]
    if (figure !== undefined) worked[name] = figure.make(sum)
    else if (name in sums) worked[name] = sum(name as Measure)
  }
  return worked
}

function shapeOf({ scope, dimensions, filters }: Question, more: readonly Dimension[]): Shape {
  const names = new Set<Dimension>([...dimensions, ...(Object.keys(filters) as Dimension[]), ...more])
  if (scope.kind === 'person') names.add('user')
  // Every sum is by these two.
  names.delete('tenant')
  names.delete('source')
  if (names.size === 0) return { kind: 'facet', facet: '' }
  const [only] = names
  if (names.size === 1 && only === 'tag') {
    // A request with two of the tags would be in the sums of both.
    const isOnce = dimensions.includes('tag') || filters.tag?.length === 1
    return isOnce ? { kind: 'facet', facet: 'tag' } : { kind: 'rows' }
  }
  if (names.size === 1 && isFacet(only!)) return { kind: 'facet', facet: only }
  const isInCube = [...names].every((name) => (cubeKeys as readonly string[]).includes(dimensionColumns[name]))
  return { kind: isInCube ? 'cube' : 'rows' }
}

function isFacet(name: Dimension): name is Dimension & Facet {
  return (narrow as readonly string[]).includes(name)
}

function durationShapeOf({ scope, dimensions, filters }: Question): Shape {
  const names = new Set<string>([...dimensions, ...Object.keys(filters)])
  if (scope.kind === 'tenant') names.add('tenant')
  names.delete('source')
  const isKept = [...names].every((name) => ['tenant', 'model', 'provider'].includes(name))
  if (!isKept || scope.kind === 'person') return { kind: 'rows' }
  if (names.size === 0) return { kind: 'durations', facet: '' }
  return names.size === 1 && names.has('tenant') ? { kind: 'durations', facet: 'tenant' } : { kind: 'latency' }
}
