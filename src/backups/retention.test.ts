import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseRemovable, type Kept, type Policy } from './retention.ts'

const hour = 3_600_000
const day = 24 * hour
const now = Date.UTC(2026, 10, 28, 12)
const policy: Policy = {
  keep_hours: 48,
  keep_days: 7,
  keep_weeks: 4,
  keep_months: 12,
  before_migrations: 2,
  before_deletions: 1,
}

/** A full one a day at noon, with three increments each. */
function history(days: number): Kept[] {
  return Array.from({ length: days }, (_, ago) => {
    const at = now - ago * day
    const full: Kept = { id: `f${ago}`, kind: 'full', takenAt: at - 4 * hour, chain: [] }
    const increments = [1, 2, 3].map(
      (n): Kept => ({
        ...{ id: `f${ago}i${n}`, kind: 'increment', takenAt: at - (4 - n) * hour },
        chain: ['', 'i1', 'i2'].slice(0, n).map((tail) => `f${ago}${tail}`),
      }),
    )
    return [full, ...increments]
  }).flat()
}
const allVerified = (backups: readonly Kept[]) =>
  new Map(backups.map(({ id }) => [id, { verifiedAt: now, drilledAt: 0 }]))

describe('of a year of backups', () => {
  const backups = history(365)
  const removed = new Set(chooseRemovable(backups, allVerified(backups), policy, now))
  const kept = backups.filter(({ id }) => !removed.has(id))

  test('all of the last hours are kept, then one a day, a week and a month', () => {
    const recent = backups.filter(({ takenAt }) => takenAt >= now - 48 * hour)
    expect(recent.filter(({ id }) => removed.has(id))).toEqual([])
    const older = kept.filter(({ takenAt }) => takenAt < now - 3 * day)
    expect(older.every(({ kind }) => kind === 'full')).toBe(true)
    expect(older.map(({ id }) => id).slice(0, 6)).toEqual(['f3', 'f4', 'f5', 'f6', 'f13', 'f20'])
    expect(new Set(kept.map(({ takenAt }) => new Date(takenAt).toISOString().slice(0, 7))).size).toBe(12)
  })

  test('nothing goes that another one builds on', () => {
    const ids = new Set(kept.map(({ id }) => id))
    expect(kept.flatMap(({ chain }) => chain).filter((id) => !ids.has(id))).toEqual([])
  })
})

test('the last verified one stays, however old it is, and with it what it builds on', () => {
  const backups = history(300)
  const proofs = new Map([['f250i2', { verifiedAt: now, drilledAt: 0 }]])
  const removed = chooseRemovable(backups, proofs, policy, now)
  expect(removed).not.toContain('f250i2')
  expect(removed).not.toContain('f250i1')
  expect(removed).not.toContain('f250')
  expect(removed).toContain('f251')
})

test('the last that passed a drill stays, however old it is', () => {
  const backups = history(300)
  const proofs = allVerified(backups).set('f200', { verifiedAt: now, drilledAt: now })
  expect(chooseRemovable(backups, proofs, policy, now)).not.toContain('f200')
})

test('while none was verified nothing goes', () => {
  expect(chooseRemovable(history(300), new Map(), policy, now)).toEqual([])
})

test('of those before something was deleted the newest are kept, and count neither as of the calendar nor as before migrations', () => {
  const of = (kind: Kept['kind'], n: number): Kept => ({ id: `${kind}${n}`, kind, takenAt: now - n * day, chain: [] })
  const backups = [...history(2), ...[1, 2, 3].flatMap((n) => [of('safety', n), of('migration', n)])]
  const gone = chooseRemovable(backups, allVerified(backups), policy, now)
  expect(gone.filter((id) => /^(safety|migration)/.test(id)).sort()).toEqual(['migration3', 'safety2', 'safety3'])
  // Alone they are no backup that proves anything: nothing goes.
  const alone = [of('safety', 1), of('safety', 2)]
  expect(chooseRemovable(alone, allVerified(alone), policy, now)).toEqual([])
})

test('of those before migrations the newest are kept', () => {
  const migrations = [1, 2, 3, 4].map(
    (n): Kept => ({ id: `m${n}`, kind: 'migration', takenAt: now - n * day, chain: [] }),
  )
  const backups = [...history(2), ...migrations]
  expect(chooseRemovable(backups, allVerified(backups), policy, now)).toEqual(['m3', 'm4'])
})

test('whatever is there: the newest and the newest verified stay, and no chain loses its beginning', () => {
  const wish = fc.record({ days: fc.integer({ min: 1, max: 90 }), proven: fc.array(fc.nat(359), { minLength: 1 }) })
  fc.assert(
    fc.property(wish, ({ days, proven }) => {
      const backups = history(days)
      const proofs = new Map(
        proven.flatMap((at) => (backups[at] ? [[backups[at].id, { verifiedAt: 1, drilledAt: 0 }] as const] : [])),
      )
      const removed = new Set(chooseRemovable(backups, proofs, policy, now))
      const kept = backups.filter(({ id }) => !removed.has(id))
      const newest = backups.toSorted((a, b) => b.takenAt - a.takenAt)
      expect(removed.has(newest[0]!.id)).toBe(false)
      const verified = newest.find(({ id }) => proofs.has(id))
      if (verified) expect(removed.has(verified.id)).toBe(false)
      expect(kept.flatMap(({ chain }) => chain).filter((id) => removed.has(id))).toEqual([])
    }),
  )
})
