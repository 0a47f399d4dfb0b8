import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, claim, openNode, ownerLogin, type TestNode } from './testing.ts'

describe.each(engines())('a forgotten password on $name', ({ address }) => {
  const open = async (canMail = true) => {
    const node = await openNode(await address(), { canMail })
    return { node, owner: await claim(node) }
  }
  const ask = (node: TestNode, email: string, language = 'en') =>
    call(node, 'POST', '/api/auth/password/reset-request', { body: { email }, language })
  const redeem = (node: TestNode, token: string, new_password: string) =>
    call(node, 'POST', '/api/auth/password/reset', { body: { token, new_password } })
  const mailed = async (node: TestNode, count: number) => {
    await expect.poll(() => node.mails.length).toBe(count)
    return /#token=(\S+)/.exec(node.mails.at(-1)!.text)![1]!
  }
  const next = 'an entirely new one'

  test('whether anybody has an address shows neither in the answer nor in what is done before it', async () => {
    const { node } = await open()
    const known = await ask(node, ownerLogin.email)
    const unknown = await ask(node, 'nobody@example.com')
    expect(known).toMatchObject({ status: 202, body: { status: 'accepted' } })
    expect([unknown.status, unknown.text]).toEqual([known.status, known.text])
    await mailed(node, 1)
    // Where people are may be away altogether: the answer comes before anybody looks.
    await sql`alter table users rename to away`.execute(node.db)
    expect((await ask(node, ownerLogin.email)).status).toBe(202)
    expect((await ask(node, 'nobody@example.com')).status).toBe(202)
    // Without a store the wish cannot be written down, and nobody is told that it was taken.
    await node.database.close()
    for (const email of [ownerLogin.email, 'nobody@example.com']) {
      expect(await ask(node, email)).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    }
  })

  test('the mailed link works once, ends every session, and leaves no token in the store', async () => {
    const { node, owner } = await open()
    await ask(node, ' OWNER@example.com', 'zh-CN,zh;q=0.9')
    const token = await mailed(node, 1)
    expect(node.mails[0]).toMatchObject({ to: 'owner@example.com', subject: '重置您的 Gatehouse 密码' })
    expect(JSON.stringify(await node.db.selectFrom('password_resets').selectAll().execute())).not.toContain(token)
    expect((await redeem(node, token, 'short')).status).toBe(400)
    expect((await redeem(node, token, next)).status).toBe(204)
    expect((await redeem(node, token, 'yet another one')).body.code).toBe('invalid_token')
    expect((await call(node, 'GET', '/api/auth/me', { token: owner.access_token })).status).toBe(401)
    const { refresh_token } = owner
    expect((await call(node, 'POST', '/api/auth/refresh', { body: { refresh_token } })).status).toBe(401)
    const body = { ...ownerLogin, password: next }
    expect((await call(node, 'POST', '/api/auth/login', { body })).status).toBe(200)
    expect(await node.db.selectFrom('password_resets').selectAll().execute()).toEqual([])
    // Whoever owns the mailbox hears of it.
    expect(node.mails.at(-1)!.subject).toContain('changed')
  })

  test('a link is good for half an hour, and every other one ends with the first that is used', async () => {
    const { node } = await open()
    await ask(node, ownerLogin.email)
    const first = await mailed(node, 1)
    await ask(node, ownerLogin.email)
    const second = await mailed(node, 2)
    expect((await redeem(node, second, next)).status).toBe(204)
    expect((await redeem(node, first, 'yet another one')).status).toBe(400)
    await ask(node, ownerLogin.email)
    const late = await mailed(node, 4)
    await node.clock.advance(30 * 60_000)
    expect((await redeem(node, late, 'yet another one')).status).toBe(400)
  })

  test("nobody's mailbox is filled at a stranger's wish", async () => {
    const { node } = await open()
    for (let i = 0; i < 8; i++) expect((await ask(node, ownerLogin.email)).status).toBe(202)
    await node.identity.stop()
    expect(node.mails).toHaveLength(5)
  })

  test('a hub that cannot write to anybody says so, to everybody alike', async () => {
    const { node } = await open(false)
    for (const email of [ownerLogin.email, 'nobody@example.com']) {
      expect((await ask(node, email)).body).toMatchObject({ code: 'unavailable' })
    }
    const methods = await call(node, 'GET', '/api/auth/methods')
    expect(methods.body).toEqual({ password: true, oidc: false, password_reset: false, needs_setup: false })
  })
})
