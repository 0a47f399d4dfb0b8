import { brokenAction } from './audit-log.ts'
import { type Chain, isBlank } from './chain.ts'
import type { AuditRow, AuditStore, CheckpointRow, HeadRow } from './store.ts'

export type AuditBreak = {
  /** Place of the first row that is not as it was written. */
  seq: number
  /** '' when the row itself is gone. */
  id: string
  reason: 'changed' | 'missing' | 'inserted' | 'reordered' | 'truncated' | 'head' | 'checkpoint' | 'anchor'
  message: string
}

export type AuditVerdict = {
  isWhole: boolean
  rows: number
  /** Places of the first and last row looked at; 0 for none. */
  firstSeq: number
  lastSeq: number
  /** The end of the chain as `seq:hash`: keep it elsewhere, and `anchor` proves later that nothing before it was replaced. */
  head: string
  firstBreak: AuditBreak | null
}

export type AuditRange = {
  /** Epoch ms, inclusive and exclusive. Without `to` the end of the chain is proved too. */
  from?: number | undefined
  to?: number | undefined
  /** A `seq:hash` that an earlier verification told. */
  anchor?: string | undefined
}

type Source = Pick<AuditStore, 'head' | 'page' | 'at' | 'withHash' | 'firstSince' | 'lastBefore' | 'checkpoints'>

const pageRows = 500

/** Reads the chain once, a page at a time, and tells the first row that is not as it was written. */
export async function verifyChain(store: Source, chain: Chain, range: AuditRange = {}): Promise<AuditVerdict> {
  for (;;) {
    const checkpoints = await store.checkpoints()
    const verdict = await verifyFrom(store, chain, range, checkpoints)
    if (verdict.isWhole || (await store.checkpoints()).length === checkpoints.length) return verdict
    // An archive run took rows away while they were read: once more, from where they begin now.
  }
}

async function verifyFrom(
  store: Source,
  chain: Chain,
  { from, to, anchor }: AuditRange,
  checkpoints: readonly CheckpointRow[],
): Promise<AuditVerdict> {
  const verdict: AuditVerdict = { isWhole: true, rows: 0, firstSeq: 0, lastSeq: 0, head: '', firstBreak: null }
  const broken = (seq: number, id: string, reason: AuditBreak['reason'], message: string): AuditVerdict => ({
    ...verdict,
    isWhole: false,
    firstBreak: { seq, id, reason, message },
  })

  for (const [i, each] of checkpoints.entries()) {
    if (chain.isCheckpoint(each) && each.first_seq === (checkpoints[i - 1]?.seq ?? 0) + 1) continue
    return broken(
      each.seq,
      '',
      'checkpoint',
      `the checkpoint at ${each.seq} is not as this hub wrote it, or one is gone`,
    )
  }
  const checkpoint = checkpoints.at(-1)
  // Below the first place there is nothing, unless somebody put it there.
  let after = Number.MIN_SAFE_INTEGER
  let seq = checkpoint?.seq ?? 0
  let previous = checkpoint?.hash ?? ''
  if (from !== undefined) {
    const first = await store.firstSince(from)
    if (first === null) return verdict
    const before = first - 1 > seq ? await store.at(first - 1) : undefined
    if (before !== undefined) ({ seq, hash: previous } = before)
    after = seq
  }
  const until = to === undefined ? Number.POSITIVE_INFINITY : ((await store.lastBefore(to)) ?? 0)
  const pinned = readAnchor(anchor)

  for (;;) {
    const page = await store.page(after, pageRows)
    for (const [i, row] of page.entries()) {
      if (row.seq > until) break
      const fault = await judge(row, page[i + 1], seq, previous, store, chain)
      if (fault !== null) return broken(fault.seq, fault.id, fault.reason, fault.message)
      if (row.action === brokenAction) {
        return broken(row.seq, row.id, 'head', `before row ${row.seq} the signed end of the log had been changed`)
      }
      if (pinned?.seq === row.seq && pinned.hash !== row.hash) {
        return broken(row.seq, row.id, 'anchor', `row ${row.seq} is not the one that the anchor was taken from`)
      }
      seq = row.seq
      after = seq
      previous = row.hash
      verdict.rows++
      if (verdict.firstSeq === 0) verdict.firstSeq = row.seq
      verdict.lastSeq = row.seq
    }
    if (page.length === pageRows && seq < until) continue
    if (to !== undefined) return verdict

    // Rows and head are committed together: a head read after the rows is never behind them.
    const head = await store.head()
    const end = judgeHead(head, seq, previous, chain)
    if (end === 'more' && (await store.page(seq, 1)).length > 0) continue
    if (end === 'more') {
      return broken(seq + 1, '', 'truncated', `the log ends at row ${seq}, and ${head!.seq} were written`)
    }
    if (end !== null) return broken(end.seq, '', end.reason, end.message)
    verdict.head = head === undefined || isBlank(head) ? '' : `${head.seq}:${head.hash}`
    if (pinned !== null && pinned.seq > seq) {
      return broken(seq + 1, '', 'anchor', `the anchor was taken at row ${pinned.seq}, and the log ends at ${seq}`)
    }
    return verdict
  }
}

async function judge(
  row: AuditRow,
  next: AuditRow | undefined,
  seq: number,
  previous: string,
  store: Source,
  chain: Chain,
): Promise<AuditBreak | null> {
  const isOwn = chain.hashOf(row, row.previous) === row.hash
  if (isOwn && row.previous === previous && row.seq === seq + 1) return null
  const at = { seq: row.seq, id: row.id }
  if (!isOwn) {
    const after = next ?? (await store.page(row.seq, 1))[0]
    // The next row holds to the one before this one: it was written when this one was not there.
    if (after?.previous === previous || !Number.isInteger(row.seq)) {
      return { ...at, reason: 'inserted', message: `row ${row.seq} was put in between` }
    }
    return { ...at, reason: 'changed', message: `row ${row.seq} is not as it was written` }
  }
  if (row.seq <= seq) {
    return { ...at, reason: 'inserted', message: `row ${row.seq} stands before the first one` }
  }
  if (row.seq !== seq + 1 && row.previous !== previous) {
    return { seq: seq + 1, id: '', reason: 'missing', message: `rows ${seq + 1} to ${row.seq - 1} are gone` }
  }
  const other = await store.withHash(row.previous)
  if (other !== undefined || row.previous === previous) {
    return { ...at, reason: 'reordered', message: `row ${row.seq} stood somewhere else` }
  }
  return { ...at, reason: 'missing', message: `what stood before row ${row.seq} is gone` }
}

function judgeHead(
  head: HeadRow | undefined,
  seq: number,
  hash: string,
  chain: Chain,
): null | 'more' | Omit<AuditBreak, 'id'> {
  if (head === undefined) return { seq, reason: 'head', message: 'the signed end of the log is gone' }
  if (isBlank(head) && seq === 0) return null
  if (!chain.isHead(head)) {
    return { seq: head.seq, reason: 'head', message: 'the signed end of the log was not written by this hub' }
  }
  if (head.seq > seq) return 'more'
  if (head.seq < seq) {
    return { seq: head.seq + 1, reason: 'inserted', message: `rows after ${head.seq} were not written by this hub` }
  }
  if (head.hash === hash) return null
  return { seq, reason: 'changed', message: `row ${seq} is not the one that was written last` }
}

function readAnchor(text: string | undefined): { seq: number; hash: string } | null {
  const found = /^(\d{1,15}):([\w-]{43})$/.exec(text ?? '')
  return found === null ? null : { seq: Number(found[1]), hash: found[2]! }
}
