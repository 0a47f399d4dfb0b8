/** A table as it is copied: its columns by name, those of the primary key first and in the key's own order. */
export type Shape = { table: string; columns: readonly string[]; keys: number }

/** What a column can hold on either engine. Whole numbers beyond 2^53 are bigints. */
export type Value = string | number | bigint | null | Uint8Array
export type Row = readonly Value[]

/** Puts what both engines say of a table's columns into the one order that copies have. */
export function shapeOf(table: string, columns: readonly { name: string; key: number }[]): Shape {
  const keys = columns.filter(({ key }) => key > 0).sort((a, b) => a.key - b.key)
  const others = columns.filter(({ key }) => key === 0).sort((a, b) => (a.name < b.name ? -1 : 1))
  return { table, columns: [...keys, ...others].map(({ name }) => name), keys: keys.length }
}

/** Rows are told apart by their primary key; every table of ours has one. */
export function keyed(shape: Shape): Shape {
  if (shape.keys > 0) return shape
  throw new Error(`The table ${shape.table} has no primary key`)
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A row as the text that archives hold and sums are made of; the same on both engines, and read back by `readRow`. */
export function writeRow(row: Row): string {
  return JSON.stringify(row.map(toPlain))
}

export function readRow(text: string): Value[] {
  return (JSON.parse(text) as unknown[]).map(fromPlain)
}

function toPlain(value: Value): unknown {
  if (typeof value === 'string' || value === null) return value
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : { i: String(value) }
  }
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : { f: toText(value) }
  return { b: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
}

function toText(number: number): string {
  return Object.is(number, -0) ? '-0' : String(number)
}

function fromPlain(value: unknown): Value {
  if (typeof value !== 'object' || value === null) return value as Value
  const { i, f, b } = value as { i?: string; f?: string; b?: string }
  if (i !== undefined) return BigInt(i)
  if (f !== undefined) return Number(f)
  return Buffer.from(b ?? '', 'base64')
}

/** Where a store that is being filled notes what `finish` has to put back; its being there says that it is not whole. */
export const putOffTable = 'unfinished_copy'

/** The order of primary keys by value: numbers, then texts by their bytes, then bytes, as SQLite sorts them. */
export function compareKeys(a: Row, b: Row, keys: number): number {
  for (let at = 0; at < keys; at++) {
    const order = compareValues(a[at]!, b[at]!)
    if (order !== 0) return order
  }
  return 0
}

function compareValues(a: Value, b: Value): number {
  const kind = kindOf(a) - kindOf(b)
  if (kind !== 0) return kind
  if (typeof a === 'string') return compareTexts(a, b as string)
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array)
  return a === b || a === null ? 0 : a < (b as number | bigint) ? -1 : a > (b as number | bigint) ? 1 : 0
}

function kindOf(value: Value): number {
  return value === null ? 0 : typeof value === 'string' ? 2 : value instanceof Uint8Array ? 3 : 1
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  // JavaScript compares halves of surrogate pairs, which sort before characters that their UTF-8 sorts after.
  if (/[\ud800-\uffff]/.test(a) && /[\ud800-\uffff]/.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}
