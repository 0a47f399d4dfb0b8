import { unusable } from './format.ts'
import type { Manifest, TableEntry } from './manifest.ts'
import type { Archive } from './read.ts'
import { createRowSum } from './sum.ts'

export type Watch = { signal: AbortSignal; onProgress(rows: number, bytes: number): void }

/**
 * Reads every byte of a backup and of its chain, opens it, and adds it up again. Throws `backup_unusable` with the first
 * thing that is not as it was written.
 */
export async function verifyArchive(archive: Archive, { signal, onProgress }: Watch): Promise<void> {
  archive.assertNothingElse()
  for (const entry of archive.manifest.tables) {
    const sum = createRowSum()
    let rows = 0
    for (const piece of entry.pieces) {
      signal.throwIfAborted()
      const plain = await archive.read('rows', piece)
      const lines = linesOf(plain)
      for (const line of lines) sum.add(line)
      if (lines.length !== piece.rows)
        throw mismatch(archive, entry, `${lines.length} rows in a piece of ${piece.rows}`)
      rows += lines.length
      onProgress(lines.length, plain.length)
    }
    if (rows !== entry.rows) throw mismatch(archive, entry, `${rows} rows where ${entry.rows} were counted`)
    if (sum.text() !== entry.checksum) throw mismatch(archive, entry, 'other rows than were counted')
  }
  for (const { pieces } of archive.manifest.files) {
    for (const piece of pieces) {
      signal.throwIfAborted()
      onProgress(0, (await archive.read('file', piece)).length)
    }
  }
}

export function linesOf(plain: Buffer): string[] {
  return plain.length === 0 ? [] : plain.toString('utf8').split('\n')
}

function mismatch({ header }: Archive, { table }: TableEntry, told: string) {
  return unusable('mismatch', `The backup ${header.id} does not add up: its table ${table} has ${told}.`)
}

/** Throws `older schema` or `newer schema` unless this program's migrations are those of the backup; older ones may pass. */
export function assertSchema(
  { migrations }: Pick<Manifest, 'migrations'>,
  known: readonly string[],
  { id, allowOlder }: { id: string; allowOlder: boolean },
): void {
  const unknown = migrations.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw unusable(
      'newer schema',
      `The backup ${id} is newer than this program: it has ${unknown.join(', ')}, which this program does not know. Use the version that made it, or a later one.`,
    )
  }
  const missing = known.filter((name) => !migrations.includes(name))
  if (missing.length > 0 && !allowOlder) {
    throw unusable(
      'older schema',
      `The backup ${id} is older than this program: it ends with ${migrations.at(-1) ?? 'no migration'} and lacks ${missing.length} later ones. Add --migrate to bring it forward after it is restored, or use the version that made it.`,
    )
  }
}
