import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { type BacktestRunner, showBacktest } from './backtests.ts'
import { type BookEntry, type RuleBook, toGroup } from './book.ts'
import { readDuration } from './duration.ts'
import type { Element } from './elements.ts'
import { type EvaluationSettings, emptyMemory, evaluate } from './evaluate.ts'
import { type RuleWish, ruleHealths, ruleSources, ruleStates, ruleWishSchema } from './schema.ts'
import { type RuleRecord, type RuleStore, readElement, type StateRow } from './store.ts'

const count = z.number().int()
const time = z.string().describe('ISO 8601, UTC')
const idParam = z.object({ id: z.string().max(100) })
const texts = z.record(z.string(), z.string())

const alertReply = z.object({
  fingerprint: z.string(),
  state: z.enum(['pending', 'firing', 'inactive']),
  labels: texts,
  annotations: texts,
  value: z.string().describe('As Prometheus writes numbers; NaN for what has none.'),
  active_at: time,
  fired_at: time.nullable(),
  resolved_at: time.nullable(),
  keep_firing_since: time.nullable(),
  no_data_since: time.nullable().describe('Since when its data is missing; it goes on as it was.'),
  last_sent_at: time.nullable(),
})
const ruleReply = z.object({
  ...ruleWishSchema.shape,
  alert: z.string().optional(),
  record: z.string().optional(),
  id: z.string(),
  source: z.enum(ruleSources).describe('pack: comes with the hub; file: alerts.rule_files; api: made here.'),
  changed: z.boolean().describe('Of the pack, and changed here; deleting it brings the original back.'),
  group: z.string(),
  file: z.string(),
  line: count,
  state: z.enum(ruleStates),
  health: z.enum(ruleHealths),
  last_error: z.string(),
  last_evaluation: time.nullable(),
  evaluation_seconds: z.number(),
  pending: count,
  firing: count,
})
const ruleWithAlerts = ruleReply.extend({ alerts: z.array(alertReply) })
const backtestReply = z.object({
  summary: z.string(),
  from: time,
  to: time,
  evaluations: count,
  fired: count,
  shorter_than_5m: count,
  no_data: count.describe('Evaluations without data.'),
  errors: count,
  last_error: z.string(),
  alternatives: z.array(z.object({ for: z.string(), fired: count })),
  episodes: z.array(z.object({ labels: texts, fired_at: time, ended_at: time.nullable(), seconds: z.number() })),
})

export type RuleRouteParts = {
  book: RuleBook
  store: RuleStore
  evaluation: Omit<EvaluationSettings, 'limit' | 'queryOffsetMs'>
  maxAlertsPerRule: number
  backtests: BacktestRunner
  clock: Clock
}

/** `/api/alert-rules/*`: what is watched, how it stands, and what it would have said. */
export function ruleRoutes({ book, store, evaluation, maxAlertsPerRule, backtests, clock }: RuleRouteParts): Route[] {
  const shared = { access: 'super_admin', tag: 'alerts' } as const

  function findEntry(id: string): BookEntry {
    const found = book.entries().find(({ rule }) => rule.id === id)
    if (found === undefined) throw fail('not_found', `there is no alert rule ${id}`, { param: 'id' })
    return found
  }

  async function show(id: string) {
    await book.refresh()
    const entry = findEntry(id)
    const rows = await store.states(id)
    const alerts = rows
      .filter(({ fingerprint }) => fingerprint !== '')
      .map(({ memory }) => showAlert(readElement(memory)))
    return { ...showRule(entry, rows), alerts }
  }

  /** Refuses what cannot run before anything is kept. */
  async function write(id: string, source: 'pack' | 'api', wish: RuleWish, createdAt: number) {
    toGroup(wish, id, source, '')
    await store.put({ id, source, wish, createdAt, updatedAt: clock.now() })
    return show(id)
  }

  return [
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/alert-rules',
      summary: 'Every rule with its state, its last evaluation and what went wrong in it.',
      query: z.strictObject({ state: z.enum(ruleStates).optional(), source: z.enum(ruleSources).optional() }),
      reply: z.object({ data: z.array(ruleReply), next_cursor: z.null() }),
      async handle({ query }) {
        await book.refresh()
        const rows = Map.groupBy(await store.states(), ({ ruleId }) => ruleId)
        const all = book.entries().map((entry) => showRule(entry, rows.get(entry.rule.id) ?? []))
        const data = all.filter(
          ({ state, source }) => state === (query.state ?? state) && source === (query.source ?? source),
        )
        return { data, next_cursor: null }
      },
    }),
    defineRoute({
      ...shared,
      method: 'POST',
      path: '/api/alert-rules',
      summary: 'Makes a rule; it is evaluated within seconds, in a group of its own.',
      status: 201,
      body: ruleWishSchema,
      reply: ruleWithAlerts,
      handle: ({ body }) => write(createId('alertRule', clock.now()), 'api', body, clock.now()),
    }),
    defineRoute({
      ...shared,
      method: 'POST',
      path: '/api/alert-rules/backtest',
      changes: false,
      summary: 'When a rule would have fired over what is stored, by the code that evaluates it live.',
      body: z.strictObject({
        id: z.string().max(100).optional().describe('A rule that is there; or rule.'),
        rule: ruleWishSchema.optional().describe('A rule that is not there yet; or id.'),
        days: z.number().positive().max(366).default(7),
        interval: z.string().max(50).default('').describe("Between evaluations; empty for the rule's own."),
      }),
      reply: backtestReply,
      async handle({ body, closed }) {
        await book.refresh()
        if ((body.id === undefined) === (body.rule === undefined)) {
          throw fail('invalid_request', 'name a rule by id, or write one as rule', { param: 'rule' })
        }
        const { rule, group } =
          body.id !== undefined
            ? findEntry(body.id)
            : toGroup(body.rule!, createId('alertRule', clock.now()), 'api', '')
        const stepMs = body.interval === '' ? null : readDuration(body.interval)
        if (body.interval !== '' && (stepMs === null || stepMs < 1000)) {
          throw fail('invalid_request', `not an interval of a second or more: "${body.interval}"`, {
            param: 'interval',
          })
        }
        return showBacktest(await backtests.run(rule, group, { days: body.days, stepMs }, closed))
      },
    }),
    defineRoute({
      ...shared,
      method: 'GET',
      path: '/api/alert-rules/:id',
      summary: 'One rule with its alerts.',
      params: idParam,
      reply: ruleWithAlerts,
      handle: ({ params }) => show(params.id),
    }),
    defineRoute({
      ...shared,
      method: 'PATCH',
      path: '/api/alert-rules/:id',
      summary: 'Changes a rule of the pack or of the API; what is not named stays. Its alerts go on.',
      params: idParam,
      body: ruleWishSchema.partial(),
      reply: ruleWithAlerts,
      async handle({ params, body }) {
        await book.refresh()
        const { source, wish, rule, createdAt } = findEntry(params.id)
        if (source === 'file') {
          throw fail('conflict', `this rule stands in ${rule.file}:${rule.line}; change it there`, { param: 'id' })
        }
        const change = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
        return write(params.id, source, { ...wish, ...change }, createdAt || clock.now())
      },
    }),
    defineRoute({
      ...shared,
      method: 'DELETE',
      path: '/api/alert-rules/:id',
      summary: 'Takes a rule of the API away, with its alerts; one of the pack becomes what it was at first.',
      params: idParam,
      status: 204,
      async handle({ params }) {
        await book.refresh()
        const { source, rule } = findEntry(params.id)
        if (source === 'file') {
          throw fail('conflict', `this rule stands in ${rule.file}:${rule.line}; take it away there`, { param: 'id' })
        }
        if (!(await store.remove(params.id)) && source === 'pack') {
          throw fail('conflict', 'this rule comes with the hub: switch it off with {"enabled":false}', { param: 'id' })
        }
        await book.refresh()
      },
    }),
    defineRoute({
      ...shared,
      method: 'POST',
      path: '/api/alert-rules/:id/test',
      changes: false,
      summary:
        'Evaluates a rule once, now: what it finds, and the texts that come of it. No state changes, nobody is told.',
      params: idParam,
      reply: z.object({
        at: time,
        health: z.enum(ruleHealths),
        error: z.string(),
        alerts: z.array(z.object({ labels: texts, annotations: texts, value: z.string() })),
        samples: z
          .array(z.object({ labels: texts, value: z.string() }))
          .describe('What a recording rule would record.'),
      }),
      async handle({ params }) {
        await book.refresh()
        const { rule, group } = findEntry(params.id)
        const memory = emptyMemory()
        const at = clock.now()
        const limit = group.limit || maxAlertsPerRule
        const made = await evaluate(rule, memory, at, { ...evaluation, limit, queryOffsetMs: group.queryOffsetMs })
        return {
          ...{ at: iso(at), health: memory.health, error: memory.lastError },
          alerts: [...memory.elements.values()].map(({ labels, annotations, value }) => ({
            ...{ labels, annotations, value: String(value) },
          })),
          samples: rule.kind === 'record' ? made.map(({ labels, value }) => ({ labels, value: String(value) })) : [],
        }
      },
    }),
  ]
}

const iso = (ms: number) => new Date(ms).toISOString()
const isoOrNull = (ms: number | null) => (ms === null || ms === 0 ? null : iso(ms))

function showRule({ rule, group, source, wish, isEnabled, isChanged }: BookEntry, rows: readonly StateRow[]) {
  const own = rows.find(({ fingerprint }) => fingerprint === '')
  const record = own === undefined ? null : (JSON.parse(own.memory) as RuleRecord)
  const number = (state: string) => rows.filter((row) => row.fingerprint !== '' && row.state === state).length
  return {
    ...wish,
    enabled: isEnabled,
    ...{ id: rule.id, source, changed: isChanged, group: group.name, file: rule.file, line: rule.line },
    state: ruleStates.find((state) => state === own?.state) ?? ('inactive' as const),
    health: record?.health ?? ('unknown' as const),
    last_error: record?.lastError ?? '',
    last_evaluation: isoOrNull(record?.evaluatedAt ?? null),
    evaluation_seconds: record?.tookSeconds ?? 0,
    ...{ pending: number('pending'), firing: number('firing') },
  }
}

function showAlert(element: Element) {
  return {
    ...{ fingerprint: element.fingerprint, state: element.state, labels: { ...element.labels } },
    ...{ annotations: { ...element.annotations }, value: String(element.value) },
    ...{ active_at: iso(element.activeAt), fired_at: isoOrNull(element.firedAt) },
    ...{ resolved_at: isoOrNull(element.resolvedAt), keep_firing_since: isoOrNull(element.keepFiringSince) },
    ...{ no_data_since: isoOrNull(element.noDataSince), last_sent_at: isoOrNull(element.lastSentAt) },
  }
}
