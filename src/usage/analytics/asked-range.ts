import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { readTenantId, scopeOf, showTenantId } from '../../kernel/scope.ts'
import { isZone } from '../quota/periods.ts'
import type { Filters } from './pieces-store.ts'
import { type Range, type TopBy, type TopMetric, topBy, topMetrics } from './reports.ts'
import { type Dimension, dayMs, dimensions, everySource, hubSource, ownSources } from './schema.ts'

/** What every report may be asked with, as zod describes it. */
export const moment = z.coerce.number().int().min(0).max(8_640_000_000_000)
export const zone = z.string().max(60).refine(isZone, 'is no time zone: write a name such as Asia/Shanghai')
const value = z.string().max(200)

export const filterShape = Object.fromEntries(
  dimensions.map((name) => [name, z.union([value, z.array(value).max(100)]).optional()]),
) as Record<Dimension, z.ZodOptional<z.ZodUnion<[typeof value, z.ZodArray<typeof value>]>>>

export const range = {
  start_ms: moment.describe('Epoch ms, inclusive.'),
  end_ms: moment.describe('Epoch ms, exclusive.'),
  ...filterShape,
}

export const slot = z.coerce
  .number()
  .int()
  .min(60)
  .max(31 * 86_400)
  .refine((seconds) => seconds % 60 === 0, 'is to be whole minutes, such as 60, 300, 900, 1800 or 3600')

export const topKeys = z.enum(Object.keys(topBy) as [TopBy, ...TopBy[]])
export const topMetric = z.enum(Object.keys(topMetrics) as [TopMetric, ...TopMetric[]])
export const topLimit = z.coerce.number().int().min(1).max(1000)

export type AskedRange = { start_ms: number; end_ms: number } & Partial<
  Record<Dimension, string | string[] | undefined>
>

const longestMs = 3660 * dayMs

/**
 * What `principal` may see of what is asked for: this hub's own traffic, unless a source is named or the report tells
 * sources apart. Throws `invalid_request` for a range that is none.
 */
export function readRange(
  principal: Principal,
  asked: AskedRange,
  { param = 'end_ms', isBySource = false }: { param?: string; isBySource?: boolean } = {},
): Range {
  const { start_ms: from, end_ms: to } = asked
  if (to <= from) throw fail('invalid_request', `${param} is to be later than the start of the range`, { param })
  if (to - from > longestMs) throw fail('invalid_request', 'A range of more than ten years is not answered', { param })
  const filters: Filters = {}
  for (const name of dimensions) {
    const given = asked[name]
    if (given === undefined) continue
    const values = typeof given === 'string' ? [given] : given
    filters[name] = name === 'tenant' ? values.map(readTenantId) : values
  }
  return { scope: scopeOf(principal), from, to, filters: withSources(filters, isBySource) }
}

/** The same filters with the sources that are meant: our own unless told. */
export function withSources(filters: Filters, isBySource: boolean): Filters {
  const { source, ...others } = filters
  if (source === undefined) return isBySource ? others : { ...others, source: ownSources }
  if (source.includes(everySource)) return others
  return { ...others, source: source.map((name) => (name === hubSource ? '' : name)) }
}

/** A value of a dimension as people read it. */
export function shown(name: Dimension, text: string): string {
  if (name === 'tenant') return showTenantId(text)
  return name === 'source' && text === '' ? hubSource : text
}
