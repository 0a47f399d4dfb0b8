import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import { toPage } from '../../kernel/page.ts'
import { showTenantId } from '../../kernel/scope.ts'
import { instant, pageOf, toInstant } from '../schema.ts'
import type { AuditRow, AuditStore } from './store.ts'
import type { AuditRange, AuditVerdict } from './verify.ts'

const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
const json = z.unknown()

const auditReply = z.object({
  id: z.string(),
  seq: z.number().describe('Place in the chain.'),
  at: instant,
  actor: z.object({ kind: z.string(), id: z.string(), name: z.string(), role: z.string(), tenant_id: z.string() }),
  action: z.string(),
  target: z.string(),
  outcome: z
    .enum(['done', 'refused', 'failed', 'unknown'])
    .describe('unknown: it was begun, and the hub ended before it could say what became of it, or is at it now.'),
  status: z.number().nullable(),
  code: z.string(),
  before: json.describe('As the API shows it, without secrets; null for nothing.'),
  after: json,
  tenant_id: z.string(),
  trace_id: z.string(),
  request_id: z.string(),
  ip: z.string(),
  user_agent: z.string(),
})

const verdictReply = z.object({
  ok: z.boolean(),
  rows: z.number(),
  first_seq: z.number(),
  last_seq: z.number(),
  head: z.string().describe('seq:hash of the end; kept elsewhere it proves later that nothing before it was replaced.'),
  first_break: z.object({ seq: z.number(), id: z.string(), reason: z.string(), message: z.string() }).nullable(),
})

export type AuditRoutesSource = {
  auditStore: Pick<AuditStore, 'list'>
  tenantIdOf(written: string): Promise<string>
  verify(range: AuditRange): Promise<AuditVerdict>
}

export function auditRoutes({ auditStore, tenantIdOf, verify }: AuditRoutesSource): Route[] {
  const tag = 'audit'
  let isVerifying = false
  return [
    defineRoute({
      method: 'GET',
      path: '/api/audit',
      access: 'tenant_admin',
      summary: 'Who changed what, latest first. Administrators of a tenant see what concerns their tenant.',
      tag,
      query: z.strictObject({
        actor: z.string().max(100).optional().describe('Id of a person or key, or admin.'),
        action: z.string().max(200).optional().describe('As in keys.create; a beginning ends in *.'),
        target: z.string().max(300).optional(),
        tenant_id: z.string().max(64).optional().describe('Id or name, for a super_admin.'),
        from: time.optional().describe('ISO 8601 with offset, inclusive.'),
        to: time.optional().describe('Exclusive.'),
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z
          .string()
          .regex(/^\d{1,15}$/)
          .optional(),
      }),
      reply: pageOf(auditReply),
      handle: async ({ principal, query: { limit, cursor, tenant_id, ...filter } }) => {
        const tenantId = principal!.role === 'super_admin' ? undefined : principal!.tenantId
        const before = cursor === undefined ? undefined : Number(cursor)
        const ofTenant = tenant_id === undefined ? undefined : await tenantIdOf(tenant_id)
        const rows = await auditStore.list({ ...filter, tenantId, ofTenant }, limit + 1, before)
        const page = toPage(rows, limit, (row) => String(row.seq))
        return { ...page, data: page.data.map(show) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/audit/verify',
      access: 'super_admin',
      summary: 'Reads the chain of the audit log and tells the first row that is not as it was written.',
      tag,
      query: z.strictObject({ from: time.optional(), to: time.optional(), anchor: z.string().max(80).optional() }),
      reply: verdictReply,
      handle: async ({ query }) => {
        // It reads every row: one at a time is enough for whoever wants to know.
        if (isVerifying) throw fail('rate_limited', 'a verification is under way on this node', { retryAfterMs: 5000 })
        isVerifying = true
        try {
          return showVerdict(await verify(query))
        } finally {
          isVerifying = false
        }
      },
    }),
  ]
}

export function showVerdict({ isWhole, rows, firstSeq, lastSeq, head, firstBreak }: AuditVerdict) {
  return { ok: isWhole, rows, first_seq: firstSeq, last_seq: lastSeq, head, first_break: firstBreak }
}

function show(row: AuditRow): z.input<typeof auditReply> {
  return {
    id: row.action_id,
    seq: row.seq,
    at: toInstant(row.at),
    actor: {
      ...{ kind: row.actor_kind, id: row.actor_id, name: row.actor_name, role: row.actor_role },
      // Whoever has no role belongs to no tenant: strangers, the hub itself, whoever has a shell.
      tenant_id: row.actor_role === '' ? '' : showTenantId(row.actor_tenant_id),
    },
    action: row.action,
    target: row.target,
    outcome: row.phase === 'intent' ? 'unknown' : row.status < 400 ? 'done' : row.status < 500 ? 'refused' : 'failed',
    status: row.phase === 'intent' ? null : row.status,
    code: row.code,
    before: row.before_json === '' ? null : JSON.parse(row.before_json),
    after: row.after_json === '' ? null : JSON.parse(row.after_json),
    tenant_id: showTenantId(row.tenant_id),
    trace_id: row.trace_id,
    request_id: row.request_id,
    ip: row.ip,
    user_agent: row.user_agent,
  }
}
