import { describe, expect, test } from 'vitest'
import { incidentsMigration } from '../migrations/0026-incidents.ts'
import { incidentActionsMigration } from '../migrations/0031-incident-actions.ts'
import { engines } from '../platform/database/testing.ts'
import { simulateDays } from './testing-days.ts'

/** A thousand days together; `npm run bench -- simulation` runs more of them, of any seed. */
const days = { sqlite: 250, postgres: 6 }

describe.each(engines())('days of faults on $name', ({ name, open }) => {
  const isSqlite = name === 'sqlite'
  const run = async (seed: number, length: number, options = {}) => {
    const { kysely } = await open([incidentsMigration, incidentActionsMigration])
    return simulateDays(kysely, seed, length, options)
  }

  test.each(isSqlite ? [1, 2, 3, 5] : [4])(
    'seed %i: no incident without a cause, no cause without an incident',
    async (seed) => {
      const told = await run(seed, days[name])
      expect(told.days).toBe(days[name])
      expect(told.faults).toBeGreaterThan(days[name] / 2)
      expect(told.lost).toBeGreaterThan(0)
      expect(told.crashes).toBeGreaterThan(0)
      expect(told.incidents).toBeGreaterThan(days[name] / 10)
    },
    300_000,
  )

  // The order of what is heard at once is the engine's own; one of them is enough to show that ours adds no chance.
  const onOne = isSqlite ? test : () => {}
  onOne(
    'a seed replays exactly, also one that fails: the same day and the same words',
    async () => {
      expect(await run(9, 8)).toEqual(await run(9, 8))
      const fails = async () => {
        const found: unknown = await run(9, 40, { forgetsFromDay: 10 }).catch((error: unknown) => error)
        expect(found).toBeInstanceOf(Error)
        return (found as Error).message
      }
      const message = await fails()
      expect(message).toMatch(/^seed 9, day \d+: alerts and incidents agree/)
      expect(await fails()).toBe(message)
    },
    120_000,
  )
})
