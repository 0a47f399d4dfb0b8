import { createHash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Chain } from './chain.ts'
import type { AuditRow, AuditStore } from './store.ts'

/** Rows in one file and one transaction. */
const fileRows = 5000

export type Archived = { rows: number; files: string[] }

/**
 * Moves rows written before `before` (epoch ms) out of the store into files of one JSON row a line, each with a signed
 * checkpoint from which the rest still verifies. Stops, with a log line, at rows that are not as they were written: they
 * are evidence and stay.
 */
export async function archiveRows(
  own: {
    auditStore: Pick<AuditStore, 'checkpoint' | 'page' | 'prune'>
    chain: Chain
    /** Writes a file of the archive whole and on disk; one of the same name has the same content. */
    keepFile(name: string, text: string): void
    clock: Clock
    log: Log
  },
  before: number,
): Promise<Archived> {
  const { auditStore, chain, keepFile, clock, log } = own
  const told: Archived = { rows: 0, files: [] }
  for (;;) {
    const checkpoint = await auditStore.checkpoint()
    const start = checkpoint?.seq ?? 0
    const [oldest] = await auditStore.page(start, 1)
    if (oldest === undefined || oldest.at >= before) return told
    const page = await auditStore.page(start, fileRows)
    const young = page.findIndex((row) => row.at >= before)
    const rows = young === -1 ? page : page.slice(0, young)
    const last = rows.at(-1)
    if (last === undefined) return told
    if ((checkpoint !== undefined && !chain.isCheckpoint(checkpoint)) || !isLinked(rows, checkpoint, chain)) {
      log.error('The audit log is broken and is not archived; run "gatehouse audit verify"', { count: start })
      return told
    }
    const text = `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`
    const file = `audit-${rows[0]!.seq}-${last.seq}-${last.hash.slice(0, 8)}.jsonl`
    keepFile(file, text)
    const signed = chain.signCheckpoint({
      ...{ seq: last.seq, hash: last.hash, first_seq: rows[0]!.seq, at: clock.now(), file },
      file_sha256: createHash('sha256').update(text).digest('hex'),
    })
    if (!(await auditStore.prune(signed, start))) return told
    told.rows += rows.length
    told.files.push(file)
    if (rows.length < fileRows) return told
  }
}

/** How many rows are as they were written, the first line that is not (from 1), and `seq:hash` of the last row. */
export type AuditFileVerdict = { rows: number; firstBrokenLine: number | null; last: string }

/** Whether a file of archived rows is as it was written, but for what was cut off at its ends: checkpoints tell that. */
export function verifyArchive(text: string, chain: Chain): AuditFileVerdict {
  let rows = 0
  let before: AuditRow | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const row = readRow(line)
    if (row === null || !isLinked([row], before, chain, before === undefined)) {
      return { rows, firstBrokenLine: rows + 1, last: '' }
    }
    before = row
    rows++
  }
  return { rows, firstBrokenLine: null, last: before === undefined ? '' : `${before.seq}:${before.hash}` }
}

function readRow(line: string): AuditRow | null {
  try {
    return JSON.parse(line) as AuditRow | null
  } catch {
    return null
  }
}

function isLinked(
  rows: readonly AuditRow[],
  start: { seq: number; hash: string } | undefined,
  chain: Chain,
  isAnywhere = false,
): boolean {
  let seq = start?.seq ?? (isAnywhere ? rows[0]!.seq - 1 : 0)
  let previous = start?.hash ?? (isAnywhere ? rows[0]!.previous : '')
  return rows.every((row) => {
    const isSound = row.seq === seq + 1 && row.previous === previous && chain.hashOf(row, previous) === row.hash
    ;({ seq, hash: previous } = row)
    return isSound
  })
}
