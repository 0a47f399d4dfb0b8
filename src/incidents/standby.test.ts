import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kysely, KyselyPlugin } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { fail } from '../kernel/errors.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import { createAlertWorld, createSetClock, minuteMs, openNode } from './testing.ts'

/** A store that is away while it is told to be. */
function mortal<T>(db: Kysely<T>) {
  const store = { isAway: false }
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      if (store.isAway) throw fail('unavailable', 'the store is away')
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { db: db.withPlugin(plugin), store }
}

let files = 0

describe.each(engines())('incidents while the store is away, on $name', ({ open }) => {
  let clock: ReturnType<typeof createSetClock>
  let alerts: ReturnType<typeof createAlertWorld>
  let own: ReturnType<typeof mortal>
  let heldPath: string
  let node: Awaited<ReturnType<typeof openNode>>
  const begin = async (settings: Record<string, unknown> = {}) => {
    node = await openNode(own.db, clock, alerts, {
      settings: { page_wait_seconds: 10, urgent_channels: ['pager'], ...settings },
      heldPath,
    })
  }
  beforeEach(async () => {
    clock = createSetClock()
    alerts = createAlertWorld(clock)
    own = mortal((await open(migrations)).kysely as Kysely<unknown>)
    heldPath = join(tmpdir(), `gatehouse-standby-${process.pid}-${++files}.json`)
    await begin()
  })
  /** As the hub does it again and again; while the store is away the comparison fails. */
  const tick = () => node.room.tick().catch(() => {})
  const list = async () => (await node.ask('GET', '/api/incidents')).data
  const linkOf = ({ url }: { url?: string }) => new URL(url!)
  const acknowledge = (url: URL) =>
    node.ask('POST', url.pathname, { body: { token: url.searchParams.get('token') }, principal: null })

  /** The database is down, two things with it, and nobody can write that down. */
  async function goDown() {
    own.store.isAway = true
    const database = alerts.fire('CheckDown', { check: 'hub: database' })
    const children = ['shop', 'search'].map((check) =>
      alerts.fire('CheckDown', { check }, { inhibitedBy: database.fingerprint }),
    )
    for (const alert of [database, ...children])
      node.bus.announce('alert.unrecorded', { ...alert, at: clock.now() } as never)
    await tick()
    return { database, children }
  }
  async function comeBack(all: readonly ReturnType<typeof alerts.fire>[]) {
    for (const each of all) {
      node.bus.announce('alert.unrecorded', { ...alerts.end(each), at: clock.now() } as never)
    }
    await tick()
    own.store.isAway = false
    await tick()
  }

  test('one page with what is hidden, acknowledged by its link, and afterwards one incident with its whole timeline', async () => {
    const { database, children } = await goDown()
    expect(node.told).toEqual([])
    clock.pass(10_000)
    await tick()
    expect(node.told).toHaveLength(1)
    const [page] = node.told
    expect(page).toMatchObject({ channels: ['pager'], severity: 'critical' })
    expect(page!.title).toMatch(/^\[P1\] HELD-2026-03-02-[0-9a-f]{8} /)
    expect(page!.text).toContain('Hidden behind it (2): CheckDown shop, CheckDown search')
    const url = linkOf(page!)
    const asked = await node.ask('GET', url.pathname + url.search, { principal: null })
    expect(asked.body).toContain('Do you have it?')
    clock.pass(5000)
    const answer = await acknowledge(url)
    expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('kept on the disk of the hub') })
    expect((await acknowledge(url)).body).toContain('Somebody had acknowledged it already')
    // Nobody is paged for what somebody has.
    clock.pass(40 * minuteMs)
    await tick()
    expect(node.told.filter(({ title }) => !title.includes('HELD'))).toEqual([])
    const pages = node.told.filter(({ text }) => text.includes('Nobody has acknowledged'))
    expect(pages).toHaveLength(1)

    await comeBack([...children, database])
    const [incident, ...others] = await list()
    expect(others).toEqual([])
    expect(incident).toMatchObject({ id: 'ALT-2026-03-02-001', severity: 'P1', origin: 'alerts', state: 'mitigated' })
    expect(existsSync(heldPath)).toBe(false)
    const { data, chain } = await node.ask('GET', `/api/incidents/${incident.id}/timeline`)
    expect(chain.is_whole).toBe(true)
    const kinds = data.map(({ kind }: { kind: string }) => kind)
    expect(kinds.slice(0, 6)).toEqual(['opened', 'alert', 'alert_explained', 'alert_explained', 'escalated', 'told'])
    expect(kinds).toEqual(expect.arrayContaining(['acknowledged', 'alert_ended', 'mitigated', 'adopted']))
    const acknowledged = data.find(({ kind }: { kind: string }) => kind === 'acknowledged')
    expect(acknowledged).toMatchObject({
      by: 'a link',
      at: new Date(clock.now() - 40 * minuteMs).toISOString(),
    })
    // The link of the page is that of the incident.
    expect((await acknowledge(url)).body).toContain('ALT-2026-03-02-001')
    clock.pass(30 * minuteMs)
    await tick()
    await tick()
    expect(await list()).toMatchObject([{ state: 'resolved' }])
    expect(node.told.filter(({ text }) => text.includes('It is resolved'))).toHaveLength(1)
  })

  test('while nobody has it the next step is taken, and whoever acknowledges later is heard when the store is back', async () => {
    const { database } = await goDown()
    for (const ms of [10_000, 15 * minuteMs]) {
      clock.pass(ms)
      await tick()
    }
    expect(node.told.map(({ channels }) => channels)).toEqual([['pager'], ['pager']])
    own.store.isAway = false
    await tick()
    const [incident] = await list()
    expect(incident).toMatchObject({ state: 'open' })
    // The same alert, said again by whoever keeps them, opens nothing and pages nobody.
    node.bus.announce('alert.fired', { ...database, at: clock.now() } as never)
    await tick()
    expect([await list(), node.told]).toMatchObject([[{ id: incident.id }], { length: 2 }])
    expect((await acknowledge(linkOf(node.told[0]!))).status).toBe(200)
    expect(await list()).toMatchObject([{ state: 'acknowledged' }])
  })

  test('a process that is killed meanwhile loses nothing: the next one has the incident and who acknowledged it', async () => {
    await goDown()
    clock.pass(10_000)
    await tick()
    await acknowledge(linkOf(node.told[0]!))
    expect(JSON.parse(readFileSync(heldPath, 'utf8')).incidents).toHaveLength(1)
    own.store.isAway = false
    await begin()
    await tick()
    expect(node.told).toEqual([])
    expect(await list()).toMatchObject([{ id: 'ALT-2026-03-02-001', state: 'acknowledged' }])
    // Killed again before the file was gone: it is one incident all the same.
    expect(existsSync(heldPath)).toBe(false)
  })

  test('killed between store and file it becomes one incident, not two', async () => {
    await goDown()
    const kept = readFileSync(heldPath, 'utf8')
    own.store.isAway = false
    await tick()
    writeFileSync(heldPath, kept)
    await begin()
    await tick()
    expect((await list()).map(({ id }: { id: string }) => id)).toEqual(['ALT-2026-03-02-001'])
  })

  test('there is one of its cause already: it learns what happened, and nobody is paged anew', async () => {
    const alert = alerts.fire('CheckDown', { check: 'hub: database' })
    node.bus.announce('alert.fired', { ...alert, at: clock.now() } as never)
    await tick()
    await goDown()
    clock.pass(10_000)
    await tick()
    expect(node.told).toHaveLength(1)
    await acknowledge(linkOf(node.told[0]!))
    own.store.isAway = false
    await tick()
    const all = await list()
    expect(all).toMatchObject([{ state: 'acknowledged' }])
    expect(node.told).toHaveLength(1)
    const { data } = await node.ask('GET', `/api/incidents/${all[0].id}/timeline`)
    expect(data.filter(({ kind }: { kind: string }) => kind === 'held').length).toBeGreaterThan(3)
  })

  test('who has an incident of before says so by its link meanwhile: it is entered when the store is back', async () => {
    await begin({ page_wait_seconds: 0 })
    const alert = alerts.fire('ProviderDown', { provider: 'openai' })
    node.bus.announce('alert.fired', { ...alert, at: clock.now() } as never)
    await tick()
    await tick()
    const url = linkOf(node.told[0]!)
    own.store.isAway = true
    const asked = await node.ask('GET', url.pathname + url.search, { principal: null })
    expect(asked.body).toContain('Do you have it?')
    const answer = await acknowledge(url)
    expect(answer).toMatchObject({ status: 202, body: expect.stringContaining('entered when the store is back') })
    own.store.isAway = false
    await begin({ page_wait_seconds: 0 })
    await tick()
    expect(await list()).toMatchObject([{ state: 'acknowledged' }])
  })
})
