import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secrets } from '../../platform/secrets.ts'
import type { TimelineEntry } from '../schema.ts'

export type Head = { seq: number; hash: string; signature: string }
export type Chained = TimelineEntry & { hash: string }

/**
 * How the lines of an incident hang together: each hash is an HMAC over the line and the hash before it, and the end is
 * signed, under keys made from the master key. Who can write to the table but has no master key can break it, not mend it.
 */
export type TimelineChain = {
  hashOf(entry: TimelineEntry, previous: string): string
  sign(incidentId: string, seq: number, hash: string): Head
}

export type TimelineVerdict = {
  isWhole: boolean
  entries: number
  /** `seq:hash` of the end: what was written down elsewhere can be compared with it later. */
  head: string
  firstBreak: { seq: number; message: string } | null
}

export function createTimelineChain(secrets: Pick<Secrets, 'derive'>): TimelineChain {
  const [rowKey, headKey] = [secrets.derive('incident timeline'), secrets.derive('incident timeline head')]
  const hmac = (key: Buffer, value: unknown) =>
    createHmac('sha256', key).update(JSON.stringify(value)).digest('base64url')
  return {
    // The order is part of every hash ever made: it never changes.
    hashOf: ({ incidentId, seq, at, kind, actor, text, data }, previous) =>
      hmac(rowKey, [previous, incidentId, seq, at, kind, actor.kind, actor.id, actor.name, text, JSON.stringify(data)]),
    sign: (incidentId, seq, hash) => ({ seq, hash, signature: hmac(headKey, [incidentId, seq, hash]) }),
  }
}

/** Whether the lines are as they were written, none changed, moved, added or left out, the last ones included. */
export function verifyTimeline(
  chain: TimelineChain,
  incidentId: string,
  entries: readonly Chained[],
  head: Head,
): TimelineVerdict {
  const told = (firstBreak: TimelineVerdict['firstBreak']) => ({
    ...{ isWhole: firstBreak === null, entries: entries.length, head: `${head.seq}:${head.hash}`, firstBreak },
  })
  let previous = ''
  for (const [index, entry] of entries.entries()) {
    const seq = index + 1
    if (entry.seq !== seq) return told({ seq, message: `line ${seq} is missing` })
    if (!isSame(entry.hash, chain.hashOf(entry, previous))) {
      return told({ seq, message: `line ${seq} is not as it was written` })
    }
    previous = entry.hash
  }
  if (!isSame(head.signature, chain.sign(incidentId, head.seq, head.hash).signature)) {
    return told({ seq: head.seq, message: 'the end is not signed by this hub' })
  }
  if (head.seq !== entries.length || head.hash !== previous) {
    return told({
      seq: entries.length + 1,
      message: `it ended with line ${head.seq}, of which ${entries.length} are left`,
    })
  }
  return told(null)
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
