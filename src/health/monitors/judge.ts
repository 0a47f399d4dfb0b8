import { type Finding, isNetworkReason, type Reason } from '../probes/probe.ts'

/**
 * What the hub believes of a check. `pending`: not asked yet, or failing and not often enough; `inconclusive`: nothing
 * can be said of it, because it could not be asked or our own network is down.
 */
export const monitorStates = ['up', 'down', 'pending', 'inconclusive', 'maintenance'] as const
export type MonitorState = (typeof monitorStates)[number]

export type Standing = {
  state: MonitorState
  /** What was found often enough, apart from doubt and maintenance. */
  confirmed: 'up' | 'down' | 'none'
  /** Epoch ms at which the state began. */
  since: number
  failures: number
  /** Epoch ms of the first of these failures. */
  failingSince: number
  successes: number
  /** In order, and to be looked at. */
  isWarning: boolean
  reason: Reason
  message: string
  observed: Finding['observed']
  latencyMs: number
  /** Epoch ms; 0 for never. */
  checkedAt: number
  lastOkAt: number
  /** The state that was announced last, and since when; '' for none. */
  told: MonitorState | ''
  toldSince: number
  /** The check it depends on that is down, which is why nobody is woken for this one; '' for none. */
  suppressedBy: string
}

export type Rules = { failures: number; successes: number; isUpsideDown: boolean }

export type Circumstances = {
  isMaintenance: boolean
  isNetworkDown: boolean
  /** Name of a check it depends on that is down; '' for none. */
  downParent: string
  /** It is not settled yet whether a check it depends on is down: it fails, or was not asked since this one fails. */
  isParentFailing: boolean
}

export type News = { from: MonitorState; to: MonitorState; durationMs: number; suppressedBy: string }

/** What one result counts as in the history, whether there is maintenance or not. */
export type Counted = 'up' | 'down' | 'pending' | 'inconclusive'

export const untouched: Standing = {
  state: 'pending',
  confirmed: 'none',
  since: 0,
  failures: 0,
  failingSince: 0,
  successes: 0,
  isWarning: false,
  reason: '',
  message: 'Not asked yet.',
  observed: {},
  latencyMs: 0,
  checkedAt: 0,
  lastOkAt: 0,
  told: '',
  toldSince: 0,
  suppressedBy: '',
}

/** Takes one finding into account. `news` is what is to be told of it, null for nothing. */
export function judge(
  before: Standing,
  found: Finding,
  at: { now: number; latencyMs: number },
  rules: Rules,
  circumstances: Circumstances,
): { standing: Standing; counted: Counted; news: News | null } {
  const { outcome, reason, message } = rules.isUpsideDown ? turned(found) : found
  const doubted = outcome === 'failed' && circumstances.isNetworkDown && isNetworkReason(reason)
  const next: Standing = {
    ...before,
    ...{ reason, observed: found.observed, checkedAt: at.now, isWarning: outcome === 'warn' },
    message: doubted ? `${message} Nothing else answers either: the hub doubts its own network.` : message,
    // The store keeps whole milliseconds; what the hub's own checks measure has fractions.
    latencyMs: Math.round(found.latencyMs ?? at.latencyMs),
  }
  let counted: Counted
  if (outcome === 'unknown' || doubted) counted = 'inconclusive'
  else if (outcome === 'failed') counted = fail(next, rules, circumstances.isParentFailing, at.now)
  else counted = succeed(next, rules, at.now)

  // A check that never was anything is waited for, not doubted.
  const isAwaited = counted === 'inconclusive' && next.confirmed === 'none' && !doubted
  next.state = circumstances.isMaintenance ? 'maintenance' : isAwaited ? 'pending' : counted
  next.suppressedBy = next.state === 'down' ? circumstances.downParent : ''
  if (next.state !== before.state || before.since === 0) next.since = at.now
  return { standing: next, counted, news: tell(before, next, at.now) }
}

function fail(next: Standing, rules: Rules, isParentFailing: boolean, now: number): Counted {
  if (next.failures === 0) next.failingSince = now
  next.failures++
  next.successes = 0
  // Whether it is down of itself is told by the one it depends on, which is being asked.
  if (next.confirmed !== 'down' && next.failures >= rules.failures && !isParentFailing) next.confirmed = 'down'
  return next.confirmed === 'down' ? 'down' : 'pending'
}

function succeed(next: Standing, rules: Rules, now: number): Counted {
  next.successes++
  next.failures = 0
  next.lastOkAt = now
  if (next.confirmed === 'down' && next.successes < rules.successes) return 'down'
  next.confirmed = 'up'
  return 'up'
}

/** For what must fail: a port that has to be shut. What was not found out stays so. */
function turned(found: Finding): Pick<Finding, 'outcome' | 'reason' | 'message'> {
  if (found.outcome === 'unknown' || found.reason === 'refused_address') return found
  if (found.outcome === 'failed') return { outcome: 'ok', reason: '', message: `As it should be: ${found.message}` }
  return { outcome: 'failed', reason: 'answer', message: `It should fail, and does not: ${found.message}` }
}

function tell(before: Standing, next: Standing, now: number): News | null {
  if (next.state === 'pending') return null
  const isUnhidden = next.state === 'down' && before.suppressedBy !== '' && next.suppressedBy === ''
  if (next.state === next.told && !isUnhidden) return null
  const from = next.told === '' ? 'pending' : next.told
  const isFirstAndFine = next.told === '' && next.state !== 'down'
  const durationMs = next.toldSince === 0 ? 0 : now - next.toldSince
  next.told = next.state
  next.toldSince = now
  return isFirstAndFine ? null : { from, to: next.state, durationMs, suppressedBy: next.suppressedBy }
}

/** Whether the next asking comes sooner: something is failing or recovering, and not settled. */
export function isUnsettled({ confirmed, failures, successes }: Standing, rules: Rules): boolean {
  if (confirmed === 'down') return successes > 0 && successes < rules.successes
  return failures > 0
}
