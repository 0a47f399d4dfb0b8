import assert from 'node:assert/strict'
import { createDice } from '../kernel/dice.ts'
import type { ToldAlert } from './schema.ts'
import { createAlertWorld, createSetClock, minuteMs, openNode, startAt } from './testing.ts'

const dayMs = 1440 * minuteMs

export type DaysOutcome = {
  story: string[]
  days: number
  incidents: number
  faults: number
  crashes: number
  lost: number
}

/**
 * Days of faults: alerts begin and end, announcements are lost or come twice, the node ends between turns and another
 * goes on with what the store has, the keeper of alerts is away, people acknowledge, mitigate, resolve. After every calm moment the two
 * lists must agree. The same seed is the same story.
 */
export async function simulateDays(
  db: unknown,
  seed: number,
  days: number,
  /** From this day on whoever keeps the alerts leaves one out: a defect that the comparison must find. */
  options: { forgetsFromDay?: number } = {},
): Promise<DaysOutcome> {
  const random = createDice(seed)
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1))
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const clock = createSetClock(startAt + (seed % 365) * dayMs)
  const world = createAlertWorld(clock)
  const outcome: DaysOutcome = { story: [], days: 0, incidents: 0, faults: 0, crashes: 0, lost: 0 }
  let isAway = false
  const parts = {
    activeAlerts: async () => {
      if (isAway) throw new Error('whoever keeps the alerts is away')
      return [...world.active.values()].slice(
        outcome.days >= (options.forgetsFromDay ?? Number.POSITIVE_INFINITY) ? 1 : 0,
      )
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
  const newest = async (): Promise<{ id: string } | undefined> =>
    (await node.ask('GET', '/api/incidents?limit=1')).data[0]
  async function all(): Promise<{ id: string; state: string }[]> {
    const found = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await node.ask('GET', `/api/incidents?limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`)
      found.push(...page.data)
      cursor = page.next_cursor
    }
    return found
  }

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
      if (origin === 'alerts') assert(alerts.length > 0, `seed ${seed}: ${id} has no cause`)
      for (const each of alerts) listed.set(`${each.fingerprint}/${each.starts_at}`, each.ended_at === null)
    }
    const firing = [...world.active.values()].map(
      ({ fingerprint, startsAt }) => `${fingerprint}/${new Date(startsAt).toISOString()}`,
    )
    const open = [...listed].filter(([, isOpen]) => isOpen).map(([key]) => key)
    assert.deepEqual(open.sort(), firing.sort(), `seed ${seed}, day ${outcome.days}: alerts and incidents agree`)
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
        const { id } = (await newest()) ?? {}
        const verb = pick(['ack', 'mitigate', 'resolve', 'close'])
        if (id !== undefined) await node.ask('POST', `/api/incidents/${id}/${verb}`).catch(() => {})
      }
      await heard()
      await tick()
    }
    outcome.days = day + 1
    // Now and then all is well: what comes after it is new.
    if (random() < 0.1) for (const alert of [...world.active.values()]) announce('alert.resolved', world.end(alert))
    await heard()
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
  assert.deepEqual(
    found.filter(({ state }) => state !== 'resolved' && state !== 'closed'),
    [],
    `seed ${seed}: nothing stays open that is over`,
  )
  for (const { id } of found.slice(0, 20)) {
    const { chain } = await node.ask('GET', `/api/incidents/${id}/timeline?limit=1`)
    assert(chain.is_whole, `seed ${seed}: the timeline of ${id} is whole`)
  }
  outcome.story = found.map(({ id, state }) => `${id} ${state}`)
  outcome.incidents = found.length
  await node.room.stop()
  return outcome
}
