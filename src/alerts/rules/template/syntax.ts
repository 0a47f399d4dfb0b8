/** A template of Go's text/template, as far as Prometheus' rules use it. `int` is apart from numbers with a fraction. */
export type Operand =
  | { kind: 'literal'; value: string | number | bigint | boolean | null }
  | { kind: 'dot' }
  | { kind: 'variable'; name: string }
  | { kind: 'pipeline'; pipeline: Pipeline }
  | { kind: 'function'; name: string }

/** `.Labels.job` is the operand `.` with the fields Labels and job. */
export type Term = { operand: Operand; fields: readonly string[] }
/** A function with its arguments, or one term alone. */
export type Command = readonly Term[]
export type Pipeline = {
  /** Variables that get the value: two only in `range`. */
  variables: readonly string[]
  isAssignment: boolean
  commands: readonly Command[]
}

export type TemplateNode =
  | { kind: 'text'; text: string }
  | { kind: 'print'; pipeline: Pipeline }
  | Block
  | { kind: 'break' }
  | { kind: 'continue' }

export type Block = {
  kind: 'if' | 'with' | 'range'
  pipeline: Pipeline
  body: readonly TemplateNode[]
  otherwise: readonly TemplateNode[]
}

/** Why a template cannot be read or run; `line` counts from 1 within the text. */
export class TemplateError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.name = 'TemplateError'
    this.line = line
  }
}
