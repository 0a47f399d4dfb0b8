import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, claim, eventually, openNode, ownerLogin, type TestNode } from './testing.ts'

const setup = (node: TestNode, body: object) => call(node, 'POST', '/api/auth/setup', { body })

describe.each(engines())('set-up on $name', ({ address }) => {
  test('the token makes the owner once and logs in', async () => {
    const node = await openNode(await address())
    const token = node.identity.setupToken()
    expect(token).toMatch(/^setup_[\w-]{32}$/)
    expect(node.identity.isClaimed()).toBe(false)
    const answer = await setup(node, { token, ...ownerLogin, name: 'Ada' })
    expect(answer.body.user).toMatchObject({ role: 'super_admin', name: 'Ada', email: 'owner@example.com' })
    expect(node.identity.isClaimed()).toBe(true)
    expect(node.identity.setupToken()).toBeNull()
    expect((await setup(node, { token, ...ownerLogin })).status).toBe(401)
  })

  test('4.9.39 a denial looks the same before and after, with a wrong token and without one', async () => {
    const node = await openNode(await address())
    const deny = async (body: object) => {
      const { status, body: problem } = await setup(node, { ...ownerLogin, ...body })
      return { ...problem, status, request_id: '', trace_id: '' }
    }
    const first = await deny({ token: 'setup_wrong' })
    expect(first.status).toBe(401)
    expect(await deny({})).toEqual(first)
    const token = node.identity.setupToken()
    await claim(node)
    expect(await deny({ token: 'setup_wrong' })).toEqual(first)
    expect(await deny({})).toEqual(first)
    expect(await deny({ token })).toEqual(first)
  })

  test('of ten claims at once, on two nodes, one wins', async () => {
    const url = await address()
    const nodes = [await openNode(url), await openNode(url)]
    const token = nodes[1]!.identity.setupToken()
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        setup(nodes[i % 2]!, { token, ...ownerLogin, email: `owner${i}@example.com` }),
      ),
    )
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
    expect(answers.filter((answer) => answer.status === 401)).toHaveLength(9)
    expect(await nodes[0]!.db.selectFrom('users').select('id').execute()).toHaveLength(1)
    for (const node of nodes) {
      await eventually(node, () => node.identity.isClaimed())
    }
  })

  test('the caller cannot choose its role', async () => {
    const node = await openNode(await address())
    const answer = await setup(node, { token: node.identity.setupToken(), ...ownerLogin, role: 'user' })
    expect(answer.status).toBe(400)
    expect(answer.body.errors).toMatchObject([{ path: 'role' }])
  })

  test('a weak password does not use the token up', async () => {
    const node = await openNode(await address())
    const token = node.identity.setupToken()
    for (const password of ['short', 'OWNER@example.com', 'x'.repeat(1025)]) {
      const answer = await setup(node, { token, ...ownerLogin, password })
      expect(answer.body).toMatchObject({ code: 'invalid_request' })
    }
    expect((await setup(node, { token, ...ownerLogin })).status).toBe(200)
  })

  test('a restart before the claim makes a new token and ends the old one', async () => {
    const url = await address()
    const before = (await openNode(url)).identity.setupToken()
    const node = await openNode(url)
    expect(node.identity.setupToken()).not.toBe(before)
    expect((await setup(node, { token: before, ...ownerLogin })).status).toBe(401)
    expect(await claim(node)).toBeDefined()
    const again = await openNode(url)
    expect(again.identity.setupToken()).toBeNull()
    expect(again.identity.isClaimed()).toBe(true)
  })

  test('ADMIN_KEY counts as claimed: no token is made', async () => {
    const node = await openNode(await address(), { adminKey: 'a-long-admin-key' })
    expect(node.identity.isClaimed()).toBe(true)
    expect(node.identity.setupToken()).toBeNull()
    expect((await setup(node, { token: '', ...ownerLogin })).status).toBe(401)
  })

  test('ADMIN_KEY ends a token that an earlier start printed', async () => {
    const url = await address()
    const token = (await openNode(url)).identity.setupToken()
    const node = await openNode(url, { adminKey: 'a-long-admin-key' })
    expect((await setup(node, { token, ...ownerLogin })).status).toBe(401)
  })

  test('neither token nor password is in the store', async () => {
    const node = await openNode(await address())
    const token = node.identity.setupToken()!
    const settings = JSON.stringify(await node.db.selectFrom('settings').selectAll().execute())
    expect(settings).not.toContain(token)
    const { refresh_token } = await claim(node)
    const users = JSON.stringify(await node.db.selectFrom('users').selectAll().execute())
    expect(users).not.toContain(ownerLogin.password)
    const sessions = JSON.stringify(await node.db.selectFrom('sessions').selectAll().execute())
    expect(sessions).not.toContain(refresh_token)
  })
})
