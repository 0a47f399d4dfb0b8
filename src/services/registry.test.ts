import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { ask, demoManifest, openRegistryNode, pass, registerNew, startPlugin, type TestKeys } from './testing.ts'

describe.each(engines())('the registry of plugin services on $name', ({ address }) => {
  const open = async (options: Parameters<typeof openRegistryNode>[1] = {}) =>
    openRegistryNode(await address(), options)

  test('the first plugin platform’s manifest is taken, and answered in its shape', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node)
    expect(token).toMatch(/^sk-gh-/)
    expect(reply).toMatchObject({
      name: 'demo-service',
      display_name: '演示服务',
      version: '1.0.0',
      host: '127.0.0.1',
      port: 8003,
      base_path: '/',
      url: 'http://127.0.0.1:8003/',
      is_active: true,
      health_check_url: null,
      service_metadata: { author: 'SAAS Platform', category: 'demo' },
      tags: ['demo', 'example'],
      requires_auth: false,
      endpoints: [
        {
          path: 'items',
          method: 'GET',
          description: 'All items',
          required_roles: [],
          is_public: true,
          rate_limit: null,
        },
      ],
    })
    const list = await ask(node, 'GET', '/api/registry/services')
    expect(list.body).toHaveLength(1)
    expect(list.body[0].id).toBe(reply.id)
    for (const url of [`services/${reply.id}`, 'services/demo-service', 'services/by-name/demo-service']) {
      expect((await ask(node, 'GET', `/api/registry/${url}`)).body.id).toBe(reply.id)
    }
    const gateway = await ask(node, 'GET', '/gateway/services')
    expect(gateway.body.count).toBe(1)
    const refreshed = await ask(node, 'POST', '/gateway/refresh-services')
    expect(refreshed.body).toMatchObject({ status: 'ok', services_count: 1 })
    expect(Date.parse(refreshed.body.updated_at)).toBe(node.clock.now())
    const found = node.services.directory.find('demo-service')!
    expect(found.endpoints[0]).toEqual({
      method: 'GET',
      path: '/items',
      requiredRoles: [],
      isPublic: true,
      rateLimit: null,
    })
    expect(found.instances).toMatchObject([{ host: '127.0.0.1', port: 8003, state: 'passing', weight: 100 }])
  })

  test('`metadata` is another spelling of `service_metadata`', async () => {
    const node = await open()
    const { service_metadata: _, ...manifest } = demoManifest()
    const { reply } = await registerNew(node, { ...manifest, metadata: { a: 1 } })
    expect(reply.service_metadata).toEqual({ a: 1 })
  })

  test('S3 a heartbeat by name, by id or by the instance’s id is heard, with metadata or without', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node)
    for (const service_id of ['demo-service', reply.id, reply.instance_id]) {
      await node.clock.advance(1500)
      const beat = await ask(node, 'POST', '/api/registry/heartbeat', token, {
        ...{ service_id, status: 'healthy', service_metadata: { load: service_id } },
      })
      expect(beat.body).toMatchObject({
        ...{ status: 'ok', message: 'Heartbeat received', service_id: reply.id, instance_id: reply.instance_id },
        ...{ state: 'passing', interval_seconds: 10, next_heartbeat_seconds: 9 },
        last_heartbeat: new Date(node.clock.now()).toISOString(),
      })
    }
    await pass(node, 3)
    const shown = (await ask(node, 'GET', '/api/registry/services/demo-service')).body
    expect(shown.service_metadata).toEqual({ author: 'SAAS Platform', category: 'demo', load: reply.instance_id })
  })

  test('B3.1 deregistering by name works, and says so only when it did', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node)
    const left = await ask(node, 'POST', '/api/registry/deregister/demo-service', token)
    expect(left.body).toEqual({
      ...{ status: 'ok', message: 'Service deregistered', service_id: reply.id, instance_ids: [reply.instance_id] },
    })
    // Looked at with nothing in between: the answer came after the removal.
    expect(node.services.directory.find('demo-service')!.instances).toEqual([])
    expect((await ask(node, 'GET', '/api/registry/services')).body).toEqual([])
    expect((await ask(node, 'GET', '/api/registry/services?active_only=false')).body[0].is_active).toBe(false)
    expect((await ask(node, 'POST', '/api/registry/deregister/demo-service', token)).status).toBe(404)
    const late = await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service' })
    expect([late.status, late.body.detail]).toEqual([404, expect.stringContaining('register it again')])
    expect(node.services.directory.find('demo-service')!.instances).toEqual([])
    expect((await ask(node, 'POST', '/api/registry/register', token, demoManifest())).body.is_active).toBe(true)
  })

  test('S4 a second instance joins the first; neither endpoints nor address of the first are lost', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node)
    await node.clock.advance(1)
    const { endpoints: _, ...bare } = demoManifest({
      host: '127.0.0.2',
      version: '1.1.0',
      weight: 10,
      tags: ['canary'],
    })
    const second = await ask(node, 'POST', '/api/registry/register', token, bare)
    expect([second.status, second.body.id, second.body.service_token]).toEqual([201, reply.id, null])
    expect(second.body.endpoints).toEqual(reply.endpoints)
    const { instances } = node.services.directory.find('demo-service')!
    expect(instances.map(({ host, weight, version, tags }) => ({ host, weight, version, tags }))).toEqual([
      { host: '127.0.0.1', weight: 100, version: '1.0.0', tags: ['demo', 'example'] },
      { host: '127.0.0.2', weight: 10, version: '1.1.0', tags: ['canary'] },
    ])
    const unclear = await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service' })
    expect([unclear.status, unclear.body.detail]).toEqual([409, expect.stringContaining('127.0.0.2')])
    const beat = { service_id: 'demo-service', instance_id: second.body.instance_id, status: 'draining' }
    expect((await ask(node, 'POST', '/api/registry/heartbeat', token, beat)).body.state).toBe('draining')
    expect((await ask(node, 'POST', '/api/registry/deregister/demo-service', token)).status).toBe(409)
    const one = await ask(node, 'POST', '/api/registry/deregister/demo-service', token, { host: '127.0.0.2' })
    expect(one.body.instance_ids).toEqual([second.body.instance_id])
  })

  test('registering again what is there is only heard: same ids, no announcement, no write', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node)
    const index = await readIndex(node)
    node.heard.length = 0
    const again = await ask(node, 'POST', '/api/registry/register', token, demoManifest())
    expect(again.body).toMatchObject({ id: reply.id, instance_id: reply.instance_id, endpoints: reply.endpoints })
    expect([node.heard, await readIndex(node)]).toEqual([[], index])
  })

  test('an instance that keeps its name and moves to another address stays the same instance', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node, demoManifest({ instance_id: 'pod-1' }))
    const moved = demoManifest({ instance_id: 'pod-1', host: '127.0.0.9' })
    const again = await ask(node, 'POST', '/api/registry/register', token, moved)
    expect(again.body.instance_id).toBe(reply.instance_id)
    expect(node.services.directory.find('demo-service')!.instances.map(({ host }) => host)).toEqual(['127.0.0.9'])
  })

  test('S5 a service that is switched off is off for the proxy when that is answered, and stays so when it registers', async () => {
    const node = await open()
    const { reply, token } = await registerNew(node)
    const off = await ask(node, 'PUT', `/api/registry/services/${reply.id}`, 'acme-admin', { is_active: false })
    expect(off.body.is_active).toBe(false)
    expect(node.services.directory.find('demo-service')!.enabled).toBe(false)
    await ask(node, 'POST', '/api/registry/register', token, demoManifest({ version: '2.0.0' }))
    expect(node.services.directory.find('demo-service')!.enabled).toBe(false)
    const itself = await ask(node, 'PUT', '/api/registry/services/demo-service', token, { is_active: true })
    expect(itself.status).toBe(403)
    await ask(node, 'PUT', '/api/registry/services/demo-service', 'acme-admin', { is_active: true })
    expect(node.services.directory.find('demo-service')!.enabled).toBe(true)
  })

  describe('S6 B3.1 nobody takes a name that is not theirs', () => {
    test('a stranger is refused with cause and remedy, the same for a name that is taken and one that is free', async () => {
      const node = await open()
      await registerNew(node)
      const told = []
      for (const name of ['demo-service', 'free-name']) {
        const refused = await ask(node, 'POST', '/api/registry/register', '', demoManifest({ name }))
        told.push([refused.status, refused.body.code, refused.body.detail])
      }
      expect(told[0]).toEqual([401, 'unauthenticated', expect.stringContaining('POST /api/registry/tokens')])
      expect(told[1]).toEqual(told[0])
      expect((await ask(node, 'POST', '/api/registry/register', 'acme-user', demoManifest())).status).toBe(403)
      expect((await ask(node, 'POST', '/api/registry/register', 'nonsense', demoManifest())).status).toBe(401)
    })

    test('another service’s token and another tenant’s registration token do not help', async () => {
      const node = await open()
      await registerNew(node)
      const other = await registerNew(node, demoManifest({ name: 'other-service', host: '127.0.0.7' }), 'other-admin')
      const byToken = await ask(node, 'POST', '/api/registry/register', other.token, demoManifest({ host: '10.9.9.9' }))
      expect([byToken.status, byToken.body.detail]).toEqual([403, expect.stringContaining('registration token')])
      const made = await ask(node, 'POST', '/api/registry/tokens', 'other-admin', { service: 'demo-service' })
      const evil = demoManifest({ host: '10.9.9.9' })
      const taken = await ask(node, 'POST', '/api/registry/register', made.body.token, evil)
      expect([taken.status, taken.body.code]).toEqual([409, 'conflict'])
      const beat = await ask(node, 'POST', '/api/registry/heartbeat', other.token, { service_id: 'demo-service' })
      expect(beat.status).toBe(404)
      expect((await ask(node, 'POST', '/api/registry/deregister/demo-service', other.token)).status).toBe(404)
      expect((await ask(node, 'DELETE', '/api/registry/services/demo-service', 'other-admin')).status).toBe(404)
      expect(node.services.directory.find('demo-service')!.instances.map(({ host }) => host)).toEqual(['127.0.0.1'])
    })

    test('a registration token is good for its name, its uses and its time', async () => {
      const node = await open()
      const register = (token: string, change: object) =>
        ask(node, 'POST', '/api/registry/register', token, demoManifest(change))
      const made = await ask(node, 'POST', '/api/registry/tokens', 'acme-admin', { prefix: 'team-', uses: 2 })
      expect(made.body).toMatchObject({ prefix: 'team-', service: null, uses_left: 2, tenant_id: 'acme' })
      const { token } = made.body
      expect((await register(token, { name: 'elsewhere' })).status).toBe(403)
      expect((await register(token, { name: 'team-one' })).status).toBe(201)
      const [a, b] = await Promise.all([register(token, { name: 'team-two' }), register(token, { name: 'team-three' })])
      expect([a.status, b.status].sort()).toEqual([201, 401])
      const spent = a.status === 401 ? a : b
      expect(spent.body.detail).toContain('used up')
      await node.clock.advance(1)
      const short = await ask(node, 'POST', '/api/registry/tokens', 'acme-admin', { service: 'x', expires_in: 60 })
      await node.clock.advance(60_000)
      expect((await register(short.body.token, { name: 'x' })).body.detail).toContain('expired')
      const list = await ask(node, 'GET', '/api/registry/tokens', 'acme-admin')
      expect(list.body.data.map(({ uses_left }: { uses_left: number }) => uses_left)).toEqual([1, 0])
      expect(list.text).not.toContain(token)
      expect((await ask(node, 'GET', '/api/registry/tokens', 'other-admin')).body.data).toEqual([])
      const { id } = short.body
      expect((await ask(node, 'DELETE', `/api/registry/tokens/${id}`, 'other-admin')).status).toBe(404)
      expect((await ask(node, 'DELETE', `/api/registry/tokens/${id}`, 'acme-admin')).status).toBe(204)
      expect((await register(short.body.token, { name: 'x' })).body.detail).toContain('revoked')
      expect((await ask(node, 'POST', '/api/registry/tokens', 'acme-user', { service: 'y' })).status).toBe(403)
    })

    test('a tenant is named by id or name; one that is not there, or not the caller’s, is not found', async () => {
      const node = await open()
      const make = (as: string, tenant_id: string) =>
        ask(node, 'POST', '/api/registry/tokens', as, { service: 'x', tenant_id })
      expect((await make('root', 'other')).body.tenant_id).toBe('other')
      expect((await make('root', 'hub')).body.tenant_id).toBe('hub')
      for (const [as, tenant] of [
        ['root', 'nowhere'],
        ['acme-admin', 'nowhere'],
        ['acme-admin', 'other'],
        ['acme-admin', 'hub'],
      ] as const) {
        expect(await make(as, tenant)).toMatchObject({ status: 404, body: { code: 'not_found' } })
        const byHand = await ask(node, 'POST', '/api/registry/register', as, demoManifest({ tenant_id: tenant }))
        expect(byHand.status).toBe(404)
      }
      const own = await ask(node, 'POST', '/api/registry/register', 'root', demoManifest({ tenant_id: 'hub' }))
      expect(own).toMatchObject({ status: 201, body: { tenant_id: 'hub' } })
      await registerNew(node, demoManifest({ name: 'theirs' }), 'other-admin')
      await make('root', 'other')
      expect(await node.services.ownedBy('other')).toEqual({ services: 1, registrationTokens: 2 })
      expect(await node.services.ownedBy('acme')).toEqual({ services: 0, registrationTokens: 0 })
    })

    test('a service token bound to addresses opens nothing from elsewhere', async () => {
      const keys: TestKeys = new Map()
      const node = await open({ keys })
      const { token } = await registerNew(node)
      const beat = () => ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service' })
      keys.set(token, { ...keys.get(token)!, allowedIps: ['10.0.0.1'] })
      expect((await beat()).status).toBe(403)
      for (const path of ['services', 'services/demo-service', 'health', 'watch?wait=0']) {
        expect((await ask(node, 'GET', `/api/registry/${path}`, token)).status, path).toBe(403)
      }
      expect((await ask(node, 'POST', '/api/registry/register', token, demoManifest())).status).toBe(403)
      keys.set(token, { ...keys.get(token)!, allowedIps: ['127.0.0.1'] })
      expect((await beat()).status).toBe(200)
    })

    test('removing a service withdraws its token, and renewing one withdraws the former', async () => {
      const keys = new Map()
      const node = await open({ keys })
      const { token, reply } = await registerNew(node)
      const renewed = await ask(node, 'POST', `/api/registry/services/${reply.id}/token`, 'acme-admin')
      expect([...keys.keys()]).toEqual([renewed.body.service_token])
      const beat = (as: string) => ask(node, 'POST', '/api/registry/heartbeat', as, { service_id: 'demo-service' })
      expect([(await beat(token)).status, (await beat(renewed.body.service_token)).status]).toEqual([401, 200])
      await ask(node, 'DELETE', '/api/registry/services/demo-service', 'acme-admin')
      expect(keys.size).toBe(0)
      expect(node.services.directory.find('demo-service')).toBeUndefined()
    })

    test('a service whose token cannot be withdrawn is not removed', async () => {
      const node = await open({ brokenKeys: true })
      await registerNew(node)
      expect((await ask(node, 'DELETE', '/api/registry/services/demo-service', 'acme-admin')).status).toBe(503)
      expect(node.services.directory.find('demo-service')).toBeDefined()
    })
  })

  test('what belongs to another tenant is not there, unless it is shared; then its addresses are not', async () => {
    const node = await open()
    await registerNew(node)
    for (const as of ['other-user', 'other-admin']) {
      expect((await ask(node, 'GET', '/api/registry/services', as)).body).toEqual([])
      expect((await ask(node, 'GET', '/api/registry/services/demo-service', as)).status).toBe(404)
      expect((await ask(node, 'GET', '/api/registry/health', as)).body.services).toBe(0)
    }
    await ask(node, 'PUT', '/api/registry/services/demo-service', 'acme-admin', { is_shared: true })
    const seen = (await ask(node, 'GET', '/api/registry/services', 'other-user')).body
    expect(seen).toMatchObject([{ name: 'demo-service', host: '', port: 0, url: '/api/demo-service/', instances: [] }])
    expect((await ask(node, 'PUT', '/api/registry/services/demo-service', 'other-admin', {})).status).toBe(403)
    expect((await ask(node, 'GET', '/api/registry/services', '')).status).toBe(401)
  })

  test.each([
    ['S7 a port beyond 65535', { port: 99_999 }, 400, 'port'],
    ['S7 a base path without a slash', { base_path: 'x' }, 400, 'base_path'],
    ['a base path that climbs', { base_path: '/a/../b' }, 400, 'base_path'],
    ['a name that is no slug', { name: 'Not A Slug' }, 400, 'name'],
    ['a name of the hub’s own', { name: 'keys' }, 409, 'name'],
    ['B7.7 a text that is too long', { display_name: 'x'.repeat(201) }, 400, 'display_name'],
    ['a health check of somebody else', { health_check_url: 'http://169.254.169.254/latest' }, 400, 'health_check_url'],
    ['an address of metadata', { host: '169.254.169.254' }, 400, '169.254.169.254'],
    [
      'an endpoint twice',
      {
        endpoints: [
          { path: '/a', method: 'GET' },
          { path: '/a', method: 'get' },
        ],
      },
      400,
      'declared twice',
    ],
    [
      'a role that is none',
      { endpoints: [{ path: '/a', method: 'GET', required_roles: ['boss'] }] },
      400,
      'required_roles',
    ],
    ['a member nobody knows', { hots: '1' }, 400, 'hots'],
  ])('%s is refused clearly', async (_what, change, status, named) => {
    const node = await open()
    const manifest = demoManifest(change)
    const made = await ask(node, 'POST', '/api/registry/tokens', 'root', { prefix: 'd' })
    const as = manifest.name === 'demo-service' ? made.body.token : 'root'
    const refused = await ask(node, 'POST', '/api/registry/register', as, manifest)
    expect([refused.status, refused.headers['content-type']]).toEqual([status, expect.stringContaining('problem+json')])
    expect(refused.text).toContain(named)
    expect((await ask(node, 'GET', '/api/registry/services?active_only=false')).body).toEqual([])
    // What was refused has used nothing up.
    if (as !== 'root') expect((await ask(node, 'POST', '/api/registry/register', as, demoManifest())).status).toBe(201)
  })

  test('S1 a plugin that was up before the hub registers when it comes: registering is safe to repeat', async () => {
    const node = await open()
    const made = await ask(node, 'POST', '/api/registry/tokens', 'acme-admin', { service: 'demo-service', uses: 2 })
    const first = await ask(node, 'POST', '/api/registry/register', made.body.token, demoManifest())
    // Its answer got lost, so it knows no service token and comes with the same one again.
    const again = await ask(node, 'POST', '/api/registry/register', made.body.token, demoManifest())
    expect(again.body).toMatchObject({ id: first.body.id, instance_id: first.body.instance_id })
    expect(again.body.service_token).toMatch(/^sk-gh-/)
  })

  test('B7.9 looking at health changes nothing, and answers in the old shape', async () => {
    const node = await open()
    const { reply } = await registerNew(node)
    await pass(node, 120)
    const index = await readIndex(node)
    const health = await ask(node, 'GET', '/api/registry/health')
    expect(health.body).toMatchObject({
      stale_services_count: 1,
      stale_services: [{ id: reply.id, name: 'demo-service' }],
      instances: { critical: 1 },
      protected: false,
    })
    expect(await readIndex(node)).toBe(index)
  })

  test('by hand: an administrator registers what sends no heartbeats, and only its health path counts', async () => {
    let status = 200
    const plugin = await startPlugin(() => status)
    const node = await open()
    const manifest = demoManifest({ port: plugin.port, ephemeral: false, health_check_url: '/health' })
    const made = await ask(node, 'POST', '/api/registry/register', 'acme-admin', manifest)
    expect([made.status, made.body.tenant_id]).toEqual([201, 'acme'])
    await node.services.idle()
    expect(node.services.directory.find('demo-service')!.instances[0]!.state).toBe('passing')
    await pass(node, 90, () => node.services.idle())
    expect(node.services.directory.find('demo-service')!.instances[0]!.state).toBe('passing')
    status = 503
    await pass(node, 40, () => node.services.idle())
    expect(node.services.directory.find('demo-service')!.instances[0]!.state).toBe('critical')
  })
})

async function readIndex(node: Parameters<typeof ask>[0]): Promise<number> {
  return Number((await ask(node, 'GET', '/api/registry/watch')).headers['x-gatehouse-index'])
}
