import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, claim, codeOf, makeTenant, openNode, type TestNode } from './testing.ts'

const joe = { email: 'joe@example.com', password: 'joe has a password' }

describe.each(engines())('users on $name', ({ address }) => {
  const open = async () => {
    const node = await openNode(await address())
    const { access_token: token, user } = await claim(node)
    return { node, token, ownerId: user.id }
  }
  const make = (node: TestNode, token: string, body: object) => call(node, 'POST', '/api/users', { token, body })
  const loginAs = async (node: TestNode, body: object) => (await call(node, 'POST', '/api/auth/login', { body })).body

  test('an address is taken once, in any case', async () => {
    const { node, token } = await open()
    expect((await make(node, token, joe)).status).toBe(201)
    const again = await make(node, token, { ...joe, email: 'JOE@example.com' })
    expect(again.body.code).toBe('conflict')
    const list = await call(node, 'GET', '/api/users', { token })
    expect(list.body.data.map((user) => user.email).sort()).toEqual(['joe@example.com', 'owner@example.com'])
    expect(list.text).not.toMatch(/argon2|password/)
  })

  test('a user may look after itself only', async () => {
    const { node, token } = await open()
    await make(node, token, joe)
    const { access_token: joes } = await loginAs(node, joe)
    expect((await call(node, 'GET', '/api/auth/me', { token: joes })).body.role).toBe('user')
    expect((await call(node, 'GET', '/api/users', { token: joes })).status).toBe(403)
    const theirs = await call(node, 'POST', '/api/keys', { token, body: { name: 'k' } })
    expect((await call(node, 'GET', '/api/keys', { token: joes })).body.data).toEqual([])
    expect((await call(node, 'GET', `/api/keys/${theirs.body.id}`, { token: joes })).status).toBe(404)
  })

  test('a tenant_admin reaches the keys of the own tenant, and another tenant has none for it', async () => {
    const { node, token } = await open()
    const [a, b] = [await makeTenant(node, token, 'a'), await makeTenant(node, token, 'b')]
    await make(node, token, { ...joe, role: 'tenant_admin', tenant_id: a })
    const { access_token: joes } = await loginAs(node, joe)
    const foreign = await call(node, 'POST', '/api/keys', { token, body: { name: 'b', tenant_id: b } })
    expect((await call(node, 'DELETE', `/api/keys/${foreign.body.id}`, { token: joes })).status).toBe(404)
    const astray = await call(node, 'POST', '/api/keys', { token: joes, body: { name: 'a', tenant_id: b } })
    expect(astray.status).toBe(404)
    const own = await call(node, 'POST', '/api/keys', { token: joes, body: { name: 'a' } })
    expect(own.body.tenant_id).toBe(a)
    expect((await call(node, 'DELETE', `/api/keys/${own.body.id}`, { token: joes })).status).toBe(204)
  })

  test('a disabled user is out at once, with its keys', async () => {
    const { node, token } = await open()
    await makeTenant(node, token, 't')
    const { id } = (await make(node, token, { ...joe, role: 'tenant_admin', tenant_id: 't' })).body
    const { access_token: joes } = await loginAs(node, joe)
    const { key } = (await call(node, 'POST', '/api/keys', { token: joes, body: { name: 'k' } })).body
    expect(node.identity.byApiKey(key)).toMatchObject({ userId: id })
    await call(node, 'PATCH', `/api/users/${id}`, { token, body: { enabled: false } })
    expect((await call(node, 'GET', '/api/auth/me', { token: joes })).status).toBe(401)
    expect((await call(node, 'POST', '/api/auth/login', { body: joe })).status).toBe(401)
    expect(await codeOf(() => node.identity.byApiKey(key))).toBe('invalid_api_key')
  })

  test('a deleted user is out at once, with its keys', async () => {
    const { node, token } = await open()
    await makeTenant(node, token, 't')
    const { id } = (await make(node, token, { ...joe, role: 'tenant_admin', tenant_id: 't' })).body
    const { access_token: joes } = await loginAs(node, joe)
    const { key } = (await call(node, 'POST', '/api/keys', { token: joes, body: { name: 'k' } })).body
    expect((await call(node, 'DELETE', `/api/users/${id}`, { token })).status).toBe(204)
    expect((await call(node, 'GET', '/api/auth/me', { token: joes })).status).toBe(401)
    expect(await codeOf(() => node.identity.byApiKey(key))).toBe('invalid_api_key')
  })

  test('the last enabled super_admin can be neither removed, disabled nor demoted', async () => {
    const node = await openNode(await address(), { adminKey: 'a-long-admin-key' })
    const admin = 'a-long-admin-key'
    const owner = (await make(node, admin, { ...joe, role: 'super_admin' })).body
    const path = `/api/users/${owner.id}`
    expect((await call(node, 'DELETE', path, { token: admin })).status).toBe(409)
    expect((await call(node, 'PATCH', path, { token: admin, body: { enabled: false } })).status).toBe(409)
    expect((await call(node, 'PATCH', path, { token: admin, body: { role: 'user' } })).status).toBe(409)
    const { access_token: joes } = await loginAs(node, joe)
    await make(node, admin, { ...joe, email: 'other@example.com', role: 'super_admin' })
    expect((await call(node, 'PATCH', path, { token: admin, body: { role: 'user' } })).status).toBe(200)
    // The old role ends with the session that held it.
    expect((await call(node, 'GET', '/api/users', { token: joes })).status).toBe(401)
  })

  test('of two administrators who remove each other at once, one stays', async () => {
    const { node, token, ownerId } = await open()
    const other = (await make(node, token, { ...joe, role: 'super_admin' })).body
    const { access_token: joes } = await loginAs(node, joe)
    const statuses = await Promise.all([
      call(node, 'DELETE', `/api/users/${other.id}`, { token }),
      call(node, 'DELETE', `/api/users/${ownerId}`, { token: joes }),
    ])
    expect(statuses.map((answer) => answer.status).filter((status) => status === 204)).toHaveLength(1)
    expect(await node.db.selectFrom('users').select('id').execute()).toHaveLength(1)
  })
})
