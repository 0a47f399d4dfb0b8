import { beginEscalation, close, isActive, settleQuiet, type Turn, tellSla } from './life.ts'
import type { Incident } from './schema.ts'
import { nextSlaMoment, pauseOf, settleClocks } from './sla/clocks.ts'

const minuteMs = 60_000

/**
 * Does what is due by `turn.now`, each once, however late it is looked at: quiet ones are resolved, clocks at risk or late
 * noted, whoever is next in the escalation told, acknowledgements that nothing followed taken back, old ones closed.
 */
export function settle(incident: Incident, turn: Turn): void {
  settleQuiet(incident, turn)
  unacknowledge(incident, turn)
  const [sla, news] = settleClocks(incident.sla, turn.now, turn.rules.calendars)
  incident.sla = sla
  tellSla(incident, turn, news)
  escalate(incident, turn)
  const closeAt = closeAtOf(incident, turn)
  if (closeAt !== null && turn.now >= closeAt) close(incident, turn, 'nothing more came')
}

/** When there will be something to do; null for never. */
export function nextMoment(incident: Incident, turn: Pick<Turn, 'now' | 'rules'>): number | null {
  const { rules, now } = turn
  const active = isActive(incident)
  const moments = [
    active && incident.quietAt !== null ? incident.quietAt + rules.quietMs : null,
    unacknowledgeAt(incident, turn),
    active ? nextSlaMoment(incident.sla, now, rules.calendars) : null,
    incident.state === 'open' ? incident.escalation.nextAt : null,
    closeAtOf(incident, turn),
  ].filter((moment) => moment !== null)
  return moments.length === 0 ? null : Math.min(...moments)
}

function unacknowledgeAt(incident: Incident, { rules }: Pick<Turn, 'rules'>): number | null {
  const minutes = rules.policyOf(incident.severity).unacknowledge_minutes
  if (minutes === 0 || incident.state !== 'acknowledged' || pauseOf(incident.sla) !== null) return null
  return incident.lastWordAt + minutes * minuteMs
}

function unacknowledge(incident: Incident, turn: Turn): void {
  const at = unacknowledgeAt(incident, turn)
  if (at === null || turn.now < at) return
  incident.state = 'open'
  turn.say('unacknowledged', `no word for ${Math.round((turn.now - incident.lastWordAt) / minuteMs)} minutes`)
  beginEscalation(incident, turn)
}

function escalate(incident: Incident, turn: Turn): void {
  const { nextAt, cycle, round, step, told } = incident.escalation
  if (incident.state !== 'open' || nextAt === null || turn.now < nextAt) return
  const policy = turn.rules.policyOf(incident.severity)
  const due = policy.steps[Math.min(step, policy.steps.length - 1)]!
  const key = `escalation/${cycle}.${round}.${step}`
  const people = due.on_call.map((schedule) => turn.rules.onCall(schedule, turn.now)).filter((each) => each !== null)
  // Each person's message is their own: its link says who acknowledged.
  for (const [index, { name, channels }] of people.entries()) {
    turn.page({ key: `${key}/${index}`, reason: 'escalation', channels, person: name })
  }
  if (due.channels.length > 0) turn.page({ key, reason: 'escalation', channels: due.channels, person: '' })
  const reached = [...people.flatMap(({ channels }) => channels), ...due.channels]
  const names =
    people.length > 0 ? people.map(({ name }) => name).join(', ') : due.on_call.length > 0 ? 'nobody on call' : ''
  turn.say('escalated', [`step ${step + 1}`, names, due.channels.join(', ')].filter((each) => each !== '').join(': '), {
    ...{ cycle, round, step, people: people.map(({ name }) => name), channels: reached },
  })
  const after = { cycle, told: [...new Set([...told, ...reached])] }
  const next = policy.steps[step + 1]
  if (next !== undefined) {
    incident.escalation = { ...after, round, step: step + 1, nextAt: turn.now + next.after_minutes * minuteMs }
  } else if (round < policy.repeats) {
    incident.escalation = { ...after, round: round + 1, step: 0, nextAt: turn.now + policy.repeat_minutes * minuteMs }
  } else incident.escalation = { ...after, round, step, nextAt: null }
}

function closeAtOf({ state, resolvedAt }: Incident, { rules }: Pick<Turn, 'rules'>): number | null {
  return state === 'resolved' && rules.closeAfterMs > 0 ? resolvedAt! + rules.closeAfterMs : null
}
