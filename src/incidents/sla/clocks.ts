import type { Severity } from '../severity.ts'
import type { Amount, Span } from './calendar.ts'
import { type Calendars, calendarOf, part, type SlaClock, slaClocks, targets } from './targets.ts'

/** Time that does not count for some clocks. */
export type Gap = { from: number; to: number | null; clocks: readonly SlaClock[]; reason: string; by: string }

/** What is remembered of an incident's clocks; all else is computed from it. */
export type SlaFacts = {
  declaredAt: number
  severity: Severity
  /** When a clock was stopped, null while it runs. */
  stoppedAt: Readonly<Record<SlaClock, number | null>>
  gaps: readonly Gap[]
  /** What was too late stays too late, whatever becomes of the severity. */
  breaches: Readonly<Partial<Record<SlaClock, { at: number; reason: string }>>>
  /** Clocks of which it was told that they are at risk. */
  warned: readonly SlaClock[]
}

export type ClockState = 'running' | 'at_risk' | 'paused' | 'met' | 'breached'

export type ClockReading = {
  clock: SlaClock
  state: ClockState
  target: Amount
  /** When it will be too late, as things stand; null while it is paused, because nobody knows. */
  dueAt: number | null
  /** When 80 % are used up. */
  atRiskAt: number | null
  /** Time on the wall from the declaration to now or to when it stopped. */
  grossMs: number
  /** That which counts: in the calendar, without gaps. */
  netMs: number
  /** Of the target, used up; above 1 when it is late. */
  share: number
  breachedAt: number | null
  reason: string
}

const riskShare = 0.8

export function beginClocks(declaredAt: number, severity: Severity): SlaFacts {
  const stoppedAt = { response: null, handling: null, recovery: null }
  return { declaredAt, severity, stoppedAt, gaps: [], breaches: {}, warned: [] }
}

/** How a clock stands at `now`. Pure: the same facts at the same time read alike on every node. */
export function readClock(facts: SlaFacts, clock: SlaClock, now: number, calendars: Calendars): ClockReading {
  const { declaredAt, severity, stoppedAt } = facts
  const calendar = calendarOf(severity, calendars)
  const target = targets[severity][clock]
  const stopped = stoppedAt[clock]
  const end = Math.max(declaredAt, stopped ?? now)
  const isPaused = stopped === null && facts.gaps.some(({ to, clocks }) => to === null && clocks.includes(clock))
  const gaps = gapsOf(facts, clock, end)
  const used = calendar.count(declaredAt, end, gaps)
  const share = 'ms' in target ? used.ms / target.ms : used.workingDays / target.workingDays
  const due = calendar.add(declaredAt, target, gaps)
  const breach = facts.breaches[clock]
  // A pause that began after the deadline does not take the deadline back.
  const isLate = breach !== undefined || (isPaused ? due < openGapStart(facts, clock) : due < end)
  const atRiskAt = calendar.add(declaredAt, part(target, riskShare), gaps)
  return {
    ...{ clock, target, share, grossMs: end - declaredAt, netMs: used.ms },
    state: isLate
      ? 'breached'
      : stopped !== null
        ? 'met'
        : isPaused
          ? 'paused'
          : now >= atRiskAt
            ? 'at_risk'
            : 'running',
    dueAt: isPaused && !isLate ? null : due,
    atRiskAt: isPaused ? null : atRiskAt,
    breachedAt: breach?.at ?? (isLate ? due : null),
    reason: breach?.reason ?? '',
  }
}

export function readClocks(facts: SlaFacts, now: number, calendars: Calendars): ClockReading[] {
  return slaClocks.map((clock) => readClock(facts, clock, now, calendars))
}

/** What has come to pass by `now` and was not noted yet. */
export type SlaNews = { kind: 'at_risk' | 'breached'; clock: SlaClock; at: number; reason: string }

/** Notes what is late or at risk by `now`, each once; whoever changes facts does this first. */
export function settleClocks(facts: SlaFacts, now: number, calendars: Calendars, reason = ''): [SlaFacts, SlaNews[]] {
  const news: SlaNews[] = []
  let { breaches, warned } = facts
  for (const reading of readClocks(facts, now, calendars)) {
    const { clock, state } = reading
    if (state === 'breached' && breaches[clock] === undefined) {
      // With a reason it is not the clock that made it late: the moment is now.
      const at = reason === '' ? reading.breachedAt! : now
      breaches = { ...breaches, [clock]: { at, reason } }
      news.push({ kind: 'breached', clock, at, reason })
    } else if (state === 'at_risk' && !warned.includes(clock)) {
      warned = [...warned, clock]
      news.push({ kind: 'at_risk', clock, at: reading.atRiskAt!, reason })
    }
  }
  return [news.length === 0 ? facts : { ...facts, breaches, warned }, news]
}

/** The next moment at which something is to be noted; null for never. */
export function nextSlaMoment(facts: SlaFacts, now: number, calendars: Calendars): number | null {
  const moments = readClocks(facts, now, calendars).flatMap(({ clock, state, atRiskAt, dueAt }) => {
    if (facts.stoppedAt[clock] !== null || facts.breaches[clock] !== undefined || state === 'paused') return []
    // Late is what is later than the deadline.
    return facts.warned.includes(clock) ? [dueAt! + 1] : [atRiskAt!, dueAt! + 1]
  })
  return moments.length === 0 ? null : Math.min(...moments)
}

export function stopClock(facts: SlaFacts, clock: SlaClock, at: number): SlaFacts {
  if (facts.stoppedAt[clock] !== null) return facts
  return { ...facts, stoppedAt: { ...facts.stoppedAt, [clock]: at }, gaps: closeGaps(facts, [clock], at) }
}

/** Lets stopped clocks run on; the time in between does not count for them. */
export function continueClocks(facts: SlaFacts, clocks: readonly SlaClock[], at: number, reason: string): SlaFacts {
  let { stoppedAt, gaps } = facts
  for (const clock of clocks) {
    const from = stoppedAt[clock]
    if (from === null) continue
    stoppedAt = { ...stoppedAt, [clock]: null }
    gaps = [...gaps, { from, to: Math.max(from, at), clocks: [clock], reason, by: '' }]
  }
  return { ...facts, stoppedAt, gaps }
}

export function pauseClocks(facts: SlaFacts, at: number, reason: string, by: string): SlaFacts {
  const clocks = slaClocks.filter((clock) => facts.stoppedAt[clock] === null)
  return { ...facts, gaps: [...facts.gaps, { from: at, to: null, clocks, reason, by }] }
}

export function resumeClocks(facts: SlaFacts, at: number): SlaFacts {
  return { ...facts, gaps: facts.gaps.map((gap) => (gap.to === null ? { ...gap, to: Math.max(gap.from, at) } : gap)) }
}

/** The open pause, if there is one. */
export function pauseOf(facts: SlaFacts): Gap | null {
  return facts.gaps.find(({ to }) => to === null) ?? null
}

/** Targets of another severity from the declaration on; gaps and what was breached stay. */
export function changeSeverity(
  facts: SlaFacts,
  severity: Severity,
  now: number,
  calendars: Calendars,
): [SlaFacts, SlaNews[]] {
  const [before, old] = settleClocks(facts, now, calendars)
  const isRaised = severity < facts.severity
  // Warnings are of a target: the new one has its own.
  const changed = { ...before, severity, warned: [] }
  const [after, news] = settleClocks(changed, now, calendars, isRaised ? 'severity raised' : '')
  return [after, [...old, ...news]]
}

function gapsOf(facts: SlaFacts, clock: SlaClock, end: number): Span[] {
  return facts.gaps
    .filter(({ clocks }) => clocks.includes(clock))
    .map(({ from, to }) => ({ from, to: to ?? Math.max(from, end) }))
}

function openGapStart(facts: SlaFacts, clock: SlaClock): number {
  const gap = facts.gaps.find(({ to, clocks }) => to === null && clocks.includes(clock))
  return gap?.from ?? Number.NEGATIVE_INFINITY
}

/** A clock that stopped no longer waits: its part of an open pause ends. */
function closeGaps(facts: SlaFacts, clocks: readonly SlaClock[], at: number): Gap[] {
  return facts.gaps.flatMap((gap) => {
    if (gap.to !== null || !gap.clocks.some((clock) => clocks.includes(clock))) return [gap]
    const rest = gap.clocks.filter((clock) => !clocks.includes(clock))
    const ended = { ...gap, to: Math.max(gap.from, at), clocks: gap.clocks.filter((clock) => clocks.includes(clock)) }
    return rest.length === 0 ? [ended] : [ended, { ...gap, clocks: rest }]
  })
}
