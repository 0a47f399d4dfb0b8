import { type Context, emptySeries, type Series } from './context.ts'
import { type Labels, only, withLabel, without, withoutName } from './labels.ts'
import { createMean, createVariance, formatPlain, nanFirst, quantileOf } from './numbers.ts'
import { type Aggregate, type Generation, QueryError } from './syntax.ts'

type Group = { labels: Labels; members: Series[] }

/** `params` is the value of the parameter at each step, or the label of `count_values`. */
export function aggregate(
  context: Context,
  node: Aggregate,
  series: readonly Series[],
  params: Float64Array | string | null,
): Series[] {
  const toLabels = (labels: Labels) =>
    node.isWithout ? withoutName(without(labels, node.grouping)) : only(labels, node.grouping)
  if (typeof params === 'string') return countValues(context, node, series, params)
  const groups = groupBy(series, toLabels)
  if (node.op === 'topk' || node.op === 'bottomk') return selectBest(context, node.op, groups, params!)
  const combine = combiners[node.op]!
  return groups.map(({ labels, members }) => {
    const result = emptySeries(labels, context.steps)
    const values: number[] = []
    for (let step = 0; step < context.steps; step++) {
      values.length = 0
      for (const { has, values: from } of members) if (has[step] === 1) values.push(from[step]!)
      context.meter.take(members.length)
      if (values.length === 0) continue
      result.has[step] = 1
      result.values[step] = combine(values, params?.[step] ?? 0, context.generation)
    }
    return result
  })
}

function groupBy(series: readonly Series[], toLabels: (labels: Labels) => Labels): Group[] {
  const groups = new Map<string, Group>()
  for (const each of series) {
    const labels = toLabels(each.labels)
    const known = groups.get(labels.key)
    if (known === undefined) groups.set(labels.key, { labels, members: [each] })
    else known.members.push(each)
  }
  return [...groups.values()]
}

const combiners: Readonly<Record<string, (values: number[], param: number, generation: Generation) => number>> = {
  sum: (values) => values.reduce((sum, value) => sum + value),
  avg: (values) => into(values, createMean()),
  min: (values) => values.reduce((best, value) => (best > value || Number.isNaN(best) ? value : best)),
  max: (values) => values.reduce((best, value) => (best < value || Number.isNaN(best) ? value : best)),
  count: (values) => values.length,
  group: () => 1,
  stdvar: (values, _, generation) => varianceOf(values, generation),
  stddev: (values, _, generation) => Math.sqrt(varianceOf(values, generation)),
  quantile: (values, q) => quantileOf(q, values),
}

function into(values: readonly number[], tally: { add(value: number): void; value(): number }): number {
  for (const value of values) tally.add(value)
  return tally.value()
}

function varianceOf(values: readonly number[], generation: Generation): number {
  // Version 2 took the variance of a single sample for 0 whatever it was.
  return generation < 3 && values.length === 1 ? 0 : into(values, createVariance())
}

/** Whole series come through, each at the steps where it is among the best of its group; NaN is never better. */
function selectBest(context: Context, op: 'topk' | 'bottomk', groups: Group[], counts: Float64Array): Series[] {
  const order = op === 'topk' ? (a: number, b: number) => nanFirst(b, a) : (a: number, b: number) => nanLast(a, b)
  const chosen: Series[] = []
  for (const { members } of groups) {
    const results = members.map(({ labels }) => emptySeries(labels, context.steps))
    let ranked: number[] = []
    for (let step = 0; step < context.steps; step++) {
      const count = counts[step]!
      if (!(Math.abs(count) < 2 ** 63)) {
        throw new QueryError('execution', `Scalar value ${count} overflows int64`)
      }
      context.meter.take(members.length)
      ranked = members.flatMap(({ has }, i) => (has[step] === 1 ? [i] : []))
      ranked.sort((a, b) => order(members[a]!.values[step]!, members[b]!.values[step]!))
      ranked.length = Math.min(ranked.length, Math.max(0, Math.trunc(count)))
      for (const i of ranked) {
        results[i]!.has[step] = 1
        results[i]!.values[step] = members[i]!.values[step]!
      }
    }
    // An instant query shows the best first.
    if (context.steps === 1) chosen.push(...ranked.map((i) => results[i]!))
    else chosen.push(...results.filter(({ has }) => has.includes(1)))
  }
  return chosen
}

function nanLast(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1
  return Number.isNaN(b) ? -1 : a - b
}

function countValues(context: Context, node: Aggregate, series: readonly Series[], label: string): Series[] {
  if (!/^[A-Za-z_]\w*$/.test(label)) throw new QueryError('execution', `invalid label name ${JSON.stringify(label)}`)
  const results = new Map<string, Series>()
  for (const { labels, values, has } of series) {
    context.meter.take(context.steps)
    for (let step = 0; step < context.steps; step++) {
      if (has[step] === 0) continue
      const valued = withLabel(labels, label, formatPlain(values[step]!))
      const group = node.isWithout
        ? withoutName(without(valued, node.grouping))
        : only(valued, [...node.grouping, label])
      let result = results.get(group.key)
      if (result === undefined) {
        result = emptySeries(group, context.steps)
        results.set(group.key, result)
        context.meter.take(context.steps)
      }
      result.has[step] = 1
      result.values[step]!++
    }
  }
  return [...results.values()]
}
