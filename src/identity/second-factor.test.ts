import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, openNode, ownerLogin, type TestNode } from './testing.ts'
import { codeOf, findStep, stepAt, toBase32 } from './totp.ts'

describe('codes as RFC 6238 has them', () => {
  const secret = Buffer.from('12345678901234567890')
  // https://www.rfc-editor.org/rfc/rfc6238#appendix-B, the last six of its eight digits
  test.each([
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ])('at second %d', (seconds, code) => {
    expect(codeOf(secret, stepAt(seconds * 1000))).toBe(code)
    expect(findStep(secret, `${code.slice(0, 3)} ${code.slice(3)}`, seconds * 1000)).toBe(stepAt(seconds * 1000))
  })

  test('a code is good a step early or late, and no more', () => {
    const now = 2000000000000
    const code = codeOf(secret, stepAt(now))
    const found = [-60_000, -30_000, 0, 30_000, 60_000].map((late) => findStep(secret, code, now + late) !== null)
    expect(found).toEqual([false, true, true, true, false])
    for (const other of ['', '27903', '2790377', '279038', 'abcdef']) expect(findStep(secret, other, now)).toBeNull()
  })

  test('base32 as RFC 4648 has it', () => {
    expect(toBase32(Buffer.from('foobar'))).toBe('MZXW6YTBOI')
    expect(toBase32(Buffer.from('f'))).toBe('MY')
    expect(toBase32(secret)).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
  })
})

function fromBase32(text: string): Buffer {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...text].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

describe.each(engines())('a second factor on $name', ({ address }) => {
  const open = async (settings: object = {}) => {
    const node = await openNode(await address(), { settings, adminKey: 'a-long-admin-key' })
    await call(node, 'POST', '/api/users', {
      token: 'a-long-admin-key',
      body: { ...ownerLogin, role: 'super_admin' },
    })
    return node
  }
  const login = async (node: TestNode) => (await call(node, 'POST', '/api/auth/login', { body: ownerLogin })).body
  const ownerId = async (node: TestNode) =>
    (await call(node, 'GET', '/api/users', { token: 'a-long-admin-key' })).body.data[0]!.id
  const second = (node: TestNode, body: object) => call(node, 'POST', '/api/auth/login/totp', { body })
  const codeNow = (node: TestNode, secret: string) => codeOf(fromBase32(secret), stepAt(node.clock.now()))
  const enrol = async (node: TestNode) => {
    const { access_token: token } = await login(node)
    const begun = await call(node, 'POST', '/api/auth/totp', { token, body: { password: ownerLogin.password } })
    expect(begun.status).toBe(201)
    const body = { code: codeNow(node, begun.body.secret) }
    const confirmed = await call(node, 'POST', '/api/auth/totp/confirm', { token, body })
    expect(confirmed.status).toBe(200)
    return { token, secret: begun.body.secret, codes: confirmed.body.recovery_codes, url: begun.body.otpauth_url }
  }

  test('counts once it was confirmed, and a code once: then it is asked for at every log-in', async () => {
    const node = await open()
    const { secret, url } = await enrol(node)
    expect(new URL(url).searchParams.get('secret')).toBe(secret)
    expect(decodeURIComponent(new URL(url).pathname)).toContain('owner@example.com')
    const first = await login(node)
    expect(first).toMatchObject({ mfa_required: true, mfa_enrolled: true, expires_in: 300 })
    expect(first.access_token).toBeUndefined()
    // The code of the enrolment was used; nobody who saw it may use it again.
    const replayed = await second(node, { ticket: first.ticket, code: codeNow(node, secret) })
    expect(replayed.body.code).toBe('invalid_credentials')
    await node.clock.advance(30_000)
    const code = codeNow(node, secret)
    const both = await Promise.all([1, 2].map(() => second(node, { ticket: first.ticket, code })))
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 401])
    const tokens = both.find((answer) => answer.status === 200)!.body
    expect(tokens.user).toMatchObject({ totp_enabled: true })
    expect((await call(node, 'GET', '/api/auth/me', { token: tokens.access_token })).body.totp_enabled).toBe(true)
  })

  test('an enrolment nobody confirmed asks for nothing, and takes the password', async () => {
    const node = await open()
    const { access_token: token } = await login(node)
    expect((await call(node, 'POST', '/api/auth/totp', { token, body: { password: 'wrong one' } })).status).toBe(401)
    await call(node, 'POST', '/api/auth/totp', { token, body: { password: ownerLogin.password } })
    expect((await call(node, 'POST', '/api/auth/totp/confirm', { token, body: { code: '000000' } })).status).toBe(401)
    expect((await login(node)).access_token).toBeTypeOf('string')
  })

  test('the secret and the recovery codes are nowhere in clear', async () => {
    const node = await open()
    const { secret, codes } = await enrol(node)
    const stored = JSON.stringify([
      await node.db.selectFrom('second_factors').selectAll().execute(),
      await node.db.selectFrom('recovery_codes').selectAll().execute(),
    ])
    expect(codes).toHaveLength(10)
    for (const hidden of [secret, fromBase32(secret).toString('base64'), ...codes]) expect(stored).not.toContain(hidden)
  })

  test('a recovery code works once, in any spelling', async () => {
    const node = await open()
    const { codes } = await enrol(node)
    const { ticket } = await login(node)
    const recovery_code = codes[3]!.toUpperCase().replaceAll('-', ' ')
    const done = await second(node, { ticket, recovery_code })
    expect(done.status).toBe(200)
    expect((await second(node, { ticket, recovery_code: codes[3] })).status).toBe(401)
    const status = await call(node, 'GET', '/api/auth/totp', { token: done.body.access_token })
    expect(status.body).toEqual({ enabled: true, required: false, recovery_codes_left: 9 })
  })

  test('codes are not to be guessed: five tries, then a wait, from wherever they come', async () => {
    const node = await open()
    const { secret } = await enrol(node)
    await node.clock.advance(60_000)
    const { ticket } = await login(node)
    const guess = (ip: string, code: string) =>
      call(node, 'POST', '/api/auth/login/totp', { body: { ticket, code }, ip })
    for (let i = 0; i < 5; i++) expect((await guess(`203.0.113.${i}`, '000000')).status).toBe(401)
    expect((await guess('198.51.100.1', codeNow(node, secret))).status).toBe(429)
  })

  test('a ticket ends after five minutes, with the password, and was never a session', async () => {
    const node = await open()
    const { secret } = await enrol(node)
    const { ticket } = await login(node)
    expect((await call(node, 'GET', '/api/auth/me', { token: ticket })).status).toBe(401)
    await node.clock.advance(5 * 60_000)
    expect((await second(node, { ticket, code: codeNow(node, secret) })).body.code).toBe('invalid_token')
    const again = await login(node)
    const id = await ownerId(node)
    await call(node, 'PATCH', `/api/users/${id}`, { token: 'a-long-admin-key', body: { password: 'another password' } })
    await node.clock.advance(30_000)
    expect((await second(node, { ticket: again.ticket, code: codeNow(node, secret) })).status).toBe(400)
    expect((await second(node, { ticket: `${again.ticket.slice(0, -2)}AA`, code: '000000' })).status).toBe(400)
  })

  test('it is switched off with password and code together, and by an administrator', async () => {
    const node = await open()
    const { token, secret, codes } = await enrol(node)
    const off = (body: object) => call(node, 'POST', '/api/auth/totp/disable', { token, body })
    await node.clock.advance(30_000)
    expect((await off({ password: 'wrong one', code: codeNow(node, secret) })).status).toBe(401)
    expect((await off({ password: ownerLogin.password, code: '000000' })).status).toBe(401)
    expect((await off({ password: ownerLogin.password })).status).toBe(400)
    expect((await off({ password: ownerLogin.password, recovery_code: codes[0] })).status).toBe(204)
    expect((await login(node)).access_token).toBeTypeOf('string')

    await node.clock.advance(30_000)
    const anew = await enrol(node)
    const id = await ownerId(node)
    expect((await call(node, 'DELETE', `/api/users/${id}/totp`, { token: anew.token })).status).toBe(403)
    expect((await call(node, 'DELETE', `/api/users/${id}/totp`, { token: 'a-long-admin-key' })).status).toBe(204)
    expect((await call(node, 'GET', '/api/auth/me', { token: anew.token })).status).toBe(401)
    expect((await login(node)).access_token).toBeTypeOf('string')
  })

  test('new recovery codes take a code, and the old ones end', async () => {
    const node = await open()
    const { token, secret, codes } = await enrol(node)
    const renew = (code: string) => call(node, 'POST', '/api/auth/totp/recovery-codes', { token, body: { code } })
    expect((await renew('000000')).status).toBe(401)
    await node.clock.advance(30_000)
    const fresh = (await renew(codeNow(node, secret))).body.recovery_codes
    const { ticket } = await login(node)
    expect((await second(node, { ticket, recovery_code: codes[0] })).status).toBe(401)
    expect((await second(node, { ticket, recovery_code: fresh[0] })).status).toBe(200)
  })

  test.each([
    ['the hub', { require_totp_for: ['super_admin'] }, {}],
    ['the tenant', {}, { require_totp_for: ['super_admin'] }],
  ])('where %s wants one, nobody gets in without: the log-in sets it up', async (_, settings, config) => {
    const node = await open(settings)
    const before = await call(node, 'PATCH', '/api/tenants/hub', { token: 'a-long-admin-key', body: { config } })
    expect(before.status).toBe(200)
    const first = await login(node)
    expect(first).toMatchObject({ mfa_required: true, mfa_enrolled: false })
    const begun = await call(node, 'POST', '/api/auth/login/totp/enrol', { body: { ticket: first.ticket } })
    expect((await second(node, { ticket: first.ticket, code: '000000' })).status).toBe(401)
    const done = await second(node, { ticket: first.ticket, code: codeNow(node, begun.body.secret) })
    expect(done.body.recovery_codes).toHaveLength(10)
    const { access_token: token } = done.body
    const off = { password: ownerLogin.password, recovery_code: done.body.recovery_codes[0] }
    expect((await call(node, 'POST', '/api/auth/totp/disable', { token, body: off })).status).toBe(403)
    // A ticket no longer enrols once there is one: whoever knows the password only cannot replace it.
    const later = await login(node)
    const again = await call(node, 'POST', '/api/auth/login/totp/enrol', { body: { ticket: later.ticket } })
    expect(again.status).toBe(409)
  })

  test('a session that began before it was wanted ends at its next refresh', async () => {
    const node = await open()
    const { refresh_token } = await login(node)
    const body = { config: { require_totp_for: ['super_admin'] } }
    await call(node, 'PATCH', '/api/tenants/hub', { token: 'a-long-admin-key', body })
    expect((await call(node, 'POST', '/api/auth/refresh', { body: { refresh_token } })).status).toBe(401)
  })
})
