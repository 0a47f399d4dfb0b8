import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secrets } from '../../platform/secrets.ts'
import type { AuditRow, CheckpointRow, HeadRow } from './store.ts'

/** What a row says, before it has a place in the chain. */
export type AuditEntry = Omit<AuditRow, 'seq' | 'previous' | 'hash'>

/**
 * How rows hang together. Each hash is an HMAC over the row and the hash before it, under a key made from the master
 * key: who can write to the tables but has no master key can break the chain and not mend it.
 */
export type Chain = {
  hashOf(entry: AuditEntry, previous: string): string
  signHead(seq: number, hash: string): HeadRow
  isHead(head: HeadRow): boolean
  signCheckpoint(checkpoint: Omit<CheckpointRow, 'signature'>): CheckpointRow
  isCheckpoint(checkpoint: CheckpointRow): boolean
}

// The order is part of every hash ever made: it never changes, and a new column goes to the end.
const members = [
  ...(['id', 'action_id', 'phase', 'at', 'tenant_id', 'hub_wide'] as const),
  ...(['actor_kind', 'actor_id', 'actor_name', 'actor_role', 'actor_tenant_id'] as const),
  ...(['action', 'target', 'before_json', 'after_json', 'status', 'code'] as const),
  ...(['trace_id', 'request_id', 'ip', 'user_agent'] as const),
] satisfies readonly (keyof AuditEntry)[]

export function createChain(secrets: Pick<Secrets, 'derive'>): Chain {
  const [rowKey, headKey, checkpointKey] = ['audit row', 'audit head', 'audit checkpoint'].map(secrets.derive) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const sign = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('base64url')

  const chain: Chain = {
    hashOf: (entry, previous) => sign(rowKey, JSON.stringify([previous, ...members.map((member) => entry[member])])),
    signHead: (seq, hash) => ({ id: 1, seq, hash, signature: sign(headKey, JSON.stringify([seq, hash])) }),
    isHead: (head) => isSame(head.signature, chain.signHead(head.seq, head.hash).signature),
    signCheckpoint: (told) => {
      const { seq, hash, first_seq, at, file, file_sha256 } = told
      const text = JSON.stringify([seq, hash, first_seq, at, file, file_sha256])
      return { seq, hash, first_seq, at, file, file_sha256, signature: sign(checkpointKey, text) }
    },
    isCheckpoint: (checkpoint) => isSame(checkpoint.signature, chain.signCheckpoint(checkpoint).signature),
  }
  return chain
}

/** Nothing was ever written. */
export function isBlank(head: HeadRow): boolean {
  return head.seq === 0 && head.hash === '' && head.signature === ''
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
