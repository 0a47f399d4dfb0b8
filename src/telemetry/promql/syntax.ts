/** The tree of a PromQL expression. `from` and `to` are places in the text, for messages. */
export type Span = { from: number; to: number }

export type MatchOp = '=' | '!=' | '=~' | '!~'
export type Matcher = { name: string; op: MatchOp; value: string; matches(text: string): boolean }

/** A moment that does not move with the evaluation: milliseconds, or an end of the query's own range. */
export type At = number | 'start' | 'end' | null

export type Selector = Span & { kind: 'selector'; matchers: readonly Matcher[]; offsetMs: number; at: At }
export type Range = Span & { kind: 'range'; selector: Selector; rangeMs: number }
export type Subquery = Span & {
  kind: 'subquery'
  expr: Expr
  rangeMs: number
  /** null for the evaluation interval. */
  stepMs: number | null
  offsetMs: number
  at: At
}
export type NumberLiteral = Span & { kind: 'number'; value: number }
export type StringLiteral = Span & { kind: 'string'; value: string }
export type Call = Span & { kind: 'call'; name: string; args: Expr[] }
export type Aggregate = Span & {
  kind: 'aggregate'
  op: string
  expr: Expr
  param: Expr | null
  grouping: readonly string[]
  isWithout: boolean
}
export type Matching = {
  isOn: boolean
  labels: readonly string[]
  /** Which side may have many; 'both' for set operators. */
  many: 'none' | 'left' | 'right' | 'both'
  include: readonly string[]
}
export type Binary = Span & {
  kind: 'binary'
  op: string
  left: Expr
  right: Expr
  isBool: boolean
  matching: Matching
  hasMatching: boolean
}
export type Unary = Span & { kind: 'unary'; op: '+' | '-'; expr: Expr }
export type Paren = Span & { kind: 'paren'; expr: Expr }

export type Expr =
  | NumberLiteral
  | StringLiteral
  | Selector
  | Range
  | Subquery
  | Call
  | Aggregate
  | Binary
  | Unary
  | Paren

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string'

export const comparisons: ReadonlySet<string> = new Set(['==', '!=', '<', '>', '<=', '>='])
export const setOperators: ReadonlySet<string> = new Set(['and', 'or', 'unless'])

/** The expression inside any number of parentheses. */
export function unwrap(expr: Expr): Expr {
  let inner = expr
  while (inner.kind === 'paren') inner = inner.expr
  return inner
}

/**
 * Which generation of Prometheus is followed where they differ. Version 3 leaves the left end out of ranges and of the
 * look-back, lets `.` match a line break, and changed the extrapolation of counters near zero.
 * https://prometheus.io/docs/prometheus/latest/migration/
 */
export type Generation = 2 | 3

/** Kinds of failure as Prometheus' HTTP API names them. */
export type QueryErrorType = 'bad_data' | 'execution' | 'timeout' | 'canceled' | 'unavailable' | 'internal'

/** Why a query has no result; the message is for whoever wrote it. */
export class QueryError extends Error {
  readonly type: QueryErrorType
  constructor(type: QueryErrorType, message: string) {
    super(message)
    this.name = 'QueryError'
    this.type = type
  }
}

/** The failure at a place of the text, in Prometheus' words. */
export function parseError(text: string, at: number, message: string): QueryError {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  return new QueryError('bad_data', `${line}:${at - before.lastIndexOf('\n')}: parse error: ${message}`)
}
