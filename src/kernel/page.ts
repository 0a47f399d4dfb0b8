/** A keyset page: `next_cursor` is opaque to callers and null on the last page. */
export type Page<T> = { data: T[]; next_cursor: string | null }

/** Cuts a page out of `limit + 1` rows read in order; the surplus row only tells that there is more. */
export function toPage<T>(rows: readonly T[], limit: number, cursorOf: (row: T) => string): Page<T> {
  const data = rows.slice(0, limit)
  const last = data[data.length - 1]
  return { data, next_cursor: rows.length > limit && last !== undefined ? cursorOf(last) : null }
}
