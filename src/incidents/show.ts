import { z } from 'zod'
import { showTenantId } from '../kernel/scope.ts'
import { recoverySteps } from './recovery.ts'
import { categories, type Incident, type IncidentAlert, severities, states } from './schema.ts'
import { type ClockReading, pauseOf, readClocks } from './sla/clocks.ts'
import { type Calendars, slaClocks, writeAmount } from './sla/targets.ts'
import type { Chained } from './timeline/chain.ts'

const count = z.number().int()
const time = z.string().describe('ISO 8601, UTC')

const clockReply = z.object({
  clock: z.enum(slaClocks),
  state: z.enum(['running', 'at_risk', 'paused', 'met', 'breached']),
  target: z.string(),
  due_at: time.nullable().describe('null while it is paused: nobody knows.'),
  at_risk_at: time.nullable(),
  breached_at: time.nullable(),
  reason: z.string(),
  gross_ms: count.describe('On the wall.'),
  net_ms: count.describe('That counts: in its calendar, without pauses.'),
  share: z.number().describe('Of the target; above 1 it is late.'),
})
export const incidentReply = z.object({
  id: z.string().describe('ALT-YYYY-MM-DD-NNN, the day in incidents.zone.'),
  tenant_id: z.string(),
  severity: z.enum(severities),
  severity_by: z.enum(['alerts', 'person']),
  category: z.enum(categories),
  title: z.string(),
  description: z.string(),
  cause: z.record(z.string(), z.string()),
  state: z.enum(states),
  origin: z.enum(['alerts', 'person']),
  reporter: z.string(),
  contact: z.string(),
  assignee: z.string(),
  declared_at: time,
  acknowledged_at: time.nullable(),
  mitigated_at: time.nullable(),
  resolved_at: time.nullable(),
  closed_at: time.nullable(),
  paused: z.object({ since: time, reason: z.string(), by: z.string() }).nullable(),
  reopens: count,
  follows: z.string().describe("The former incident of the same cause, '' for none."),
  arithmetic: z.string().describe('How its severity came about.'),
  sla: z.array(clockReply),
  updated_at: time,
})
const alertReply = z.object({
  fingerprint: z.string(),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  starts_at: time,
  ended_at: time.nullable(),
  inhibited_by: z.string().describe("Fingerprint of the alert that explains this one, '' for none."),
})
export const lineReply = z.object({
  seq: count,
  at: time,
  kind: z.string(),
  by: z.string(),
  text: z.string(),
  data: z.record(z.string(), z.unknown()),
  hash: z.string(),
})
export const recoveryReply = z.array(
  z.object({
    step: z.enum(recoverySteps),
    title: z.object({ en: z.string(), zh: z.string() }),
    is_done: z.boolean(),
    at: time.nullable(),
    by: z.string(),
    note: z.string(),
  }),
)
export const detailReply = incidentReply.extend({
  blast: z
    .object({ requests: count, failed: count, users: count, tenants: count, share: z.number() })
    .nullable()
    .describe('Whom it hurt in the quarter of an hour before; null where nobody knows.'),
  suspects: z.array(
    z.object({
      ...{ at: time, kind: z.string(), what: z.string(), target: z.string(), by: z.string() },
      ...{ before_ms: count, score: z.number() },
    }),
  ),
  diagnosis: z.string(),
  alerts: z.array(alertReply),
  recovery: recoveryReply,
  runbooks: z.array(z.object({ name: z.string(), title: z.object({ en: z.string(), zh: z.string() }) })),
  pages: z.array(
    z.object({
      ...{ at: time, reason: z.string(), channels: z.array(z.string()), person: z.string() },
      ...{ state: z.enum(['intended', 'delivered', 'failed']), tries: count },
    }),
  ),
  postmortem: z
    .object({ root_cause: z.string(), impact: z.string(), lessons: z.string(), actions: z.array(z.string()) })
    .nullable(),
})

export function showIncident(incident: Incident, now: number, calendars: Calendars) {
  const pause = pauseOf(incident.sla)
  return {
    ...{ id: incident.id, tenant_id: showTenantId(incident.tenantId), severity: incident.severity },
    ...{ severity_by: incident.severityBy, category: incident.category, title: incident.title },
    ...{ description: incident.description, cause: incident.cause, state: incident.state, origin: incident.origin },
    ...{ reporter: incident.reporter, contact: incident.contact, assignee: incident.assignee },
    ...{ declared_at: iso(incident.declaredAt), acknowledged_at: isoOrNull(incident.acknowledgedAt) },
    ...{ mitigated_at: isoOrNull(incident.mitigatedAt), resolved_at: isoOrNull(incident.resolvedAt) },
    closed_at: isoOrNull(incident.closedAt),
    paused: pause && { since: iso(pause.from), reason: pause.reason, by: pause.by },
    ...{ reopens: incident.reopens, follows: incident.follows, arithmetic: incident.arithmetic },
    sla: readClocks(incident.sla, now, calendars).map(showClock),
    updated_at: iso(incident.updatedAt),
  }
}

function showClock(reading: ClockReading) {
  return {
    ...{ clock: reading.clock, state: reading.state, target: writeAmount(reading.target, 'en') },
    ...{ due_at: isoOrNull(reading.dueAt), at_risk_at: isoOrNull(reading.atRiskAt) },
    ...{ breached_at: isoOrNull(reading.breachedAt), reason: reading.reason },
    ...{ gross_ms: Math.round(reading.grossMs), net_ms: Math.round(reading.netMs) },
    share: Math.round(reading.share * 10_000) / 10_000,
  }
}

export function showAlert(alert: IncidentAlert) {
  return {
    ...{ fingerprint: alert.fingerprint, labels: alert.labels, annotations: alert.annotations },
    ...{ starts_at: iso(alert.startsAt), ended_at: isoOrNull(alert.endedAt), inhibited_by: alert.inhibitedBy },
  }
}

export function showLine({ seq, at, kind, actor, text, data, hash }: Chained) {
  return { seq, at: iso(at), kind, by: actor.name, text, data, hash }
}

export const iso = (at: number) => new Date(at).toISOString()
export const isoOrNull = (at: number | null) => (at === null ? null : iso(at))
