import type { Severity } from './severity.ts'
import type { SlaFacts } from './sla/clocks.ts'

export { type Severity, severities } from './severity.ts'

/** Seed 003 §1.1, for people who choose one. */
export const severityWords: Readonly<Record<Severity, { en: string; zh: string }>> = {
  P0: { en: 'Critical: nothing works, data is lost, or a hole is used; all users', zh: '严重故障，影响所有用户' },
  P1: { en: 'High: a core function is gone or very slow; most users', zh: '高优先级故障，影响大部分用户' },
  P2: { en: 'Medium: a part does not work or is slower; some users', zh: '中优先级故障，影响部分用户' },
  P3: { en: 'Low: something beside the core, or how it looks; few users', zh: '低优先级故障，影响少数用户' },
}

/** Seed 003 §1.2. */
export const categories = ['service', 'network', 'data', 'performance', 'function', 'security'] as const
export type Category = (typeof categories)[number]
export const categoryWords: Readonly<Record<Category, { en: string; zh: string }>> = {
  service: { en: 'service', zh: '服务故障' },
  network: { en: 'network', zh: '网络故障' },
  data: { en: 'data', zh: '数据故障' },
  performance: { en: 'performance', zh: '性能故障' },
  function: { en: 'function', zh: '功能故障' },
  security: { en: 'security', zh: '安全故障' },
}

export const states = ['open', 'acknowledged', 'mitigated', 'resolved', 'closed'] as const
export type State = (typeof states)[number]
/** Of these there is one of a cause at a time. */
export const activeStates: readonly State[] = ['open', 'acknowledged', 'mitigated']

/** An alert, as the announcements and whoever keeps alerts tell of it; times are epoch ms. */
export type ToldAlert = {
  fingerprint: string
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  startsAt: number
  endsAt: number | null
  tenantId: string
  /** Fingerprint of the alert that explains this one; '' for none. */
  inhibitedBy: string
}

/** Whom a cause hurts: counted over the calls of a window. */
export type Blast = {
  /** Calls that went through the cause, and those of them that failed. */
  requests: number
  failed: number
  /** Callers who met a failure, and their tenants. */
  users: number
  tenants: number
  /** Of all callers of the window, 0 to 1. */
  share: number
}

/** Something that was changed before it began. */
export type Change = {
  at: number
  /** `deploy`, `configuration`, `price`, `key`, `provider`, `service`, … */
  kind: string
  /** What was done, as the audit log names it: `providers.update`. */
  what: string
  target: string
  by: string
}

export type Suspect = Change & { score: number; beforeMs: number }

/** Somebody who does something. */
export type Actor = { kind: 'person' | 'program' | 'link' | 'hub'; id: string; name: string }
export const hubActor: Actor = { kind: 'hub', id: 'incidents', name: 'gatehouse' }

export type Escalation = {
  /** Counts the times it began: links of former times acknowledge nothing. */
  cycle: number
  round: number
  step: number
  /** When the next step is due; null while nobody is to be told. */
  nextAt: number | null
  /** Where somebody was told of it, so that they hear of the end too. */
  told: readonly string[]
}

export type Postmortem = { rootCause: string; impact: string; lessons: string; actions: readonly string[] }

export type Incident = {
  /** `ALT-2026-03-02-001` */
  id: string
  /** '' for the hub's own. */
  tenantId: string
  severity: Severity
  /** People's choice is not changed by alerts. */
  severityBy: 'alerts' | 'person'
  category: Category
  title: string
  description: string
  causeKey: string
  cause: Readonly<Record<string, string>>
  state: State
  origin: 'alerts' | 'person'
  reporter: string
  contact: string
  assignee: string
  declaredAt: number
  acknowledgedAt: number | null
  /** By whom it is being worked on: since then nobody has said anything. */
  lastWordAt: number
  mitigatedAt: number | null
  /** The hub saw it end; a person did not say so. */
  isMitigatedByHub: boolean
  resolvedAt: number | null
  closedAt: number | null
  /** Since when no alert of it fires; null while one does, or where there are none. */
  quietAt: number | null
  reopens: number
  /** The former incident of the same cause, '' for none. */
  follows: string
  sla: SlaFacts
  escalation: Escalation
  /** What its alerts' labels say; null where people opened it. */
  labelled: { severity: Severity; from: string } | null
  blast: Blast | null
  /** How its severity came about, in a sentence. */
  arithmetic: string
  suspects: readonly Suspect[]
  diagnosis: string
  postmortem: Postmortem | null
  updatedAt: number
}

export type IncidentAlert = {
  incidentId: string
  fingerprint: string
  startsAt: number
  endedAt: number | null
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  inhibitedBy: string
  joinedAt: number
}

/** One line of what happened; `seq` counts from 1 without gaps within an incident. */
export type TimelineEntry = {
  incidentId: string
  seq: number
  at: number
  kind: string
  actor: Actor
  text: string
  data: Readonly<Record<string, unknown>>
}

/** Somebody who is to be told, before and after it was done. */
export type Page = {
  id: string
  incidentId: string
  at: number
  reason: PageReason
  channels: readonly string[]
  /** Whom it is for, as their links say; '' for a channel of many. */
  person: string
  cycle: number
  title: string
  text: string
  severity: Severity
  state: 'intended' | 'delivered' | 'failed'
  tries: number
  dueAt: number
}

export type PageReason = 'escalation' | 'at_risk' | 'breached' | 'resolved' | 'digest'
