import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, claim, openNode, type TestNode } from './testing.ts'

const password = 'a password of its own'

describe.each(engines())('invitations on $name', ({ address }) => {
  const open = async (options: Parameters<typeof openNode>[1] = {}) => {
    const node = await openNode(await address(), options)
    const { access_token: token } = await claim(node)
    await call(node, 'POST', '/api/tenants', { token, body: { name: 'acme', display_name: 'Acme 公司' } })
    return { node, token }
  }
  const invite = (node: TestNode, token: string, body: object) =>
    call(node, 'POST', '/api/invitations', { token, body: { email: 'Ann@example.com', ...body } })
  const accept = (node: TestNode, body: object) =>
    call(node, 'POST', '/api/auth/invitation/accept', { body: { password, ...body } })

  test('without mail the link is told once; whoever accepts is what it was invited as, whatever it asks for', async () => {
    const { node, token } = await open()
    const made = await invite(node, token, { role: 'tenant_admin', tenant_id: 'acme' })
    expect(made.body).toMatchObject({ mailed: false, email: 'ann@example.com', role: 'tenant_admin' })
    expect(made.body.link).toBe(`https://hub.example.com/login/invitation#token=${made.body.token}`)
    const list = await call(node, 'GET', '/api/invitations', { token })
    expect(list.body.data).toMatchObject([{ id: made.body.id }])
    expect(list.text).not.toContain(made.body.token)
    const stored = JSON.stringify(await node.db.selectFrom('invitations').selectAll().execute())
    expect(stored).not.toContain(made.body.token)

    expect((await accept(node, { token: made.body.token, role: 'super_admin' })).status).toBe(400)
    expect((await accept(node, { token: made.body.token, password: 'short' })).status).toBe(400)
    const accepted = await accept(node, { token: made.body.token, name: 'Ann' })
    expect(accepted.body.user).toMatchObject({ email: 'ann@example.com', role: 'tenant_admin' })
    expect((await call(node, 'GET', '/api/auth/me', { token: accepted.body.access_token })).body.name).toBe('Ann')
    expect((await accept(node, { token: made.body.token })).body.code).toBe('invalid_token')
  })

  test('of five who accept one invitation at once, one is made', async () => {
    const { node, token } = await open()
    const made = (await invite(node, token, {})).body
    const answers = await Promise.all(Array.from({ length: 5 }, () => accept(node, { token: made.token })))
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
    expect(await node.db.selectFrom('users').select('id').execute()).toHaveLength(2)
  })

  test('with mail it is sent in the language asked for, and nobody else sees the link', async () => {
    const { node, token } = await open({ canMail: true })
    const made = await invite(node, token, { tenant_id: 'acme', language: 'zh' })
    expect(made.body).toMatchObject({ mailed: true, link: null, token: null })
    expect(node.mails).toHaveLength(1)
    expect(node.mails[0]).toMatchObject({ to: 'ann@example.com', subject: '邀请您加入 Gatehouse' })
    expect(node.mails[0]!.text).toContain('Acme 公司')
    const [, mailed] = /#token=(\S+)/.exec(node.mails[0]!.text)!
    expect((await accept(node, { token: mailed })).status).toBe(200)
  })

  test('one that is late, withdrawn, replaced, or of a tenant switched off opens nothing', async () => {
    const { node, token } = await open({ settings: { invitation_hours: 24 } })
    const first = (await invite(node, token, {})).body
    const second = (await invite(node, token, {})).body
    expect((await accept(node, { token: first.token })).body.code).toBe('invalid_token')
    expect((await call(node, 'DELETE', `/api/invitations/${second.id}`, { token })).status).toBe(204)
    expect((await call(node, 'DELETE', `/api/invitations/${second.id}`, { token })).status).toBe(404)
    expect((await accept(node, { token: second.token })).status).toBe(400)
    const off = (await invite(node, token, { tenant_id: 'acme' })).body
    await call(node, 'PATCH', '/api/tenants/acme', { token, body: { enabled: false } })
    expect((await accept(node, { token: off.token })).status).toBe(400)
    const late = (await invite(node, token, { email: 'late@example.com' })).body
    await node.db.updateTable('invitations').set({ expires_at: node.clock.now() }).execute()
    expect((await accept(node, { token: late.token })).status).toBe(400)
  })

  test('a tenant_admin invites into its own tenant only, up to its own role', async () => {
    const { node, token } = await open()
    const boss = (await invite(node, token, { role: 'tenant_admin', tenant_id: 'acme' })).body
    const { access_token } = (await accept(node, { token: boss.token })).body
    const by = (body: object) => invite(node, access_token, { email: 'eve@example.com', ...body })
    expect((await by({ role: 'super_admin' })).status).toBe(403)
    expect((await by({ tenant_id: 'hub' })).status).toBe(404)
    const own = await by({})
    expect(own.status).toBe(201)
    const theirs = (await invite(node, token, { email: 'other@example.com' })).body
    const seen = (await call(node, 'GET', '/api/invitations', { token: access_token })).body.data
    expect(seen.map((row) => row.id)).toEqual([own.body.id])
    expect((await call(node, 'DELETE', `/api/invitations/${theirs.id}`, { token: access_token })).status).toBe(404)
  })
})
