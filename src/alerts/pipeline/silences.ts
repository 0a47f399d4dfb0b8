import { fail } from '../../kernel/errors.ts'
import { isCron, isZone, windowEnd } from '../../kernel/windows.ts'
import { compileMatcher, type Matcher, type MatcherText, matchesAll } from './matchers.ts'

/** When a silence comes again: from each time of the cron expression in its zone, for so many minutes. */
export type Recurrence = { cron: string; zone: string; minutes: number }

export type SilenceRow = {
  id: string
  /** '' for the hub's: it hides what matches in every tenant. */
  tenantId: string
  matchers: readonly MatcherText[]
  startsAt: number
  endsAt: number
  recurrence: Recurrence | null
  author: string
  comment: string
  createdAt: number
  updatedAt: number
}

/** `waiting`: between two turns of one that comes again. */
export type SilenceState = 'pending' | 'active' | 'waiting' | 'expired'

export type Silence = SilenceRow & { compiled: readonly Matcher[] }

export function compileSilence(row: SilenceRow): Silence {
  return { ...row, compiled: row.matchers.map(compileMatcher) }
}

export function stateOf({ startsAt, endsAt, recurrence }: SilenceRow, atMs: number): SilenceState {
  if (endsAt <= atMs) return 'expired'
  if (startsAt > atMs) return 'pending'
  if (recurrence === null) return 'active'
  return windowEnd([{ kind: 'cron', ...recurrence }], atMs) === null ? 'waiting' : 'active'
}

export function hides(
  { tenantId, compiled }: Silence,
  alert: { labels: Readonly<Record<string, string>>; tenantId: string },
): boolean {
  return (tenantId === '' || tenantId === alert.tenantId) && matchesAll(compiled, alert.labels)
}

/** Throws `invalid_request` for what hides everything, hides nothing, or is over before it begins. */
export function checkSilence(
  wish: Pick<SilenceRow, 'matchers' | 'startsAt' | 'endsAt' | 'recurrence' | 'comment'>,
  now: number,
): void {
  if (wish.matchers.length === 0) throw wrong('matchers', 'a silence needs a matcher: without one it hides everything')
  const compiled = wish.matchers.map(compileMatcher)
  if (compiled.every((matcher) => matcher.matches({}))) {
    throw wrong('matchers', 'at least one matcher must not match the empty value, or this hides everything')
  }
  if (wish.endsAt <= wish.startsAt) throw wrong('ends_at', 'a silence ends after it begins')
  if (wish.endsAt <= now) throw wrong('ends_at', 'this silence would be over already')
  const { recurrence } = wish
  if (recurrence === null) return
  if (!isCron(recurrence.cron)) throw wrong('recurrence.cron', `${recurrence.cron} is no cron expression`)
  if (!isZone(recurrence.zone)) throw wrong('recurrence.zone', `${recurrence.zone} is no time zone`)
}

function wrong(param: string, message: string) {
  return fail('invalid_request', message, { param })
}
