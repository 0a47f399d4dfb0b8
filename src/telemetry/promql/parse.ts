import { parser } from '@prometheus-io/lezer-promql'
import { readDuration, readNumber } from '../../kernel/duration.ts'
import { compileRegex } from '../../kernel/regex.ts'
import { aggregations } from './functions.ts'
import { metricName } from './labels.ts'
import {
  type Aggregate,
  type At,
  type Binary,
  comparisons,
  type Expr,
  type Generation,
  type Matcher,
  type Matching,
  type MatchOp,
  parseError,
  QueryError,
  type Selector,
  type Span,
  setOperators,
} from './syntax.ts'
import { checkTypes } from './types.ts'

type Node = ReturnType<typeof parser.parse>['topNode']

const maxLength = 16_384
const maxDepth = 100

/** Reads and checks an expression; throws QueryError `bad_data` with the place, as in `1:5: parse error: …`. */
export function parse(text: string, generation: Generation = 3): Expr {
  if (text.length > maxLength) throw new QueryError('bad_data', `the expression is longer than ${maxLength} characters`)
  assertShallow(text)
  const tree = parser.parse(text)
  assertWhole(tree.topNode, text)
  const root = tree.topNode.firstChild
  if (root === null) throw parseError(text, 0, 'no expression found in input')
  const expr = createReader(text, generation).read(root)
  checkTypes(expr, text)
  return expr
}

/** Nesting is bounded before anything recurses over the tree. */
function assertShallow(text: string): void {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    if ('([{'.includes(text[at]!)) depth++
    else if (')]}'.includes(text[at]!)) depth--
    if (depth > maxDepth) throw parseError(text, at, `the expression nests deeper than ${maxDepth}`)
  }
  if ((text.match(/[-+*/%^<>=]|\b(?:and|or|unless|atan2)\b/gi)?.length ?? 0) > 1000) {
    throw new QueryError('bad_data', 'the expression has more than 1000 operators')
  }
}

function assertWhole(top: Node, text: string): void {
  const cursor = top.cursor()
  do {
    if (!cursor.type.isError) continue
    const called = /([A-Za-z_:][\w:]*)\s*$/.exec(text.slice(0, text.indexOf('(', cursor.from)))
    const isCall = called !== null && /^\s*\(/.test(text.slice(called.index + called[1]!.length))
    if (isCall && called.index <= cursor.from && called.index + called[0].length >= cursor.from) {
      throw parseError(text, called.index, `unknown function with name ${JSON.stringify(called[1])}`)
    }
    const found = text.slice(cursor.from, Math.max(cursor.to, cursor.from + 1)).trim()
    if (text.trim() === '') throw parseError(text, 0, 'no expression found in input')
    throw parseError(
      text,
      cursor.from,
      found === '' ? 'unexpected end of input' : `unexpected ${JSON.stringify(found)}`,
    )
  } while (cursor.next())
}

type Token =
  | { kind: 'operand'; node: Node }
  | { kind: 'unary'; op: '+' | '-'; at: number }
  | { kind: 'operator'; op: string; node: Node }
  | { kind: 'postfix'; node: Node }

/** https://prometheus.io/docs/prometheus/latest/querying/operators/#binary-operator-precedence */
const precedence: Readonly<Record<string, number>> = {
  ...{ or: 1, and: 2, unless: 2, '==': 3, '!=': 3, '<': 3, '<=': 3, '>': 3, '>=': 3, '+': 4, '-': 4 },
  ...{ '*': 5, '/': 5, '%': 5, atan2: 5, '^': 6 },
}

function createReader(text: string, generation: Generation) {
  const textOf = (node: Span) => text.slice(node.from, node.to)
  const refuse = (node: Span, what: string) => parseError(text, node.from, what)

  /**
   * The grammar hangs `offset`, `@` and ranges on the whole of what stands before them, where they belong to the last
   * operand. So operands and operators are taken in the order of the text, and bound by precedence here.
   */
  function read(root: Node): Expr {
    const tokens: Token[] = []
    flatten(root, tokens)
    let next = 0

    function readBinary(least: number): Expr {
      let left = readUnary()
      for (;;) {
        const token = tokens[next]
        const strength = token?.kind === 'operator' ? (precedence[token.op] ?? 0) : 0
        if (token?.kind !== 'operator' || strength < least) return left
        next++
        const right = readBinary(token.op === '^' ? strength : strength + 1)
        left = toBinary(token.node, token.op, left, right)
      }
    }

    function readUnary(): Expr {
      const token = tokens[next++]
      if (token?.kind === 'unary') {
        const expr = readBinary(precedence['^']!)
        return { kind: 'unary', op: token.op, expr, from: token.at, to: expr.to }
      }
      if (token?.kind !== 'operand') throw refuse(root, 'an operand is missing')
      let expr = toOperand(token.node)
      for (let after = tokens[next]; after?.kind === 'postfix'; after = tokens[next]) {
        next++
        expr = applyPostfix(expr, after.node)
      }
      return expr
    }

    return readBinary(1)
  }

  function flatten(node: Node, tokens: Token[]): void {
    if (node.name === 'BinaryExpr') {
      const [left, right] = [node.firstChild!, node.lastChild!]
      const op = textOf(left.nextSibling!).toLowerCase()
      flatten(left, tokens)
      tokens.push({ kind: 'operator', op, node })
      flatten(right, tokens)
    } else if (node.name === 'UnaryExpr') {
      tokens.push({ kind: 'unary', op: textOf(node.firstChild!) as '+' | '-', at: node.from })
      flatten(node.lastChild!, tokens)
    } else if (['OffsetExpr', 'StepInvariantExpr', 'MatrixSelector', 'SubqueryExpr'].includes(node.name)) {
      flatten(node.firstChild!, tokens)
      tokens.push({ kind: 'postfix', node })
    } else if (node.name === 'NumberDurationLiteral' && /^[-+]/.test(textOf(node))) {
      tokens.push({ kind: 'unary', op: textOf(node)[0] as '+' | '-', at: node.from }, { kind: 'operand', node })
    } else {
      tokens.push({ kind: 'operand', node })
    }
  }

  function toOperand(node: Node): Expr {
    const span = { from: node.from, to: node.to }
    switch (node.name) {
      case 'NumberDurationLiteral':
        return { kind: 'number', value: toNumber(node, textOf(node).replace(/^[-+]\s*/, '')), ...span }
      case 'StringLiteral':
        return { kind: 'string', value: unquote(node), ...span }
      case 'ParenExpr':
        return { kind: 'paren', expr: read(node.firstChild!), ...span }
      case 'VectorSelector':
        return toSelector(node)
      case 'FunctionCall': {
        const name = textOf(node.firstChild!).toLowerCase()
        return { kind: 'call', name, args: childrenOf(node.lastChild!).map(read), ...span }
      }
      case 'AggregateExpr':
        return toAggregate(node)
      default:
        throw refuse(node, `${nameOf(node.name)} is not supported here`)
    }
  }

  function toNumber(node: Node, literal: string): number {
    const value = readNumber(literal) ?? durationInSeconds(literal)
    if (value === null) throw refuse(node, `error parsing number: ${literal}`)
    return value
  }

  function durationInSeconds(literal: string): number | null {
    const ms = generation >= 3 ? readDuration(literal) : null
    return ms === null ? null : ms / 1000
  }

  function toSelector(node: Node): Selector {
    const matchers: Matcher[] = []
    let name: string | null = null
    for (const child of childrenOf(node)) {
      if (child.name === 'Identifier') name = textOf(child)
      else for (const each of childrenOf(child)) matchers.push(toMatcher(each))
    }
    const twice = matchers.find((each) => each.name === metricName)
    if (name !== null && twice !== undefined) {
      throw refuse(node, `metric name must not be set twice: ${JSON.stringify(name)} or ${JSON.stringify(twice.value)}`)
    }
    if (name !== null) matchers.push(createMatcher(metricName, '=', name))
    if (matchers.every((each) => each.matches(''))) {
      throw refuse(node, 'vector selector must contain at least one non-empty matcher')
    }
    return { kind: 'selector', matchers, offsetMs: 0, at: null, from: node.from, to: node.to }
  }

  function toMatcher(node: Node): Matcher {
    if (node.name === 'QuotedLabelName') return createMatcher(metricName, '=', unquote(node.firstChild!))
    const [label, op, value] = childrenOf(node)
    const name = label!.name === 'LabelName' ? textOf(label!) : unquote(label!.firstChild!)
    try {
      return createMatcher(name, textOf(op!) as MatchOp, unquote(value!), generation)
    } catch (error) {
      if (error instanceof QueryError) throw error
      throw refuse(value!, (error as Error).message)
    }
  }

  function toAggregate(node: Node): Aggregate {
    const op = textOf(node.firstChild!).toLowerCase()
    const modifier = node.getChild('AggregateModifier')
    const args = childrenOf(node.getChild('FunctionCallBody')!).map(read)
    if (!aggregations.has(op)) throw refuse(node, `the aggregation ${op} is not supported here`)
    const isParametrised = ['topk', 'bottomk', 'quantile', 'count_values'].includes(op)
    if (args.length !== (isParametrised ? 2 : 1)) {
      throw refuse(
        node,
        `wrong number of arguments for aggregate expression provided, expected ${isParametrised ? 2 : 1}, got ${args.length}`,
      )
    }
    return {
      kind: 'aggregate',
      op,
      expr: args.at(-1)!,
      param: isParametrised ? args[0]! : null,
      grouping: modifier === null ? [] : toNames(modifier.getChild('GroupingLabels')!),
      isWithout: modifier !== null && modifier.getChild('Without') !== null,
      from: node.from,
      to: node.to,
    }
  }

  function toNames(node: Node): string[] {
    return childrenOf(node).map((child) => (child.name === 'LabelName' ? textOf(child) : unquote(child.firstChild!)))
  }

  function toBinary(node: Node, op: string, left: Expr, right: Expr): Binary {
    if (precedence[op] === undefined) throw refuse(node, `the operator ${op} is not supported here`)
    const clause = node.getChild('MatchingModifierClause')
    const fill = node.getChild('FillModifier')
    if (fill !== null) throw refuse(fill, 'fill modifiers are not supported here')
    const isSet = setOperators.has(op)
    const matching: Matching = { isOn: false, labels: [], many: isSet ? 'both' : 'none', include: [] }
    if (clause !== null) {
      const [labels, include] = clause.getChildren('GroupingLabels')
      matching.isOn = clause.getChild('On') !== null
      matching.labels = toNames(labels!)
      const [isLeft, isRight] = [clause.getChild('GroupLeft') !== null, clause.getChild('GroupRight') !== null]
      if ((isLeft || isRight) && isSet) throw refuse(clause, `no grouping allowed for ${JSON.stringify(op)} operation`)
      if (isLeft || isRight) matching.many = isLeft ? 'left' : 'right'
      matching.include = include === undefined ? [] : toNames(include)
      const twice = matching.isOn ? matching.include.find((name) => matching.labels.includes(name)) : undefined
      if (twice !== undefined) {
        throw refuse(clause, `label ${JSON.stringify(twice)} must not occur in ON and GROUP clause at once`)
      }
    }
    const isBool = node.getChild('BoolModifier') !== null
    if (isBool && !comparisons.has(op)) throw refuse(node, 'bool modifier can only be used on comparison operators')
    const span = { from: left.from, to: right.to }
    return { kind: 'binary', op, left, right, isBool, matching, hasMatching: matching.labels.length > 0, ...span }
  }

  function applyPostfix(expr: Expr, node: Node): Expr {
    const to = node.to
    if (node.name === 'MatrixSelector') {
      if (expr.kind !== 'selector' || expr.offsetMs !== 0 || expr.at !== null) {
        const isMarked = expr.kind === 'selector'
        throw refuse(
          expr,
          isMarked ? 'no offset or @ modifiers allowed before range' : 'ranges only allowed for vector selectors',
        )
      }
      return { kind: 'range', selector: expr, rangeMs: toRange(node.getChild('DurationExpr')!), from: expr.from, to }
    }
    if (node.name === 'SubqueryExpr') {
      const [range, step] = node.getChildren('DurationExpr')
      const stepMs = step === undefined ? null : toRange(step)
      return { kind: 'subquery', expr, rangeMs: toRange(range!), stepMs, offsetMs: 0, at: null, from: expr.from, to }
    }
    const isOffset = node.name === 'OffsetExpr'
    const target = expr.kind === 'range' ? expr.selector : expr
    if (target.kind !== 'selector' && target.kind !== 'subquery') {
      throw refuse(
        expr,
        `${isOffset ? 'offset' : '@'} modifier must be preceded by an instant vector selector or range vector selector or a subquery`,
      )
    }
    if (isOffset && target.offsetMs !== 0) throw refuse(expr, 'offset may not be set multiple times')
    if (!isOffset && target.at !== null) throw refuse(expr, '@ <timestamp> may not be set multiple times')
    const changed = isOffset ? { ...target, offsetMs: toOffset(node) } : { ...target, at: toAt(node) }
    return expr.kind === 'range' ? { ...expr, selector: changed as Selector, to } : { ...changed, to }
  }

  function toRange(node: Node): number {
    const literal = node.firstChild
    if (literal?.name !== 'NumberDurationLiteralInDurationContext') {
      throw refuse(node, 'arithmetic in durations is not supported here')
    }
    const ms = readDuration(textOf(literal))
    if (ms === null) throw refuse(node, `not a valid duration string: ${JSON.stringify(textOf(literal))}`)
    if (ms <= 0) throw refuse(node, 'duration must be greater than 0')
    return ms
  }

  function toOffset(node: Node): number {
    const found = /^([-+]?)\s*(\w+)$/.exec(textOf(node.getChild('OffsetDurationExpr')!).trim())
    if (found === null) throw refuse(node, 'arithmetic in durations is not supported here')
    const ms = readDuration(found[2]!)
    if (ms === null) throw refuse(node, `not a valid duration string: ${JSON.stringify(found[2])}`)
    return found[1] === '-' ? -ms : ms
  }

  function toAt(node: Node): At {
    const ends = node.getChild('AtModifierPreprocessors')
    if (ends !== null) return ends.getChild('AtStart') === null ? 'end' : 'start'
    const literal = textOf(node.getChild('NumberDurationLiteral')!).replaceAll(/\s/g, '')
    const seconds = (literal.startsWith('-') ? -1 : 1) * toNumber(node, literal.replace(/^[-+]/, ''))
    if (!Number.isFinite(seconds) || Math.abs(seconds) >= 2 ** 63) {
      throw refuse(node, `timestamp out of bounds for @ modifier: ${seconds}`)
    }
    return Math.round(seconds * 1000)
  }

  function unquote(node: Node): string {
    const literal = textOf(node)
    const quote = literal[0]!
    const inner = literal.slice(1, -1)
    const isOpen =
      literal.length < 2 || literal.at(-1) !== quote || (quote !== '`' && /(^|[^\\])(\\\\)*\\$/.test(inner))
    if (isOpen) throw refuse(node, 'unterminated quoted string')
    if (quote === '`') return inner
    return inner.replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[\s\S])/g, (whole, code) => {
      const simple = escapes[code]
      if (simple !== undefined) return simple
      if (code === quote) return quote
      if (/^[xuU]./.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16))
      if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8))
      throw refuse(node, `error unquoting string: invalid escape ${whole}`)
    })
  }

  return { read }
}

const escapes: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\' },
}

/** A matcher of one label; throws an Error for a pattern that is none. */
export function createMatcher(name: string, op: MatchOp, value: string, generation: Generation = 3): Matcher {
  if (op === '=') return { name, op, value, matches: (text) => text === value }
  if (op === '!=') return { name, op, value, matches: (text) => text !== value }
  const regex = compileRegex(value, { isDotAll: generation >= 3 })
  return { name, op, value, matches: op === '=~' ? regex.matches : (text) => !regex.matches(text) }
}

function childrenOf(node: Node): Node[] {
  const children: Node[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child)
  return children
}

function nameOf(kind: string): string {
  return { AnchoredExpr: 'the modifier anchored', SmoothedExpr: 'the modifier smoothed' }[kind] ?? kind
}
