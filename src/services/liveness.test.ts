import { afterEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { engines } from '../platform/database/testing.ts'
import type { InstanceState } from './directory.ts'
import { ask, demoManifest, openRegistryNode, pass, type RegistryNode, registerNew, startPlugin } from './testing.ts'

type Fleet = { name: string; token: string }[]

/** So many services of one instance each. */
async function registerFleet(node: RegistryNode, count: number, change: object = {}): Promise<Fleet> {
  const fleet: Fleet = []
  for (let i = 0; i < count; i++) {
    const name = `plugin-${i}`
    const { token } = await registerNew(node, demoManifest({ name, port: 9000 + i, ...change }))
    fleet.push({ name, token })
  }
  return fleet
}

async function beat(node: RegistryNode, fleet: Fleet): Promise<void> {
  for (const { name, token } of fleet) {
    const told = await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: name })
    expect(told.status).toBe(200)
  }
}

/** Lets time pass in which these beat every ten seconds. */
async function passBeating(node: RegistryNode, seconds: number, fleet: Fleet): Promise<void> {
  for (let left = seconds; left > 0; left -= 10) {
    await beat(node, fleet)
    await pass(node, Math.min(10, left))
  }
}

function states(node: RegistryNode): Record<string, InstanceState[]> {
  return Object.fromEntries(
    node.services.directory.list().map(({ name, instances }) => [name, instances.map(({ state }) => state)]),
  )
}

function changes(node: RegistryNode): string[] {
  return node.heard
    .filter(({ name }) => name === 'service.instance.changed')
    .map(({ news }) => `${(news as { service: string }).service} ${(news as { to: string }).to}`)
}

describe.each(engines())('who lives, on $name', ({ name: engine, address }) => {
  test('silence makes a late instance a warning, then critical, then gone; a late heartbeat brings it back', async () => {
    const node = await openRegistryNode(await address(), { config: { deregister_after_seconds: 60 } })
    const fleet = await registerFleet(node, 1)
    await passBeating(node, 60, fleet)
    expect([states(node)['plugin-0'], changes(node)]).toEqual([['passing'], []])
    const first = node.services.directory.find('plugin-0')!.instances[0]!.id
    const seen: string[] = []
    await pass(node, 130, async () => {
      const state = states(node)['plugin-0']![0] ?? 'gone'
      if (seen.at(-1) !== state) seen.push(state)
    })
    expect(seen).toEqual(['passing', 'warning', 'critical', 'gone'])
    expect(changes(node)).toEqual(['plugin-0 warning', 'plugin-0 critical', 'plugin-0 gone'])
    await beat(node, fleet)
    expect(node.services.directory.find('plugin-0')!.instances).toMatchObject([{ id: first, state: 'passing' }])
  })

  test('B3.1 a plugin that beats every 30 s, as the first platform’s did whatever it was told, does not flap', async () => {
    const node = await openRegistryNode(await address())
    const fleet = await registerFleet(node, 1)
    for (let i = 0; i < 10; i++) {
      await pass(node, 30)
      await beat(node, fleet)
    }
    expect([states(node)['plugin-0'], changes(node)]).toEqual([['passing'], []])
    // It is found out all the same.
    await pass(node, 100)
    expect(states(node)['plugin-0']).toEqual(['critical'])
  })

  test('what an instance says of itself counts, in the words of old and new plugins', async () => {
    const node = await openRegistryNode(await address())
    const [{ token }] = (await registerFleet(node, 1)) as [Fleet[number]]
    const say = async (status: string) =>
      (await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'plugin-0', status })).body.state
    const told: Record<string, string> = {}
    for (const status of ['degraded', 'healthy', 'unhealthy', 'ok', 'draining', 'passing'])
      told[status] = await say(status)
    expect(told).toEqual({
      ...{ degraded: 'warning', healthy: 'passing', unhealthy: 'critical' },
      ...{ ok: 'passing', draining: 'draining', passing: 'passing' },
    })
    const unknown = await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'plugin-0', status: 'meh' })
    expect([unknown.status, unknown.text]).toEqual([400, expect.stringContaining('status')])
  })

  test('maintenance is an administrator’s: no heartbeat lifts it', async () => {
    const node = await openRegistryNode(await address())
    const fleet = await registerFleet(node, 1)
    const { id } = node.services.directory.find('plugin-0')!.instances[0]!
    const path = `/api/registry/services/plugin-0/instances/${id}`
    const set = (as: string, maintenance: boolean) => ask(node, 'PUT', path, as, { maintenance })
    expect((await set(fleet[0]!.token, true)).status).toBe(401)
    expect((await set('acme-admin', true)).body.instances[0].state).toBe('maintenance')
    await passBeating(node, 20, fleet)
    expect(states(node)['plugin-0']).toEqual(['maintenance'])
    expect((await set('acme-admin', false)).body.instances[0].state).toBe('passing')
  })

  test('a plugin with a health path gets its first call when that has answered, at once or by a heartbeat', async () => {
    let status: number | null = 503
    const plugin = await startPlugin(() => status)
    const node = await openRegistryNode(await address(), { config: { failures_before_critical: 3 } })
    const manifest = demoManifest({ port: plugin.port, health_check_url: `${plugin.url}/health` })
    const { token, reply } = await registerNew(node, manifest)
    await node.services.idle()
    expect([reply.instances[0].state, reply.health_check_url, plugin.asked]).toEqual([
      'starting',
      '/health',
      ['/health'],
    ])
    expect(states(node)['demo-service']).toEqual(['starting'])
    status = 200
    await node.clock.advance(1)
    const second = await startPlugin(() => status)
    await ask(node, 'POST', '/api/registry/register', token, {
      ...manifest,
      port: second.port,
      health_check_url: '/health',
    })
    await node.services.idle()
    expect(states(node)['demo-service']).toEqual(['starting', 'passing'])
    const beatOne = { service_id: 'demo-service', instance_id: reply.instance_id }
    expect((await ask(node, 'POST', '/api/registry/heartbeat', token, beatOne)).body.state).toBe('passing')
  })

  test('B3.2 health paths are asked: 429 is a warning, three failures are critical, two successes are passing', async () => {
    let status: number | null = 200
    const plugin = await startPlugin(() => status)
    const config = { health_interval_seconds: 10, health_timeout_seconds: 0.2, deregister_after_seconds: 1000 }
    const node = await openRegistryNode(await address(), { config })
    const { token } = await registerNew(node, demoManifest({ port: plugin.port, health_check_url: '/health' }))
    const fleet = [{ name: 'demo-service', token }]
    const during = async (seconds: number) => {
      for (let left = seconds; left > 0; left -= 10) {
        await beat(node, fleet)
        await pass(node, 10, () => node.services.idle())
      }
      return states(node)['demo-service']![0]
    }
    expect(await during(20)).toBe('passing')
    status = 429
    expect(await during(20)).toBe('warning')
    status = 500
    expect(await during(20)).toBe('warning')
    expect(await during(20)).toBe('critical')
    status = 200
    expect(await during(30)).toBe('passing')
    // Silence is a failure, too, and holds nobody else up.
    status = null
    expect(await during(50)).toBe('critical')
    expect(await node.metrics()).toMatch(/gatehouse_services_polls_total\{outcome="failed"\} [6-9]/)
  })

  describe('the hub doubts itself first', () => {
    test('when half of all fall silent together they are kept, and told; when they are back all is as it was', async () => {
      const node = await openRegistryNode(await address())
      const fleet = await registerFleet(node, 10)
      await passBeating(node, 60, fleet)
      await passBeating(node, 300, fleet.slice(0, 4))
      const all = Object.values(states(node)).flat()
      expect([all.filter((s) => s === 'passing').length, all.filter((s) => s === 'warning').length]).toEqual([4, 6])
      expect(node.heard.filter(({ name }) => name === 'service.protected').map(({ news }) => news)).toEqual([
        { isProtected: true, silent: 6, total: 10 },
      ])
      expect((await ask(node, 'GET', '/api/registry/health')).body.protected).toBe(true)
      expect(await node.metrics()).toContain('gatehouse_services_protected 1')
      await passBeating(node, 20, fleet)
      expect(new Set(Object.values(states(node)).flat())).toEqual(new Set(['passing']))
      expect(node.heard.filter(({ name }) => name === 'service.protected').at(-1)!.news).toMatchObject({
        isProtected: false,
      })
      expect(changes(node).filter((each) => /critical|gone/.test(each))).toEqual([])
    })

    test('when the hub hears again, those heard first do not leave the others behind', async () => {
      let status = 200
      const plugin = await startPlugin(() => status)
      const node = await openRegistryNode(await address())
      const fleet = await registerFleet(node, 6, { port: plugin.port, health_check_url: '/health' })
      const during = async (seconds: number, heard: Fleet) => {
        for (let left = seconds; left > 0; left -= 10) {
          await beat(node, heard)
          await pass(node, 10, () => node.services.idle())
        }
      }
      await during(60, fleet)
      status = 500
      await during(60, [])
      expect((await ask(node, 'GET', '/api/registry/health')).body.protected).toBe(true)
      status = 200
      await during(20, fleet.slice(0, 4))
      await during(20, fleet)
      expect(new Set(Object.values(states(node)).flat())).toEqual(new Set(['passing']))
      expect(changes(node).filter((each) => /critical|gone/.test(each))).toEqual([])
    })

    test('a few that die among many are dead', async () => {
      const node = await openRegistryNode(await address())
      const fleet = await registerFleet(node, 10)
      await passBeating(node, 60, fleet)
      await passBeating(node, 60, fleet.slice(0, 7))
      expect(
        Object.values(states(node))
          .flat()
          .filter((s) => s === 'critical'),
      ).toHaveLength(3)
    })

    test('a process that stood still, or a clock that jumped, ejects nobody', async () => {
      const start = createManualClock()
      let jumpMs = 0
      let stoodMs = 0
      const clock = { ...start, now: () => start.now() + jumpMs, monotonic: () => start.monotonic() + stoodMs }
      const node = await openRegistryNode(await address(), { clock, config: { protect_percent: 100 } })
      const fleet = await registerFleet(node, 4)
      await passBeating(node, 60, fleet)
      for (const hours of [30, -60]) {
        jumpMs += hours * 3_600_000
        await passBeating(node, 20, fleet)
      }
      expect([new Set(Object.values(states(node)).flat()), changes(node)]).toEqual([new Set(['passing']), []])
      // Two minutes without a round: nobody could be heard.
      stoodMs += 120_000
      await pass(node, 12)
      expect([new Set(Object.values(states(node)).flat()), changes(node)]).toEqual([new Set(['passing']), []])
    })

    test('a hub that starts again with 500 services has all of them, and none flaps', async () => {
      const url = await address()
      const keys = new Map()
      const before = await openRegistryNode(url, { keys })
      const fleet = await fillStore(before, 500)
      await before.stop()
      const node = await openRegistryNode(url, { keys, clock: createManualClock(Date.UTC(2026, 0, 2)) })
      expect(node.services.directory.list()).toHaveLength(500)
      await pass(node, 14)
      expect([new Set(Object.values(states(node)).flat()), changes(node)]).toEqual([new Set(['passing']), []])
      await beat(node, fleet)
      await pass(node, 10)
      expect([new Set(Object.values(states(node)).flat()), changes(node)]).toEqual([new Set(['passing']), []])
    })
  })

  describe('B3.2 wherever the clocks stand', () => {
    const zone = process.env.TZ
    afterEach(() => {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    })

    test.each(['Asia/Shanghai', 'America/Los_Angeles'])(
      'in %s times are the same and nobody is stale',
      async (place) => {
        const url = new URL(await address())
        if (engine === 'postgres') url.searchParams.set('options', `-c timezone=${place}`)
        process.env.TZ = place
        const node = await openRegistryNode(url.href)
        const fleet = await registerFleet(node, 1)
        await passBeating(node, 60, fleet)
        expect([states(node)['plugin-0'], changes(node)]).toEqual([['passing'], []])
        const shown = (await ask(node, 'GET', '/api/registry/services/plugin-0')).body
        expect(Date.parse(shown.last_heartbeat)).toBe(node.clock.now() - 10_000)
        expect(shown.created_at).toBe(new Date(Date.UTC(2026, 0, 1)).toISOString())
      },
    )
  })

  test('with the store away instances are routed as they were, nobody is judged, and heartbeats are answered', async () => {
    const node = await openRegistryNode(await address())
    const fleet = await registerFleet(node, 4)
    await passBeating(node, 20, fleet)
    for (const table of ['services', 'service_instances', 'revisions'])
      await node.database.kysely.schema.alterTable(table).renameTo(`${table}_away`).execute()
    for (let i = 0; i < 6; i++) {
      await beat(node, fleet.slice(0, 1))
      await pass(node, 10)
    }
    expect([new Set(Object.values(states(node)).flat()), changes(node)]).toEqual([new Set(['passing']), []])
    expect((await ask(node, 'POST', '/gateway/refresh-services')).status).toBe(503)
  })

  test('heartbeats cost the store one write in two seconds, and no revision', async () => {
    const node = await openRegistryNode(await address())
    const fleet = await fillStore(node, 100)
    const index = (await ask(node, 'GET', '/api/registry/watch')).headers['x-gatehouse-index']
    let writes = 0
    const { getExecutor } = node.database.kysely
    const executor = getExecutor.call(node.database.kysely)
    const original = executor.executeQuery.bind(executor)
    executor.executeQuery = ((query: { sql: string }, ...rest: unknown[]) => {
      if (/^update/i.test(query.sql)) writes++
      return (original as (...all: unknown[]) => unknown)(query, ...rest)
    }) as typeof executor.executeQuery
    await passBeating(node, 30, fleet)
    expect(writes).toBeGreaterThan(0)
    expect(writes).toBeLessThanOrEqual(15)
    expect((await ask(node, 'GET', '/api/registry/watch')).headers['x-gatehouse-index']).toBe(index)
  })
})

test('the interval that instances are told grows with their number', async () => {
  const [{ address }] = engines() as [ReturnType<typeof engines>[number]]
  const node = await openRegistryNode(await address(), { config: { max_beats_per_second: 1 } })
  const fleet = await fillStore(node, 30)
  await pass(node, 3)
  const told = await ask(node, 'POST', '/api/registry/heartbeat', fleet[0]!.token, { service_id: 'plugin-0' })
  expect(told.body).toMatchObject({ interval_seconds: 30, next_heartbeat_seconds: 27 })
})

/** Registers one by hand, and the others by its example, without asking for each. */
async function fillStore(node: RegistryNode, count: number): Promise<Fleet> {
  const made = await ask(node, 'POST', '/api/registry/tokens', 'acme-admin', { prefix: 'plugin-', uses: count })
  const fleet: Fleet = []
  const register = async (i: number) => {
    const manifest = demoManifest({ name: `plugin-${i}`, port: 9000 + i })
    const { status, body } = await ask(node, 'POST', '/api/registry/register', made.body.token, manifest)
    expect(status).toBe(201)
    fleet[i] = { name: `plugin-${i}`, token: body.service_token }
  }
  for (let i = 0; i < count; i += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - i) }, (_, j) => register(i + j)))
  }
  return fleet
}
