import { parse } from './parse.ts'
import { comparisons, type Expr } from './syntax.ts'

/** Calls whose result says that something is not there, and aggregations whose labels are values. */
const tellsOfAbsence = new Set(['absent', 'absent_over_time'])
/** Series that end when what they tell of does. */
const endsWithItsCause = new Set(['ALERTS', 'ALERTS_FOR_STATE'])

/**
 * The expression that has a row wherever `text` could have one: its filters are taken off, so that a row that fell below
 * a threshold differs from one whose series are gone. Null where absence itself is the news. Throws QueryError.
 */
export function presenceOf(text: string): string | null {
  const root = parse(text)
  return someNode(root, isAboutAbsence) ? null : rewrite(root, text)
}

/** Names of the metrics that an expression selects by name; throws QueryError. */
export function metricNamesOf(text: string): string[] {
  const names = new Set<string>()
  someNode(parse(text), (node) => {
    if (node.kind === 'selector') {
      for (const { name, op, value } of node.matchers) if (name === '__name__' && op === '=') names.add(value)
    }
    return false
  })
  return [...names]
}

function isAboutAbsence(node: Expr): boolean {
  if (node.kind === 'call') return tellsOfAbsence.has(node.name)
  if (node.kind === 'aggregate') return node.op === 'count_values'
  return (
    node.kind === 'selector' &&
    node.matchers.some(({ name, value }) => name === '__name__' && endsWithItsCause.has(value))
  )
}

function someNode(node: Expr, test: (node: Expr) => boolean): boolean {
  return test(node) || childrenOf(node).some((child) => someNode(child, test))
}

function childrenOf(node: Expr): Expr[] {
  switch (node.kind) {
    case 'paren':
    case 'unary':
    case 'subquery':
      return [node.expr]
    case 'range':
      return [node.selector]
    case 'call':
      return node.args
    case 'aggregate':
      return [...(node.param === null ? [] : [node.param]), node.expr].sort((a, b) => a.from - b.from)
    case 'binary':
      return [node.left, node.right]
    default:
      return []
  }
}

function rewrite(node: Expr, text: string): string {
  if (node.kind === 'binary' && node.op === 'unless') return rewrite(node.left, text)
  // What is among the first only for a while is still there afterwards.
  if (node.kind === 'aggregate' && (node.op === 'topk' || node.op === 'bottomk')) return `(${rewrite(node.expr, text)})`
  if (node.kind === 'binary' && comparisons.has(node.op) && !node.isBool) {
    // A difference has the same labels as a filter, but for the name of the metric.
    const between = text.slice(node.left.to, node.right.from).replaceAll(/#.*/g, '')
    return `(${rewrite(node.left, text)}${between.replace(node.op, '-')}${rewrite(node.right, text)})`
  }
  let written = ''
  let at = node.from
  for (const child of childrenOf(node)) {
    written += text.slice(at, child.from) + rewrite(child, text)
    at = child.to
  }
  return written + text.slice(at, node.to)
}
