import { parse, stringify, TomlError } from 'smol-toml'
import { fail } from '../kernel/errors.ts'

export type Item = Record<string, unknown>
/** The control plane as a document: lists of things by kind. */
export type Document = { gatehouse: number; exported_at: string; version: string; items: Record<string, Item[]> }
export const formats = ['toml', 'json'] as const
export type Format = (typeof formats)[number]

const edition = 1
const jsonSign = 'json:'

export function writeDocument({ items, version, exported_at }: Omit<Document, 'gatehouse'>, format: Format): string {
  const head = { gatehouse: edition, version, exported_at }
  if (format === 'json') return `${JSON.stringify({ ...head, ...items }, null, 2)}\n`
  const lists = Object.fromEntries(Object.entries(items).map(([kind, list]) => [kind, list.map(toTomlItem)]))
  return `# The control plane of a Gatehouse hub: gatehouse config import reads it.\n${stringify({ ...head, ...lists })}`
}

/** Reads either format; throws `invalid_request` that says what is wrong and where. */
export function readDocument(text: string): Record<string, Item[]> {
  const { gatehouse, version: _v, exported_at: _at, ...lists } = parseText(text.replace(/^\uFEFF/, ''))
  if (gatehouse !== edition) {
    throw fail(
      'invalid_request',
      `This is no export of edition ${edition}: its first line says gatehouse = ${edition}`,
      {
        param: 'document',
      },
    )
  }
  for (const [kind, list] of Object.entries(lists)) {
    const isList = Array.isArray(list) && list.every((item) => isObject(item))
    if (!isList) throw fail('invalid_request', `${kind} is not a list of tables`, { param: `document.${kind}` })
  }
  const items = lists as Record<string, Item[]>
  return Object.fromEntries(Object.entries(items).map(([kind, list]) => [kind, list.map(fromTomlItem)]))
}

function parseText(text: string): Record<string, unknown> {
  try {
    const found: unknown = /^\s*\{/.test(text) ? JSON.parse(text) : parse(text)
    if (isObject(found)) return found
  } catch (error) {
    const reason = error instanceof TomlError ? `line ${error.line}: ${error.message.split('\n')[0]}` : String(error)
    throw fail('invalid_request', `The document is neither TOML nor JSON: ${reason}`, { param: 'document' })
  }
  throw fail('invalid_request', 'The document is not a table of lists', { param: 'document' })
}

/** TOML has no null: a member without a value is left out, and what holds one deeper down is written as JSON. */
function toTomlItem(item: Item): Item {
  return Object.fromEntries(
    Object.entries(item)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, isPlain(value) ? value : jsonSign + JSON.stringify(value)]),
  )
}

function fromTomlItem(item: Item): Item {
  return Object.fromEntries(
    Object.entries(item).map(([name, value]) => [
      name,
      typeof value === 'string' && value.startsWith(jsonSign) ? readJson(value.slice(jsonSign.length), name) : value,
    ]),
  )
}

function readJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw fail('invalid_request', `${name} begins with ${jsonSign} and is no JSON`, { param: name })
  }
}

/** What TOML can say as it is. Lists and tables go as JSON: numbers, order and nulls in them stay what they are. */
function isPlain(value: unknown): boolean {
  if (typeof value === 'string') return !value.startsWith(jsonSign) && value.isWellFormed()
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (Array.isArray(value)) return value.every((each) => typeof each === 'string' && each.isWellFormed())
  return typeof value === 'boolean'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
