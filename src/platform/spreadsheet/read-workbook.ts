import readSheets from 'read-excel-file/node'
import type { Cell } from './xlsx.ts'

/** Every sheet of a workbook by name, its cells row by row; of a formula what it came to. Rejects for what is none. */
export async function readWorkbook(bytes: Buffer): Promise<{ name: string; rows: Cell[][] }[]> {
  const found = await readSheets(bytes, { trim: false })
  return found.map(({ sheet, data }) => ({
    name: sheet,
    rows: data.map((row) => row.map((cell) => (cell instanceof Date ? cell.toISOString() : (cell as Cell)))),
  }))
}
