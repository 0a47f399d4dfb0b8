import { type Context, emptySeries, relabel, type Series } from './context.ts'
import { describeLabels, type Labels, labelOf, metricName, only, withLabel, without, withoutName } from './labels.ts'
import { power } from './numbers.ts'
import { type Binary, comparisons, type Generation, type Matching, QueryError } from './syntax.ts'

const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '^': power,
  atan2: Math.atan2,
}

const tests: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
}

export function scalarWithScalar(op: string, left: Float64Array, right: Float64Array): Float64Array {
  const compute = arithmetic[op] ?? ((a: number, b: number) => (tests[op]!(a, b) ? 1 : 0))
  return left.map((value, i) => compute(value, right[i]!))
}

/** `isSwapped` when the scalar stands on the left. A comparison lets the vector's own values through. */
export function vectorWithScalar(
  context: Context,
  { op, isBool }: Binary,
  vector: readonly Series[],
  scalar: Float64Array,
  isSwapped: boolean,
): Series[] {
  const compute = operate(op, isBool)
  const results = vector.map(({ labels, values, has }) => {
    const result = emptySeries(labels, context.steps)
    context.meter.take(context.steps)
    for (let step = 0; step < context.steps; step++) {
      if (has[step] === 0) continue
      const [a, b] = isSwapped ? [scalar[step]!, values[step]!] : [values[step]!, scalar[step]!]
      const value = compute(a, b, values[step]!)
      if (value === undefined) continue
      result.has[step] = 1
      result.values[step] = value
    }
    return result
  })
  return dropsName(op, isBool, context.generation) ? relabel(results, withoutName) : results
}

/** undefined for what a comparison filters out; `kept` is what it lets through. */
function operate(op: string, isBool: boolean): (a: number, b: number, kept: number) => number | undefined {
  const compute = arithmetic[op]
  if (compute !== undefined) return compute
  const test = tests[op]!
  return isBool ? (a, b) => (test(a, b) ? 1 : 0) : (a, b, kept) => (test(a, b) ? kept : undefined)
}

function dropsName(op: string, isBool: boolean, generation: Generation): boolean {
  if (op === 'atan2') return generation >= 3
  return isBool || !comparisons.has(op)
}

function signatureOf({ isOn, labels }: Matching): (of: Labels) => Labels {
  return (of) => (isOn ? only(of, labels) : withoutName(without(of, labels)))
}

/** `and`, `or`, `unless`. */
export function combineSets(context: Context, { op, matching }: Binary, left: Series[], right: Series[]): Series[] {
  const toSignature = signatureOf(matching)
  const present = op === 'or' ? collect(context, left, toSignature) : collect(context, right, toSignature)
  const filter = (series: Series, isKept: (isPresent: boolean) => boolean): Series => {
    const marks = present.get(toSignature(series.labels).key)
    const has = series.has.map((mark, step) => (mark === 1 && isKept(marks?.[step] === 1) ? 1 : 0))
    context.meter.take(context.steps)
    return { ...series, has }
  }
  if (op === 'and') return left.map((series) => filter(series, (isPresent) => isPresent))
  if (op === 'unless') return left.map((series) => filter(series, (isPresent) => !isPresent))
  const added = right.map((series) => filter(series, (isPresent) => !isPresent)).filter(({ has }) => has.includes(1))
  return relabel([...left, ...added], (labels) => labels)
}

function collect(context: Context, series: readonly Series[], toSignature: (of: Labels) => Labels) {
  const present = new Map<string, Uint8Array>()
  for (const { labels, has } of series) {
    const { key } = toSignature(labels)
    const marks = present.get(key) ?? new Uint8Array(context.steps)
    for (let step = 0; step < context.steps; step++) if (has[step] === 1) marks[step] = 1
    present.set(key, marks)
  }
  return present
}

/** Arithmetic and comparison between series that match; throws QueryError `execution` where the match is ambiguous. */
export function vectorWithVector(context: Context, node: Binary, left: Series[], right: Series[]): Series[] {
  const { matching } = node
  const [many, one] = matching.many === 'right' ? [right, left] : [left, right]
  const isBothThere = bothPresent(context.steps, left, right)
  const toSignature = signatureOf(matching)
  const ones = group(one, toSignature)
  const manies = group(many, toSignature)
  // Two of the one side in a group are an error even when nothing meets them.
  for (const members of ones.values()) assertOne(node, members, isBothThere, toSignature)

  const compute = operate(node.op, node.isBool)
  const results = new Map<string, Series>()
  for (const [key, members] of manies) {
    const partners = ones.get(key)
    if (partners === undefined) continue
    const taken = matching.many === 'none' ? new Uint8Array(context.steps) : null
    for (const member of members) {
      for (const partner of partners) {
        context.meter.take(context.steps)
        pair(member, partner, taken)
      }
    }
  }
  return [...results.values()]

  function pair(member: Series, partner: Series, taken: Uint8Array | null): void {
    const labels = resultLabels(node, member.labels, partner.labels, context.generation)
    for (let step = 0; step < context.steps; step++) {
      if (member.has[step] === 0 || partner.has[step] === 0) continue
      const [mine, theirs] = [member.values[step]!, partner.values[step]!]
      const [a, b] = matching.many === 'right' ? [theirs, mine] : [mine, theirs]
      const value = compute(a, b, a)
      if (value === undefined) continue
      if (taken !== null && taken[step] === 1) {
        throw ambiguous('many-to-one matching must be explicit (group_left/group_right)')
      }
      if (taken !== null) taken[step] = 1
      let result = results.get(labels.key)
      if (result === undefined) {
        result = emptySeries(labels, context.steps)
        results.set(labels.key, result)
      }
      if (result.has[step] === 1) throw ambiguous('grouping labels must ensure unique matches')
      result.has[step] = 1
      result.values[step] = value
    }
  }
}

function ambiguous(what: string): QueryError {
  return new QueryError('execution', `multiple matches for labels: ${what}`)
}

function group(series: readonly Series[], toSignature: (of: Labels) => Labels): Map<string, Series[]> {
  const groups = new Map<string, Series[]>()
  for (const each of series) {
    const { key } = toSignature(each.labels)
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [each])
    else known.push(each)
  }
  return groups
}

/** Steps at which both sides have anything at all; at others nothing can match and nothing is looked at. */
function bothPresent(steps: number, left: readonly Series[], right: readonly Series[]): Uint8Array {
  const marks = new Uint8Array(steps)
  for (const { has } of left) for (let step = 0; step < steps; step++) if (has[step] === 1) marks[step] = 1
  for (const { has } of right) for (let step = 0; step < steps; step++) if (has[step] === 1) marks[step]! |= 2
  return marks.map((mark) => (mark === 3 ? 1 : 0))
}

function assertOne(
  { matching }: Binary,
  members: readonly Series[],
  isBothThere: Uint8Array,
  toSignature: (of: Labels) => Labels,
): void {
  if (members.length < 2) return
  for (let step = 0; step < isBothThere.length; step++) {
    if (isBothThere[step] === 0) continue
    const [first, second] = members.filter(({ has }) => has[step] === 1)
    if (first === undefined || second === undefined) continue
    const side = matching.many === 'right' ? 'left' : 'right'
    throw new QueryError(
      'execution',
      `found duplicate series for the match group ${describeLabels(toSignature(first.labels))} on the ${side} hand-side of the operation: [${describeLabels(second.labels)}, ${describeLabels(first.labels)}];many-to-many matching not allowed: matching labels must be unique on one side`,
    )
  }
}

function resultLabels(node: Binary, many: Labels, one: Labels, generation: Generation): Labels {
  const { op, isBool, matching } = node
  let labels = dropsName(op, isBool, generation) ? withoutName(many) : many
  if (matching.many === 'none')
    labels = matching.isOn ? only(labels, matching.labels) : without(labels, matching.labels)
  for (const name of matching.include) labels = withLabel(labels, name, labelOf(one, name))
  return isBool ? without(labels, [metricName]) : labels
}
