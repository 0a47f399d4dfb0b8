import { fail } from '../kernel/errors.ts'
import type { Policy } from './escalation/policy.ts'
import type { Member } from './on-call/rotation.ts'
import type { Actor, Blast, Category, Incident, PageReason, Severity, Suspect } from './schema.ts'
import { activeStates } from './schema.ts'
import {
  beginClocks,
  changeSeverity,
  continueClocks,
  pauseClocks,
  pauseOf,
  resumeClocks,
  stopClock,
} from './sla/clocks.ts'
import type { Calendars } from './sla/targets.ts'

export type NewPage = {
  /** Of what is the same message; the rest of its id is the incident's. */
  key: string
  reason: PageReason
  channels: readonly string[]
  person: string
}

/** One change of an incident: when, by whom, and what is to be written down and told of it. */
export type Turn = {
  now: number
  actor: Actor
  say(kind: string, text: string, data?: Readonly<Record<string, unknown>>): void
  page(page: NewPage): void
  rules: LifeRules
}

/** What holds for all incidents at the time. */
export type LifeRules = {
  calendars: Calendars
  policyOf(severity: Severity): Policy
  /** null for a schedule that is not there, or in which it is nobody's turn. */
  onCall(schedule: string, at: number): Member | null
  quietMs: number
  reopenMs: number
  mostReopens: number
  closeAfterMs: number
  normalChannels: readonly string[]
  /** What alerts opened waits so long for its first page, which then says what else broke. */
  pageWaitMs: number
}

export type Declaration = {
  id: string
  tenantId: string
  severity: Severity
  category: Category
  title: string
  description: string
  causeKey: string
  cause: Readonly<Record<string, string>>
  origin: Incident['origin']
  reporter: string
  contact: string
  /** When it began to be known: the first alert's start is in the timeline, clocks count from here. */
  declaredAt: number
  labelled: Incident['labelled']
  blast: Blast | null
  arithmetic: string
  suspects: readonly Suspect[]
  follows: string
}

export function declare(told: Declaration, turn: Turn): Incident {
  const { severity, declaredAt, origin } = told
  const incident: Incident = {
    ...told,
    ...{ severityBy: origin, state: 'open', assignee: '', acknowledgedAt: null, lastWordAt: turn.now },
    ...{ mitigatedAt: null, isMitigatedByHub: false, resolvedAt: null, closedAt: null, quietAt: null, reopens: 0 },
    ...{ sla: beginClocks(declaredAt, severity), diagnosis: '', postmortem: null, updatedAt: turn.now },
    escalation: { cycle: 0, round: 0, step: 0, nextAt: null, told: [] },
  }
  turn.say('opened', told.title, { severity, arithmetic: told.arithmetic, cause: told.causeKey, follows: told.follows })
  if (told.suspects.length > 0) {
    const first = told.suspects[0]!
    turn.say(
      'suspects',
      `${told.suspects.length} changes shortly before; first ${first.what} ${first.target}, ${Math.round(first.beforeMs / 60_000)} min before`,
      { suspects: told.suspects },
    )
  }
  beginEscalation(incident, turn)
  return incident
}

/** True when this acknowledged it; false when somebody had already. */
export function acknowledge(incident: Incident, turn: Turn): boolean {
  if (!isActive(incident)) throw wrongState(incident, 'acknowledged')
  incident.lastWordAt = turn.now
  if (incident.state !== 'open' && incident.acknowledgedAt !== null) return false
  incident.acknowledgedAt ??= turn.now
  incident.sla = stopClock(incident.sla, 'response', turn.now)
  incident.escalation = { ...incident.escalation, nextAt: null }
  if (incident.state === 'open') incident.state = 'acknowledged'
  turn.say('acknowledged', `${turn.actor.name} has it`)
  return true
}

export function mitigate(incident: Incident, turn: Turn, note: string): void {
  if (incident.state !== 'open' && incident.state !== 'acknowledged') throw wrongState(incident, 'mitigated')
  respond(incident, turn)
  endPause(incident, turn)
  incident.state = 'mitigated'
  incident.mitigatedAt = turn.now
  incident.isMitigatedByHub = false
  incident.sla = stopClock(incident.sla, 'handling', turn.now)
  turn.say('mitigated', note)
}

/** `firing` are alerts of it that have not ended: while there are some nobody can say it is over. */
export function resolve(incident: Incident, turn: Turn, note: string, firing: readonly string[]): void {
  if (!isActive(incident)) throw wrongState(incident, 'resolved')
  if (firing.length > 0) {
    throw fail(
      'conflict',
      `${incident.id} cannot be resolved while alerts of it fire (${firing.slice(0, 5).join(', ')}): mitigate it now; it is resolved by itself when they are over`,
      { param: 'id' },
    )
  }
  respond(incident, turn)
  finish(incident, turn, turn.now, note)
}

export function close(incident: Incident, turn: Turn, note: string): void {
  if (incident.state !== 'resolved') throw wrongState(incident, 'closed')
  incident.state = 'closed'
  incident.closedAt = turn.now
  turn.say('closed', note)
}

/** Whether its time to be opened again is over; a reason to say, or null. */
export function reopenBar(incident: Incident, now: number, rules: LifeRules): string | null {
  if (isActive(incident)) return `it is ${incident.state}`
  if (incident.reopens >= rules.mostReopens) return `it was opened again ${incident.reopens} times`
  const over = incident.resolvedAt! + rules.reopenMs
  return now > over ? `it was resolved longer than ${Math.round(rules.reopenMs / 60_000)} minutes ago` : null
}

/** The clocks run on; the time in which it was over does not count. */
export function reopen(incident: Incident, turn: Turn, reason: string): void {
  const bar = reopenBar(incident, turn.now, turn.rules)
  if (bar !== null) {
    throw fail('conflict', `${incident.id} cannot be opened again: ${bar}. Open a new incident that follows it.`, {
      param: 'id',
    })
  }
  incident.reopens++
  incident.resolvedAt = null
  incident.closedAt = null
  relapse(incident, turn, 'reopened', reason)
}

export function pause(incident: Incident, turn: Turn, reason: string): void {
  if (incident.state !== 'acknowledged' && incident.state !== 'mitigated') {
    throw fail(
      'conflict',
      `${incident.id} is ${incident.state}: only what somebody has acknowledged, and is not over, can wait`,
      { param: 'id' },
    )
  }
  if (pauseOf(incident.sla) !== null) throw fail('conflict', `${incident.id} waits already`, { param: 'id' })
  incident.sla = pauseClocks(incident.sla, turn.now, reason, turn.actor.name)
  incident.lastWordAt = turn.now
  turn.say('paused', reason)
}

export function resume(incident: Incident, turn: Turn): void {
  if (pauseOf(incident.sla) === null) throw fail('conflict', `${incident.id} does not wait`, { param: 'id' })
  incident.lastWordAt = turn.now
  endPause(incident, turn)
}

export function assign(incident: Incident, turn: Turn, assignee: string): void {
  incident.assignee = assignee
  incident.lastWordAt = turn.now
  turn.say('assigned', assignee === '' ? 'to nobody' : `to ${assignee}`, { assignee })
}

export function note(incident: Incident, turn: Turn, text: string): void {
  incident.lastWordAt = turn.now
  turn.say('note', text)
}

export function diagnose(incident: Incident, turn: Turn, text: string): void {
  incident.diagnosis = text
  incident.lastWordAt = turn.now
  turn.say('diagnosed', text)
}

export function setSeverity(incident: Incident, turn: Turn, severity: Severity, reason: string): void {
  if (severity === incident.severity) return
  const from = incident.severity
  const [sla, news] = changeSeverity(incident.sla, severity, turn.now, turn.rules.calendars)
  incident.sla = sla
  incident.severity = severity
  if (turn.actor.kind !== 'hub') incident.severityBy = 'person'
  turn.say('severity', `${from} → ${severity}: ${reason}`, { from, to: severity })
  tellSla(incident, turn, news)
  if (incident.state === 'open') beginEscalation(incident, turn)
}

/** An alert of its cause began: what was over is not. */
export function alertBegan(incident: Incident, turn: Turn): void {
  const wasQuiet = incident.quietAt !== null
  incident.quietAt = null
  if (incident.state === 'mitigated' && (incident.isMitigatedByHub || wasQuiet)) {
    relapse(incident, turn, 'relapsed', 'an alert of it fires again')
  }
}

/** No alert of it fires any longer, since `at`. */
export function alertsEnded(incident: Incident, turn: Turn, at: number): void {
  if (!isActive(incident)) return
  const since = Math.max(at, incident.declaredAt)
  incident.quietAt = since
  if (incident.state === 'mitigated') return
  endPause(incident, turn)
  incident.state = 'mitigated'
  incident.mitigatedAt = since
  incident.isMitigatedByHub = true
  // Nothing is left that somebody would have to come for.
  incident.sla = stopClock(stopClock(incident.sla, 'response', since), 'handling', since)
  incident.escalation = { ...incident.escalation, nextAt: null }
  turn.say('mitigated', 'every alert of it has ended')
}

/** It has been quiet for long enough. */
export function settleQuiet(incident: Incident, turn: Turn): void {
  if (!isActive(incident) || incident.quietAt === null) return
  const at = incident.quietAt + turn.rules.quietMs
  if (turn.now < at) return
  endPause(incident, turn)
  finish(incident, turn, at, `quiet for ${Math.round(turn.rules.quietMs / 60_000)} minutes`)
}

export function beginEscalation(incident: Incident, turn: Turn): void {
  const { cycle, told } = incident.escalation
  const first = turn.rules.policyOf(incident.severity).steps[0]!
  const waitMs = cycle === 0 && incident.origin === 'alerts' ? turn.rules.pageWaitMs : 0
  incident.escalation = {
    ...{ cycle: cycle + 1, round: 0, step: 0, told },
    nextAt: turn.now + first.after_minutes * 60_000 + waitMs,
  }
}

/** Says what clocks have come to, and tells those who look after it. */
export function tellSla(
  incident: Incident,
  turn: Turn,
  news: readonly { kind: 'at_risk' | 'breached'; clock: string; at: number; reason: string }[],
): void {
  for (const { kind, clock, at, reason } of news) {
    const why = reason === '' ? '' : ` (${reason})`
    turn.say(kind, `${clock} of ${incident.severity}${why}`, { clock, at, reason })
    if (!isActive(incident)) continue
    const channels = [...new Set([...turn.rules.normalChannels, ...incident.escalation.told])]
    turn.page({ key: `${kind}/${clock}/${incident.severity}`, reason: kind, channels, person: '' })
  }
}

export function isActive({ state }: Pick<Incident, 'state'>): boolean {
  return activeStates.includes(state)
}

function respond(incident: Incident, turn: Turn): void {
  if (turn.actor.kind === 'hub') return
  incident.acknowledgedAt ??= turn.now
  incident.lastWordAt = turn.now
  incident.sla = stopClock(incident.sla, 'response', turn.now)
  incident.escalation = { ...incident.escalation, nextAt: null }
}

function finish(incident: Incident, turn: Turn, at: number, text: string): void {
  endPause(incident, turn)
  incident.mitigatedAt ??= at
  incident.state = 'resolved'
  incident.resolvedAt = at
  let { sla } = incident
  for (const clock of ['response', 'handling', 'recovery'] as const) sla = stopClock(sla, clock, at)
  incident.sla = sla
  incident.escalation = { ...incident.escalation, nextAt: null }
  turn.say('resolved', text)
  const { told, cycle } = incident.escalation
  // Nobody is called out of bed to hear that it is over, unless that is the only way to reach them.
  const quiet = told.filter((channel) => turn.rules.normalChannels.includes(channel))
  const channels = quiet.length > 0 ? quiet : told
  if (channels.length > 0) {
    turn.page({ key: `resolved/${cycle}.${incident.reopens}`, reason: 'resolved', channels, person: '' })
  }
}

function relapse(incident: Incident, turn: Turn, kind: string, reason: string): void {
  const isTaken = incident.acknowledgedAt !== null
  // What alerts open again was given up: somebody has to take it on anew.
  const isKept = isTaken && (kind === 'relapsed' || turn.actor.kind !== 'hub')
  incident.state = isKept ? 'acknowledged' : 'open'
  incident.mitigatedAt = null
  incident.isMitigatedByHub = false
  incident.lastWordAt = turn.now
  const clocks = isTaken ? (['handling', 'recovery'] as const) : (['response', 'handling', 'recovery'] as const)
  incident.sla = continueClocks(incident.sla, clocks, turn.now, kind)
  turn.say(kind, reason)
  if (incident.state === 'open') beginEscalation(incident, turn)
}

function endPause(incident: Incident, turn: Turn): void {
  const open = pauseOf(incident.sla)
  if (open === null) return
  incident.sla = resumeClocks(incident.sla, turn.now)
  turn.say('resumed', `after ${Math.round((turn.now - open.from) / 60_000)} minutes: ${open.reason}`)
}

function wrongState(incident: Incident, wanted: string) {
  return fail('conflict', `${incident.id} is ${incident.state} and cannot be ${wanted}`, { param: 'id' })
}
