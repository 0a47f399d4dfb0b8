import { beforeEach, describe, expect, test } from 'vitest'
import { fail } from '../../kernel/errors.ts'
import { incidentsMigration } from '../../migrations/0026-incidents.ts'
import { incidentActionsMigration } from '../../migrations/0031-incident-actions.ts'
import { engines } from '../../platform/database/testing.ts'
import type { ActionLevers } from '../actions/action.ts'
import { actions } from '../actions/index.ts'
import { listRunbooks } from '../runbooks/runbooks.ts'
import { admin, createAlertWorld, createSetClock, minuteMs, openNode, startAt } from '../testing.ts'

type Revision = Awaited<ReturnType<ActionLevers['settings']>>[number]
type Provider = { id: string; name: string; enabled: boolean }
type Key = { id: string; name: string; enabled: boolean; rateLimit: number | null; tenantId: string }

/** The rooms that levers reach into, as far as they are seen from here; `breaks` is what goes wrong once. */
function createRooms() {
  const providers = new Map<string, Provider>([['prv_a', { id: 'prv_a', name: 'openai', enabled: true }]])
  const keys = new Map<string, Key>(
    (['ten_a', 'ten_b'] as const).map((tenantId) => [
      `key_${tenantId}`,
      { id: `key_${tenantId}`, name: `key of ${tenantId}`, enabled: true, rateLimit: null, tenantId },
    ]),
  )
  const revision = (id: string, at: number, origin = 'api'): Revision => ({
    ...{ id, at, by: 'Ann', origin, isTakenBack: false, names: ['gateway.timeout_seconds'] },
  })
  const revisions = [revision('rev_2', startAt - 3 * minuteMs), revision('rev_1', startAt - 60 * minuteMs, 'start')]
  const rooms = {
    revisions,
    running: 'rev_2',
    providers,
    keys,
    restarted: [] as string[],
    breaks: '' as '' | 'before' | 'after',
    calls: 0,
  }
  const pull = async (work: () => void) => {
    rooms.calls++
    const { breaks } = rooms
    rooms.breaks = ''
    if (breaks === 'before') return new Promise<never>(() => {})
    work()
    if (breaks === 'after') return new Promise<never>(() => {})
  }
  const levers: ActionLevers = {
    provider: async (written) => [...providers.values()].find(({ id, name }) => [id, name].includes(written)) ?? null,
    setProviderEnabled: (id, enabled) => pull(() => Object.assign(providers.get(id)!, { enabled })),
    async key(scope, id) {
      const key = keys.get(id)
      return key === undefined || (scope.kind === 'tenant' && scope.tenantId !== key.tenantId) ? null : { ...key }
    },
    changeKey: (_scope, id, change) => pull(() => Object.assign(keys.get(id)!, change)),
    settings: async () => [...revisions],
    rollSettingsBackTo: (id) =>
      pull(() => {
        rooms.running = id
        revisions.unshift(revision(`rev_${revisions.length + 1}`, startAt + revisions.length, 'rollback'))
      }),
    collectors: () => ['postgres', 'redis'],
    async restartCollector(name) {
      if (name === 'redis') throw fail('unavailable', 'redis still cannot read')
      rooms.restarted.push(name)
    },
  }
  return { ...rooms, rooms, levers }
}

describe.each(engines())('remedies on $name', ({ open }) => {
  let clock: ReturnType<typeof createSetClock>
  let made: ReturnType<typeof createRooms>
  let node: Awaited<ReturnType<typeof openNode>>
  let restart: () => Promise<void>
  let id = ''
  const path = () => `/api/incidents/${id}/actions`
  const openai = () => made.providers.get('prv_a')!
  const provider = { action: 'provider_off', parameters: { provider: 'openai', minutes: 30 } }
  const dryRun = (wish: object, principal = admin) => node.ask('POST', path(), { body: wish, principal })
  async function take(wish: object, principal = admin) {
    const { confirm } = await dryRun(wish, principal)
    return (await node.ask('POST', path(), { body: { ...wish, dry_run: false, confirm }, principal })).taken
  }
  const kinds = async () =>
    (await node.ask('GET', `/api/incidents/${id}/timeline?limit=1000`)).data.map(({ kind }: { kind: string }) => kind)

  beforeEach(async () => {
    const { kysely } = await open([incidentsMigration, incidentActionsMigration])
    clock = createSetClock()
    made = createRooms()
    const world = createAlertWorld(clock)
    restart = async () => {
      const changes = async () => [
        { at: startAt - 3 * minuteMs, kind: 'config', what: 'config.set', target: 'rev_2', by: 'Ann' },
      ]
      node = await openNode(kysely, clock, world, { parts: { levers: made.levers, changes } })
    }
    await restart()
    world.fire('ProviderDown', { provider: 'openai' })
    await node.room.tick()
    id = (await node.ask('GET', '/api/incidents')).data[0].id
  })

  test('an action is offered with what the incident says is broken, shown, done, and taken back when its time is over', async () => {
    const { available } = await node.ask('GET', path())
    expect(available.map(({ action }: { action: string }) => action)).toEqual(actions.map(({ name }) => name))
    expect(available[0]).toMatchObject({ suggested: { provider: 'openai' }, parameters: { type: 'object' } })

    const shown = await dryRun(provider)
    expect(shown.plan.will.en).toContain('No call goes to openai any more, for 30 minutes')
    expect(shown.plan.will.zh).toMatch(/openai.*30 分钟/)
    expect(made.rooms.calls).toBe(0)
    expect(openai().enabled).toBe(true)

    const taken = await take(provider)
    expect(taken).toMatchObject({ state: 'done', target: 'openai', by: 'name of usr_ann', error: '' })
    expect(openai().enabled).toBe(false)
    clock.pass(29 * minuteMs)
    await node.room.tick()
    expect(openai().enabled).toBe(false)
    clock.pass(2 * minuteMs)
    await node.room.tick()
    expect(openai().enabled).toBe(true)
    expect((await node.ask('GET', path())).data).toMatchObject([{ id: taken.id, state: 'undone' }])
    expect(await kinds()).toEqual(expect.arrayContaining(['action', 'action_done', 'action_undone']))
    const { chain } = await node.ask('GET', `/api/incidents/${id}/timeline`)
    expect(chain.is_whole).toBe(true)
  })

  test('nothing is done without the confirmation of exactly what was shown, and of how things were then', async () => {
    const { confirm } = await dryRun(provider)
    const wish = { ...provider, dry_run: false }
    await expect(dryRun(wish)).rejects.toMatchObject({ code: 'conflict' })
    const longer = { ...wish, parameters: { provider: 'openai', minutes: 60 }, confirm }
    await expect(dryRun(longer)).rejects.toMatchObject({ code: 'conflict' })
    const key = { action: 'key_throttle', parameters: { key: 'key_ten_a', rate_limit: 5 } }
    const ofKey = (await dryRun(key)).confirm
    made.keys.get('key_ten_a')!.rateLimit = 50
    await expect(dryRun({ ...key, dry_run: false, confirm: ofKey })).rejects.toMatchObject({ code: 'conflict' })
    expect(made.rooms.calls).toBe(0)
    expect((await node.ask('GET', path())).data).toEqual([])
  })

  test('settings that were changed shortly before are offered to be taken back, and can be had again', async () => {
    const { available } = await node.ask('GET', path())
    const offered = available.find(({ action }: { action: string }) => action === 'settings_back')
    expect(offered.suggested).toEqual({ revision: 'rev_2' })
    const wish = { action: 'settings_back', parameters: offered.suggested }
    const shown = await dryRun(wish)
    expect(shown.plan.will.en).toContain('as it was before rev_2')
    expect(shown.plan.will.en).toContain('gateway.timeout_seconds')
    expect(made.rooms.calls).toBe(0)
    const taken = await take(wish)
    expect([taken.state, made.rooms.running]).toEqual(['done', 'rev_1'])
    // Once only: the newest settings are those of before now.
    await expect(dryRun(wish)).rejects.toThrow(/other settings came after rev_2/)
    const undone = await node.ask('POST', `${path()}/${taken.id}/undo`)
    expect([undone.state, made.rooms.running]).toEqual(['undone', 'rev_2'])
    await expect(dryRun({ ...wish, parameters: { revision: 'rev_9' } })).rejects.toThrow(/no settings rev_9/)
  })

  test('killed while settings are taken back, the next one does it once; what somebody changed since then stays', async () => {
    const wish = { action: 'settings_back', parameters: { revision: 'rev_2' } }
    for (const breaks of ['before', 'after'] as const) {
      made.rooms.breaks = breaks
      const { confirm } = await dryRun(wish)
      void node.ask('POST', path(), { body: { ...wish, dry_run: false, confirm } })
      await expect.poll(() => made.rooms.calls).toBe(1)
      await restart()
      clock.pass(2 * minuteMs)
      await node.room.tick()
      const last = (await node.ask('GET', path())).data.find(({ state }: { state: string }) => state !== 'undone')
      expect([last.state, made.rooms.running, made.rooms.revisions.length]).toEqual(['done', 'rev_1', 3])
      made.rooms.revisions.unshift({ ...made.rooms.revisions[0]!, id: 'rev_4', origin: 'api' })
      const undone = await node.ask('POST', `${path()}/${last.id}/undo`)
      expect([undone.state, made.rooms.running]).toEqual(['undone', 'rev_1'])
      // As it was in the beginning.
      made.rooms.revisions.splice(0, 2)
      Object.assign(made.rooms, { running: 'rev_2', calls: 0 })
    }
  })

  test("a tenant's administrator slows that tenant's keys down and nobody else's, and switches no provider off", async () => {
    const [own] = [{ ...admin, role: 'tenant_admin' as const, tenantId: 'ten_a' }]
    const body = { title: 'abuse', severity: 'P2' }
    id = (await node.ask('POST', '/api/incidents', { body, principal: own })).id
    const throttle = (key: string) => ({ action: 'key_throttle', parameters: { key, rate_limit: 5, minutes: 0 } })
    expect(await take(throttle('key_ten_a'), own)).toMatchObject({ state: 'done', ends_at: null })
    expect(made.keys.get('key_ten_a')!.rateLimit).toBe(5)
    await expect(take(throttle('key_ten_b'), own)).rejects.toMatchObject({ code: 'not_found' })
    await expect(take(provider, own)).rejects.toMatchObject({ code: 'forbidden' })
    const { available } = await node.ask('GET', path(), { principal: own })
    expect(available.map(({ action }: { action: string }) => action)).toEqual(['key_throttle', 'key_off'])
  })

  test('an undo goes back to how it was; what somebody changed meanwhile stays; twice is once', async () => {
    const key = made.keys.get('key_ten_a')!
    key.rateLimit = 600
    const wish = { action: 'key_throttle', parameters: { key: key.id, rate_limit: 5, minutes: 0 } }
    const undo = (remedy: { id: string }) => node.ask('POST', `${path()}/${remedy.id}/undo`)
    const first = await take(wish)
    expect(await undo(first)).toMatchObject({ state: 'undone' })
    expect(key.rateLimit).toBe(600)
    await expect(undo(first)).rejects.toMatchObject({ code: 'conflict' })
    const second = await take(wish)
    key.rateLimit = 77
    expect(await undo(second)).toMatchObject({ state: 'undone' })
    expect(key.rateLimit).toBe(77)
    expect(await take({ action: 'collector_restart', parameters: { collector: 'postgres' } })).toMatchObject({
      ...{ state: 'done', undo: null },
    })
    expect(made.rooms.restarted).toEqual(['postgres'])
  })

  test('what fails is said to have failed, and why; what is wrong is refused before anything happens', async () => {
    const failed = await take({ action: 'collector_restart', parameters: { collector: 'redis' } })
    expect(failed).toMatchObject({ state: 'failed', error: 'redis still cannot read' })
    expect(await kinds()).toContain('action_failed')
    await expect(dryRun({ action: 'reboot' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(dryRun({ action: 'provider_off', parameters: { minutes: -1, provider: 'x' } })).rejects.toMatchObject({
      ...{ code: 'invalid_request', param: 'parameters.minutes' },
    })
    await expect(dryRun({ action: 'provider_off', parameters: { provider: 'nobody' } })).rejects.toMatchObject({
      code: 'not_found',
    })
    openai().enabled = false
    await expect(dryRun(provider)).rejects.toMatchObject({ code: 'conflict' })
  })

  test.each(['before', 'after'] as const)(
    'killed %s the change was made: the next process finishes it, and an undo too',
    async (moment) => {
      const hangs = async (work: Promise<unknown>) => {
        void work.catch(() => {})
        while (made.rooms.breaks !== '') await new Promise((resolve) => setImmediate(resolve))
        clock.pass(2 * minuteMs)
        await restart()
        await node.room.tick()
      }
      made.rooms.breaks = moment
      await hangs(take(provider))
      expect(openai().enabled).toBe(false)
      const [taken] = (await node.ask('GET', path())).data
      expect(taken.state).toBe('done')
      made.rooms.breaks = moment
      await hangs(node.ask('POST', `${path()}/${taken.id}/undo`))
      // Whether a kill came between change and word, or a person switched it on: it is on, and said to be undone.
      expect(openai().enabled).toBe(true)
      expect((await node.ask('GET', path())).data).toMatchObject([{ state: 'undone' }])
    },
  )

  test('every action is recommended by a page that there is', () => {
    const known = listRunbooks().map((each) => each.name)
    for (const { name, runbooks: pages } of actions) {
      expect([name, pages.length > 0]).toEqual([name, true])
      for (const page of pages) expect([name, page, known.includes(page)]).toEqual([name, page, true])
    }
  })
})
