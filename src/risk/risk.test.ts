import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { everything } from '../kernel/scope.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { engines } from '../platform/database/testing.ts'
import type { Log } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import type { UsageTables } from '../usage/index.ts'
import { type ActionParts, createActions, type Levers } from './actions.ts'
import { riskRoutes } from './routes.ts'
import type { RiskRow } from './schema.ts'
import { type RiskSettings, readSettings, stepSchema } from './settings.ts'
import { createRiskStore, type RiskTables } from './store.ts'
import { createWatch } from './watch.ts'

const startAt = Date.UTC(2026, 10, 23, 10)
const minuteMs = 60_000
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => quiet }

describe.each(engines())('findings and actions on $name', ({ open }) => {
  const openStore = async () => createRiskStore((await open(migrations)).kysely as Kysely<RiskTables & UsageTables>)
  type Store = Awaited<ReturnType<typeof openStore>>

  /** A node: its own memory, the store of all. */
  function node(store: Store, settings: RiskSettings = readSettings({})) {
    const clock = createManualClock(startAt)
    const bus = createMemoryBus({ log: quiet })
    const heard: string[] = []
    bus.on('risk.found', ({ rule, entity }) => heard.push(`found ${rule} ${entity}`))
    bus.on('risk.closed', ({ rule, by }) => heard.push(`closed ${rule} ${by}`))
    const watch = createWatch({
      ...{ store, settings: () => settings, mostEntities: 1000, bus, clock, log: quiet },
      metrics: createMetrics({ clock }),
    })
    return { clock, bus, heard, watch }
  }
  const burst = (from: number, source = 'src_a', count = 150): RiskRow[] =>
    Array.from({ length: count }, (_, i) => ({
      ...{
        id: `${from} ${i}`,
        at: from + i * 100,
        source,
        tenantId: 'ten_a',
        userId: 'usr_a',
        keyId: 'key_a',
        model: 'm',
      },
      ...{ provider: 'p', ip: '203.0.113.7', tokensIn: 10, tokensOut: 10, costNanoUsd: 1000, status: 200 },
      outcome: 'success' as const,
    }))

  /** Levers over keys that are a map; `dies` throws at that call of a lever, once. */
  function levers(keys: Map<string, boolean>): Levers & { told: string[]; dieAt(call: number): void } {
    let [calls, dies] = [0, -1]
    const told: string[] = []
    const step = () => {
      if (++calls === dies) throw new Error('the process died')
    }
    return {
      told,
      dieAt(call) {
        ;[calls, dies] = [0, call]
      },
      async isKeyEnabled(id) {
        step()
        return keys.get(id) ?? null
      },
      async setKeyEnabled(id, enabled) {
        step()
        keys.set(id, enabled)
        step()
      },
      async audit(action, target) {
        return async (code) => void told.push(`${action} ${target} ${code}`)
      },
    }
  }
  async function suspended(keys: Map<string, boolean>, kind: 'suspend' | 'throttle' = 'suspend') {
    const store = await openStore()
    const { watch, bus, clock } = node(store)
    await watch.observe(burst(startAt))
    const [seen] = await store.openFindings(10)
    // A finding of our own traffic: on that of others nothing is done.
    const finding = { ...seen!, source: 'gatehouse' }
    const lever = levers(keys)
    const parts: ActionParts = { store, levers: lever, changed: async () => {}, bus, clock, log: quiet }
    const actions = createActions(parts)
    await actions.propose(finding, 0, stepSchema.parse({ kind, approval: 'auto', ttl_seconds: 600 }))
    const action = async () => (await store.listActions(everything, {}, 10))[0]!
    return { store, clock, lever, actions, finding, action }
  }

  test('a finding opens once, whichever node and however often it is seen, and closes after its silence', async () => {
    const store = await openStore()
    const [one, two] = [node(store), node(store)]
    await one.watch.observe(burst(startAt))
    await two.watch.observe(burst(startAt + 2 * minuteMs))
    await node(store).watch.observe(burst(startAt + 4 * minuteMs))
    expect([...one.heard, ...two.heard]).toEqual(['found burst key_a'])
    const [found] = await store.openFindings(10)
    expect(found).toMatchObject({ rule: 'burst', key_id: 'key_a', status: 'open', source: 'src_a' })
    expect(found!.detections).toBeGreaterThanOrEqual(3)
    const evidence = JSON.parse(found!.evidence)
    expect(evidence).toMatchObject({ topIps: [{ value: '203.0.113.7', count: 50 }], topModels: [{ value: 'm' }] })
    expect(evidence.lastCalls).toHaveLength(50)
    await one.watch.closeQuiet()
    expect(await store.openFindings(10)).toHaveLength(1)
    await two.watch.observe(burst(startAt + 30 * minuteMs, 'src_a', 1))
    await two.watch.closeQuiet()
    expect(await store.openFindings(10)).toEqual([])
    expect(two.heard).toContain('closed burst silence')
  })

  test("the ancestor's cool-down was forgotten at every restart: what a person closed stays closed", async () => {
    const store = await openStore()
    await node(store).watch.observe(burst(startAt))
    const [found] = await store.openFindings(10)
    expect(await store.closeFinding(everything, found!.id, startAt, 'usr_x', startAt + 60 * minuteMs)).toBe(true)
    expect(await store.closeFinding(everything, found!.id, startAt, 'usr_x', 0)).toBe(false)
    await node(store).watch.observe(burst(startAt + 5 * minuteMs))
    expect(await store.openFindings(10)).toEqual([])
    await node(store).watch.observe(burst(startAt + 90 * minuteMs))
    expect(await store.openFindings(10)).toHaveLength(1)
  })

  test('what happened long before the hub began to watch is learnt from and not told', async () => {
    const store = await openStore()
    const { watch, heard } = node(store)
    await watch.observe(burst(startAt - 48 * 60 * minuteMs))
    expect(heard).toEqual([])
    expect(await store.memories('src_a', 10_000)).not.toEqual([])
  })

  test('a foreign gateway is never written to', async () => {
    const store = await openStore()
    const { watch, bus, clock } = node(store)
    await watch.observe(burst(startAt))
    const [finding] = await store.openFindings(10)
    const actions = createActions({ store, levers: levers(new Map()), changed: async () => {}, bus, clock, log: quiet })
    for (const [i, kind] of (['note', 'notify', 'throttle', 'downgrade', 'suspend'] as const).entries()) {
      await actions.propose(finding!, i, stepSchema.parse({ kind, approval: 'auto' }))
    }
    expect((await store.actionsOf(finding!.id)).map(({ kind }) => kind)).toEqual(['note', 'notify'])
  })

  test('a suspended key is on again when its time is over, and both are audited', async () => {
    const keys = new Map([['key_a', true]])
    const { actions, clock, action, lever, finding } = await suspended(keys)
    await actions.settle()
    expect(keys.get('key_a')).toBe(false)
    expect(await action()).toMatchObject({ state: 'done', decided_by: 'policy', expires_at: startAt + 600_000 })
    // The same step of the same finding is there once.
    await actions.propose(finding, 0, stepSchema.parse({ kind: 'suspend', approval: 'auto' }))
    await clock.advance(600_000)
    await actions.settle()
    expect(keys.get('key_a')).toBe(true)
    expect(await action()).toMatchObject({ state: 'expired' })
    expect(lever.told).toEqual(['risk.suspend key_a ', 'risk.suspend.expire key_a '])
  })

  test('a key that was off before stays off when its suspension is undone', async () => {
    const keys = new Map([['key_a', false]])
    const { actions, action } = await suspended(keys)
    await actions.settle()
    await actions.undo(await action(), 'usr_x')
    expect(keys.get('key_a')).toBe(false)
    expect(await action()).toMatchObject({ state: 'undone', decided_by: 'usr_x' })
    await expect(actions.undo(await action(), 'usr_x')).rejects.toMatchObject({ code: 'conflict' })
  })

  test.each([1, 2, 3])('a node that dies at step %i of a suspension leaves it to be finished', async (step) => {
    const keys = new Map([['key_a', true]])
    const { actions, lever, action } = await suspended(keys)
    lever.dieAt(step)
    await actions.settle()
    expect(await action()).toMatchObject({ state: 'intended' })
    await actions.settle()
    expect([keys.get('key_a'), (await action()).state]).toEqual([false, 'done'])
    lever.dieAt(step)
    await actions.undo(await action(), 'usr_x')
    expect(await action()).toMatchObject({ state: 'undoing' })
    await actions.settle()
    expect([keys.get('key_a'), (await action()).state]).toEqual([true, 'undone'])
  })

  test("a tenant_admin decides about the keys of its own tenant, and neither sees nor touches anybody else's", async () => {
    const store = await openStore()
    const { watch, bus, clock } = node(store)
    const keys = new Map([
      ['key_a', true],
      ['key_b', true],
    ])
    const of = (tenantId: string, keyId: string, ip: string) =>
      burst(startAt, `src_${tenantId}`).map((row) => ({ ...row, tenantId, keyId, ip }))
    await watch.observe([...of('ten_a', 'key_a', '203.0.113.7'), ...of('ten_b', 'key_b', '203.0.113.8')])
    const probing = { keyId: '', userId: '', status: 401, outcome: 'refused' as const, ip: '203.0.113.9' }
    await watch.observe(burst(startAt, 'src_probing').map((row) => ({ ...row, ...probing })))
    const parts = { store, changed: async () => {}, bus, clock }
    const actions = createActions({ ...parts, levers: levers(keys), log: quiet })
    const ids = new Map<string, string>()
    for (const finding of await store.openFindings(10)) {
      const own = { ...finding, source: 'gatehouse' }
      for (const [step, kind] of (['suspend', 'throttle'] as const).entries()) {
        await actions.propose(own, step, stepSchema.parse({ kind }))
      }
      await actions.propose(own, 2, stepSchema.parse({ kind: 'note', approval: 'auto' }))
      for (const { id, kind } of await store.actionsOf(finding.id)) ids.set(`${kind} ${finding.entity}`, id)
    }
    const settings = () => readSettings({})
    const routes = riskRoutes({ ...parts, actions, settings, budgets: async () => [], namesOf: async () => new Map() })
    const ask = async (tenantId: string, method: string, path: string, input: object = {}) => {
      const route = routes.find((each) => each.method === method && each.path === path)!
      expect(route.access).toBe('tenant_admin')
      const principal = { role: 'tenant_admin', id: `usr_of_${tenantId}`, tenantId, userId: `usr_of_${tenantId}` }
      return route.handle({ principal, query: { limit: 50 }, ...input } as never) as Promise<never>
    }
    const decide = (tenantId: string, verb: string, what: string) =>
      ask(tenantId, 'POST', `/api/risk/actions/:id/${verb}`, { params: { id: ids.get(what) } })

    for (const path of ['/api/risk/findings', '/api/risk/actions']) {
      const { data } = (await ask('ten_a', 'GET', path)) as { data: { tenant_id: string }[] }
      expect(new Set(data.map(({ tenant_id }) => tenant_id))).toEqual(new Set(['ten_a']))
    }
    expect(await decide('ten_a', 'approve', 'suspend key_a')).toMatchObject({
      state: 'done',
      decided_by: 'usr_of_ten_a',
    })
    expect(await decide('ten_a', 'refuse', 'throttle key_a')).toMatchObject({ state: 'refused' })
    for (const [verb, what] of [
      ['approve', 'suspend key_b'],
      ['refuse', 'suspend key_b'],
      ['approve', 'throttle key_b'],
      ['undo', 'note key_b'],
      // An address belongs to no tenant.
      ['undo', 'note 203.0.113.9'],
    ] as const) {
      expect(ids.has(what)).toBe(true)
      await expect(decide('ten_a', verb, what)).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(Object.fromEntries(keys)).toEqual({ key_a: false, key_b: true })
    await expect(decide('ten_b', 'undo', 'suspend key_a')).rejects.toMatchObject({ code: 'not_found' })
    expect(await decide('ten_a', 'undo', 'suspend key_a')).toMatchObject({ state: 'undone' })
    expect(keys.get('key_a')).toBe(true)
  })
})
