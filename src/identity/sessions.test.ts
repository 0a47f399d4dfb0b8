import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { type AnswerBody, call, claim, eventually, openNode, ownerLogin, type TestNode } from './testing.ts'

describe.each(engines())('sessions on $name', ({ address }) => {
  const open = async () => {
    const node = await openNode(await address())
    return { node, owner: await claim(node) }
  }
  const login = async (node: TestNode, body: object = ownerLogin): Promise<AnswerBody> =>
    (await call(node, 'POST', '/api/auth/login', { body })).body
  const refresh = (node: TestNode, refresh_token: string) =>
    call(node, 'POST', '/api/auth/refresh', { body: { refresh_token } })
  const me = async (node: TestNode, token: string) => (await call(node, 'GET', '/api/auth/me', { token })).status

  test('a log-in answers tokens and the user, whatever the case of the address', async () => {
    const { node } = await open()
    const answer = await call(node, 'POST', '/auth/login', { body: { ...ownerLogin, email: ' OWNER@example.COM' } })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      token_type: 'bearer',
      expires_in: 1800,
      user: { email: 'owner@example.com', role: 'super_admin', enabled: true },
    })
    expect(answer.text).not.toContain('argon2')
    const now = new Date(node.clock.now()).toISOString()
    expect(answer.body.user.last_login_at).toBe(now)
  })

  test('a wrong password and an unknown user are told apart by nothing', async () => {
    const { node } = await open()
    const wrong = await call(node, 'POST', '/api/auth/login', { body: { ...ownerLogin, password: 'not this one' } })
    const unknown = await call(node, 'POST', '/api/auth/login', { body: { email: 'x@y.z', password: 'not this one' } })
    expect(wrong.status).toBe(401)
    const { request_id: _, trace_id: ___, ...one } = wrong.body
    const { request_id: __, trace_id: ____, ...other } = unknown.body
    expect(one).toEqual(other)
  })

  test('after five failures an address is turned away from an account, and others are not', async () => {
    const { node } = await open()
    const attempt = async (password: string, ip: string) =>
      (await call(node, 'POST', '/api/auth/login', { body: { ...ownerLogin, password }, ip })).status
    const wrong = await Promise.all(Array.from({ length: 6 }, () => attempt('wrong password', '203.0.113.5')))
    expect(wrong.sort()).toEqual([...Array(5).fill(401), 429])
    expect(await attempt(ownerLogin.password, '203.0.113.5')).toBe(429)
    expect(await attempt(ownerLogin.password, '203.0.113.6')).toBe(200)
  })

  test('a refresh gives new tokens, and the old access token ends by itself', async () => {
    const { node, owner } = await open()
    await node.clock.advance(29 * 60_000)
    expect(await me(node, owner.access_token)).toBe(200)
    const next = await refresh(node, owner.refresh_token)
    expect(next.status).toBe(200)
    await node.clock.advance(60_000)
    expect(await me(node, owner.access_token)).toBe(401)
    expect(await me(node, next.body.access_token)).toBe(200)
  })

  test('a refresh token used twice ends its session, for both who hold a copy', async () => {
    const { node, owner } = await open()
    const other = await login(node)
    const rightful = (await refresh(node, owner.refresh_token)).body
    expect((await refresh(node, owner.refresh_token)).body.code).toBe('session_expired')
    expect((await refresh(node, rightful.refresh_token)).status).toBe(401)
    expect(await me(node, rightful.access_token)).toBe(401)
    expect(await me(node, other.access_token)).toBe(200)
  })

  test('of two refreshes at once only one succeeds', async () => {
    const { node, owner } = await open()
    const answers = await Promise.all([refresh(node, owner.refresh_token), refresh(node, owner.refresh_token)])
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401])
  })

  test('a session lives for seven days from its last refresh, and is forgotten a day later', async () => {
    const { node, owner } = await open()
    const days = 24 * 3_600_000
    const row = await node.db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
    expect(row.expires_at - row.created_at).toBe(7 * days)
    await node.db.updateTable('sessions').set({ expires_at: node.clock.now() }).execute()
    expect((await refresh(node, owner.refresh_token)).status).toBe(401)
    await node.db
      .updateTable('sessions')
      .set({ expires_at: node.clock.now() - days })
      .execute()
    await node.clock.advance(3_600_000)
    await eventually(node, async () => (await node.db.selectFrom('sessions').select('id').execute()).length === 0)
  })

  test('a log-out holds here at once, and on another node within the poll', async () => {
    const url = await address()
    const here = await openNode(url)
    const owner = await claim(here)
    const there = await openNode(url)
    expect(await me(there, owner.access_token)).toBe(200)
    expect((await call(here, 'POST', '/api/auth/logout', { token: owner.access_token })).status).toBe(204)
    expect(await me(here, owner.access_token)).toBe(401)
    expect((await refresh(here, owner.refresh_token)).status).toBe(401)
    await eventually(there, async () => (await me(there, owner.access_token)) === 401)
  })

  test('sessions need no store to be recognised, and an ended one stays ended without it', async () => {
    const { node, owner } = await open()
    const ended = await login(node)
    await call(node, 'POST', '/api/auth/logout', { token: ended.access_token })
    await node.database.close()
    const by = async (token: string) =>
      Promise.resolve()
        .then(() => node.identity.byControlCredential({ authorization: `Bearer ${token}` }))
        .then(
          (principal) => principal?.id,
          (error) => error.code,
        )
    expect(await by(owner.access_token)).toBe(owner.user.id)
    expect(await by(ended.access_token)).toBe('session_expired')
  })

  test('the list shows open sessions once each and marks this one; one can be ended by its id', async () => {
    const { node, owner } = await open()
    const other = await login(node)
    await refresh(node, other.refresh_token)
    const list = async () => (await call(node, 'GET', '/api/auth/sessions', { token: owner.access_token })).body.data
    const rows = await list()
    expect(rows.map((row) => row.current).sort()).toEqual([false, true])
    const { id } = rows.find((row) => !row.current)!
    const end = () => call(node, 'DELETE', `/api/auth/sessions/${id}`, { token: owner.access_token })
    expect((await end()).status).toBe(204)
    expect((await end()).status).toBe(404)
    expect(await me(node, other.access_token)).toBe(401)
    expect(await list()).toHaveLength(1)
  })

  test('a new password ends the other sessions and keeps this one', async () => {
    const { node, owner } = await open()
    const other = await login(node)
    const change = (body: object) => call(node, 'POST', '/api/auth/password', { token: owner.access_token, body })
    const next = 'an entirely new one'
    expect((await change({ current_password: 'wrong password', new_password: next })).status).toBe(401)
    expect((await change({ current_password: ownerLogin.password, new_password: 'short' })).status).toBe(400)
    expect((await change({ current_password: ownerLogin.password, new_password: next })).status).toBe(204)
    expect(await me(node, owner.access_token)).toBe(200)
    expect(await me(node, other.access_token)).toBe(401)
    expect((await login(node, { ...ownerLogin, password: next })).expires_in).toBe(1800)
  })
})
