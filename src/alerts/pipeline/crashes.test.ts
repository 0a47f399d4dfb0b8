import type { Kysely, KyselyPlugin } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { createDice } from '../../kernel/dice.ts'
import { alertPipelineMigration } from '../../migrations/0028-alert-pipeline.ts'
import { engines } from '../../platform/database/testing.ts'
import type { Notification } from '../alert.ts'
import type { PipelineTables, Suppressed } from './index.ts'
import { parseMatchers } from './matchers.ts'
import { createPipelineStore } from './store.ts'
import { emptyTables, openRig, shortRoute } from './testing.ts'

const x = { alertname: 'X', job: 'j' }
const y = { alertname: 'Y', job: 'j' }

class Killed extends Error {}

/** A process that is killed at its n-th statement, before it or (`after`) once it is done: nothing works from then on. */
function mortal(db: Kysely<PipelineTables>, at: number, after: boolean) {
  let statements = 0
  const life = { isDead: false, count: () => statements }
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      if (!life.isDead && !after && ++statements === at) life.isDead = true
      if (life.isDead) throw new Killed()
      return node
    },
    async transformResult({ result }) {
      if (after && !life.isDead && ++statements === at) life.isDead = true
      if (life.isDead) throw new Killed()
      return result
    },
  }
  return { db: db.withPlugin(plugin), life }
}

describe.each(engines())('kill -9 at every persisted step on $name', ({ name, open }) => {
  let db: Kysely<PipelineTables>
  beforeAll(async () => {
    db = (await open([alertPipelineMigration])).kysely
  })
  beforeEach(() => emptyTables(db))

  /** Fires and ends two alerts; the process dies at statement `at`, and another goes on. */
  async function live(at: number, after: boolean) {
    await emptyTables(db)
    const [clock, told, ledger]: [ReturnType<typeof createManualClock>, Notification[], Suppressed[]] = [
      ...([createManualClock(), [], []] as const),
    ] as never
    const first = mortal(db, at, after)
    const settings = { route: shortRoute }
    let rig = openRig(first.db, settings, { clock, told, ledger })
    rig.answers.next = () => (first.life.isDead ? new Promise(() => {}) : 'delivered')
    let crashes = 0
    /** What is posted is posted again until somebody took it, as Prometheus does. */
    const survive = async (work: () => Promise<void>) => {
      for (;;) {
        try {
          await work()
          if (!first.life.isDead || crashes > 0) return
        } catch (error) {
          if (!first.life.isDead) throw error
        }
        crashes++
        rig = openRig(db, settings, { clock, told, ledger })
      }
    }
    await survive(() => rig.fire(x))
    await survive(() => rig.run(2))
    await survive(() => rig.fire(y))
    await survive(() => rig.run(3))
    await survive(() => rig.end(x))
    await survive(() => rig.run(3))
    await survive(() => rig.end(y))
    await survive(() => rig.run(6))
    return { told, statements: first.life.count(), crashes, rig }
  }
  const words = (told: readonly Notification[]) =>
    told.map(
      ({ reason, alerts }) =>
        `${reason} ${alerts.map((each) => each.labels.alertname + (each.endsAt === null ? '' : '!'))}`,
    )

  test('nothing is lost, and at most one notification is told again', async () => {
    const whole = await live(Number.POSITIVE_INFINITY, false)
    expect(words(whole.told)).toEqual(['first X', 'new_alerts X,Y', 'new_resolved Y,X!', 'all_resolved Y!'])
    expect(whole.statements).toBeGreaterThan(50)
    // Each of them where a statement costs little, before it or after; some over a socket.
    for (const after of [false, true]) {
      for (let at = after ? 2 : 1; at <= whole.statements; at += name === 'sqlite' ? 2 : 29) {
        const { told, crashes, rig } = await live(at, after)
        const where = `at statement ${at}, ${after ? 'after' : 'before'} it`
        expect(crashes, where).toBe(1)
        const ids = told.map(({ id }) => id)
        expect(ids.length - new Set(ids).size, where).toBeLessThanOrEqual(1)
        const once = words(told.filter(({ id }, index) => ids.indexOf(id) === index))
        // What ended while nobody worked may be told in one message instead of two.
        expect(once[0], where).toMatch(/^first X/)
        expect(
          once.some((line) => line.includes('Y') && !line.includes('Y!')),
          where,
        ).toBe(true)
        expect(
          once.some((line) => line.includes('X!')),
          where,
        ).toBe(true)
        expect(once.at(-1), where).toMatch(/all_resolved .*Y!/)
        expect(await rig.pipeline.active(), where).toEqual([])
      }
    }
  }, 120_000)

  test('ten thousand alerts in one second are kept, told of in groups and a digest, and none is unexplained', async () => {
    const rig = openRig(db, {
      route: { ...shortRoute, group_by: ['...'] },
      ...{ storm_max_notifications: 5, storm_window_seconds: 10 },
    })
    const at = rig.clock.now()
    const alerts = Array.from({ length: 10_000 }, (_, i) => ({
      ...{
        labels: { alertname: 'Storm', i: String(i) },
        annotations: {},
        startsAt: at,
        endsAt: null,
        expiresAt: null,
      },
      ...{ generatorUrl: '', tenantId: '' },
    }))
    for (let i = 0; i < 10; i++) await rig.pipeline.post(alerts.slice(i * 1000, (i + 1) * 1000))
    await rig.turn()
    await rig.run(12, 2)
    expect(rig.heard.filter(({ name: said }) => said === 'alert.fired')).toHaveLength(10_000)
    const digest = rig.told.find(({ reason }) => reason === 'digest')!
    expect(digest.alerts.length + digest.truncated).toBe(9995)
    const told = new Set(
      rig.told.filter(({ reason }) => reason !== 'digest').flatMap((each) => each.alerts.map((a) => a.fingerprint)),
    )
    const explained = new Set(rig.ledger.filter(({ by }) => by === 'storm').map(({ fingerprint }) => fingerprint))
    expect(told.size + explained.size).toBe(10_000)
  }, 120_000)
})

const [sqlite] = engines()

describe('many days of random alerts', () => {
  test.each([1, 2, 3])(
    'seed %i: nobody is left untold without a reason, and nothing that fires is told to be over',
    async (seed) => {
      const db: Kysely<PipelineTables> = (await sqlite!.open([alertPipelineMigration])).kysely
      const dice = createDice(seed)
      const route = {
        receiver: 'a',
        group_by: ['job'],
        routes: [{ receiver: 'b', matchers: ['job="j1"'], continue: true }, { matchers: ['job=~"j.*"'] }],
      }
      const inhibit_rules = [
        { source_matchers: ['alertname="A0"'], target_matchers: ['alertname="A1"'], equal: ['job'] },
      ]
      let rig = openRig(db, { route, inhibit_rules })
      const store = createPipelineStore(db)
      const firing = new Map<string, { labels: Record<string, string>; since: number }>()
      let failing = false
      const answer = ({ alerts }: Notification) => {
        for (const { labels, endsAt } of alerts) {
          if (endsAt !== null)
            expect(firing.has(JSON.stringify(labels)), `seed ${seed}: told to be over while it fires`).toBe(false)
        }
        return failing ? 'failed' : 'delivered'
      }
      rig.answers.next = answer
      const stepMs = 300_000
      const steps = 1440
      let silence = 0
      for (let step = 0; step < steps; step++) {
        await rig.clock.leap(stepMs)
        const now = rig.clock.now()
        if (dice() < 0.15) {
          const labels = { alertname: `A${Math.floor(dice() * 4)}`, job: `j${Math.floor(dice() * 3)}` }
          const key = JSON.stringify(labels)
          const isFiring = firing.has(key)
          if (isFiring) firing.delete(key)
          else firing.set(key, { labels, since: now })
          const common = { labels, annotations: {}, generatorUrl: '', expiresAt: null, tenantId: '' }
          await rig.pipeline.post([{ ...common, startsAt: now, endsAt: isFiring ? now : null }])
        }
        if (dice() < 0.01) {
          const matchers = parseMatchers(`job=j${Math.floor(dice() * 3)}`).map(({ name, op, value }) => ({
            name,
            op,
            value,
          }))
          const row = {
            id: `sil_${silence++}`,
            tenantId: '',
            matchers,
            startsAt: now,
            endsAt: now + dice() * 14_400_000,
          }
          const told = { recurrence: null, author: '', comment: '', createdAt: now, updatedAt: now }
          await store.writeSilences([{ ...row, endsAt: Math.round(row.endsAt), ...told }])
        }
        failing = dice() < 0.2
        if (dice() < 0.01) {
          rig = openRig(db, { route, inhibit_rules }, rig)
          rig.answers.next = answer
        }
        await rig.turn()
      }
      failing = false
      // An hour without news: whoever was to be told has been by now.
      for (let i = 0; i < 60; i++) {
        await rig.clock.leap(60_000)
        await rig.turn()
      }
      const active = await rig.pipeline.active()
      expect(active.map(({ labels }) => JSON.stringify(labels)).sort()).toEqual([...firing.keys()].sort())
      for (const { fingerprint, startsAt } of active) {
        const wasTold = rig.told.some(
          ({ at, alerts }) => at >= startsAt && alerts.some((each) => each.fingerprint === fingerprint),
        )
        const lastEnd = rig.told.findLast(({ alerts }) => alerts.some((each) => each.fingerprint === fingerprint))
        const knows = lastEnd?.alerts.some((each) => each.fingerprint === fingerprint && each.endsAt === null) ?? false
        const reason = rig.ledger.some((row) => row.fingerprint === fingerprint)
        expect(wasTold || knows || reason, `seed ${seed}: ${fingerprint} was told to nobody`).toBe(true)
      }
      // What anybody was last told as firing fires, or its end was told.
      const last = new Map<string, boolean>()
      for (const { receiver, alerts } of rig.told) {
        for (const each of alerts) last.set(`${receiver} ${each.fingerprint}`, each.endsAt === null)
      }
      const prints = new Set(active.map(({ fingerprint }) => fingerprint))
      for (const [key, isFiring] of last)
        if (isFiring) expect(prints.has(key.split(' ')[1]!), `seed ${seed}: an end is owed`).toBe(true)
    },
    60_000,
  )
})
