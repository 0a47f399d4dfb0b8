import type { BackupsConfig } from './config.ts'
import { type BackupKind, isScheduled } from './schema.ts'

/** A backup as its header tells of it. */
export type Kept = { id: string; kind: BackupKind; takenAt: number; chain: readonly string[] }

export type Policy = Pick<
  BackupsConfig,
  'keep_hours' | 'keep_days' | 'keep_weeks' | 'keep_months' | 'before_migrations' | 'before_deletions'
>

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/**
 * Which backups may go. What any rule keeps is kept, with everything it builds on: the newest; all of the last hours; the
 * newest full one of each day, week and month, in UTC; the last before migrations and before deletions; and whatever rules
 * say, the newest that was verified and the newest that passed a drill. While none was verified, nothing goes.
 */
export function chooseRemovable(
  backups: readonly Kept[],
  proofs: ReadonlyMap<string, { verifiedAt: number; drilledAt: number }>,
  policy: Policy,
  now: number,
): string[] {
  const newestFirst = [...backups].sort((a, b) => b.takenAt - a.takenAt)
  const scheduled = newestFirst.filter(isScheduled)
  const byId = new Map(backups.map((each) => [each.id, each]))
  const isWhole = ({ chain }: Kept) => chain.every((id) => byId.has(id))
  const verified = scheduled.find((each) => (proofs.get(each.id)?.verifiedAt ?? 0) > 0 && isWhole(each))
  if (verified === undefined) return []

  const kept = new Set<string>()
  const keep = (each: Kept | undefined) => {
    if (each === undefined) return
    kept.add(each.id)
    for (const id of each.chain) kept.add(id)
  }
  keep(scheduled[0])
  keep(verified)
  keep(scheduled.find((each) => (proofs.get(each.id)?.drilledAt ?? 0) > 0 && isWhole(each)))
  for (const each of scheduled) if (each.takenAt >= now - policy.keep_hours * hourMs) keep(each)
  const full = scheduled.filter(({ kind }) => kind === 'full')
  keepOnePer(full, policy.keep_days, dayOf, keep)
  keepOnePer(full, policy.keep_weeks, weekOf, keep)
  keepOnePer(full, policy.keep_months, (at) => new Date(at).toISOString().slice(0, 7), keep)
  const last = (wanted: BackupKind, count: number) =>
    newestFirst.filter(({ kind }) => kind === wanted).slice(0, Math.max(1, count))
  for (const each of last('migration', policy.before_migrations)) keep(each)
  for (const each of last('safety', policy.before_deletions)) keep(each)
  // Oldest last: what others build on goes after them, so that a run that is cut off leaves no chain without its beginning.
  return newestFirst.filter(({ id }) => !kept.has(id)).map(({ id }) => id)
}

/** Of the newest `count` periods that have one, the newest. */
function keepOnePer(
  newestFirst: readonly Kept[],
  count: number,
  periodOf: (at: number) => string,
  keep: (each: Kept) => void,
): void {
  const seen = new Set<string>()
  for (const each of newestFirst) {
    const period = periodOf(each.takenAt)
    if (seen.has(period)) continue
    if (seen.size >= count) return
    seen.add(period)
    keep(each)
  }
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

/** The Monday it begins with. */
function weekOf(at: number): string {
  const weekday = (new Date(at).getUTCDay() + 6) % 7
  return dayOf(at - weekday * dayMs)
}
