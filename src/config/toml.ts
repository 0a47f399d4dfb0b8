import { parse, TomlError } from 'smol-toml'

export type TomlDocument =
  | { kind: 'values'; values: Record<string, unknown>; lines: ReadonlyMap<string, number> }
  | { kind: 'broken'; line: number; reason: string }

/**
 * Reads TOML 1.0 (https://toml.io/en/v1.0.0). `lines` says on which line each key was written, by dotted path with
 * array indices (`usage.prices.0.model`); keys inside inline tables are found at the line of the table.
 */
export function readToml(text: string): TomlDocument {
  try {
    return { kind: 'values', values: parse(text), lines: locateKeys(text) }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [first = ''] = error.message.split('\n')
    return { kind: 'broken', line: error.line, reason: first.replace(/^Invalid TOML document: /, '') }
  }
}

/** One `key = value`, or one header of a table, and where in the text it stands. */
export type TomlEntry = {
  /** The whole path, with indices of arrays of tables. */
  path: readonly string[]
  /** Of a value: the path of the table it was written under. */
  table: readonly string[]
  isHeader: boolean
  line: number
  /** Where the key or the bracket begins. */
  start: number
  /** Where the value begins and ends, without the comment behind it; of a header its brackets. */
  valueStart: number
  valueEnd: number
}

function locateKeys(text: string): Map<string, number> {
  const lines = new Map<string, number>()
  for (const { path, line } of listEntries(text)) {
    for (let length = 1; length <= path.length; length++) {
      const key = path.slice(0, length).join('.')
      if (!lines.has(key)) lines.set(key, line)
    }
  }
  return lines
}

/**
 * Every key and header of a text that is known to be valid TOML, in order. The parser reports no positions of what it
 * accepted, so the same text is walked once more; the walk only has to tell keys from values.
 */
export function listEntries(text: string): TomlEntry[] {
  const entries: TomlEntry[] = []
  const tablesSoFar = new Map<string, number>()
  let at = 0
  let line = 1
  let table: string[] = []

  const advance = (count: number) => {
    for (const end = at + count; at < end; at++) if (text[at] === '\n') line++
  }
  // `[a.b]` after `[[a]]` means b of the latest a.
  const resolveTable = (keys: readonly string[]) => {
    const path: string[] = []
    for (const key of keys) {
      path.push(key)
      const count = tablesSoFar.get(path.join('.'))
      if (count !== undefined) path.push(String(count - 1))
    }
    return path
  }

  while (at < text.length) {
    const blank = /^(?:\s+|#[^\n]*)/.exec(text.slice(at))
    if (blank) {
      advance(blank[0].length)
      continue
    }
    const start = at
    const startLine = line
    const isHeader = text[at] === '['
    const isArrayHeader = text.startsWith('[[', at)
    if (isHeader) advance(isArrayHeader ? 2 : 1)
    const { keys, length } = readKeys(text.slice(at))
    advance(length)
    if (!isHeader) {
      const rest = text.slice(at + 1)
      const { whole, value } = measureValue(rest)
      const valueStart = at + 1 + (/^[ \t]*/.exec(rest)?.[0].length ?? 0)
      entries.push({
        ...{ path: [...table, ...keys], table, isHeader, line: startLine, start },
        ...{ valueStart, valueEnd: Math.max(valueStart, at + 1 + value) },
      })
      advance(1 + whole)
      continue
    }
    if (isArrayHeader) {
      const parent = [...resolveTable(keys.slice(0, -1)), keys.at(-1)!]
      const count = tablesSoFar.get(parent.join('.')) ?? 0
      tablesSoFar.set(parent.join('.'), count + 1)
    }
    table = resolveTable(keys)
    advance(isArrayHeader ? 2 : 1)
    entries.push({ path: table, table, isHeader, line: startLine, start, valueStart: start, valueEnd: at })
  }
  return entries
}

/** Keys up to `=` or `]`, and how many characters they take. */
function readKeys(text: string): { keys: string[]; length: number } {
  const keys: string[] = []
  const part = /\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*(\.?)/y
  for (let match = part.exec(text); match; match = part.exec(text)) {
    const raw = match[1]!
    keys.push(/^["']/.test(raw) ? raw.slice(1, -1) : raw)
    if (match[2] === '') return { keys, length: part.lastIndex }
  }
  return { keys, length: text.length }
}

/** Length of a value alone, and up to the end of its last line: strings may hold anything, arrays may span lines. */
function measureValue(text: string): { whole: number; value: number } {
  const token =
    /"""(?:[^\\]|\\[\s\S])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[[\]{}\n]|[^"'#[\]{}\n]+/y
  let depth = 0
  let value = 0
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const found = match[0]
    if (found === '[' || found === '{') depth++
    else if (found === ']' || found === '}') depth--
    else if (found === '\n' && depth === 0) return { whole: token.lastIndex, value }
    if (!found.startsWith('#')) value = match.index + found.trimEnd().length || value
  }
  return { whole: text.length, value }
}
