import { signatures } from './functions.ts'
import { comparisons, type Expr, parseError, type QueryError, setOperators, type ValueType } from './syntax.ts'

const documented: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  string: 'string',
  vector: 'instant vector',
  matrix: 'range vector',
}

export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'selector':
    case 'aggregate':
      return 'vector'
    case 'range':
    case 'subquery':
      return 'matrix'
    case 'paren':
    case 'unary':
      return typeOf(expr.expr)
    case 'call':
      return signatures[expr.name]?.returns ?? 'vector'
    case 'binary':
      return typeOf(expr.left) === 'scalar' && typeOf(expr.right) === 'scalar' ? 'scalar' : 'vector'
  }
}

/** Refuses what has no meaning, by name and place; throws QueryError `bad_data`. */
export function checkTypes(expr: Expr, text: string): void {
  const refuse = (where: Expr, message: string): QueryError => parseError(text, where.from, message)
  const expect = (arg: Expr, wanted: ValueType, where: string) => {
    const type = typeOf(arg)
    if (type !== wanted) {
      throw refuse(arg, `expected type ${documented[wanted]} in ${where}, got ${documented[type]}`)
    }
  }

  function check(node: Expr): void {
    switch (node.kind) {
      case 'paren':
        check(node.expr)
        return
      case 'unary': {
        check(node.expr)
        const type = typeOf(node.expr)
        if (type === 'scalar' || type === 'vector') return
        throw refuse(
          node,
          `unary expression only allowed on expressions of type scalar or instant vector, got ${JSON.stringify(documented[type])}`,
        )
      }
      case 'subquery':
        check(node.expr)
        if (typeOf(node.expr) === 'vector') return
        throw refuse(node, `subquery is only allowed on instant vector, got ${typeOf(node.expr)} instead`)
      case 'aggregate':
        checkAggregate(node)
        return
      case 'call':
        checkCall(node)
        return
      case 'binary':
        checkBinary(node)
    }
  }

  function checkAggregate(node: Expr & { kind: 'aggregate' }): void {
    check(node.expr)
    expect(node.expr, 'vector', 'aggregation expression')
    if (node.param === null) return
    check(node.param)
    expect(node.param, node.op === 'count_values' ? 'string' : 'scalar', 'aggregation parameter')
  }

  function checkCall(node: Expr & { kind: 'call' }): void {
    const signature = signatures[node.name]
    if (signature === undefined) throw refuse(node, `the function ${node.name} is not supported here`)
    const most = signature.args.length
    const least = most - (signature.optional ?? 0)
    const count = node.args.length
    const bounds =
      least === most && !signature.rest ? `${most}` : count < least ? `at least ${least}` : `at most ${most}`
    if (count < least || (count > most && !signature.rest)) {
      throw refuse(node, `expected ${bounds} argument(s) in call to ${JSON.stringify(node.name)}, got ${count}`)
    }
    node.args.forEach((arg, i) => {
      check(arg)
      expect(arg, signature.args[Math.min(i, most - 1)]!, `call to function ${JSON.stringify(node.name)}`)
    })
  }

  function checkBinary(node: Expr & { kind: 'binary' }): void {
    check(node.left)
    check(node.right)
    const types = [typeOf(node.left), typeOf(node.right)] as const
    const wrong = types.findIndex((type) => type !== 'scalar' && type !== 'vector')
    if (wrong !== -1) {
      throw refuse(
        wrong === 0 ? node.left : node.right,
        'binary expression must contain only scalar and instant vector types',
      )
    }
    const areScalars = types.every((type) => type === 'scalar')
    if (areScalars && comparisons.has(node.op) && !node.isBool) {
      throw refuse(node, 'comparisons between scalars must use BOOL modifier')
    }
    if (!types.includes('scalar')) return
    if (setOperators.has(node.op)) {
      throw refuse(node, `set operator ${JSON.stringify(node.op)} not allowed in binary scalar expression`)
    }
    if (node.hasMatching) throw refuse(node, 'vector matching only allowed between instant vectors')
  }

  check(expr)
}
