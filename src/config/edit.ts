import { isDeepStrictEqual } from 'node:util'
import { parse } from 'smol-toml'
import { fail } from '../kernel/errors.ts'
import { listEntries, type TomlEntry } from './toml.ts'

type Table = Record<string, unknown>

/**
 * `text`, which is valid TOML, with the setting at `path` set to `value`, or without it where `value` is undefined. Only
 * the bytes of that value change: comments, order and layout stay. What cannot be said so (a setting written as tables)
 * throws `invalid_request`, and whatever comes out is read again and compared before it is returned.
 */
export function editToml(text: string, path: readonly string[], value: unknown): string {
  const name = path.join('.')
  const before = parse(text) as Table
  if (isDeepStrictEqual(lookUp(before, path), value)) return text
  const edited = edit(text, before, path, value)
  let after: Table | null = null
  try {
    after = parse(edited) as Table
  } catch {
    // Told below.
  }
  if (after === null || !isDeepStrictEqual(normal(after), normal(changed(before, path, value)))) {
    throw fail('invalid_request', `${name} stands in the file in a way that cannot be edited here: change it by hand`, {
      param: name,
    })
  }
  return edited
}

function edit(text: string, before: Table, path: readonly string[], value: unknown): string {
  const entries = listEntries(text)
  const own = entries.find((entry) => !entry.isHeader && isSame(entry.path, path))
  if (own !== undefined) {
    return value === undefined ? withoutLines(text, own) : splice(text, own.valueStart, own.valueEnd, write(value))
  }
  // An inline table above it is written anew as a whole: it cannot hold comments.
  const around = entries.find(
    (entry) => !entry.isHeader && entry.path.length < path.length && isBelow(path, entry.path),
  )
  if (around !== undefined) {
    const inner = lookUp(changed(before, path, value), around.path)
    return splice(text, around.valueStart, around.valueEnd, write(inner))
  }
  if (value === undefined || entries.some((entry) => isBelow(entry.path, path))) return text
  return insert(text, entries, path, value)
}

/** Puts a new key where a person would: under its commented-out example, else last in its table, else in a new table. */
function insert(text: string, entries: readonly TomlEntry[], path: readonly string[], value: unknown): string {
  const parent = path.slice(0, -1)
  const key = path.at(-1)!
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const header = entries.findIndex((entry) => entry.isHeader && isSame(entry.path, parent))
  if (header !== -1 || parent.length === 0) {
    const next = entries.findIndex((entry, index) => index > header && entry.isHeader)
    const members = entries.slice(header + 1, next === -1 ? undefined : next)
    const last = members.at(-1) ?? entries[header]
    const from = last === undefined ? 0 : lineEnd(text, last.valueEnd)
    const blockEnd = next === -1 ? text.length : entries[next]!.start
    const blockStart = entries[header] === undefined ? 0 : lineEnd(text, entries[header].valueEnd)
    const at = exampleOf(text, key, members, blockStart, blockEnd) ?? from
    const indent = members.length > 0 ? indentOf(text, members.at(-1)!.start) : ''
    return insertLine(text, at, `${indent}${writeKey(key)} = ${write(value)}`, eol)
  }
  // Where the table is only named in dotted keys, a header of its own would define it twice.
  const dotted = entries.filter(
    (entry) => !entry.isHeader && isBelow(entry.path, parent) && entry.table.length < parent.length,
  )
  const beside = dotted.at(-1)
  if (beside !== undefined) {
    const written = path.slice(beside.table.length).map(writeKey).join('.')
    const line = `${indentOf(text, beside.start)}${written} = ${write(value)}`
    return insertLine(text, lineEnd(text, beside.valueEnd), line, eol)
  }
  const gap = text === '' ? '' : text.endsWith('\n') ? eol : eol + eol
  return `${text}${gap}[${parent.map(writeKey).join('.')}]${eol}${writeKey(key)} = ${write(value)}${eol}`
}

/** Behind a line such as `#port = 8000`, as the example file has them; undefined without one. */
function exampleOf(
  text: string,
  key: string,
  members: readonly TomlEntry[],
  from: number,
  to: number,
): number | undefined {
  const sign = new RegExp(String.raw`^[ \t]*#[ \t]*${key.replace(/[^\w]/g, String.raw`\$&`)}[ \t]*=.*$`, 'gm')
  for (const { index, 0: found } of text.slice(from, to).matchAll(sign)) {
    const at = from + index
    const isInside = members.some(({ start, valueEnd }) => at >= start && at < valueEnd)
    if (!isInside) return lineEnd(text, at + found.trimEnd().length)
  }
  return undefined
}

function insertLine(text: string, at: number, line: string, eol: string): string {
  const isCut = at > 0 && text[at - 1] !== '\n'
  return `${text.slice(0, at)}${isCut ? eol : ''}${line}${eol}${text.slice(at)}`
}

/** Past the line break of the line that `at` is on. */
function lineEnd(text: string, at: number): number {
  const found = text.indexOf('\n', at)
  return found === -1 ? text.length : found + 1
}

function withoutLines(text: string, { start, valueEnd }: TomlEntry): string {
  const begin = text.lastIndexOf('\n', start - 1) + 1
  return splice(text, begin, lineEnd(text, valueEnd), '')
}

function indentOf(text: string, at: number): string {
  return text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
}

function splice(text: string, from: number, to: number, between: string): string {
  return text.slice(0, from) + between + text.slice(to)
}

/** A value as TOML writes it on one line; what TOML has no word for throws `invalid_request`. */
export function write(value: unknown): string {
  if (typeof value === 'string') return writeText(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number' && Number.isFinite(value)) {
    // Past that, digits without a point would be read as a whole number that no double holds.
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value)
  }
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.map(write).join(', ')}]`
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    if (members.length === 0) return '{}'
    return `{ ${members.map(([key, member]) => `${writeKey(key)} = ${write(member)}`).join(', ')} }`
  }
  throw fail('invalid_request', `TOML has no word for ${String(value)}: leave it out`)
}

export function writeKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : writeText(key)
}

// TOML's escapes are those of JSON; it takes no lone surrogate and no DEL.
function writeText(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll('\x7f', String.raw`\u007F`)
}

function lookUp(table: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Table)[key] : undefined),
    table,
  )
}

function changed(before: Table, path: readonly string[], value: unknown): Table {
  const after = structuredClone(before)
  let table = after
  for (const key of path.slice(0, -1)) {
    if (typeof table[key] !== 'object' || table[key] === null) {
      if (value === undefined) return after
      table[key] = {}
    }
    table = table[key] as Table
  }
  if (value === undefined) delete table[path.at(-1)!]
  else table[path.at(-1)!] = value
  return after
}

/** Without the prototype-less objects of the parser, and without tables that hold nothing. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal)
  if (value === 0) return 0
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, member]) => [key, normal(member)] as const)
      .filter(([, member]) => !isEmptyTable(member)),
  )
}

function isEmptyTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((part, index) => part === b[index])
}

function isBelow(path: readonly string[], above: readonly string[]): boolean {
  return path.length > above.length && above.every((part, index) => part === path[index])
}
