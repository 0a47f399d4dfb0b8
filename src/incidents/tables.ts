import type { Selectable } from 'kysely'
import type { Page, Severity, State } from './schema.ts'

/** The tables of this room, as both engines give them back. Times are epoch ms UTC, JSON is text. */
export type IncidentsTables = {
  incidents: {
    id: string
    tenant_id: string
    state: State
    severity: Severity
    cause_key: string
    open_key: string
    declared_at: number
    resolved_at: number | null
    due_at: number | null
    facts: string
    timeline_seq: number
    timeline_hash: string
    timeline_signature: string
  }
  incident_alerts: {
    fingerprint: string
    starts_at: number
    tenant_id: string
    incident_id: string
    ended_at: number | null
    labels: string
    annotations: string
    inhibited_by: string
    joined_at: number
  }
  incident_timeline: {
    incident_id: string
    seq: number
    at: number
    kind: string
    actor_kind: string
    actor_id: string
    actor_name: string
    text: string
    data: string
    hash: string
  }
  incident_days: { day: string; last: number }
  incident_pages: {
    id: string
    incident_id: string
    at: number
    reason: Page['reason']
    channels: string
    person: string
    cycle: number
    title: string
    text: string
    severity: Severity
    state: Page['state']
    tries: number
    due_at: number
  }
  incident_actions: {
    id: string
    incident_id: string
    tenant_id: string
    action: string
    target: string
    parameters: string
    /** Whether it was taken with the eyes of a tenant's administrator. */
    is_of_tenant: number
    before_json: string
    words: string
    state: 'intended' | 'done' | 'failed' | 'undoing' | 'undone'
    error: string
    by_json: string
    at: number
    ends_at: number | null
    updated_at: number
  }
  on_call_settings: { kind: string; name: string; body: string; updated_at: number }
  incident_marks: { kind: string; name: string; at: number }
}

export type IncidentRow = Selectable<IncidentsTables['incidents']>
export type RemedyRow = Selectable<IncidentsTables['incident_actions']>
export type AlertRow = Selectable<IncidentsTables['incident_alerts']>
