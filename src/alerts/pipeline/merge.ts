import type { Alert, PostedAlert } from '../alert.ts'

/** An end that lies beyond every clock: it fires until somebody says that it is over. */
export const never = 8_640_000_000_000_000

/** An alert as it is kept: `endsAt` is always a moment, which lies ahead while it fires. */
export type Active = {
  fingerprint: string
  tenantId: string
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  generatorUrl: string
  startsAt: number
  endsAt: number
  /** Whether the end is our guess, because nobody named one. */
  isGuess: boolean
  updatedAt: number
  /** Whether its end was seen, kept and announced. */
  isEnded: boolean
  /** Fingerprint of the alert that hides it; '' for none. */
  inhibitedBy: string
}

/** What came in, with the moment at which it did. */
export type Posted = PostedAlert & { fingerprint: string; isGuess: boolean; postedAt: number }

export function toActive(posted: Posted): Active {
  const { fingerprint, tenantId, labels, annotations, generatorUrl, startsAt, postedAt } = posted
  return {
    ...{ fingerprint, tenantId, labels, annotations, generatorUrl, startsAt },
    endsAt: posted.endsAt ?? posted.expiresAt ?? never,
    // Of what ends only when somebody says so, whoever names an end later is right.
    isGuess: posted.endsAt === null && (posted.isGuess || posted.expiresAt === null),
    updatedAt: postedAt,
    ...{ isEnded: false, inhibitedBy: '' },
  }
}

/**
 * What is known when `next` comes to `before`, as Alertmanager merges what overlaps: the younger words, the earlier start;
 * an end that somebody named outlives a guess. https://github.com/prometheus/alertmanager/blob/main/types/types.go
 */
export function mergeAlerts(before: Active, next: Active, now: number): Active {
  const overlaps =
    (next.endsAt > before.startsAt && next.endsAt < before.endsAt) ||
    (next.startsAt > before.startsAt && next.startsAt < before.endsAt) ||
    // The same firing said again.
    next.startsAt === before.startsAt
  // The end of an earlier firing that comes late ends nothing now.
  if (!overlaps && next.endsAt <= now && before.endsAt > now && next.endsAt <= before.startsAt) return before
  const kept = { tenantId: before.tenantId, inhibitedBy: before.inhibitedBy }
  // What ended and was told so is over: what begins after it is another firing.
  if (!overlaps || (before.isEnded && next.endsAt > now)) {
    if (next.updatedAt < before.updatedAt) return before
    return { ...next, ...kept, isEnded: next.endsAt <= now && before.isEnded }
  }
  const [older, younger] = next.updatedAt < before.updatedAt ? [next, before] : [before, next]
  const merged = { ...younger, ...kept, isEnded: before.isEnded, startsAt: Math.min(older.startsAt, younger.startsAt) }
  if (younger.endsAt <= now) {
    if (older.endsAt <= now && older.endsAt > younger.endsAt) merged.endsAt = older.endsAt
  } else if (older.endsAt > younger.endsAt && !older.isGuess) {
    merged.endsAt = older.endsAt
    merged.isGuess = older.isGuess
  }
  return merged
}

/** As it is told at `at`. */
export function toAlert(active: Active, at: number): Alert {
  const { fingerprint, labels, annotations, startsAt, endsAt, generatorUrl, tenantId } = active
  return { fingerprint, labels, annotations, startsAt, endsAt: endsAt <= at ? endsAt : null, generatorUrl, tenantId }
}
