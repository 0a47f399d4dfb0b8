/**
 * Reads RE2's syntax, the one of Prometheus, into a program for `regex.ts`. What RE2 leaves out for the sake of linear
 * time (back references, look-around, possessive and atomic groups) is refused here as it is there.
 * https://github.com/google/re2/wiki/Syntax
 */
export type Test = (codePoint: number) => boolean

export type Instruction =
  | { op: 'one'; test: Test }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { op: 'save'; slot: number }
  | { op: 'assert'; kind: Assertion }
  | { op: 'match' }

export type Assertion = 'start' | 'end' | 'line-start' | 'line-end' | 'word' | 'not-word'

export type Program = { code: Instruction[]; groups: number; names: Map<string, number> }

type Flags = { isFolded: boolean; isMultiline: boolean; isDotAll: boolean; isUngreedy: boolean }

type Node =
  | { kind: 'empty' }
  | { kind: 'one'; test: Test }
  | { kind: 'assert'; assertion: Assertion }
  | { kind: 'sequence'; parts: Node[] }
  | { kind: 'choice'; parts: Node[] }
  | { kind: 'group'; index: number; inner: Node }
  | { kind: 'repeat'; inner: Node; min: number; max: number; isLazy: boolean }

const maxRepeat = 1000
const maxInstructions = 10_000
const maxDepth = 200

/** Throws an Error whose message says what is wrong with the pattern. */
export function compileProgram(pattern: string, options: { isDotAll: boolean }): Program {
  const reader = createReader(pattern, options.isDotAll)
  const tree = reader.readAll()
  const code: Instruction[] = []
  emit(tree, code)
  code.push({ op: 'match' })
  return { code, groups: reader.groups(), names: reader.names }
}

function emit(node: Node, code: Instruction[]): void {
  if (code.length > maxInstructions) throw new Error('expression too large')
  switch (node.kind) {
    case 'empty':
      return
    case 'one':
      code.push({ op: 'one', test: node.test })
      return
    case 'assert':
      code.push({ op: 'assert', kind: node.assertion })
      return
    case 'sequence':
      for (const part of node.parts) emit(part, code)
      return
    case 'group':
      code.push({ op: 'save', slot: node.index * 2 })
      emit(node.inner, code)
      code.push({ op: 'save', slot: node.index * 2 + 1 })
      return
    case 'choice':
      emitChoice(node.parts, code)
      return
    case 'repeat':
      emitRepeat(node, code)
  }
}

function emitChoice(parts: Node[], code: Instruction[]): void {
  const ends: { op: 'jump'; to: number }[] = []
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1) {
      emit(part, code)
      break
    }
    const split = { op: 'split' as const, first: code.length + 1, second: 0 }
    code.push(split)
    emit(part, code)
    const end = { op: 'jump' as const, to: 0 }
    ends.push(end)
    code.push(end)
    split.second = code.length
  }
  for (const end of ends) end.to = code.length
}

function emitRepeat({ inner, min, max, isLazy }: Node & { kind: 'repeat' }, code: Instruction[]): void {
  for (let i = 0; i < min; i++) emit(inner, code)
  const branch = () => {
    const split = { op: 'split' as const, first: code.length + 1, second: code.length + 1 }
    code.push(split)
    return {
      setExit(to: number) {
        if (isLazy) split.first = to
        else split.second = to
      },
    }
  }
  if (max === Number.POSITIVE_INFINITY) {
    const start = code.length
    const split = branch()
    emit(inner, code)
    code.push({ op: 'jump', to: start })
    split.setExit(code.length)
    return
  }
  const exits: { setExit(to: number): void }[] = []
  for (let i = min; i < max; i++) {
    exits.push(branch())
    emit(inner, code)
  }
  for (const exit of exits) exit.setExit(code.length)
}

function createReader(pattern: string, isDotAll: boolean) {
  const text = Array.from(pattern, (char) => char.codePointAt(0)!)
  const names = new Map<string, number>()
  let at = 0
  let groups = 0
  let depth = 0
  let isQuoted = false
  let flags: Flags = { isFolded: false, isMultiline: false, isDotAll, isUngreedy: false }

  const peek = (ahead = 0) => (at + ahead < text.length ? String.fromCodePoint(text[at + ahead]!) : '')
  const rest = () => String.fromCodePoint(...text.slice(at, at + 64))
  const bad = (what: string) => new Error(`error parsing regexp: ${what}`)

  function readAll(): Node {
    const node = readChoice()
    if (at < text.length) throw bad('unexpected )')
    return node
  }

  function readChoice(): Node {
    if (++depth > maxDepth) throw bad('expression nests too deeply')
    const parts = [readSequence()]
    while (peek() === '|') {
      at++
      parts.push(readSequence())
    }
    depth--
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  function readSequence(): Node {
    const parts: Node[] = []
    while (at < text.length && (isQuoted || (peek() !== '|' && peek() !== ')'))) {
      const atom = isQuoted ? readQuoted() : readAtom()
      if (atom !== null) parts.push(isQuoted ? atom : readRepeats(atom))
    }
    return { kind: 'sequence', parts }
  }

  function readRepeats(atom: Node): Node {
    let node = atom
    for (let isFirst = true; ; isFirst = false) {
      const bounds = readBounds()
      if (bounds === null) return node
      if (!isFirst) throw bad('invalid nested repetition operator')
      let isLazy = flags.isUngreedy
      if (peek() === '?') {
        at++
        isLazy = !isLazy
      }
      node = { kind: 'repeat', inner: node, ...bounds, isLazy }
    }
  }

  function readBounds(): { min: number; max: number } | null {
    const sign = peek()
    const simple = { '*': [0, Number.POSITIVE_INFINITY], '+': [1, Number.POSITIVE_INFINITY], '?': [0, 1] }[sign]
    if (simple !== undefined) {
      at++
      return { min: simple[0]!, max: simple[1]! }
    }
    const found = /^\{(\d+)(?:(,)(\d*))?\}/.exec(rest())
    if (found === null) return null
    at += found[0].length
    const min = Number(found[1])
    const max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3])
    if (min > maxRepeat || (max !== Number.POSITIVE_INFINITY && max > maxRepeat) || max < min) {
      throw bad(`invalid repeat count: ${found[0]}`)
    }
    return { min, max }
  }

  /** null for what only sets flags. */
  function readAtom(): Node | null {
    const sign = peek()
    if ('*+?'.includes(sign)) throw bad(`missing argument to repetition operator: ${sign}`)
    if (sign === '(') return readGroup()
    if (sign === '[') return one(readClass())
    if (sign === '\\') return readEscape()
    at++
    if (sign === '.') return one(flags.isDotAll ? () => true : (cp) => cp !== 10)
    if (sign === '^') return { kind: 'assert', assertion: flags.isMultiline ? 'line-start' : 'start' }
    if (sign === '$') return { kind: 'assert', assertion: flags.isMultiline ? 'line-end' : 'end' }
    return one(literal(text[at - 1]!))
  }

  function readGroup(): Node | null {
    at++
    const saved = { ...flags }
    let index: number | null = null
    if (peek() === '?') {
      const named = /^\?P?<([A-Za-z_]\w*)>/.exec(rest())
      const set = /^\?([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest())
      if (named !== null) {
        if (names.has(named[1]!)) throw bad(`duplicate capture group name: ${named[1]}`)
        at += named[0].length
        index = ++groups
        names.set(named[1]!, index)
      } else if (set !== null && (set[1] !== '' || set[2] !== undefined || set[3] === ':')) {
        at += set[0].length
        setFlags(set[1]!, true)
        setFlags(set[2] ?? '', false)
        if (set[3] === ')') return null
      } else {
        throw bad(`invalid or unsupported Perl syntax: (${rest().slice(0, 3)}`)
      }
    } else {
      index = ++groups
    }
    const inner = readChoice()
    if (peek() !== ')') throw bad('missing closing )')
    at++
    flags = saved
    return index === null ? inner : { kind: 'group', index, inner }
  }

  function setFlags(letters: string, value: boolean): void {
    for (const letter of letters) {
      if (letter === 'i') flags.isFolded = value
      else if (letter === 'm') flags.isMultiline = value
      else if (letter === 's') flags.isDotAll = value
      else flags.isUngreedy = value
    }
  }

  function readEscape(): Node | null {
    const letter = peek(1)
    const assertions: Record<string, Assertion> = { A: 'start', z: 'end', b: 'word', B: 'not-word' }
    if (assertions[letter] !== undefined) {
      at += 2
      return { kind: 'assert', assertion: assertions[letter] }
    }
    if (letter === 'Q') {
      at += 2
      isQuoted = true
      return null
    }
    const set = readSet()
    if (set !== null) return one(set)
    return one(literal(readEscapedChar()))
  }

  /** One character between \Q and \E; the last one is what a repetition behind them repeats. */
  function readQuoted(): Node | null {
    const isOver = () => peek() === '\\' && peek(1) === 'E'
    const node = isOver() ? null : one(literal(text[at++]!))
    if (isOver()) {
      at += 2
      isQuoted = false
    }
    return node
  }

  /** \d, \pL and the like; null when the escape is of one character. */
  function readSet(): Test | null {
    const letter = peek(1)
    const known: Record<string, Test> = { d: isDigit, w: isWord, s: isSpace }
    const test = known[letter.toLowerCase()]
    if (test !== undefined) {
      at += 2
      return letter === letter.toLowerCase() ? test : negate(test)
    }
    if (letter !== 'p' && letter !== 'P') return null
    const found = /^\\[pP](?:\{(\^?)(\w+)\}|([A-Z]))/.exec(rest())
    if (found === null) throw bad(`invalid character class range: ${rest().slice(0, 4)}`)
    at += found[0].length
    const property = unicodeTest(found[2] ?? found[3]!)
    if (property === null) throw bad(`invalid character class range: ${found[0]}`)
    return (letter === 'P') === (found[1] === '^') ? property : negate(property)
  }

  function readEscapedChar(): number {
    const found = /^\\(?:x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2}))/.exec(rest())
    if (found !== null) {
      at += found[0].length
      const code = found[3] === undefined ? Number.parseInt(found[1] ?? found[2]!, 16) : Number.parseInt(found[3], 8)
      if (code > 0x10ffff) throw bad(`invalid escape sequence: ${found[0]}`)
      return code
    }
    const letter = peek(1)
    const controls: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }
    if (letter === '') throw bad('trailing backslash at end of expression')
    if (controls[letter] === undefined && (/[A-Za-z0-9]/.test(letter) || letter.codePointAt(0)! >= 128)) {
      throw bad(`invalid escape sequence: \\${letter}`)
    }
    at += 2
    return controls[letter] ?? letter.codePointAt(0)!
  }

  function readClass(): Test {
    at++
    const isNegated = peek() === '^'
    if (isNegated) at++
    const tests: Test[] = []
    for (let isFirst = true; ; isFirst = false) {
      if (at >= text.length) throw bad('missing closing ]')
      if (peek() === ']' && !isFirst) break
      const posix = /^\[:(\^?)(\w+):\]/.exec(rest())
      if (posix !== null) {
        const test = posixClasses[posix[2]!]
        if (test === undefined) throw bad(`invalid character class range: ${posix[0]}`)
        at += posix[0].length
        tests.push(posix[1] === '^' ? negate(test) : test)
        continue
      }
      const set = peek() === '\\' ? readSet() : null
      if (set !== null) tests.push(set)
      else tests.push(readSpan())
    }
    at++
    const isIn: Test = (cp) => tests.some((test) => test(cp))
    return isNegated ? (cp) => !isIn(cp) : isIn
  }

  function readSpan(): Test {
    const low = readClassChar()
    if (peek() !== '-' || peek(1) === ']' || peek(1) === '') return literal(low)
    at++
    const high = readClassChar()
    if (high < low) throw bad('invalid character class range')
    return folded((cp) => cp >= low && cp <= high)
  }

  function readClassChar(): number {
    return peek() === '\\' ? readEscapedChar() : text[at++]!
  }

  function literal(codePoint: number): Test {
    return folded((cp) => cp === codePoint)
  }

  function folded(test: Test): Test {
    return flags.isFolded ? (cp) => foldsOf(cp).some(test) : test
  }

  return { readAll, names, groups: () => groups }
}

function one(test: Test): Node {
  return { kind: 'one', test }
}

function negate(test: Test): Test {
  return (cp) => !test(cp)
}

function foldsOf(codePoint: number): number[] {
  const char = String.fromCodePoint(codePoint)
  return [codePoint, char.toLowerCase().codePointAt(0)!, char.toUpperCase().codePointAt(0)!]
}

function unicodeTest(name: string): Test | null {
  for (const property of [name, `Script=${name}`]) {
    try {
      const pattern = new RegExp(`^\\p{${property}}$`, 'u')
      return (cp) => pattern.test(String.fromCodePoint(cp))
    } catch {
      // The next spelling, else the pattern is refused.
    }
  }
  return null
}

function within(...ranges: readonly (readonly [string, string])[]): Test {
  return (cp) => ranges.some(([low, high]) => cp >= low.codePointAt(0)! && cp <= high.codePointAt(0)!)
}

const isDigit = within(['0', '9'])
export const isWord = within(['0', '9'], ['A', 'Z'], ['a', 'z'], ['_', '_'])
const isSpace: Test = (cp) => cp === 9 || cp === 10 || cp === 12 || cp === 13 || cp === 32

const posixClasses: Readonly<Record<string, Test>> = {
  alnum: within(['0', '9'], ['A', 'Z'], ['a', 'z']),
  alpha: within(['A', 'Z'], ['a', 'z']),
  ascii: (cp) => cp < 128,
  blank: (cp) => cp === 9 || cp === 32,
  cntrl: (cp) => cp < 32 || cp === 127,
  digit: isDigit,
  graph: within(['!', '~']),
  lower: within(['a', 'z']),
  print: within([' ', '~']),
  punct: within(['!', '/'], [':', '@'], ['[', '`'], ['{', '~']),
  space: (cp) => (cp >= 9 && cp <= 13) || cp === 32,
  upper: within(['A', 'Z']),
  word: isWord,
  xdigit: within(['0', '9'], ['A', 'F'], ['a', 'f']),
}
