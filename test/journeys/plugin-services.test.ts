import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrations } from '../../src/migrations/index.ts'
import { engines } from '../../src/platform/database/testing.ts'
import { createControl, until } from '../harness/control.ts'
import { type PluginProcess, runPlugin } from '../harness/plugin-process.ts'
import { freePort } from '../harness/process.ts'
import { processAdminKey, type Run, runGatehouse } from '../harness/process-hub.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const demoProgram = join(repository, 'examples/plugin-demo/main.ts')

/** Processes of one hub, each on a port of its own, all on one data folder and store. */
type Fleet = {
  /** Where the first process with this role answers. */
  url(role: string): string
  run(role: string): Run
  start(role: string): Promise<void>
  stop(role: string): Promise<number | null>
  end(): Promise<void>
  folder: string
}

/** Starts all of them in the same moment; `shares` are the values of `--roles`, '' for a whole hub. */
async function startFleet(shares: readonly string[], databaseUrl: string): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-fleet-'))
  const env = {
    ...{ ADMIN_KEY: processAdminKey, GATEHOUSE_DATA_DIR: join(folder, 'data'), GATEHOUSE_DATABASE_URL: databaseUrl },
    ...{ GATEHOUSE_SERVICES_HEARTBEAT_SECONDS: '1', GATEHOUSE_SERVICES_HEALTH_INTERVAL_SECONDS: '1' },
    ...{ GATEHOUSE_SERVICES_FAILURES_BEFORE_CRITICAL: '2', GATEHOUSE_SERVICES_DEREGISTER_AFTER_SECONDS: '2' },
  }
  const ports = new Map<string, number>()
  for (const share of shares) ports.set(share, await freePort())
  const runs = new Map<string, Run>()
  const shareOf = (role: string) => shares.find((share) => share === '' || share.split(',').includes(role))!

  async function startShare(share: string): Promise<void> {
    const roles = share === '' ? [] : ['--roles', share]
    const run = runGatehouse(['serve', ...roles, '--port', String(ports.get(share))], { env, cwd: folder })
    runs.set(share, run)
    await run.says('Listening on ')
  }
  const fleet: Fleet = {
    folder,
    url: (role) => `http://127.0.0.1:${ports.get(shareOf(role))}`,
    run: (role) => runs.get(shareOf(role))!,
    start: (role) => startShare(shareOf(role)),
    async stop(role) {
      fleet.run(role).kill('SIGTERM')
      return (await fleet.run(role).ended).exitCode
    },
    async end() {
      for (const run of runs.values()) run.kill('SIGKILL')
      await Promise.all([...runs.values()].map(({ ended }) => ended))
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    await Promise.all(shares.map(startShare))
    return fleet
  } catch (error) {
    await fleet.end()
    throw error
  }
}

const [sqlite, postgres] = engines()
const worlds = [
  { name: 'registry, core and gateway apart, on SQLite', shares: ['registry', 'core', 'gateway'], engine: sqlite! },
  ...(postgres === undefined
    ? []
    : [
        {
          name: 'registry, core and gateway apart, on PostgreSQL',
          shares: ['gateway', 'core', 'registry'],
          engine: postgres,
        },
      ]),
  { name: 'one process for all of it', shares: [''], engine: sqlite! },
]

describe.each(worlds)('plugin services with $name', ({ shares, engine }) => {
  let fleet: Fleet
  let demo: PluginProcess
  const started: PluginProcess[] = []
  beforeAll(async () => {
    fleet = await startFleet(shares, engine.name === 'sqlite' ? '' : await engine.address())
  })
  afterAll(async () => {
    for (const plugin of started) plugin.kill('SIGKILL')
    await fleet?.end()
  })

  const registry = createControl(() => fleet.url('registry'), processAdminKey)
  const items = (path = '', init?: RequestInit) => fetch(`${fleet.url('gateway')}/api/demo-service/items${path}`, init)
  const send = (method: string, body?: object): RequestInit => ({
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })

  /** `node examples/plugin-demo/main.ts`, as one of several. */
  function startDemo(token = ''): PluginProcess {
    const folder = join(fleet.folder, 'demo')
    mkdirSync(folder, { recursive: true })
    const plugin = runPlugin([process.execPath, demoProgram], {
      cwd: folder,
      env: {
        ...{ GATEHOUSE_URL: fleet.url('gateway'), REGISTRY_URL: fleet.url('registry'), PLUGIN_PORT: '0' },
        ...{ DEMO_DATA: folder, GATEHOUSE_TOKEN_FILE: join(fleet.folder, 'service.token') },
        ...(token === '' ? {} : { GATEHOUSE_REGISTRATION_TOKEN: token }),
      },
    })
    started.push(plugin)
    return plugin
  }

  const instances = async (): Promise<{ id: string; state: string; port: number }[]> =>
    (await registry.admin('GET', '/api/registry/services/demo-service')).instances

  test('processes that start at the same time share one store, and each says what it is', async () => {
    for (const share of shares) {
      const role = share || 'gateway'
      const root = (await (await fetch(`${fleet.url(role)}/`)).json()) as object
      const service = share === '' ? 'gatehouse' : `gatehouse-${share}`
      expect(root).toEqual({ service, status: 'running', version: expect.any(String) })
      expect(
        fleet
          .run(role)
          .lines()
          .filter(({ level }) => level !== 'INFO'),
      ).toEqual([])
    }
    const upgrades = shares.flatMap((share) =>
      fleet
        .run(share || 'gateway')
        .lines()
        .filter(({ msg }) => msg.startsWith('Running upgrade')),
    )
    expect(upgrades).toHaveLength(migrations.length)
    // A key that one process made opens another: they hold the same master key.
    const { key } = await createControl(() => fleet.url('core'), processAdminKey).createKey()
    const models = await fetch(`${fleet.url('gateway')}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
    expect(models.status).toBe(200)
  })

  test('a plugin that was there before the registry says what it waits for, and comes in by itself', async () => {
    const { token } = await registry.admin('POST', '/api/registry/tokens', { service: 'demo-service' })
    expect(await fleet.stop('registry')).toBe(0)
    demo = startDemo(token)
    await demo.says('not registered yet: the hub at ')
    expect(demo.output()).toContain('nothing listens there; is the hub running?')
    await fleet.start('registry')
    await demo.says('registered at ')
    await until('the gateway knows it', async () => (await items()).status === 200)
    const services = await registry.admin('GET', '/api/registry/services')
    expect(services).toMatchObject([{ name: 'demo-service', instances: [{ host: '127.0.0.1' }] }])
  })

  test('items are made, read, changed and deleted through the gateway', async () => {
    expect(await (await items()).json()).toEqual({ items: [], count: 0 })
    const tea = { name: '龙井茶', description: 'green', price: 38.5 }
    const made = await items('', send('POST', tea))
    expect([made.status, await made.json()]).toEqual([200, { status: 'created', item: { id: 1, ...tea } }])
    expect(await (await items('/1')).json()).toEqual({ id: 1, ...tea })
    const changed = { name: 'tea', description: null, price: 40 }
    expect(await (await items('/1', send('PUT', changed))).json()).toEqual({
      ...{ status: 'updated', item: { id: 1, ...changed } },
    })
    expect((await items('', send('POST', { name: '' }))).status).toBe(422)
    expect(await (await items('/1', send('DELETE'))).json()).toEqual({ status: 'deleted', item_id: 1 })
    const gone = await items('/1')
    expect([gone.status, await gone.json()]).toEqual([404, { detail: 'Item not found' }])
  })

  test('SIGTERM of one of two instances fails no call, and the registry has only the other', async () => {
    const second = startDemo()
    await second.says('registered at ')
    await until(
      'both are called',
      async () => (await instances()).filter(({ state }) => state === 'passing').length === 2,
    )
    const statuses: number[] = []
    let isOver = false
    const callers = Array.from({ length: 4 }, async () => {
      while (!isOver) statuses.push((await items('', send('POST', { name: 'under load', price: 1 }))).status)
    })
    demo.kill('SIGTERM')
    expect(await demo.ended).toBe(0)
    isOver = true
    await Promise.all(callers)
    expect(statuses.length).toBeGreaterThan(20)
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(await instances()).toHaveLength(1)
    demo = second
  }, 60_000)

  // It takes seconds of waiting, and is the same in the others.
  if (shares.length > 1 && engine === sqlite) {
    test('an instance that is killed is named to its callers, then critical, then taken off', async () => {
      const id = (await instances())[0]!.id
      demo.kill('SIGKILL')
      await demo.ended
      const failed = await items()
      expect([failed.status, await failed.text()]).toEqual([502, expect.stringContaining(id)])
      const seen = new Set<string>()
      await until('it was taken off', async () => {
        const [one] = await instances()
        seen.add(one?.state ?? 'gone')
        return seen.has('gone')
      })
      expect([...seen]).toContain('critical')
      await until('the gateway knows it', async () => (await items()).status === 503)
      expect(await (await items()).json()).toMatchObject({ code: 'service_unavailable' })
    }, 60_000)
  }

  test('it comes back with the token it kept, and what it stored is there', async () => {
    demo.kill('SIGTERM')
    await demo.ended
    demo = startDemo()
    await demo.says('registered at ')
    await until('the gateway knows it', async () => (await items()).status === 200)
    expect(((await (await items()).json()) as { count: number }).count).toBeGreaterThan(20)
    demo.kill('SIGTERM')
    expect(await demo.ended).toBe(0)
    // Another process may still know it as draining.
    expect((await items()).status).toBe(503)
    await until('no process knows it', async () => (await (await items()).text()).includes('no instance is registered'))
    expect((await instances()).filter(({ state }) => state !== 'gone')).toEqual([])
  })

  test('every process ends with 0 when it is asked to', async () => {
    expect(await Promise.all(shares.map((share) => fleet.stop(share || 'gateway')))).toEqual(shares.map(() => 0))
  })
})
