import { expect, test } from 'vitest'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createRedisBus } from '../platform/bus/redis.ts'
import { engines } from '../platform/database/testing.ts'
import { createRedisLeases } from '../platform/lease/redis.ts'
import { connectTestRedis, describeWithRedis, silentLog } from '../platform/testing.ts'
import { ask, demoManifest, openRegistryNode, pass, type RegistryNode, registerNew, startPlugin } from './testing.ts'

const redis = connectTestRedis()

describeWithRedis.each(engines())('two nodes with one store and one Redis, on $name', ({ address }) => {
  async function openTwo(config: Parameters<typeof openRegistryNode>[1] = {}): Promise<[RegistryNode, RegistryNode]> {
    const url = await address()
    const keys = new Map()
    const client = await redis()
    await client.del('gatehouse:lease:services:judge')
    const openOne = async () => {
      const bus = createRedisBus({ redis: client, log: silentLog })
      await bus.ready
      return openRegistryNode(url, { keys, bus, leases: createRedisLeases({ redis: client }), ...config })
    }
    return [await openOne(), await openOne()]
  }

  const both = async (nodes: [RegistryNode, RegistryNode], seconds: number, each?: () => Promise<unknown>) => {
    for (let i = 0; i < seconds; i++) {
      await pass(nodes[0], 1, each)
      await pass(nodes[1], 1)
    }
  }

  test('what registers or leaves at one is known at the other by its announcement, with no clock moved', async () => {
    const [a, b] = await openTwo()
    const { token } = await registerNew(a)
    await expect.poll(() => b.services.directory.find('demo-service')?.instances.length, { timeout: 10_000 }).toBe(1)
    expect((await ask(b, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service' })).status).toBe(200)
    await ask(b, 'POST', '/api/registry/deregister/demo-service', token)
    expect(b.services.directory.find('demo-service')!.instances).toEqual([])
    await expect.poll(() => a.services.directory.find('demo-service')!.instances.length, { timeout: 10_000 }).toBe(0)
  })

  test('nodes that do not hear each other follow the store within a second', async () => {
    const [a, b] = await openTwo({ bus: createMemoryBus({ log: silentLog }) })
    await registerNew(a)
    await expect
      .poll(
        async () => {
          await b.clock.advance(100)
          return b.services.directory.find('demo-service')?.instances.length
        },
        { timeout: 10_000, interval: 5 },
      )
      .toBe(1)
  })

  test('a plugin that is heard by one node only is alive for both; the index is the same', async () => {
    const [a, b] = await openTwo()
    const { token } = await registerNew(a)
    for (let i = 0; i < 9; i++) {
      await ask(b, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service' })
      await both([a, b], 10)
    }
    for (const node of [a, b]) {
      expect(node.services.directory.find('demo-service')!.instances[0]!.state).toBe('passing')
      expect(node.heard.filter(({ name }) => name === 'service.instance.changed')).toEqual([])
    }
    const indexes = await Promise.all([a, b].map((node) => ask(node, 'GET', '/api/registry/watch')))
    expect(indexes[0]!.headers['x-gatehouse-index']).toBe(indexes[1]!.headers['x-gatehouse-index'])
  })

  test('one node asks health paths and judges; when it stops the other one does', async () => {
    const plugin = await startPlugin(() => 200)
    const [a, b] = await openTwo()
    await registerNew(a, demoManifest({ port: plugin.port, health_check_url: '/health' }))
    await a.services.idle()
    plugin.asked.length = 0
    await both([a, b], 40, () => a.services.idle())
    await b.services.idle()
    // Twice as many if both asked.
    expect(plugin.asked.length).toBeLessThanOrEqual(5)
    expect(plugin.asked.length).toBeGreaterThanOrEqual(3)
    await a.stop()
    plugin.asked.length = 0
    await pass(b, 60, () => b.services.idle())
    expect(plugin.asked.length).toBeGreaterThanOrEqual(3)
    await pass(b, 60, () => b.services.idle())
    expect(b.services.directory.find('demo-service')!.instances[0]!.state).toBe('critical')
  })

  test('a registration token with one use is used once, whichever nodes it is shown to', async () => {
    const [a, b] = await openTwo()
    const made = await ask(a, 'POST', '/api/registry/tokens', 'acme-admin', { prefix: 'p-' })
    const told = await Promise.all(
      [a, b, a, b].map((node, i) =>
        ask(node, 'POST', '/api/registry/register', made.body.token, demoManifest({ name: `p-${i}` })),
      ),
    )
    expect(told.map(({ status }) => status).sort()).toEqual([201, 401, 401, 401])
    await ask(a, 'POST', '/gateway/refresh-services')
    expect((await ask(a, 'GET', '/api/registry/services?active_only=false')).body).toHaveLength(1)
  })

  test('two that register one new name at once are two instances of one service', async () => {
    const [a, b] = await openTwo()
    const made = await ask(a, 'POST', '/api/registry/tokens', 'acme-admin', { service: 'demo-service', uses: 2 })
    const told = await Promise.all(
      [a, b].map((node, i) =>
        ask(node, 'POST', '/api/registry/register', made.body.token, demoManifest({ port: 9000 + i })),
      ),
    )
    expect(told.map(({ status }) => status)).toEqual([201, 201])
    expect(told[0]!.body.id).toBe(told[1]!.body.id)
    await both([a, b], 2)
    for (const node of [a, b]) expect(node.services.directory.find('demo-service')!.instances).toHaveLength(2)
  })
})
