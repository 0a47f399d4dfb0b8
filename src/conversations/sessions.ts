import { fail } from '../kernel/errors.ts'
import { formatUsd } from '../kernel/money.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf, showTenantId } from '../kernel/scope.ts'
import { noSession } from './erase.ts'
import type { ConversationRow, ConversationStore, MessageRow, Position, ReceiptRow, SessionFilter } from './store.ts'

type Paging = { limit: number; cursor?: string | undefined }

/** A page of sessions, the latest first; somebody else's are not there. */
export async function listSessions(
  store: Pick<ConversationStore, 'listSessions'>,
  principal: Principal,
  filter: SessionFilter,
  { limit, cursor }: Paging,
): Promise<Page<SessionView>> {
  const before = cursor === undefined ? null : readCursor(cursor)
  const rows = await store.listSessions(scopeOf(principal), filter, before, limit + 1)
  const page = toPage(rows, limit, (row) => writeCursor({ at: row.last_at, id: row.id }))
  return { ...page, data: page.data.map(showSession) }
}

/** Throws `not_found` for what is not the caller's, as for what never was. */
export async function findSession(
  store: Pick<ConversationStore, 'findSession'>,
  principal: Principal,
  id: string,
): Promise<ConversationRow> {
  const row = await store.findSession(scopeOf(principal), id)
  if (row === undefined) throw noSession()
  return row
}

/** A page of what was said in a session, in the order it was said. */
export async function listMessages(
  store: Pick<ConversationStore, 'findSession' | 'listMessages'>,
  principal: Principal,
  id: string,
  nowMs: number,
  { limit, cursor }: Paging,
): Promise<Page<MessageView> & { session: ConversationRow }> {
  const session = await findSession(store, principal, id)
  const after = cursor === undefined ? null : readCursor(cursor)
  const rows = await store.listMessages(session, after, nowMs, limit + 1)
  const page = toPage(rows, limit, (row) => writeCursor({ at: row.said_at, id: row.id }))
  return { ...page, data: page.data.map(showMessage), session }
}

const looked = { page: 500, most: 20_000 }

/**
 * Messages of one person in which a text stands, in any case, the newest first. Looks through the newest 20 000 of them and
 * says whether there were more.
 */
export async function searchMessages(
  store: Pick<ConversationStore, 'latestMessages'>,
  principal: Principal,
  owner: { user_id: string; tenant_id: string },
  text: string,
  nowMs: number,
  limit: number,
): Promise<{ data: MessageView[]; looked_at: number; is_complete: boolean }> {
  const wanted = text.toLowerCase()
  const data: MessageView[] = []
  let before: Position | null = null
  let seen = 0
  for (;;) {
    const rows = await store.latestMessages(scopeOf(principal), owner, nowMs, before, looked.page)
    seen += rows.length
    for (const row of rows) {
      if (`${row.content}\n${row.tool_calls}`.toLowerCase().includes(wanted)) data.push(showMessage(row))
      if (data.length === limit) return { data, looked_at: seen, is_complete: false }
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < looked.page) return { data, looked_at: seen, is_complete: true }
    if (seen >= looked.most) return { data, looked_at: seen, is_complete: false }
    before = { at: last.said_at, id: last.id }
  }
}

/** What was said, for people to read: a heading for each speaker. */
export function writeMarkdown(session: ConversationRow, messages: readonly MessageView[], isWhole: boolean): string {
  const head = `# ${session.session_id.replaceAll('\n', ' ')}\n\n`
  const said = messages.map(({ role, name, content, tool_calls, timestamp }) => {
    const calls = tool_calls.map((call) => `\n\n\`${call.name}\`\n\n${fence(call.arguments)}`).join('')
    return `## ${role}${name === '' ? '' : ` (${name})`} · ${timestamp}\n\n${content}${calls}\n`
  })
  return `${head}${said.join('\n')}${isWhole ? '' : '\n… more was said: ask with the cursor in x-next-cursor.\n'}`
}

/** A fence longer than any inside. */
function fence(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length))
  const ticks = '`'.repeat(longest + 1)
  return `${ticks}\n${text}\n${ticks}`
}

export type SessionView = ReturnType<typeof showSession>
export type MessageView = ReturnType<typeof showMessage>

export function showSession(row: ConversationRow) {
  return {
    ...{ id: row.id, session_id: row.session_id, tenant_id: row.tenant_id, user_id: row.user_id },
    ...{ key_id: row.key_id, model: row.model },
    ...{ first_at: new Date(row.first_at).toISOString(), last_at: new Date(row.last_at).toISOString() },
    ...{ calls: row.calls, failures: row.failures, tokens_in: row.tokens_in, tokens_out: row.tokens_out },
    ...{ cost_nano_usd: row.cost_nano_usd, cost_usd: formatUsd(row.cost_nano_usd), unpriced_calls: row.unpriced_calls },
  }
}

function showMessage(row: MessageRow) {
  return {
    ...{ id: row.id, session_id: row.conversation_id, request_id: row.request_id, user_id: row.user_id },
    ...{ role: row.role as 'user' | 'assistant' | 'tool', name: row.name, content: row.content },
    tool_calls: row.tool_calls === '' ? [] : (JSON.parse(row.tool_calls) as { name: string; arguments: string }[]),
    ...{ is_from_user: row.role === 'user', is_from_bot: row.role === 'assistant' },
    timestamp: new Date(row.said_at).toISOString(),
    expires_at: new Date(row.expires_at).toISOString(),
    digest: row.digest,
  }
}

export function showReceipt(row: ReceiptRow) {
  return {
    id: row.id,
    tenant_id: showTenantId(row.tenant_id),
    user_id: row.user_id,
    session_id: row.conversation_id === '' ? null : row.conversation_id,
    state: row.finished_at === 0 ? ('running' as const) : ('done' as const),
    ...{ sessions: row.sessions, messages: row.messages, digest: `sha256:${row.digest}` },
    requested_by: row.requested_by,
    said_before: new Date(row.erased_before).toISOString(),
    deleted_at: row.finished_at === 0 ? null : new Date(row.finished_at).toISOString(),
    signature: row.signature === '' ? null : row.signature,
  }
}

function writeCursor({ at, id }: Position): string {
  return Buffer.from(`${at}.${id}`).toString('base64url')
}

function readCursor(cursor: string): Position {
  const match = /^(\d{1,16})\.(.{1,200})$/s.exec(Buffer.from(cursor, 'base64url').toString())
  if (!match) {
    throw fail('invalid_request', 'cursor is none of ours: take it from next_cursor as it is', { param: 'cursor' })
  }
  return { at: Number(match[1]), id: match[2]! }
}
