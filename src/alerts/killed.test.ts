import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../kernel/clock.ts'
import { everything } from '../kernel/scope.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { openDatabase } from '../platform/database/index.ts'
import { migrate } from '../platform/database/migrate.ts'
import { engines } from '../platform/database/testing.ts'
import { createUpstreams } from '../platform/fetch.ts'
import { createSecrets } from '../platform/secrets.ts'
import { silentLog } from '../platform/testing.ts'
import type { PostedAlert } from './alert.ts'
import { createConfigure } from './delivery/configure.ts'
import { channelCreate, receiverCreate } from './delivery/schema.ts'
import { createDeliveryStore } from './delivery/store.ts'

const script = fileURLToPath(new URL('./alerting-process.fixture.ts', import.meta.url))
const masterKey = randomBytes(32)

/** When the process is killed: what it was doing then. */
const moments = ['alerts were just taken', 'a message is on its way', 'the vendor has just answered'] as const

describe.each(engines())('a process that is killed with SIGKILL, on $name', ({ address }) => {
  test('nothing is lost, one message at most comes again for each kill, and the ledger explains every one', async () => {
    const url = await address()
    // biome-ignore lint/suspicious/noExplicitAny: the migrations make the tables
    const database = await openDatabase<any>({ url, dataDir: '', poolSize: 2, log: silentLog })
    onTestFinished(() => database.close())
    await migrate(database, migrations, { log: silentLog })

    const arrived: string[] = []
    let killAt: { moment: (typeof moments)[number]; kill(): void } | null = null
    const vendor = createServer((request, response) => {
      let raw = ''
      request.setEncoding('utf8').on('data', (text: string) => {
        raw += text
      })
      request.on('end', () => {
        for (const { labels } of JSON.parse(raw).alerts) arrived.push(labels.alertname)
        if (killAt?.moment === 'a message is on its way') return killAt.kill()
        response.end('ok', () => killAt?.moment === 'the vendor has just answered' && killAt.kill())
      })
    })
    await new Promise<void>((resolve) => vendor.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void vendor.close().closeAllConnections())
    await makeReceiver(database.kysely, `http://127.0.0.1:${(vendor.address() as AddressInfo).port}/hook`)

    let child = await start(url)
    onTestFinished(() => void child.process.kill('SIGKILL'))
    const names: string[] = []
    const post = async (name: string) => {
      names.push(name)
      await child.post([alertOf(name)])
    }
    const store = createDeliveryStore(database.kysely)
    const ledger = () => store.listDeliveries(everything, {}, 100)
    const isAllTold = async () =>
      names.every((name) => arrived.includes(name)) &&
      (await ledger()).length >= names.length &&
      (await ledger()).every(({ state }) => state === 'delivered')
    async function settled(): Promise<void> {
      const deadline = Date.now() + 40_000
      while (!(await isAllTold()) && Date.now() < deadline) await systemClock.sleep(50)
    }
    for (const moment of moments) {
      // One message is under way at a kill: of several each could come once more.
      await settled()
      const killed = new Promise<void>((resolve) => {
        killAt = { moment, kill: () => void child.kill().then(resolve) }
      })
      await post(`killed when ${moment}`)
      if (moment === 'alerts were just taken') killAt!.kill()
      await killed
      killAt = null
      child = await start(url)
    }
    await post('after all')
    await settled()

    expect([...new Set(arrived)].sort()).toEqual(names.toSorted())
    expect(arrived.length - names.length).toBeLessThanOrEqual(moments.length)
    const rows = await ledger()
    expect(rows.map(({ state }) => state)).toEqual(names.map(() => 'delivered'))
    const attempts = await store.attemptsOf(rows.map(({ id }) => id))
    // What came twice was begun twice, and the ledger says of the first time that it was broken off.
    const again = attempts.filter(({ reason }) => reason === 'interrupted').length
    expect(again).toBeGreaterThanOrEqual(arrived.length - names.length)
    expect(attempts.length - again).toBe(names.length)
    await child.kill()
  }, 180_000)
})

async function start(url: string) {
  const made: ChildProcess = fork(script, [url, masterKey.toString('hex')], { execArgv: [] })
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
  await said('ready')
  return {
    process: made,
    async post(alerts: PostedAlert[]) {
      const posted = said('posted')
      made.send(alerts)
      // Killed while it takes them: whoever posts does so again. Here it was told that they are taken, or is not waiting.
      await posted
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
    ...{ labels: { alertname: name, severity: 'high' }, annotations: {}, startsAt: Date.now(), endsAt: null },
    ...{ expiresAt: null, generatorUrl: '', tenantId: '' },
  }
}

async function makeReceiver(db: Parameters<typeof createDeliveryStore>[0], url: string): Promise<void> {
  const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 2000, log: silentLog })
  onTestFinished(() => way.close(0))
  const configure = createConfigure({
    ...{ store: createDeliveryStore(db), secrets: createSecrets(masterKey), wayOf: () => way, clock: systemClock },
    ...{ bus: createMemoryBus({ log: silentLog }), mostChannels: () => 10, changed: async () => {} },
  })
  const parameters = { url, secret: 'a-secret-of-the-webhook-0123456789' }
  const { channel } = await configure.createChannel('', channelCreate.parse({ name: 'w', type: 'webhook', parameters }))
  await configure.createReceiver('', receiverCreate.parse({ name: 'ops', targets: [{ channel_id: channel.id }] }))
}
