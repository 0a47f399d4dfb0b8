import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import type { Principal } from '../../kernel/principal.ts'
import { readTenantId } from '../../kernel/scope.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import type { Log } from '../../platform/log.ts'
import { scrub } from '../../platform/scrub.ts'
import { type AuditEntry, type Chain, isBlank } from './chain.ts'
import { toAuditJson } from './redact.ts'
import type { AuditRow, AuditStore } from './store.ts'

/** A change that is about to be made, as whoever serves it tells. */
export type Intent = {
  action: string
  target: string
  principal: Principal | null
  /** Somebody who came in by no credential of ours, such as whoever has a shell on the machine. */
  actor?: { kind: string; id: string; name: string }
  before: unknown
  requestId: string
  traceId: string
  clientIp: string
  userAgent: string
}

export type Result = { status: number; code: string; target?: string; before?: unknown; after?: unknown }

export type AuditLog = {
  /** Resolves when the intent is in the chain; rejects with `unavailable` when it cannot be: then nothing may change. */
  begin(intent: Intent): Promise<{ end(result: Result): Promise<void> }>
  /** Writes results that the store did not take when they came. */
  settle(): Promise<void>
  /** Results that wait for the store. */
  owed(): number
}

/** Entries in one transaction; what is more waits for the next. */
const mostAtOnce = 200
/** Beyond this many waiting the store is not keeping up, and changes are refused. */
const mostWaiting = 2000
const mostOwed = 5000

/** What somebody is told as the action of a row that says the chain's end had been tampered with. */
export const brokenAction = 'audit.broken'

type Waiting = { entry: AuditEntry; resolve(): void; reject(error: unknown): void }

export function createAuditLog(own: {
  auditStore: Pick<AuditStore, 'append'>
  chain: Chain
  /** How a person is called, by id. */
  nameOf(userId: string): Promise<string>
  clock: Clock
  log: Log
}): AuditLog {
  const { auditStore, chain, nameOf, clock, log } = own
  const waiting: Waiting[] = []
  let owed: AuditEntry[] = []
  let settling = 0
  let isWriting = false

  /** Whoever comes while a transaction is under way shares the next one. */
  function append(entry: AuditEntry): Promise<void> {
    if (waiting.length >= mostWaiting) return Promise.reject(cannotWrite())
    return new Promise((resolve, reject) => {
      waiting.push({ entry, resolve, reject })
      if (!isWriting) void write()
    })
  }

  async function write(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) {
      const batch = waiting.splice(0, mostAtOnce)
      try {
        await appendAll(batch.map(({ entry }) => entry))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        log.warn('The audit log could not be written', { error })
        for (const { reject } of batch) reject(cannotWrite(error))
      }
    }
    isWriting = false
  }

  async function appendAll(entries: readonly AuditEntry[]): Promise<void> {
    try {
      await link(entries, false)
    } catch (error) {
      // Somebody else's row stands where ours belongs. It stays, as evidence, and the chain goes on behind it.
      if (!isUniqueViolation(error)) throw error
      await link(entries, true)
    }
  }

  function link(entries: readonly AuditEntry[], isOccupied: boolean): Promise<void> {
    return auditStore.append(async (head, last) => {
      const isSound = head !== undefined && (isBlank(head) || chain.isHead(head)) && !isOccupied
      let seq = head?.seq ?? 0
      let previous = head?.hash ?? ''
      const linked: AuditEntry[] = [...entries]
      if (!isSound) {
        const end = await last()
        // A head that nobody signed must not be signed anew in silence: what it hides would be hidden for good.
        linked.unshift(brokenEntry(clock.now(), head))
        if (end !== undefined && end.seq >= seq) ({ seq, hash: previous } = end)
        log.error('The end of the audit log was changed from outside; run "gatehouse audit verify"', { count: seq })
      }
      const rows: AuditRow[] = linked.map((entry) => {
        const hash = chain.hashOf(entry, previous)
        const row = { ...entry, seq: ++seq, previous, hash }
        previous = hash
        return row
      })
      return { rows, head: chain.signHead(seq, previous) }
    })
  }

  async function owe(entry: AuditEntry): Promise<void> {
    try {
      await append(entry)
    } catch {
      if (owed.length >= mostOwed) owed.shift()
      owed.push(entry)
    }
  }

  return {
    async begin(intent) {
      const { principal } = intent
      const entry: AuditEntry = {
        id: createId('audit', clock.now()),
        action_id: createId('audit', clock.now()),
        phase: 'intent',
        at: clock.now(),
        ...whose(principal, intent.before, null),
        ...(await actorOf(intent, nameOf).catch((error: unknown) => {
          throw cannotWrite(error)
        })),
        action: plain(intent.action, 200),
        target: plain(scrub(intent.target), 300),
        before_json: toAuditJson(intent.before),
        after_json: '',
        status: 0,
        code: '',
        trace_id: plain(intent.traceId, 64),
        request_id: plain(intent.requestId, 64),
        ip: plain(intent.clientIp, 64),
        user_agent: plain(scrub(intent.userAgent), 300),
      }
      await append(entry)
      return {
        async end(result) {
          const before = result.before ?? intent.before
          await owe({
            ...entry,
            ...(principal === null ? openedBy(result.after) : {}),
            id: createId('audit', clock.now()),
            phase: 'result',
            at: clock.now(),
            ...whose(principal, before, result.after),
            target: plain(scrub(result.target ?? intent.target), 300),
            before_json: toAuditJson(before),
            after_json: toAuditJson(result.after),
            status: result.status,
            code: result.code,
          })
        },
      }
    },

    async settle() {
      const late = owed
      owed = []
      settling += late.length
      await Promise.all(late.map((entry) => owe(entry).finally(() => settling--)))
    },
    owed: () => owed.length + settling,
  }
}

function cannotWrite(cause?: unknown) {
  return fail('unavailable', 'the audit log cannot be written now, so nothing is changed; try again shortly', {
    retryAfterMs: 5000,
    cause,
  })
}

function brokenEntry(at: number, head: object | undefined): AuditEntry {
  return {
    id: createId('audit', at),
    action_id: createId('audit', at),
    phase: 'result',
    at,
    tenant_id: '',
    hub_wide: 1,
    ...{ actor_kind: 'hub', actor_id: 'hub', actor_name: 'Gatehouse', actor_role: '', actor_tenant_id: '' },
    action: brokenAction,
    target: '',
    before_json: '',
    after_json: JSON.stringify(head ?? { missing: true }),
    status: 500,
    code: 'internal',
    ...{ trace_id: '', request_id: '', ip: '', user_agent: '' },
  }
}

type Actor = Pick<AuditEntry, 'actor_kind' | 'actor_id' | 'actor_name' | 'actor_role' | 'actor_tenant_id'>

async function actorOf(
  { principal, actor }: Pick<Intent, 'principal' | 'actor'>,
  nameOf: (id: string) => Promise<string>,
): Promise<Actor> {
  if (actor !== undefined) {
    const { kind, id, name } = actor
    return { actor_kind: kind, actor_id: id, actor_name: plain(name, 300), actor_role: '', actor_tenant_id: '' }
  }
  if (principal === null) {
    return { actor_kind: 'anonymous', actor_id: '', actor_name: '', actor_role: '', actor_tenant_id: '' }
  }
  const { kind, id, role, tenantId, keyName } = principal
  const name = kind === 'user' ? await nameOf(id) : kind === 'admin_key' ? 'ADMIN_KEY' : keyName
  return { actor_kind: kind, actor_id: id, actor_name: plain(name, 300), actor_role: role, actor_tenant_id: tenantId }
}

/** Who logged in by this very call is who did it. */
function openedBy(after: unknown): Partial<Actor> {
  const user = (after as { user?: Record<string, unknown> } | null | undefined)?.user
  if (typeof user?.id !== 'string') return {}
  const text = (member: string) => plain(typeof user[member] === 'string' ? (user[member] as string) : '', 300)
  return {
    actor_kind: 'user',
    actor_id: text('id'),
    actor_name: text('email'),
    actor_role: text('role'),
    actor_tenant_id: readTenantId(text('tenant_id')),
  }
}

/** Whose thing it is, as far as thing or actor tell. What no tenant owns concerns the whole hub. */
function whose(
  principal: Principal | null,
  before: unknown,
  after: unknown,
): Pick<AuditEntry, 'tenant_id' | 'hub_wide'> {
  for (const thing of [after, (after as { user?: unknown } | null | undefined)?.user, before]) {
    const shown = (thing as { tenant_id?: unknown } | null | undefined)?.tenant_id
    // Answers name the hub's own tenant; rows have its id.
    const tenantId = typeof shown === 'string' ? readTenantId(shown) : undefined
    // '' is also what belongs to nobody: of a super_admin's changes of that, tenants see nothing.
    if (tenantId !== undefined && (tenantId !== '' || principal?.role !== 'super_admin')) {
      return { tenant_id: plain(tenantId, 64), hub_wide: 0 }
    }
  }
  const isHubs = principal === null || principal.role === 'super_admin'
  return { tenant_id: principal?.tenantId ?? '', hub_wide: isHubs ? 1 : 0 }
}

/** As both engines give it back: no NUL, no half of a surrogate pair. */
function plain(text: string, mostChars: number): string {
  return text.replaceAll('\0', '').slice(0, mostChars).toWellFormed()
}
