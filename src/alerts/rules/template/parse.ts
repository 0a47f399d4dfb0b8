import { type Command, type Operand, type Pipeline, TemplateError, type TemplateNode, type Term } from './syntax.ts'

type Token = { kind: 'name' | 'field' | 'variable' | 'string' | 'number' | 'mark'; text: string }

const maxLength = 16_384
const maxDepth = 50

/**
 * Reads a template. `functions` are those that may be called and `variables` those that are there from the start (with
 * their `$`): whatever else is named is refused by its name, as TemplateError.
 */
export function parseTemplate(
  text: string,
  functions: ReadonlySet<string>,
  variables: readonly string[],
): readonly TemplateNode[] {
  if (text.length > maxLength) throw new TemplateError(`the template is longer than ${maxLength} characters`, 1)
  const pieces = split(text)
  let next = 0
  let loops = 0

  /** Up to the `end` or `else` that closes it, which is the first of `pieces` that is left. */
  function readNodes(scope: string[], depth: number): TemplateNode[] {
    if (depth > maxDepth) throw new TemplateError(`the template nests deeper than ${maxDepth}`, 1)
    const nodes: TemplateNode[] = []
    while (next < pieces.length) {
      const piece = pieces[next]!
      if (piece.tokens === null) {
        nodes.push({ kind: 'text', text: piece.text })
        next++
        continue
      }
      const word = piece.tokens[0]?.kind === 'name' ? piece.tokens[0].text : ''
      if (word === 'end' || word === 'else') return nodes
      next++
      if (word === 'if' || word === 'with' || word === 'range') {
        nodes.push(readBlock(word, piece.tokens.slice(1), piece.line, scope, depth))
      } else if (word === 'break' || word === 'continue') {
        if (loops === 0) throw new TemplateError(`{{${word}}} outside {{range}}`, piece.line)
        nodes.push({ kind: word })
      } else if (['define', 'template', 'block'].includes(word)) {
        throw new TemplateError(`{{${word}}} is not supported here: write its text where it is used`, piece.line)
      } else {
        nodes.push({ kind: 'print', pipeline: readPipeline(piece.tokens, piece.line, scope) })
      }
    }
    return nodes
  }

  function readBlock(
    kind: 'if' | 'with' | 'range',
    tokens: readonly Token[],
    line: number,
    outer: string[],
    depth: number,
  ): TemplateNode {
    const scope = [...outer]
    const pipeline = readPipeline(tokens, line, scope, kind === 'range')
    if (kind === 'range') loops++
    const body = readNodes([...scope], depth + 1)
    if (kind === 'range') loops--
    let otherwise: readonly TemplateNode[] = []
    const closing = pieces[next++]
    if (closing?.tokens?.[0]?.text === 'else') {
      const [, ...rest] = closing.tokens
      const word = rest[0]?.kind === 'name' ? rest[0].text : ''
      if ((word === 'if' && kind === 'if') || (word === 'with' && kind === 'with')) {
        return { kind, pipeline, body, otherwise: [readBlock(word, rest.slice(1), closing.line, scope, depth + 1)] }
      }
      if (rest.length > 0) throw new TemplateError(`unexpected ${rest[0]!.text} after else`, closing.line)
      otherwise = readNodes([...scope], depth + 1)
      const end = pieces[next++]
      if (end?.tokens?.[0]?.text !== 'end') throw new TemplateError(`{{${kind}}} has no {{end}}`, line)
      return { kind, pipeline, body, otherwise }
    }
    if (closing === undefined) throw new TemplateError(`{{${kind}}} has no {{end}}`, line)
    return { kind, pipeline, body, otherwise }
  }

  function readPipeline(tokens: readonly Token[], line: number, scope: string[], isRange = false): Pipeline {
    let at = 0
    const refuse = (message: string) => new TemplateError(message, line)
    const isMark = (text: string) => tokens[at]?.kind === 'mark' && tokens[at]!.text === text

    const names: string[] = []
    let isAssignment = false
    const sign = tokens.findIndex(({ kind, text: mark }) => kind === 'mark' && (mark === ':=' || mark === '='))
    if (sign !== -1) {
      for (const [i, token] of tokens.slice(0, sign).entries()) {
        if (i % 2 === 0 && token.kind === 'variable' && !token.text.includes('.')) names.push(token.text)
        else if (i % 2 === 0 || token.text !== ',')
          throw refuse(`unexpected ${token.text} before ${tokens[sign]!.text}`)
      }
      if (names.length === 0 || names.length > (isRange ? 2 : 1))
        throw refuse('too many variables, or none, are declared')
      isAssignment = tokens[sign]!.text === '='
      at = sign + 1
    }

    function readTerm(): Term {
      const token = tokens[at++]
      if (token === undefined) throw refuse('a value is missing')
      const fields: string[] = []
      let operand: Operand
      if (token.kind === 'string') operand = { kind: 'literal', value: token.text }
      else if (token.kind === 'number') operand = { kind: 'literal', value: toNumber(token.text, refuse) }
      else if (token.kind === 'variable') {
        const [name, ...rest] = token.text.split('.')
        if (!scope.includes(name!) && name !== '$') throw refuse(`undefined variable "${name}"`)
        operand = { kind: 'variable', name: name! }
        fields.push(...rest)
      } else if (token.kind === 'field') {
        operand = { kind: 'dot' }
        fields.push(...token.text.split('.').filter((part) => part !== ''))
      } else if (token.kind === 'name') operand = toNamed(token.text, refuse)
      else if (token.text === '(') {
        const inner = readCommands(')')
        if (!isMark(')')) throw refuse('a closing ) is missing')
        at++
        operand = { kind: 'pipeline', pipeline: { variables: [], isAssignment: false, commands: inner } }
      } else throw refuse(`unexpected ${token.text}`)
      // `(…).Field` and `$x.Field` with a space are told apart by the lexer: fields that touch are in one token.
      while (tokens[at]?.kind === 'field' && tokens[at]!.text.startsWith('\u0000')) {
        fields.push(...tokens[at++]!.text.slice(2).split('.'))
      }
      return { operand, fields }
    }

    function readCommands(until: string | null): Command[] {
      const commands: Command[] = [[]]
      while (at < tokens.length && !(until !== null && isMark(until))) {
        if (isMark('|')) {
          if (commands.at(-1)!.length === 0) throw refuse('a value is missing before |')
          at++
          commands.push([])
        } else (commands.at(-1) as Term[]).push(readTerm())
      }
      if (commands.at(-1)!.length === 0) throw refuse('a value is missing')
      for (const [i, [first, ...rest]] of commands.entries()) {
        const isCall = first!.operand.kind === 'function'
        if (!isCall && rest.length > 0) throw refuse("can't give argument to a non-function")
        if (!isCall && i > 0) throw refuse('only a function may stand after |')
      }
      return commands
    }

    const commands = readCommands(null)
    if (isAssignment) {
      for (const name of names) if (!scope.includes(name)) throw refuse(`undefined variable "${name}"`)
    } else scope.push(...names)
    return { variables: names, isAssignment, commands }
  }

  function toNamed(name: string, refuse: (message: string) => TemplateError): Operand {
    if (name === 'true' || name === 'false') return { kind: 'literal', value: name === 'true' }
    if (name === 'nil') return { kind: 'literal', value: null }
    if (!functions.has(name)) throw refuse(`function "${name}" not defined`)
    return { kind: 'function', name }
  }

  const nodes = readNodes([...variables], 0)
  if (next < pieces.length) throw new TemplateError(`unexpected {{${pieces[next]!.text.trim()}}}`, pieces[next]!.line)
  return nodes
}

type Piece = { text: string; line: number; tokens: readonly Token[] | null }

/** Text and actions in turn; `{{-` and `-}}` take the white space beside them. */
function split(text: string): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  let isTrimmed = false
  const lineAt = (place: number) => text.slice(0, place).split('\n').length
  for (;;) {
    const open = text.indexOf('{{', at)
    let plain = text.slice(at, open === -1 ? text.length : open)
    if (isTrimmed) plain = plain.trimStart()
    if (open === -1) {
      if (plain !== '') pieces.push({ text: plain, line: lineAt(at), tokens: null })
      return pieces
    }
    let from = open + 2
    if (/^-\s/.test(text.slice(from, from + 2))) {
      plain = plain.trimEnd()
      from += 1
    }
    if (plain !== '') pieces.push({ text: plain, line: lineAt(at), tokens: null })
    const close = findClose(text, from, lineAt(open))
    isTrimmed = /\s-$/.test(text.slice(from, close))
    const inner = text.slice(from, isTrimmed ? close - 1 : close)
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(inner)) {
      pieces.push({ text: inner, line: lineAt(open), tokens: tokenize(inner, lineAt(open)) })
    }
    at = close + 2
  }
}

/** The `}}` of an action: those within its strings are none. */
function findClose(text: string, from: number, line: number): number {
  const comment = /^\s*\/\*/.exec(text.slice(from))
  let at = comment === null ? from : text.indexOf('*/', from)
  if (at === -1) throw new TemplateError('unclosed comment', line)
  while (at < text.length) {
    if (text.startsWith('}}', at)) return at
    const quote = text[at]
    at++
    if (quote !== '"' && quote !== '`') continue
    while (at < text.length && text[at] !== quote) at += quote === '"' && text[at] === '\\' ? 2 : 1
    at++
  }
  throw new TemplateError('unclosed action: }} is missing', line)
}

const tokenPattern =
  /(\s+)|("(?:[^"\\\n]|\\.)*"|`[^`]*`)|(\$[\w]*(?:\.\w+)*)|((?:\.\w+)+|\.)|([+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?))|([A-Za-z_]\w*)|(:=|[=|(),])/y

function tokenize(text: string, line: number): Token[] {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  let isTouching = false
  while (tokenPattern.lastIndex < text.length) {
    const at = tokenPattern.lastIndex
    const found = tokenPattern.exec(text)
    if (found === null)
      throw new TemplateError(`unexpected ${JSON.stringify(text.slice(at, at + 10))} in an action`, line)
    const [, space, string, variable, field, number, name, mark] = found
    if (string !== undefined) tokens.push({ kind: 'string', text: unquote(string, line) })
    else if (variable !== undefined) tokens.push({ kind: 'variable', text: variable })
    else if (field !== undefined) tokens.push({ kind: 'field', text: isTouching ? `\u0000${field}` : field })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (name !== undefined) tokens.push({ kind: 'name', text: name })
    else if (mark !== undefined) tokens.push({ kind: 'mark', text: mark })
    isTouching = space === undefined && mark === ')'
  }
  return tokens
}

function toNumber(text: string, refuse: (message: string) => TemplateError): number | bigint {
  if (/^[+-]?\d+$/.test(text)) return BigInt(text)
  if (/^[+-]?0[xX]/.test(text)) return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', ''))
  const value = Number(text)
  if (Number.isNaN(value)) throw refuse(`bad number ${text}`)
  return value
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\', '"': '"', "'": "'" }

function unquote(literal: string, line: number): string {
  if (literal[0] === '`') return literal.slice(1, -1)
  return literal.slice(1, -1).replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)/g, (whole, code: string) => {
    if (code.length > 1) return String.fromCodePoint(Number.parseInt(code.slice(1), 16))
    const simple = escapes[code]
    if (simple === undefined) throw new TemplateError(`invalid escape ${whole} in a string`, line)
    return simple
  })
}
