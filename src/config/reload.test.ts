import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig, settings } from '../config.ts'
import { createManualClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { engines } from '../platform/database/testing.ts'
import { createSecrets } from '../platform/secrets.ts'
import { silentLog } from '../platform/testing.ts'
import type { Applier } from './live.ts'
import { createReloading } from './reload.ts'
import { createRevisionsStore, type RevisionTables } from './revisions-store.ts'
import type { Look } from './watch.ts'
import type { Finding } from './words.ts'

const me = { kind: 'user', id: 'usr_1', name: 'ann@example.com' }
const secrets = createSecrets(Buffer.alloc(32, 7))
const fine: Look = { checks: new Map([['database', 'ok']]), answered: 100, failed: 0, turnedAway: 0 }

describe.each(engines())('settings of a running hub, on $name', ({ open }) => {
  let db: Kysely<RevisionTables>
  beforeAll(async () => {
    db = (await open(migrations)).kysely
  })

  async function start(
    text: string,
    options: { appliers?: Applier[]; tried?: Finding[]; env?: Record<string, string> } = {},
  ) {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-config-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'gatehouse.toml')
    writeFileSync(file, text)
    const loaded = loadConfig({ file, env: options.env ?? {} })
    const clock = createManualClock()
    const bus = createMemoryBus({ log: silentLog })
    const told: string[] = []
    bus.on('settings.applied', ({ applied, waiting }) =>
      told.push(`applied ${applied.join()} waiting ${waiting.join()}`),
    )
    bus.on('settings.rolled_back', ({ reason, isOver }) => told.push(isOver ? 'over' : `rolled back: ${reason}`))
    const audited: { action: string; kind: string; status: number; after: unknown }[] = []
    await db.deleteFrom('config_revisions').execute()
    const store = createRevisionsStore(db)
    const world = { look: fine }
    const reloading = createReloading({
      ...{ loaded, settings, appliers: options.appliers ?? [], store, secrets, bus, clock, log: silentLog },
      look: () => world.look,
      tryOut: async () => options.tried ?? [],
      audit: {
        async begin({ action, actor }) {
          return {
            async end({ status, after }) {
              audited.push({ action, kind: actor?.kind ?? '', status, after })
            },
          }
        },
      },
      ...{ node: 'node-1', newFile: join(folder, 'new.toml') },
    })
    await reloading.start()
    onTestFinished(() => reloading.stop())
    return {
      ...{ reloading, config: loaded.config, clock, world, store, told, audited, file },
      say: (next: string) => writeFileSync(file, next),
      read: () => readFileSync(file, 'utf8'),
    }
  }
  const drain = (seconds: number) => `# ours\n[server]\ndrain_seconds = ${seconds} # why\n`

  test('new settings are taken over, written down with author and difference, and told', async () => {
    const hub = await start(drain(10))
    hub.say(drain(20))
    const { revision, applied, waiting } = await hub.reloading.reload(me, 'api')
    expect(hub.config.server.drain_seconds).toBe(20)
    expect({ applied, waiting }).toEqual({ applied: ['server.drain_seconds'], waiting: [] })
    expect(revision).toMatchObject({
      ...{ author: me, origin: 'api', node: 'node-1', outcome: 'watched' },
      diff: [{ name: 'server.drain_seconds', before: 10, after: 20 }],
    })
    expect(hub.told).toEqual(['applied server.drain_seconds waiting '])
    await hub.clock.advance(61_000)
    await hub.reloading.settled()
    expect(await hub.store.find(revision!.id)).toMatchObject({ outcome: 'kept', reason: '' })
  })

  test('settings that need a restart are named and do not pretend to be in use', async () => {
    const hub = await start(drain(10))
    hub.say('[server]\nport = 9001\ndrain_seconds = 20\n')
    const { applied, waiting } = await hub.reloading.reload(me, 'api')
    expect({ applied, waiting }).toEqual({ applied: ['server.drain_seconds'], waiting: ['server.port'] })
    expect(hub.config.server.port).toBe(8000)
    const shown = hub.reloading.show().settings.find(({ setting }) => setting.name === 'server.port')
    expect(shown).toMatchObject({ value: 8000, pending: 9001 })
    expect((await hub.reloading.reload(me, 'api')).waiting).toEqual(['server.port'])
  })

  test('a configuration that fails validation changes nothing: no value, no row, no word but the reason', async () => {
    const hub = await start(drain(10))
    const before = (await hub.store.list({ limit: 10, before: '' })).length
    hub.say('[server]\ndrain_seconds = 20\ndrain_secs = 5\n')
    await expect(hub.reloading.reload(me, 'api')).rejects.toThrow('drain_seconds')
    hub.say('[server\n')
    await expect(hub.reloading.reload(me, 'api')).rejects.toThrow('not TOML')
    expect(hub.config.server.drain_seconds).toBe(10)
    expect(await hub.store.list({ limit: 10, before: '' })).toHaveLength(before)
    expect(hub.told).toEqual([])
  })

  test('what is valid but does not work when it is tried is refused, too, and the file stays', async () => {
    const words = { en: 'Nobody listens.', zh: '无应答。' }
    const tried: Finding[] = [{ level: 'error', where: 'x:1', setting: 'redis.url', cause: words, remedy: words }]
    const hub = await start(drain(10), { tried })
    await expect(hub.reloading.set({ 'server.drain_seconds': 20 }, me)).rejects.toThrow('Nobody listens')
    expect(hub.read()).toBe(drain(10))
    expect(hub.config.server.drain_seconds).toBe(10)
  })

  test('a part that cannot live with a setting has it taken back, and the others with it', async () => {
    const seen: number[] = []
    const hub = await start(drain(10), {
      appliers: [
        {
          applySettings() {
            seen.push(hub.config.server.drain_seconds)
            if (hub.config.server.drain_seconds === 20) throw new Error('no')
          },
        },
      ],
    })
    hub.say(drain(20))
    await expect(hub.reloading.reload(me, 'api')).rejects.toThrow('not taken over')
    expect(seen).toEqual([20, 10])
    expect(hub.config.server.drain_seconds).toBe(10)
  })

  test.each([
    ['a check fails', { ...fine, checks: new Map([['database', 'failed']]) }, 'database was ok and is failed'],
    ['calls fail', { ...fine, answered: 120, failed: 30 }, '60 % of 50 calls failed'],
  ])('a poisoned configuration rolls itself back and says so, when %s', async (_, worse, reason) => {
    const hub = await start(drain(10))
    hub.say(drain(20))
    const { revision } = await hub.reloading.reload(me, 'signal')
    await hub.clock.advance(5000)
    expect(hub.config.server.drain_seconds).toBe(20)
    hub.world.look = worse
    await hub.clock.advance(2000)
    await hub.reloading.settled()
    expect(hub.config.server.drain_seconds).toBe(10)
    expect(await hub.store.find(revision!.id)).toMatchObject({ outcome: 'rolled_back' })
    expect(hub.told.at(-1)).toContain(reason)
    expect(hub.told.at(-1)).toContain('the file still says so')
    expect(hub.audited.at(-1)).toMatchObject({ action: 'config.rollback', kind: 'hub', status: 200 })
    // What people wrote is theirs; what comes next and lasts ends the alert.
    expect(hub.read()).toBe(drain(20))
    hub.say(drain(30))
    await hub.reloading.reload(me, 'api')
    await hub.clock.advance(61_000)
    await hub.reloading.settled()
    expect(hub.told.at(-1)).toBe('over')
  })

  test('an access list that lets nobody in any more counts as worse, one that keeps some out does not', async () => {
    const hub = await start(drain(10))
    hub.world.look = { ...fine, answered: 200 }
    await hub.clock.advance(3000)
    hub.say('[access.llm]\ndeny = ["203.0.113.0/24"]\n')
    await hub.reloading.reload(me, 'api')
    hub.world.look = { ...fine, answered: 260, turnedAway: 500 }
    await hub.clock.advance(5000)
    expect(hub.config.access.llm.deny).toEqual(['203.0.113.0/24'])
    await hub.clock.advance(70_000)
    const now = { ...fine, answered: 300, turnedAway: 500 }
    hub.world.look = now
    await hub.clock.advance(70_000)
    hub.world.look = { ...now, answered: 340 }
    await hub.clock.advance(3000)
    hub.say('[access.llm]\nallow = ["203.0.113.0/24"]\n')
    await hub.reloading.reload(me, 'api')
    hub.world.look = { ...now, answered: 340, turnedAway: 540 }
    await hub.clock.advance(3000)
    await hub.reloading.settled()
    expect(hub.config.access.llm.allow).toEqual([])
    expect(hub.told.at(-1)).toContain('nobody was answered')
  })

  test('what the API wrote into the file is taken out of it again with a roll-back by itself', async () => {
    const hub = await start(drain(10))
    await hub.reloading.set({ 'server.drain_seconds': 20, 'log.level': 'debug' }, me)
    expect(hub.read()).toBe(`${drain(20)}\n[log]\nlevel = "debug"\n`)
    hub.world.look = { ...fine, checks: new Map([['database', 'failed']]) }
    await hub.clock.advance(2000)
    await hub.reloading.settled()
    expect(hub.read()).toBe(drain(10))
    expect(hub.config.log.level).toBe('info')
  })

  test('a former revision comes back with its file, comments and all', async () => {
    const hub = await start(drain(10))
    const first = (await hub.reloading.set({ 'server.drain_seconds': 20 }, me)).revision!
    await hub.reloading.set({ 'server.drain_seconds': 30 }, me)
    const { revision } = await hub.reloading.rollback(first.id, me)
    expect(hub.read()).toBe(drain(20))
    expect(hub.config.server.drain_seconds).toBe(20)
    expect(revision).toMatchObject({ origin: 'rollback', diff: [{ before: 30, after: 20 }] })
    await expect(hub.reloading.rollback('rev_00000000000000000000000000', me)).rejects.toThrow('no revision')
  })

  test('secrets are masked in what is shown and sealed in what is kept', async () => {
    const hub = await start('[auth]\nadmin_key = "a-key-of-the-operators-1234"\n')
    hub.say('[auth]\nadmin_key = "another-key-of-operators-99"\n')
    const { revision, waiting } = await hub.reloading.reload(me, 'api')
    expect(waiting).toEqual(['auth.admin_key'])
    expect(revision!.diff).toEqual([{ name: 'auth.admin_key', before: '***', after: '***' }])
    const rows = JSON.stringify(await hub.store.list({ limit: 10, before: '' }))
    expect(rows).not.toMatch(/operators/)
    expect(JSON.stringify(hub.reloading.show())).not.toMatch(/operators/)
  })

  test('a start with other settings than the last is a revision, the same settings are none', async () => {
    const hub = await start(drain(10))
    expect(await hub.store.list({ limit: 10, before: '' })).toMatchObject([{ origin: 'start', outcome: 'kept' }])
    await hub.reloading.start()
    expect(await hub.store.list({ limit: 10, before: '' })).toHaveLength(1)
    expect(hub.audited).toMatchObject([{ action: 'config.start', kind: 'hub' }])
  })

  test('a variable is stronger than the file, and unknown settings are named with the nearest', async () => {
    const hub = await start(drain(10), { env: { GATEHOUSE_SERVER_DRAIN_SECONDS: '7' } })
    const { revision } = await hub.reloading.set({ 'server.drain_seconds': 20 }, me)
    expect(revision).toBeNull()
    expect(hub.config.server.drain_seconds).toBe(7)
    await expect(hub.reloading.set({ 'server.drain_second': 1 }, me)).rejects.toThrow('server.drain_seconds')
  })
})
