import { fail } from '../kernel/errors.ts'
import { formatUsd } from '../kernel/money.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf, showTenantId } from '../kernel/scope.ts'
import { countDetails } from './details.ts'
import type { RequestLogRow } from './rows.ts'
import type { LogFilter, LogPosition, UsageStore } from './store.ts'

/** One request as the control API shows it. */
export type LogView = ReturnType<typeof viewOf>

/**
 * A page of requests, newest first. A cursor marks a row, not a number of rows: rows that arrive or go meanwhile make
 * none appear twice, and rows of the same millisecond keep one order. Other tenants' rows are not there.
 */
export async function listLogs(
  store: Pick<UsageStore, 'listLogs'>,
  principal: Principal,
  filter: LogFilter,
  page: { limit: number; cursor?: string | undefined },
): Promise<Page<LogView>> {
  const before = page.cursor === undefined ? null : readCursor(page.cursor)
  const rows = await store.listLogs(scopeOf(principal), filter, before, page.limit + 1)
  const { data, next_cursor } = toPage(rows, page.limit, writeCursor)
  return { data: data.map(viewOf), next_cursor }
}

/** One request with its attempts; 404 also when it is another tenant's. */
export async function getLog(store: Pick<UsageStore, 'findLog'>, principal: Principal, id: string) {
  const row = await store.findLog(scopeOf(principal), id)
  if (!row) throw fail('not_found', 'There is no such request in the log', { param: 'id' })
  return {
    ...viewOf(row),
    attempt_log: JSON.parse(row.attempt_log) as unknown[],
    route_log: row.route_log === '' ? null : (JSON.parse(row.route_log) as unknown),
  }
}

/** Epoch ms of `2026-11-23T00:00:00Z` or of digits. `param` names it in the error. */
export function readTime(text: string, param: string): number {
  const time = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isNaN(time)) {
    throw fail('invalid_request', `${param} is not a time: write 2026-11-23T00:00:00Z or epoch milliseconds`, { param })
  }
  return time
}

/** What of the ledger somebody may see, as a part of a filter. */
export function visibleTo(principal: Principal): { tenantId?: string } {
  return principal.role === 'super_admin' ? {} : { tenantId: principal.tenantId }
}

export function writeCursor(row: { started_at: number; id: string }): string {
  return Buffer.from(`${row.started_at}.${row.id}`).toString('base64url')
}

export function readCursor(cursor: string): LogPosition {
  const match = /^(\d{1,16})\.(.{1,200})$/s.exec(Buffer.from(cursor, 'base64url').toString())
  if (!match) {
    throw fail('invalid_request', 'cursor is none of ours: take it from next_cursor as it is', { param: 'cursor' })
  }
  return { startedAt: Number(match[1]), id: match[2]! }
}

function viewOf(row: Omit<RequestLogRow, 'attempt_log' | 'route_log'>) {
  return {
    id: row.id,
    started_at: new Date(row.started_at).toISOString(),
    tenant_id: showTenantId(row.tenant_id),
    user_id: row.user_id,
    key_id: row.key_id,
    key_name: row.key_name,
    endpoint: row.endpoint,
    protocol: row.protocol,
    model_asked: row.model_asked,
    model_served: row.model_served,
    provider_id: row.provider_id,
    provider_name: row.provider_name,
    provider_type: row.provider_type,
    status: row.status,
    outcome: row.outcome,
    error_code: row.error_code,
    error_message: row.error_message,
    stream: row.stream === 1,
    tokens_in: row.tokens_in,
    tokens_out: row.tokens_out,
    tokens_cached_read: row.tokens_cached_read,
    tokens_cached_write: row.tokens_cached_write,
    tokens_reasoning: row.tokens_reasoning,
    usage_source: row.usage_source,
    cost_nano_usd: row.cost_nano_usd,
    cost_usd: row.cost_nano_usd === null ? null : formatUsd(row.cost_nano_usd),
    price_id: row.price_id,
    first_token_ms: row.first_token_ms,
    latency_ms: row.latency_ms,
    attempts: row.attempts,
    trace_id: row.trace_id,
    client_ip: row.client_ip,
    user_agent: row.user_agent,
    finish_reason: row.finish_reason,
    is_synthetic: row.is_synthetic === 1,
    service_tier: row.service_tier,
    ...countDetails(row.usage_details),
    provider_key_id: row.provider_key_id,
    session_id: row.session_id,
    tags: row.tags === '' ? [] : (JSON.parse(row.tags) as string[]),
    cache_hit: row.cache_hit,
    mirror_of: row.mirror_of,
    wasted_nano_usd: row.wasted_nano_usd,
    wasted_usd: row.wasted_nano_usd === null ? null : formatUsd(row.wasted_nano_usd),
    abort_policy: row.abort_policy,
    agent: row.agent,
    service: row.service,
  }
}
