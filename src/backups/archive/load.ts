import {
  type Fill,
  openDump,
  type Row,
  readRow,
  type StoreAddress,
  writeRow,
} from '../../platform/database/copying/index.ts'
import { unusable } from './format.ts'
import type { Manifest } from './manifest.ts'
import type { Archive } from './read.ts'
import { createRowSum } from './sum.ts'
import { linesOf, type Watch } from './verify.ts'

/** Puts all rows of a backup into a store of the same shape. Throws `backup_unusable` when shape or bytes are others. */
export async function loadArchive(archive: Archive, fill: Fill, { signal, onProgress }: Watch): Promise<string[]> {
  const { header, manifest } = archive
  archive.assertNothingElse()
  const there = new Map(fill.tables.map((shape) => [shape.table, new Set(shape.columns)]))
  for (const { table, columns } of manifest.tables) {
    const lacks = columns.filter((column) => !there.get(table)?.has(column))
    if (lacks.length === 0) continue
    throw unusable(
      'mismatch',
      `The backup ${header.id} has a table ${table} with ${lacks.join(', ')}, which its migrations do not make.`,
    )
  }
  for (const entry of manifest.tables) {
    for (const piece of entry.pieces) {
      signal.throwIfAborted()
      const plain = await archive.read('rows', piece)
      const rows: Row[] = linesOf(plain).map(readRow)
      await fill.add(entry, rows)
      onProgress(rows.length, plain.length)
    }
  }
  return fill.finish()
}

/** Reads a store and says where it is not what the manifest tells: [] when it is the same, row for row. */
export async function compareStore(
  address: StoreAddress,
  { tables }: Pick<Manifest, 'tables'>,
  { signal, onProgress }: Watch,
): Promise<string[]> {
  const dump = await openDump(address)
  const findings: string[] = []
  try {
    const wanted = new Map(tables.map((entry) => [entry.table, entry]))
    for (const shape of dump.tables) {
      const entry = wanted.get(shape.table)
      wanted.delete(shape.table)
      const sum = createRowSum()
      let rows = 0
      for await (const batch of dump.rows(shape)) {
        for (const row of batch) sum.add(writeRow(row))
        rows += batch.length
        signal.throwIfAborted()
        onProgress(batch.length, 0)
      }
      if (entry === undefined && rows === 0) continue
      if (entry?.rows !== rows) findings.push(`${shape.table} has ${rows} rows, the backup ${entry?.rows ?? 'none'}`)
      else if (entry.checksum !== sum.text()) findings.push(`${shape.table} has other rows than the backup`)
    }
    for (const table of wanted.keys()) findings.push(`${table} is not there`)
    return findings
  } finally {
    await dump.close()
  }
}
