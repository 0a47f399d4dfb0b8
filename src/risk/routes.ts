import { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { toPage } from '../kernel/page.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf, showTenantId } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Actions } from './actions.ts'
import { anomalyRules, createAnomalies } from './anomalies.ts'
import { backtest, eachPage } from './backtest.ts'
import { rules } from './rules/index.ts'
import { readRulesYaml } from './rules-yaml.ts'
import { actionKinds, entityKinds, severities, type WatchedBudget } from './schema.ts'
import {
  allowSchema,
  findRule,
  type RiskSettings,
  readSettings,
  ruleSettingsSchema,
  type SettingsChange,
} from './settings.ts'
import { type ActionRow, actionStates, type FindingRow, type RiskStore } from './store.ts'
import { told } from './watch.ts'

const count = z.number().int()
const time = z.string().describe('ISO 8601, UTC')
const idParam = z.object({ id: z.string().max(100) })
const page = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(100).optional(),
}
const moment = z.coerce.number().int().min(0).max(8_640_000_000_000)
const hourMs = 3_600_000
const dayMs = 24 * hourMs

const ruleReply = ruleSettingsSchema.extend({
  name: z.string(),
  on: z.enum(entityKinds),
  about: z.object({ en: z.string(), zh: z.string() }),
  params_schema: z.unknown().describe('JSON Schema of the parameters.'),
})
const counted = z.array(z.object({ value: z.string(), count }))
const findingReply = z.object({
  id: z.string(),
  rule: z.string(),
  severity: z.enum(severities),
  source: z.string().describe('gatehouse, or the id of a foreign source.'),
  kind: z.enum(entityKinds),
  entity: z.string(),
  tenant_id: z.string().nullable().describe('null for what belongs to no one tenant, such as an address.'),
  key_id: z.string(),
  user_id: z.string(),
  ip: z.string(),
  status: z.enum(['open', 'closed']),
  numbers: z.record(z.string(), z.union([z.string(), z.number()])),
  detections: count.describe('Minutes in which the rule spoke.'),
  first_at: time,
  last_at: time,
  opened_at: time,
  closed_at: time.nullable(),
  closed_by: z.string(),
  muted_until: time.nullable(),
  docs: z.string().describe('What it means and what to do: a page of this repository and its section.'),
})
const actionReply = z.object({
  id: z.string(),
  finding_id: z.string(),
  kind: z.enum(actionKinds),
  state: z.enum(actionStates),
  tenant_id: z.string().nullable(),
  key_id: z.string(),
  user_id: z.string(),
  rpm: count.nullable(),
  model: z.string().nullable(),
  ttl_seconds: count,
  expires_at: time.nullable(),
  decided_by: z.string().describe('A person, or policy.'),
  error: z.string(),
  created_at: time,
  updated_at: time,
})
const call = z.object({
  ...{
    id: z.string(),
    at: time,
    user_id: z.string(),
    key_id: z.string(),
    model: z.string(),
    provider: z.string(),
    ip: z.string(),
  },
  ...{ tokens_in: count, tokens_out: count, cost_nano_usd: count.nullable(), status: count, outcome: z.string() },
})
const evidenceReply = z.object({
  window_from: time,
  window_to: time,
  top_ips: counted,
  top_models: counted,
  last_calls: z.array(call).describe('At most fifty.'),
})

export type RiskRouteParts = {
  store: RiskStore
  actions: Actions
  settings(): RiskSettings
  /** Stored settings changed: they hold here when the promise resolves. */
  changed(): Promise<void>
  budgets(): Promise<readonly WatchedBudget[]>
  namesOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  bus: Bus
  clock: Clock
}

/** `/api/risk/*`, and `/api/stats/anomalies` as seed 000 has it. */
export function riskRoutes(parts: RiskRouteParts): Route[] {
  const { store, actions, bus, clock } = parts
  const shared = { access: 'tenant_admin', tag: 'risk' } as const
  let isBacktesting = false

  const stored = async () => JSON.parse(await store.readSettings()) as SettingsChange
  async function write(change: SettingsChange): Promise<void> {
    // Refuses what does not fit before anything is kept.
    readSettings(change)
    await store.writeSettings(JSON.stringify(change))
    await parts.changed()
  }
  const merge = (before: SettingsChange, change: SettingsChange): SettingsChange => ({
    rules: {
      ...before.rules,
      ...Object.fromEntries(
        Object.entries(change.rules ?? {}).map(([name, some]) => [
          name,
          { ...before.rules?.[name], ...some, params: { ...before.rules?.[name]?.params, ...some.params } },
        ]),
      ),
    },
    allow: { ...before.allow, ...change.allow },
  })
  const showRule = (name: string, settings = parts.settings()) => {
    const rule = findRule(name)
    return {
      name,
      on: rule.on,
      about: rule.about,
      params_schema: z.toJSONSchema(rule.params),
      ...settings.rules[name]!,
    }
  }
  async function findAction(principal: Principal, id: string): Promise<ActionRow> {
    const row = await store.findAction(scopeOf(principal), id)
    if (row === undefined) throw fail('not_found', `there is no action ${id}`, { param: 'id' })
    return row
  }
  async function findFinding(principal: Principal, id: string): Promise<FindingRow> {
    const row = await store.findFinding(scopeOf(principal), id)
    if (row === undefined) throw fail('not_found', `there is no finding ${id}`, { param: 'id' })
    return row
  }
  const decide = (verb: 'approve' | 'refuse' | 'undo', summary: string) =>
    defineRoute({
      ...shared,
      method: 'POST',
      path: `/api/risk/actions/:id/${verb}`,
      summary,
      params: idParam,
      reply: actionReply,
      async handle({ principal, params }) {
        await actions[verb](await findAction(principal!, params.id), principal!.id)
        return showAction(await findAction(principal!, params.id))
      },
    })

  return [
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/risk/rules',
      summary: 'Every rule with its parameters, what is done about its findings, and whom no rule looks at.',
      reply: z.object({ data: z.array(ruleReply), allow: allowSchema }),
      handle: ({ principal }) => ({
        data: rules.map(({ name }) => showRule(name)),
        // Whose names stand there is the hub's own affair.
        allow: principal!.role === 'super_admin' ? parts.settings().allow : { ips: [], users: [], tokens: [] },
      }),
    }),
    defineRoute({
      ...shared,
      access: 'super_admin',
      method: 'PATCH',
      path: '/api/risk/rules/:name',
      summary: 'Changes a rule; parameters that are not named stay.',
      params: z.object({ name: z.string().max(100) }),
      body: ruleSettingsSchema.partial(),
      reply: ruleReply,
      async handle({ params, body }) {
        findRule(params.name)
        const change = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
        await write(merge(await stored(), { rules: { [params.name]: change } }))
        return showRule(params.name)
      },
    }),
    defineRoute({
      ...shared,
      access: 'super_admin',
      method: 'PUT',
      path: '/api/risk/allow',
      summary: 'Whom no rule looks at; lists that are not named stay.',
      body: allowSchema.partial(),
      reply: allowSchema,
      async handle({ body }) {
        const allow = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
        await write(merge(await stored(), { allow }))
        return parts.settings().allow
      },
    }),
    defineRoute({
      ...shared,
      access: 'super_admin',
      method: 'POST',
      path: '/api/risk/rules/import',
      action: 'risk.rules.import',
      summary: 'Takes over a rules.yaml of newapi-monitor as it is.',
      body: z.strictObject({ yaml: z.string().max(200_000).describe('The text of the file.') }),
      reply: z.object({ data: z.array(ruleReply), allow: allowSchema, ignored: z.array(z.string()) }),
      async handle({ body }) {
        const { change, ignored } = readRulesYaml(body.yaml)
        await write(merge(await stored(), change))
        return {
          data: Object.keys(change.rules ?? {}).map((name) => showRule(name)),
          allow: parts.settings().allow,
          ignored,
        }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/risk/findings',
      summary: 'What the rules found, newest first.',
      query: z.strictObject({
        ...page,
        status: z.enum(['open', 'closed']).optional(),
        rule: z.string().max(100).optional(),
      }),
      reply: z.object({ data: z.array(findingReply), next_cursor: z.string().nullable() }),
      async handle({ principal, query }) {
        const { limit, cursor, status, rule } = query
        const filter = { ...(status && { status }), ...(rule !== undefined && { rule }) }
        const found = toPage(
          await store.listFindings(scopeOf(principal!), filter, limit + 1, cursor),
          limit,
          ({ id }) => id,
        )
        return { ...found, data: found.data.map(showFinding) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/risk/findings/:id',
      summary: 'One finding with its evidence and what was done about it.',
      params: idParam,
      reply: findingReply.extend({ evidence: evidenceReply, actions: z.array(actionReply) }),
      async handle({ principal, params }) {
        const row = await findFinding(principal!, params.id)
        return {
          ...showFinding(row),
          evidence: showEvidence(row),
          actions: (await store.actionsOf(row.id)).map(showAction),
        }
      },
    }),
    defineRoute({
      ...shared,
      method: 'POST',
      path: '/api/risk/findings/:id/close',
      summary: 'Closes a finding; for a while the rule does not open it again. Actions stay until they are undone.',
      params: idParam,
      body: z.strictObject({
        mute_seconds: z
          .number()
          .int()
          .min(0)
          .max(90 * 86_400)
          .default(86_400),
      }),
      reply: findingReply,
      async handle({ principal, params, body }) {
        const row = await findFinding(principal!, params.id)
        const now = clock.now()
        const by = principal!.id
        if (!(await store.closeFinding(scopeOf(principal!), row.id, now, by, now + body.mute_seconds * 1000))) {
          throw fail('conflict', 'this finding is closed already', { param: 'id' })
        }
        bus.announce('risk.closed', { ...told(row), by })
        return showFinding(await findFinding(principal!, row.id))
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/risk/actions',
      summary: 'What was done about findings, or waits for leave, newest first.',
      query: z.strictObject({ ...page, state: z.enum(actionStates).optional() }),
      reply: z.object({ data: z.array(actionReply), next_cursor: z.string().nullable() }),
      async handle({ principal, query }) {
        const { limit, cursor, state } = query
        const rows = await store.listActions(
          scopeOf(principal!),
          state === undefined ? {} : { state },
          limit + 1,
          cursor,
        )
        const found = toPage(rows, limit, ({ id }) => id)
        return { ...found, data: found.data.map(showAction) }
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/risk/actions/:id',
      summary: 'One action.',
      params: idParam,
      reply: actionReply,
      handle: async ({ principal, params }) => showAction(await findAction(principal!, params.id)),
    }),
    decide('approve', 'Does what was proposed, until its time is over.'),
    decide('refuse', 'Leaves what was proposed undone.'),
    decide('undo', 'Ends an action before its time; what it changed is as it was before.'),
    defineRoute({
      ...shared,
      method: 'POST',
      path: '/api/risk/backtest',
      changes: false,
      summary: 'What the rules, changed so, would have found in the calls that are stored.',
      body: z.strictObject({
        days: z.number().int().min(1).max(90).default(30),
        rules: z.record(z.string().max(100), ruleSettingsSchema.partial()).default({}),
        allow: allowSchema.partial().default({}),
        only: z.array(z.string().max(100)).max(20).optional().describe('Names of rules; all when absent.'),
      }),
      reply: z.object({
        summary: z.string(),
        rows: count.describe('Calls that were looked at.'),
        from: time,
        to: time,
        rules: z.array(z.object({ rule: z.string(), findings: count, minutes: count })),
        findings: z.array(
          z.object({
            ...{
              rule: z.string(),
              entity: z.string(),
              severity: z.string(),
              first_at: time,
              last_at: time,
              minutes: count,
            },
            numbers: z.record(z.string(), z.union([z.string(), z.number()])),
          }),
        ),
      }),
      async handle({ principal, body }) {
        for (const name of body.only ?? []) findRule(name)
        if (isBacktesting)
          throw fail('unavailable', 'another backtest runs on this node; try again when it is over', {
            retryAfterMs: 5000,
          })
        isBacktesting = true
        try {
          const to = clock.now()
          const from = to - body.days * dayMs
          const scope = scopeOf(principal!)
          const isTheirs = ({ tenantId }: WatchedBudget) => scope.kind === 'everything' || tenantId === scope.tenantId
          const budgets = (await parts.budgets()).filter(isTheirs)
          const asked = { scope, from, to, learnMs: 0, only: body.only, budgets }
          const change = merge(await stored(), body as SettingsChange)
          const { rows, found } = await backtest(store, { ...asked, change })
          const names = body.only ?? rules.map(({ name }) => name)
          return {
            summary: `would have fired ${found.length} ${found.length === 1 ? 'time' : 'times'} in ${body.days} ${body.days === 1 ? 'day' : 'days'}`,
            ...{ rows, from: iso(from), to: iso(to) },
            rules: names.map((rule) => {
              const some = found.filter((each) => each.rule === rule)
              return { rule, findings: some.length, minutes: some.reduce((sum, each) => sum + each.minutes, 0) }
            }),
            findings: found.slice(-200).map((each) => ({ ...each, first_at: iso(each.from), last_at: iso(each.to) })),
          }
        } finally {
          isBacktesting = false
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/stats/anomalies',
      access: 'user',
      tag: 'usage',
      summary: "Seed 000's four questions over the calls of a range that are still kept.",
      query: z.strictObject({
        start_ms: moment.describe('Epoch ms, inclusive.'),
        end_ms: moment.describe('Epoch ms, exclusive.'),
        rule: z.enum(anomalyRules),
        window_sec: z.coerce.number().int().min(1).max(86_400).default(60),
        users_threshold: z.coerce.number().int().min(1).max(100_000).default(5),
        sigma: z.coerce.number().min(0).max(100).default(3),
        limit_per_token: z.coerce.number().int().min(1).max(1_000_000).default(120),
        limit: z.coerce.number().int().min(1).max(1000).default(100),
      }),
      reply: z.object({
        data: z.array(z.record(z.string(), z.union([z.string(), z.number()]))),
        rule: z.string(),
        total_count: count,
      }),
      async handle({ principal, query }) {
        const { start_ms, end_ms, rule, limit } = query
        if (end_ms <= start_ms)
          throw fail('invalid_request', 'end_ms is to be later than the start of the range', { param: 'end_ms' })
        const names = new Map<string, string>()
        const found = createAnomalies(
          {
            ...{ rule, windowSeconds: query.window_sec, usersThreshold: query.users_threshold },
            ...{ sigma: query.sigma, limitPerToken: query.limit_per_token },
          },
          (id) => names.get(id) ?? id,
        )
        const asked = { scope: scopeOf(principal!), from: start_ms, to: end_ms, most: 500_000, withDemo: true }
        for await (const rows of eachPage(store, asked)) for (const row of rows) found.take(row)
        for (const [id, name] of await parts.namesOf(found.users().slice(0, 5000))) names.set(id, name)
        const data = found.rows()
        return { data: data.slice(0, limit), rule, total_count: data.length }
      },
    }),
  ]
}

const iso = (ms: number) => new Date(ms).toISOString()
const isoOrNull = (ms: number) => (ms === 0 ? null : iso(ms))
const shownTenant = (id: string) => (id === '*' ? null : showTenantId(id))

function showFinding(row: FindingRow) {
  return {
    ...row,
    tenant_id: shownTenant(row.tenant_id),
    docs: `docs/runbook/risk.md#${row.rule}`,
    numbers: JSON.parse(row.numbers) as Record<string, string | number>,
    ...{ first_at: iso(row.first_at), last_at: iso(row.last_at), opened_at: iso(row.opened_at) },
    ...{ closed_at: isoOrNull(row.closed_at), muted_until: isoOrNull(row.muted_until) },
  }
}

function showEvidence(row: FindingRow) {
  const { topIps, topModels, lastCalls } = JSON.parse(row.evidence) as import('./schema.ts').Evidence
  return {
    ...{ window_from: iso(row.window_from), window_to: iso(row.window_to), top_ips: topIps, top_models: topModels },
    last_calls: lastCalls.map((each) => ({
      ...{ id: each.id, at: iso(each.at), user_id: each.userId, key_id: each.keyId, model: each.model },
      ...{ provider: each.provider, ip: each.ip, tokens_in: each.tokensIn, tokens_out: each.tokensOut },
      ...{ cost_nano_usd: each.costNanoUsd, status: each.status, outcome: each.outcome },
    })),
  }
}

function showAction(row: ActionRow) {
  return {
    ...row,
    tenant_id: shownTenant(row.tenant_id),
    rpm: row.kind === 'throttle' ? row.rpm : null,
    model: row.kind === 'downgrade' ? row.model : null,
    ttl_seconds: Math.round(row.ttl_ms / 1000),
    ...{ expires_at: isoOrNull(row.expires_at), created_at: iso(row.created_at), updated_at: iso(row.updated_at) },
  }
}
