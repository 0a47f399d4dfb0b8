import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { normaliseEmail } from './emails.ts'
import { call, claim, openNode, ownerLogin, type TestNode } from './testing.ts'

const password = 'a password of its own'

describe('an address has one form', () => {
  test.each([
    ['Ana@Example.COM', 'ana@example.com'],
    [' ana@example.com ', 'ana@example.com'],
    ['Ana@BÜCHER.example', 'ana@xn--bcher-kva.example'],
    ['ana@bu\u0308cher.example', 'ana@xn--bcher-kva.example'],
    ['用户@例子.中国', '用户@xn--fsqu00a.xn--fiqs8s'],
    ['jose\u0301@example.com', 'jos\u00e9@example.com'],
  ])('%s', (written, normal) => {
    expect(normaliseEmail(written)).toBe(normal)
    expect(normaliseEmail(normal)).toBe(normal)
  })

  test.each(['', 'ana', '@example.com', 'ana@', 'ana@localhost', 'a b@example.com', 'a@b@c.de', 'ana@exa_mple.com'])(
    '%j is none',
    (written) => {
      expect(normaliseEmail(written)).toBeNull()
    },
  )
})

describe.each(engines())('people on $name', ({ address }) => {
  const open = async () => {
    const node = await openNode(await address())
    const { access_token: token, user } = await claim(node)
    await call(node, 'POST', '/api/tenants', { token, body: { name: 'acme' } })
    return { node, token, ownerId: user.id }
  }
  const make = (node: TestNode, token: string, name: string, body: object = {}) =>
    call(node, 'POST', '/api/users', { token, body: { email: `${name}@example.com`, password, ...body } })
  const login = async (node: TestNode, name: string) =>
    (await call(node, 'POST', '/api/auth/login', { body: { email: `${name}@example.com`, password } })).body

  // S8: whoever called the ancestor's register made itself super_admin.
  test('S8 nobody registers by itself, whatever role it asks for', async () => {
    const { node } = await open()
    for (const path of ['/api/auth/register', '/auth/register']) {
      const body = { username: 'eve', email: 'eve@example.com', password, role: 'super_admin' }
      const answer = await call(node, 'POST', path, { body })
      expect(answer.status).toBe(403)
      expect(answer.body.detail).toContain('invitation')
    }
    expect(await node.db.selectFrom('users').select('id').execute()).toHaveLength(1)
  })

  // S10: any person of the ancestor read everybody's data.
  test('S10 a tenant_admin sees the people of its tenant and no others', async () => {
    const { node, token, ownerId } = await open()
    await make(node, token, 'boss', { role: 'tenant_admin', tenant_id: 'acme' })
    await make(node, token, 'ann', { tenant_id: 'acme' })
    const bob = (await make(node, token, 'bob')).body
    const { access_token: boss } = await login(node, 'boss')
    const list = await call(node, 'GET', '/api/users', { token: boss })
    expect(list.body.data.map((user) => user.email).sort()).toEqual(['ann@example.com', 'boss@example.com'])
    const absent = await call(node, 'GET', '/api/users/usr_never', { token: boss })
    for (const id of [bob.id, ownerId]) {
      for (const [method, path] of [
        ['GET', ''],
        ['PATCH', ''],
        ['DELETE', ''],
        ['GET', '/sessions'],
        ['DELETE', '/sessions'],
        ['DELETE', '/sessions/ses_x'],
        ['DELETE', '/totp'],
        ['POST', '/unlock'],
      ] as const) {
        const answer = await call(node, method, `/api/users/${id}${path}`, {
          token: boss,
          ...(method === 'PATCH' && { body: { name: 'x' } }),
        })
        expect(answer.status).toBe(404)
        expect({ ...answer.body, request_id: '', trace_id: '' }).toEqual({
          ...absent.body,
          ...{ request_id: '', trace_id: '', detail: absent.body.detail.replace('usr_never', id) },
        })
      }
    }
  })

  // S11: the ancestor's refresh token opened nothing, and there was no route to trade it.
  test('S11 a refresh token is traded for new tokens, and opens nothing by itself', async () => {
    const { node } = await open()
    const { body } = await call(node, 'POST', '/auth/login', { body: ownerLogin })
    expect(body.expires_in).toBe(1800)
    expect((await call(node, 'GET', '/api/auth/me', { token: body.refresh_token })).status).toBe(401)
    const traded = await call(node, 'POST', '/auth/refresh', { body: { refresh_token: body.refresh_token } })
    expect(traded.status).toBe(200)
    expect(traded.body.access_token).not.toBe('')
  })

  test('a tenant_admin gives no role above its own and puts nobody elsewhere', async () => {
    const { node, token } = await open()
    await make(node, token, 'boss', { role: 'tenant_admin', tenant_id: 'acme' })
    const { access_token: boss } = await login(node, 'boss')
    expect((await make(node, boss, 'eve', { role: 'super_admin' })).status).toBe(403)
    expect((await make(node, boss, 'eve', { tenant_id: 'hub' })).status).toBe(404)
    const own = await make(node, boss, 'eve')
    expect(own.body).toMatchObject({ role: 'user', is_active: true })
    const path = `/api/users/${own.body.id}`
    expect((await call(node, 'PATCH', path, { token: boss, body: { role: 'super_admin' } })).status).toBe(403)
    expect((await call(node, 'PATCH', path, { token: boss, body: { tenant_id: 'hub' } })).status).toBe(404)
    expect((await call(node, 'PATCH', path, { token: boss, body: { role: 'tenant_admin' } })).status).toBe(200)
    expect((await call(node, 'PATCH', path, { token: boss, body: { is_active: false } })).body.is_active).toBe(false)
  })

  test("a tenant_admin of the hub's own tenant has no power over a super_admin there", async () => {
    const { node, token, ownerId } = await open()
    await make(node, token, 'boss', { role: 'tenant_admin' })
    const { access_token: boss } = await login(node, 'boss')
    expect((await call(node, 'GET', `/api/users/${ownerId}`, { token: boss })).status).toBe(200)
    for (const [method, path, body] of [
      ['PATCH', '', { password: 'taken over by boss' }],
      ['DELETE', '', undefined],
      ['DELETE', '/totp', undefined],
      ['DELETE', '/sessions', undefined],
      ['POST', '/unlock', undefined],
    ] as const) {
      const answer = await call(node, method, `/api/users/${ownerId}${path}`, { token: boss, ...(body && { body }) })
      expect(answer.status).toBe(403)
    }
  })

  test('nobody chooses its own role, tenant or standing', async () => {
    const { node, token, ownerId } = await open()
    await make(node, token, 'boss', { role: 'tenant_admin', tenant_id: 'acme' })
    const boss = await login(node, 'boss')
    for (const body of [
      { role: 'user' },
      { tenant_id: 'acme' },
      { enabled: true },
      { password: 'without the old one' },
    ]) {
      for (const [id, by] of [
        [boss.user.id, boss.access_token],
        [ownerId, token],
      ] as const) {
        expect((await call(node, 'PATCH', `/api/users/${id}`, { token: by, body })).status).toBe(403)
      }
      expect((await call(node, 'PATCH', '/api/auth/me', { token, body })).status).toBe(400)
    }
    const self = await call(node, 'PATCH', '/api/auth/me', { token, body: { name: 'Me', language: 'zh' } })
    expect(self.body).toMatchObject({ name: 'Me', language: 'zh', role: 'super_admin' })
  })

  test('an address is one person however it is written; a user name is a second way in, taken once', async () => {
    const { node, token } = await open()
    expect((await make(node, token, 'x', { email: 'Ana@BÜCHER.example', username: 'Ana.B' })).status).toBe(201)
    expect((await make(node, token, 'x', { email: 'ana@xn--bcher-kva.example' })).status).toBe(409)
    expect((await make(node, token, 'y', { username: 'ana.b' })).status).toBe(409)
    expect((await make(node, token, 'y', { username: 'a@b' })).status).toBe(400)
    for (const body of [{ email: 'ANA@bücher.example' }, { username: 'ANA.b' }, { username: 'ana@bücher.example' }]) {
      expect((await call(node, 'POST', '/api/auth/login', { body: { ...body, password } })).status).toBe(200)
    }
    const both = { email: 'a@b.de', username: 'ana.b', password }
    expect((await call(node, 'POST', '/api/auth/login', { body: both })).status).toBe(400)
  })

  test("an administrator sees and ends its people's sessions", async () => {
    const { node, token } = await open()
    const { id } = (await make(node, token, 'ann')).body
    const [one, two] = [await login(node, 'ann'), await login(node, 'ann')]
    const list = (await call(node, 'GET', `/api/users/${id}/sessions`, { token })).body.data
    expect(list).toHaveLength(2)
    const me = async (by: string) => (await call(node, 'GET', '/api/auth/me', { token: by })).status
    const end = (path: string) => call(node, 'DELETE', `/api/users/${id}/sessions${path}`, { token })
    expect((await end(`/${list[0]!.id}`)).status).toBe(204)
    expect((await end(`/${list[0]!.id}`)).status).toBe(404)
    expect([await me(one.access_token), await me(two.access_token)].sort()).toEqual([200, 401])
    expect((await end('')).status).toBe(204)
    expect([await me(one.access_token), await me(two.access_token)]).toEqual([401, 401])
  })

  test('a person ends all its other sessions at once', async () => {
    const { node, token } = await open()
    await make(node, token, 'ann')
    const [one, two] = [await login(node, 'ann'), await login(node, 'ann')]
    expect((await call(node, 'DELETE', '/api/auth/sessions', { token: one.access_token })).status).toBe(204)
    expect((await call(node, 'GET', '/api/auth/me', { token: one.access_token })).status).toBe(200)
    expect((await call(node, 'GET', '/api/auth/me', { token: two.access_token })).status).toBe(401)
  })
})
