import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, claim, codeOf, eventually, openNode, type TestNode } from './testing.ts'

const joe = { email: 'joe@example.com', password: 'joe has a password' }

describe.each(engines())('tenants on $name', ({ address }) => {
  const open = async () => {
    const url = await address()
    const node = await openNode(url)
    const { access_token: token } = await claim(node)
    return { node, token, url }
  }
  const make = (node: TestNode, token: string, body: object) => call(node, 'POST', '/api/tenants', { token, body })
  const makeJoe = async (node: TestNode, token: string, body: object) => {
    const made = await call(node, 'POST', '/api/users', { token, body: { ...joe, ...body } })
    expect(made.status).toBe(201)
    return (await call(node, 'POST', '/api/auth/login', { body: joe })).body
  }

  test('a fresh hub has its own tenant, which keeps its name and stays', async () => {
    const { node, token } = await open()
    const list = await call(node, 'GET', '/api/tenants', { token })
    expect(list.body.data).toMatchObject([{ id: 'hub', name: 'hub', enabled: true, is_active: true }])
    const hub = (method: 'GET' | 'PATCH' | 'DELETE', body?: object) =>
      call(node, method, '/api/tenants/hub', { token, ...(body && { body }) })
    expect((await hub('GET')).status).toBe(200)
    expect((await hub('PATCH', { enabled: false })).status).toBe(409)
    expect((await hub('PATCH', { name: 'other' })).status).toBe(409)
    expect((await hub('DELETE')).status).toBe(409)
    expect((await hub('PATCH', { display_name: 'Our hub' })).body.display_name).toBe('Our hub')
    expect((await make(node, token, { name: 'hub' })).status).toBe(400)
  })

  test("a tenant has the seed's shape and may be asked by id or name; a name is taken once", async () => {
    const { node, token } = await open()
    const made = await make(node, token, { name: 'acme', display_name: 'Acme', is_active: true, config: { plan: 'x' } })
    expect(made.status).toBe(201)
    expect(Object.keys(made.body)).toEqual(
      expect.arrayContaining([
        ...['id', 'name', 'display_name', 'is_active', 'config', 'enabled_services', 'created_at', 'updated_at'],
      ]),
    )
    expect(made.body).toMatchObject({ name: 'acme', config: { plan: 'x' }, enabled_services: null })
    expect(made.body.id).toMatch(/^ten_/)
    expect((await call(node, 'GET', '/api/tenants/acme', { token })).body.id).toBe(made.body.id)
    expect((await make(node, token, { name: 'acme' })).body.code).toBe('conflict')
    expect((await make(node, token, { name: 'Not A Slug' })).status).toBe(400)
    expect((await make(node, token, { name: 'b', enabled: true, is_active: false })).status).toBe(400)
    expect((await make(node, token, { name: 'b', config: { require_totp_for: ['king'] } })).status).toBe(400)
    const services = { enabled_services: ['billing', 'billing'] }
    const patched = await call(node, 'PATCH', '/api/tenants/acme', { token, body: services })
    expect(patched.body.enabled_services).toEqual(['billing'])
    expect(node.identity.tenant(made.body.id)).toMatchObject({ enabledServices: ['billing'] })
  })

  // S10: any signed-in person of the ancestor listed and made tenants.
  test('S10 a plain user makes and lists no tenants; a tenant_admin sees its own and no other', async () => {
    const { node, token } = await open()
    const own = (await make(node, token, { name: 'acme' })).body.id
    const other = (await make(node, token, { name: 'other' })).body.id
    const { access_token: admin } = await makeJoe(node, token, { role: 'tenant_admin', tenant_id: own })
    const list = await call(node, 'GET', '/api/tenants', { token: admin })
    expect(list.body.data.map((tenant) => tenant.id)).toEqual([own])
    expect((await call(node, 'GET', `/api/tenants/${own}`, { token: admin })).status).toBe(200)
    expect((await call(node, 'GET', `/api/tenants/${other}`, { token: admin })).status).toBe(404)
    expect((await call(node, 'GET', '/api/tenants/other', { token: admin })).status).toBe(404)
    expect((await make(node, admin, { name: 'mine' })).status).toBe(403)
    expect((await call(node, 'PATCH', `/api/tenants/${own}`, { token: admin, body: {} })).status).toBe(403)
    await call(node, 'POST', '/api/users', { token, body: { ...joe, email: 'ann@example.com', tenant_id: own } })
    const ann = await call(node, 'POST', '/api/auth/login', { body: { ...joe, email: 'ann@example.com' } })
    for (const [method, path] of [
      ['GET', '/api/users'],
      ['GET', '/api/tenants'],
      ['POST', '/api/tenants'],
    ] as const) {
      expect((await call(node, method, path, { token: ann.body.access_token })).status).toBe(403)
    }
  })

  test('a tenant switched off lets nobody in: sessions end and keys stop, on every node', async () => {
    const { node: here, token, url } = await open()
    const there = await openNode(url)
    const id = (await make(here, token, { name: 'acme' })).body.id
    const session = await makeJoe(here, token, { role: 'tenant_admin', tenant_id: 'acme' })
    const made = await call(here, 'POST', '/api/keys', { token: session.access_token, body: { name: 'k' } })
    const me = async (node: TestNode) =>
      (await call(node, 'GET', '/api/auth/me', { token: session.access_token })).status
    await eventually(there, async () => (await codeOf(() => there.identity.byApiKey(made.body.key))) === '')
    expect(await me(there)).toBe(200)

    await call(here, 'PATCH', `/api/tenants/${id}`, { token, body: { is_active: false } })
    expect(await me(here)).toBe(401)
    expect(await codeOf(() => here.identity.byApiKey(made.body.key))).toBe('invalid_api_key')
    expect((await call(here, 'POST', '/api/auth/login', { body: joe })).status).toBe(401)
    const { refresh_token } = session
    expect((await call(here, 'POST', '/api/auth/refresh', { body: { refresh_token } })).status).toBe(401)
    // No announcement reaches the other node here: it sees the store's revision move, within a second of its clock.
    await eventually(there, async () => (await me(there)) === 401)
    await eventually(
      there,
      async () => (await codeOf(() => there.identity.byApiKey(made.body.key))) === 'invalid_api_key',
    )

    await call(here, 'PATCH', `/api/tenants/${id}`, { token, body: { is_active: true } })
    expect(await me(here)).toBe(401)
    expect((await call(here, 'POST', '/api/auth/login', { body: joe })).status).toBe(200)
    expect(await codeOf(() => here.identity.byApiKey(made.body.key))).toBe('')
  })

  test('another node follows within two seconds of its clock', async () => {
    const { node: here, token, url } = await open()
    const there = await openNode(url)
    const id = (await make(here, token, { name: 'acme' })).body.id
    await eventually(there, () => there.identity.tenant(id) !== undefined)
    await call(here, 'PATCH', `/api/tenants/${id}`, { token, body: { enabled: false } })
    const before = there.clock.monotonic()
    await there.clock.advance(1500)
    await expect.poll(() => there.identity.tenant(id)?.enabled, { timeout: 20_000 }).toBe(false)
    expect(there.clock.monotonic() - before).toBeLessThan(2000)
  })

  test('a tenant that owns something is not deleted, and says what it owns', async () => {
    const { node, token } = await open()
    await make(node, token, { name: 'acme' })
    await makeJoe(node, token, { role: 'tenant_admin', tenant_id: 'acme' })
    const { id } = (await call(node, 'GET', '/api/tenants/acme', { token })).body
    await call(node, 'POST', '/api/keys', { token, body: { name: 'k', tenant_id: id } })
    await call(node, 'POST', '/api/service-accounts', { token, body: { name: 'nightly', tenant_id: id } })
    const refused = await call(node, 'DELETE', '/api/tenants/acme', { token })
    expect(refused.status).toBe(409)
    expect(refused.body.detail).toContain('1 person, 1 API key, 1 service account;')
    for (const what of ['users', 'keys', 'service-accounts'] as const) {
      const { data } = (await call(node, 'GET', `/api/${what}`, { token })).body
      for (const row of data.filter((one) => (one as { tenant_id?: string }).tenant_id === id)) {
        await call(node, 'DELETE', `/api/${what}/${row.id}`, { token })
      }
    }
    expect((await call(node, 'DELETE', '/api/tenants/acme', { token })).status).toBe(204)
    expect((await call(node, 'GET', '/api/tenants/acme', { token })).status).toBe(404)
  })

  test('what other rooms keep for a tenant holds it too, until it is gone there', async () => {
    const owned = { services: 2, registrationTokens: 1 }
    const asked: string[] = []
    const node = await openNode(await address(), {
      async ownedElsewhere(tenantId) {
        asked.push(tenantId)
        return owned
      },
    })
    const { access_token: token } = await claim(node)
    const { id } = (await make(node, token, { name: 'acme' })).body
    const refused = await call(node, 'DELETE', '/api/tenants/acme', { token })
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(refused.body.detail).toContain('2 plugin services, 1 registration token;')
    Object.assign(owned, { services: 0, registrationTokens: 0 })
    expect((await call(node, 'DELETE', `/api/tenants/${id}`, { token })).status).toBe(204)
    expect(asked).toEqual([id, id])
  })

  // S9: the ancestor answered 500 to both.
  test('S9 a role or tenant that is none is told, and nothing breaks', async () => {
    const { node, token } = await open()
    const post = (body: object) => call(node, 'POST', '/api/users', { token, body: { ...joe, ...body } })
    expect((await post({ role: 'bogus' })).status).toBe(400)
    const lost = await post({ tenant_id: 'nope' })
    expect(lost.status).toBe(404)
    expect(lost.body.detail).toContain('no tenant nope')
  })
})
