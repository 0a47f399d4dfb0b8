import { describe, expect, test } from 'vitest'
import { createDice } from '../kernel/dice.ts'
import { incidentsMigration } from '../migrations/0026-incidents.ts'
import { engines } from '../platform/database/testing.ts'
import type { ToldAlert } from './schema.ts'
import { createAlertWorld, createSetClock, minuteMs, openNode, startAt } from './testing.ts'

const dayMs = 1440 * minuteMs

type Outcome = { story: string[]; incidents: number; faults: number; crashes: number; lost: number }

/**
 * Days of faults: alerts begin and end, announcements are lost or come twice, the node ends between turns and another
 * goes on with what the store has, the keeper of alerts is away, people acknowledge, mitigate, resolve. After every calm moment the two
 * lists must agree. The same seed is the same story.
 */
async function simulate(db: unknown, seed: number, days: number): Promise<Outcome> {
  const random = createDice(seed)
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1))
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const clock = createSetClock(startAt + seed * 10_000 * dayMs)
  const world = createAlertWorld(clock)
  const outcome: Outcome = { story: [], incidents: 0, faults: 0, crashes: 0, lost: 0 }
  let isAway = false
  const parts = {
    activeAlerts: async () => {
      if (isAway) throw new Error('whoever keeps the alerts is away')
      return [...world.active.values()]
    },
  }
  const fresh = () => openNode(db, clock, world, { parts })
  let node = await fresh()
  const causes = [
    { provider: 'a' },
    { provider: 'a', key: 'k1' },
    { provider: 'b' },
    { service: 's' },
    { check: 'c' },
    {},
  ]
  const announce = (name: 'alert.fired' | 'alert.resolved', alert: ToldAlert) => {
    const kind = random()
    if (kind < 0.3) outcome.lost++
    else
      for (let time = kind < 0.5 ? 2 : 1; time > 0; time--)
        node.bus.announce(name, { ...alert, labels: { ...alert.labels }, annotations: {}, at: clock.now() })
  }
  /** Announcements are taken up beside everything else: until they are, nothing is drawn. */
  const heard = () => new Promise((resolve) => setImmediate(resolve))
  const tick = async () => {
    try {
      await node.room.tick()
    } catch (error) {
      if (!isAway) throw error
    }
  }
  const all = async () => (await node.ask('GET', '/api/incidents?limit=200')).data as { id: string; state: string }[]

  async function agree(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) {
      clock.pass(15_000)
      await tick()
    }
    const active = (await node.ask('GET', '/api/incidents?state=active&limit=200')).data as {
      id: string
      origin: string
    }[]
    const listed = new Map<string, boolean>()
    for (const { id, origin } of active) {
      const { alerts } = await node.ask('GET', `/api/incidents/${id}`)
      if (origin === 'alerts') expect(alerts.length, `seed ${seed}: ${id} has no cause`).toBeGreaterThan(0)
      for (const each of alerts) listed.set(`${each.fingerprint}/${each.starts_at}`, each.ended_at === null)
    }
    const firing = [...world.active.values()].map(
      ({ fingerprint, startsAt }) => `${fingerprint}/${new Date(startsAt).toISOString()}`,
    )
    const open = [...listed].filter(([, isOpen]) => isOpen).map(([key]) => key)
    expect(open.sort(), `seed ${seed}: alerts and incidents agree`).toEqual(firing.sort())
  }

  for (let day = 0; day < days; day++) {
    const events = between(2, 6)
    for (let event = 0; event < events; event++) {
      clock.pass(Math.floor((random() * 2 * dayMs) / events))
      const kind = random()
      if (kind < 0.4 || world.active.size === 0) {
        const parent =
          random() < 0.2 ? [...world.active.values()].find(({ inhibitedBy }) => inhibitedBy === '') : undefined
        const alert = world.fire(
          `Fault${between(1, 4)}`,
          { ...pick(causes), severity: pick(['critical', 'high']) },
          {
            ...{ fingerprint: `f${between(1, 12)}.${outcome.faults}` },
            ...(parent && { inhibitedBy: parent.fingerprint }),
          },
        )
        outcome.faults++
        announce('alert.fired', alert)
      } else if (kind < 0.75) announce('alert.resolved', world.end(pick([...world.active.values()])))
      else if (kind < 0.85) {
        outcome.crashes++
        // What it has begun is done or not done, as the store has it; what it has heard is forgotten.
        await node.room.stop()
        node = await fresh()
      } else if (kind < 0.9) isAway = !isAway
      else {
        const [{ id } = { id: '' }] = await all()
        if (id !== '')
          await node
            .ask('POST', `/api/incidents/${id}/${pick(['ack', 'mitigate', 'resolve', 'close'])}`)
            .catch(() => {})
      }
      await heard()
      await tick()
    }
    if (day % 5 === 4) {
      isAway = false
      await agree()
    }
  }
  isAway = false
  for (const alert of [...world.active.values()]) world.end(alert)
  await agree()
  clock.pass(20 * minuteMs)
  await tick()
  const found = await all()
  expect(found.filter(({ state }) => state !== 'resolved' && state !== 'closed')).toEqual([])
  for (const { id } of found.slice(0, 20)) {
    expect((await node.ask('GET', `/api/incidents/${id}/timeline?limit=1`)).chain.is_whole, `${id} is whole`).toBe(true)
  }
  outcome.story = found.map(({ id, state }) => `${id} ${state}`)
  outcome.incidents = found.length
  await node.room.stop()
  return outcome
}

/** More of them for a long run: seeds stay the same. */
const daysOnSqlite = Number(process.env.GATEHOUSE_TEST_DAYS ?? 40)

describe.each(engines())('days of faults on $name', ({ name, open }) => {
  const isSqlite = name === 'sqlite'
  const days = isSqlite ? daysOnSqlite : 6
  const run = async (seed: number, length = days) => {
    const { kysely } = await open([incidentsMigration])
    return simulate(kysely, seed, length)
  }

  test.each(isSqlite ? [1, 2, 3] : [4])(
    'seed %i: no incident without a cause, no cause without an incident',
    async (seed) => {
      const told = await run(seed)
      expect(told.faults).toBeGreaterThan(days / 2)
      expect(told.lost).toBeGreaterThan(0)
      expect(told.crashes).toBeGreaterThan(0)
      expect(told.incidents).toBeGreaterThan(0)
    },
    120_000 + days * 1000,
  )

  // The order of what is heard at once is the engine's own; one of them is enough to show that ours adds no chance.
  test.each(isSqlite ? [9] : [])(
    'seed %i replays exactly',
    async (seed) => {
      expect(await run(seed, 8)).toEqual(await run(seed, 8))
    },
    120_000,
  )
})
