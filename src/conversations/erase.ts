import { createHash } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Principal } from '../kernel/principal.ts'
import { everything, scopeOf, showTenantId } from '../kernel/scope.ts'
import type { ConversationStore, MessageRow, ReceiptRow } from './store.ts'

export type EraseParts = {
  store: ConversationStore
  /** A compact JWS over claims, verifiable with the keys of `/.well-known/jwks.json`. */
  sign(claims: Readonly<Record<string, unknown>>): string
  clock: Clock
}

const batch = 500
/** A request waits for so long; what is left is deleted in the background, and hidden already. */
const patienceMs = 10_000

/** Deletes one session for ever. Throws `not_found` for what is not the caller's, as for what never was. */
export async function eraseSession(id: string, principal: Principal, parts: EraseParts): Promise<ReceiptRow> {
  const scope = scopeOf(principal)
  const session = await parts.store.findSession(scope, id)
  if (session === undefined) throw noSession()
  const receipt = openReceipt({ ...session, conversation_id: id }, principal, parts.clock)
  if (!(await parts.store.beginErasure(scope, receipt))) throw noSession()
  return await work(receipt.id, parts)
}

/** Deletes all that is kept of what a person, service account or key said until now; also what is still on its way here. */
export async function eraseOwner(
  owner: { user_id: string; tenant_id: string },
  principal: Principal,
  parts: EraseParts,
): Promise<ReceiptRow> {
  const receipt = openReceipt({ ...owner, conversation_id: '' }, principal, parts.clock)
  await parts.store.beginErasure(everything, receipt)
  return await work(receipt.id, parts)
}

/** Goes on with deletions whose process ended, or whose requests did not wait. */
export async function finishErasures(parts: EraseParts, signal: AbortSignal): Promise<void> {
  for (const { id } of await parts.store.openReceipts(100)) {
    if (signal.aborted) return
    await work(id, parts, Number.POSITIVE_INFINITY)
  }
}

/**
 * The digest over what was deleted, in the order it was said: SHA-256 over the digest before, the message's id, a colon and
 * its own digest, beginning with SHA-256 of nothing. Whoever has a copy can compute it.
 */
export function chainDigests(digest: string, gone: readonly Pick<MessageRow, 'id' | 'digest'>[]): string {
  return gone.reduce((before, message) => sha256(`${before}${message.id}:${message.digest}`), digest)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function work(id: string, { store, sign, clock }: EraseParts, limitMs = patienceMs): Promise<ReceiptRow> {
  const until = clock.monotonic() + limitMs
  for (;;) {
    const gone = await store.eraseSome(id, batch, chainDigests)
    if (gone === null) break
    if (clock.monotonic() > until) return await found(store, id)
  }
  const receipt = await found(store, id)
  if (receipt.finished_at !== 0) return receipt
  const finishedAt = clock.now()
  await store.finishErasure(id, finishedAt, sign(claimsOf(receipt, finishedAt)))
  return await found(store, id)
}

async function found(store: ConversationStore, id: string): Promise<ReceiptRow> {
  const receipt = await store.findReceipt(everything, id)
  if (receipt === undefined) throw fail('internal', `The receipt ${id} is gone from the store.`)
  return receipt
}

function openReceipt(
  of: { user_id: string; tenant_id: string; conversation_id: string },
  principal: Principal,
  clock: Clock,
): ReceiptRow {
  const now = clock.now()
  return {
    id: createId('deletionReceipt', now),
    ...{ tenant_id: of.tenant_id, user_id: of.user_id, conversation_id: of.conversation_id },
    requested_by: principal.id,
    digest: sha256(''),
    ...{ signature: '', erased_before: now, finished_at: 0, sessions: 0, messages: 0 },
  }
}

function claimsOf(row: ReceiptRow, finishedAt: number) {
  return {
    iss: 'gatehouse',
    jti: row.id,
    iat: Math.floor(finishedAt / 1000),
    tenant: showTenantId(row.tenant_id),
    owner: row.user_id,
    session: row.conversation_id,
    sessions: row.sessions,
    messages: row.messages,
    digest: `sha256:${row.digest}`,
    said_before: new Date(row.erased_before).toISOString(),
    deleted_at: new Date(finishedAt).toISOString(),
    requested_by: row.requested_by,
  }
}

export function noSession() {
  return fail('not_found', 'There is no such session', { param: 'id' })
}
