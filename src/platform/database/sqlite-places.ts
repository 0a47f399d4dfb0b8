/** What stands between the brackets of `values (…)`, and which values of a row are bound to its question marks. */
export type Places = { sql: string; bound: readonly number[] }

/** With fewer rows preparing another statement costs more than it spares. */
const fewRows = 50
/** Longer texts hardly repeat. */
const longestText = 200

/**
 * Places for rows that one statement is run for: what is the same in all of them stands in the statement. To hand a
 * value over to SQLite costs more than to store it, and most columns of a batch hold one value, often none.
 */
export function placesFor(rows: readonly (readonly unknown[])[]): Places {
  const first = rows[0] ?? []
  const bound: number[] = []
  const places = first.map((value, at) => {
    const literal = rows.length < fewRows ? null : literalOf(value)
    if (literal !== null && rows.every((row) => row[at] === value)) return literal
    bound.push(at)
    return '?'
  })
  return { sql: places.join(', '), bound }
}

/** Null for what only a bound value says exactly. A bound number is a real one, so its literal has to be one as well. */
function literalOf(value: unknown): string | null {
  if (value === null) return 'null'
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? `${value}.0` : null
  if (typeof value !== 'string' || value.length > longestText) return null
  return value.includes('\0') || !value.isWellFormed() ? null : `'${value.replaceAll("'", "''")}'`
}
