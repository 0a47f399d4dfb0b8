export type Cell = string | number | boolean | null
/** A row of an export by its columns. */
export type ExportRow = Readonly<Record<string, Cell>>

/** Rows as CSV (RFC 4180) that Excel opens as UTF-8. */
export const byteOrderMark = '\uFEFF'

/**
 * One line. A text that a spreadsheet would run as a formula gets an apostrophe in front
 * (https://owasp.org/www-community/attacks/CSV_Injection); numbers stay numbers, null is an empty cell.
 */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}

function csvCell(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell !== 'string') return String(cell)
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
