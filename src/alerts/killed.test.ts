import { type ChildProcess, fork } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../kernel/clock.ts'
import { createDice } from '../kernel/dice.ts'
import { everything } from '../kernel/scope.ts'
import { openDatabase } from '../platform/database/index.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/testing.ts'
import type { PostedAlert } from './alert.ts'
import { createDeliveryStore, type DeliveryTables } from './delivery/store.ts'
import { openAlerting } from './testing-alerting.ts'

const script = fileURLToPath(new URL('./alerting-process.fixture.ts', import.meta.url))

/** Twenty and more were run for ADR 51; here as many as there is time for. */
const kills = Number(process.env.GATEHOUSE_TEST_KILLS ?? 6)
const seed = Number(process.env.GATEHOUSE_TEST_SEED ?? 51)
const alertsARound = 12

/** What the process is killed at, besides at the n-th message: what the target has done by then. */
const moments = ['has it and says nothing yet', 'has just answered', 'answers while the next come'] as const

/** Targets by how long they take; the last knows repeats by their id, so its messages wait for no other. */
const targets = [
  { path: '/at-once', answerMs: 0 },
  { path: '/soon', answerMs: 10 },
  { path: '/late', answerMs: 40 },
  { path: '/knows-repeats', answerMs: 10, knows_repeats: true },
]

type Arrival = { path: string; name: string; delivery: string; life: number }

describe.each(engines())('a process that is killed with SIGKILL again and again, on $name', ({ address }) => {
  test('while many messages to several channels are under way: none is lost, one at most comes twice for each kill', async () => {
    const dice = createDice(seed)
    const url = await address()
    const arrived: Arrival[] = []
    let life = 0
    /** The kill that is due: at the message that brings `left` to 0. */
    let due: { left: number; moment: (typeof moments)[number]; kill(): void } | null = null

    const recorder = createServer((request, response) => void record(request, response))
    async function record(request: IncomingMessage, response: ServerResponse): Promise<void> {
      let raw = ''
      for await (const text of request.setEncoding('utf8')) raw += text
      const path = request.url!
      const [alert] = JSON.parse(raw).alerts
      arrived.push({ path, name: alert.labels.alertname, delivery: String(request.headers['x-hub-delivery']), life })
      const isLast = due !== null && --due.left === 0
      if (isLast && due!.moment === 'has it and says nothing yet') return due!.kill()
      const { answerMs } = targets.find((each) => each.path === path)!
      if (answerMs > 0) await systemClock.sleep(answerMs)
      response.end('ok', () => isLast && due?.moment === 'has just answered' && due.kill())
      if (isLast && due?.moment === 'answers while the next come') setImmediate(due.kill)
    }
    await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void recorder.close().closeAllConnections())
    const base = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`
    const webhooks = targets.map(({ path, knows_repeats = false }) => ({ url: base + path, knows_repeats }))
    await (await openAlerting({ url, isMigrated: false, receivers: { all: webhooks } })).close()

    const names: string[] = []
    let owed: PostedAlert[] = []
    let next = load(url)
    for (let round = 0; round < kills; round++) {
      const child = next
      // It is read while the one before it works.
      next = load(url)
      await child.begin()
      const killed = new Promise<void>((resolve) => {
        const left = Math.floor(dice() * alertsARound * targets.length * 0.9)
        const moment = moments[Math.floor(dice() * moments.length)]!
        due = { left, moment, kill: () => void child.kill().then(resolve) }
      })
      const batch = Array.from({ length: alertsARound }, (_, index) => `round ${round}, alert ${index}`)
      names.push(...batch)
      // Whoever was not told that they are taken posts them again, as Prometheus does.
      owed.push(...batch.map(alertOf))
      if (await child.post(owed)) owed = []
      if (due!.left <= 0) due!.kill()
      await killed
      due = null
      life++
    }
    await next.begin()
    names.push('after all')
    await next.post([...owed, alertOf('after all')])

    const database = await openDatabase<DeliveryTables>({ url, dataDir: '', poolSize: 2, log: silentLog })
    onTestFinished(() => database.close())
    const store = createDeliveryStore(database.kysely)
    const rows = () => store.listDeliveries(everything, {}, 10_000)
    const wanted = names.length * targets.length
    // As long as more of them arrive: how fast is up to the machine.
    for (let seen = -1, deadline = 0; ; ) {
      const told = (await rows()).filter(({ state }) => state === 'delivered').length
      if (told > seen) [seen, deadline] = [told, Date.now() + 30_000]
      if (told >= wanted || Date.now() > deadline) break
      await systemClock.sleep(100)
    }
    await next.kill()

    const where = `seed ${seed}`
    const twice: Arrival[] = []
    for (const { path } of targets) {
      const here = arrived.filter((each) => each.path === path)
      expect([...new Set(here.map(({ name }) => name))].sort(), `${where}, ${path}: lost`).toEqual(names.toSorted())
      for (const name of names) {
        const [first, ...again] = here.filter((each) => each.name === name)
        // Whatever comes again has the id it had, at the target that looks at it as at the others.
        expect(new Set([first!, ...again].map(({ delivery }) => delivery)).size, where).toBe(1)
        if (path !== '/knows-repeats') twice.push(...(again.length > 0 ? [first!, ...again.slice(0, -1)] : []))
      }
    }
    for (let each = 0; each <= kills; each++) {
      const ofKill = twice.filter(({ life: at }) => at === each)
      expect(
        ofKill.length,
        `${where}: sent twice because of kill ${each}: ${JSON.stringify(ofKill)}`,
      ).toBeLessThanOrEqual(each === kills ? 0 : 1)
    }
    // Under way were more than one: else nothing is shown.
    expect(twice.length).toBeGreaterThan(0)

    const ledger = await rows()
    expect(ledger.map(({ state }) => state)).toEqual(Array.from({ length: wanted }, () => 'delivered'))
    const attempts: { delivery_id: string; reason: string; outcome: string }[] = []
    for (let at = 0; at < ledger.length; at += 200) {
      attempts.push(...(await store.attemptsOf(ledger.slice(at, at + 200).map(({ id }) => id))))
    }
    // Each arrived once as far as it knows, and of what came twice it says that the first time was broken off.
    expect(attempts.filter(({ outcome }) => outcome === 'delivered')).toHaveLength(wanted)
    const idOf = new Map(ledger.map((row) => [`${row.notification_id} ${row.channel_name}`, row.id]))
    for (const { delivery, path } of twice) {
      const id = idOf.get(`${delivery} all ${targets.findIndex((each) => each.path === path)}`)
      const broken = attempts.filter(({ delivery_id, reason }) => delivery_id === id && reason === 'interrupted')
      expect(broken.length, `${where}: ${delivery} at ${path} is not explained`).toBeGreaterThan(0)
    }
    console.log(
      `${where}: ${kills} kills, ${wanted} messages, lost 0, twice ${twice.length} at targets that do not look at ids`,
    )
  }, 300_000)
})

/** A process that has read its program and waits. */
function load(url: string) {
  const made: ChildProcess = fork(script, [url], { execArgv: [] })
  onTestFinished(() => void made.kill('SIGKILL'))
  const said = (word: string) =>
    new Promise<void>((resolve, reject) => {
      const hear = (message: unknown) => {
        if (message !== word) return
        made.off('message', hear)
        resolve()
      }
      made.on('message', hear)
      made.once('exit', (code, signal) => reject(new Error(`it ended with ${code ?? signal} before it said ${word}`)))
    })
  const loaded = said('loaded')
  loaded.catch(() => {})
  return {
    async begin() {
      await loaded
      const ready = said('ready')
      made.send('go')
      await ready
    },
    /** Whether it said that it has them. */
    async post(alerts: readonly PostedAlert[]): Promise<boolean> {
      const posted = said('posted')
      made.send(alerts)
      return posted.then(
        () => true,
        () => false,
      )
    },
    kill: () =>
      new Promise<void>((resolve) => {
        if (made.exitCode !== null || made.signalCode !== null) return resolve()
        made.once('exit', () => resolve())
        made.kill('SIGKILL')
      }),
  }
}

function alertOf(name: string): PostedAlert {
  return {
    ...{
      labels: { alertname: name, severity: 'high', to: 'all' },
      annotations: {},
      startsAt: Date.now(),
      endsAt: null,
    },
    ...{ expiresAt: null, generatorUrl: '', tenantId: '' },
  }
}
