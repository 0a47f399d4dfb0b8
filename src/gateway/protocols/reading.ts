import { fail } from '../../kernel/errors.ts'
import type { JsonObject } from './json.ts'
import { rewrite, type Scan, scanTopLevel } from './scan.ts'

/** A body as far as it must be read. */
export type Reading = {
  /** For flags, numbers and names. Texts inside may be spelled wrong: take those from `whole`. */
  member(name: string): unknown
  /** Whether a member is an array with something in it. Told without reading it: a conversation may be megabytes. */
  hasItems(name: string): boolean
  /**
   * The body with these members set to these JSON texts and those removed, all other bytes as they came wherever that
   * is safe.
   */
  edit(set: Record<string, string>, remove?: readonly string[]): Buffer
  /** All of it. */
  whole(): JsonObject
}

/**
 * Reads a body in the cheapest way that cannot be misled. The danger is a body that two readers take for two requests,
 * one model for the key's limits and another for the provider: a name given twice, or spelled with escapes. Where the
 * model stands in the address (`isModelInside` false) that danger is not there.
 *
 * @throws HubError `invalid_json`
 */
export function readBodyOf(body: Buffer, isModelInside = true): Reading {
  if (body.includes(absentWord)) return readParsed(withoutAbsent(parse(body)))
  const small = body.length <= smallBytes ? readSmall(body, isModelInside) : null
  if (small) return small
  const scan = scanTopLevel(body)
  return scan ? readScanned(body, scan) : readParsed(parse(body))
}

/** Up to here a parser is faster than looking for members one by one. */
const smallBytes = 8192

/**
 * Parsed as Latin-1, which spares decoding: texts come out wrong where they are not ASCII, and nobody looks at those.
 * Not for bodies that hold the word "model" twice or any \u escape.
 */
function readSmall(body: Buffer, isModelInside: boolean): Reading | null {
  const first = body.indexOf(modelWord)
  if (isModelInside && (first === -1 || body.indexOf(modelWord, first + 1) !== -1)) return null
  if (body.includes(escapeMark)) return null
  let wire: unknown
  try {
    wire = JSON.parse(body.toString('latin1'))
  } catch {
    return null
  }
  if (!isObject(wire)) return null
  const { model } = wire
  if (typeof model === 'string' && !isAscii(model)) wire.model = Buffer.from(model, 'latin1').toString('utf8')
  return {
    member: (name) => wire[name],
    hasItems: (name) => isFilled(wire[name]),
    edit(set, remove = none) {
      if (Object.keys(set).length === 0 && remove.length === 0) return body
      const scan = scanTopLevel(body)
      return scan ? rewrite(body, scan, { set, remove }) : readParsed(parse(body)).edit(set, remove)
    },
    whole: () => parse(body),
  }
}

function readScanned(body: Buffer, scan: Scan): Reading {
  return {
    member(name) {
      const range = scan.get(name)
      return range && parseText(body.toString('utf8', range.start, range.end))
    },
    hasItems(name) {
      const range = scan.get(name)
      if (range === undefined || body[range.start] !== openBracket) return false
      return range.end - range.start > 1024 || body.toString('latin1', range.start + 1, range.end - 1).trim() !== ''
    },
    edit: (set, remove = none) => rewrite(body, scan, { set, remove }),
    whole: () => parse(body),
  }
}

function readParsed(wire: JsonObject): Reading {
  return {
    member: (name) => wire[name],
    hasItems: (name) => isFilled(wire[name]),
    edit(set, remove = none) {
      const values = Object.entries(set).map(([name, json]) => [name, JSON.parse(json)])
      const kept = Object.entries(wire).filter(([name]) => !remove.includes(name))
      return Buffer.from(JSON.stringify({ ...Object.fromEntries(kept), ...Object.fromEntries(values) }))
    },
    whole: () => wire,
  }
}

function parse(body: Buffer): JsonObject {
  const wire = parseText(body.toString('utf8'))
  if (!isObject(wire)) throw fail('invalid_json', 'The body must be a JSON object.')
  return wire
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw fail('invalid_json', `The body is not valid JSON: ${(error as Error).message.slice(0, 120)}`)
  }
}

const openBracket = 0x5b
const modelWord = Buffer.from('"model"')
const escapeMark = Buffer.from('\\u')
/** Some JavaScript clients send this word for a value they do not have. */
const absentWord = Buffer.from('"[undefined]"')

function withoutAbsent(wire: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(wire).filter(([, value]) => value !== '[undefined]'))
}

const none: readonly string[] = []

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}
