import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { createApiKey } from '../platform/secrets.ts'
import { readCredential } from './authenticate.ts'
import { call, claim, openNode } from './testing.ts'

describe('the credential of a model path', () => {
  test.each([
    [{ authorization: 'Bearer a' }, '/', 'a'],
    [{ authorization: 'bEaReR  a ' }, '/', 'a'],
    [{ authorization: 'Bearer a', 'x-api-key': 'b', 'x-goog-api-key': 'c' }, '/?key=d', 'a'],
    [{ 'x-api-key': 'b', 'x-goog-api-key': 'c' }, '/?key=d', 'b'],
    [{ 'x-goog-api-key': 'c' }, '/?key=d', 'c'],
    [{ authorization: 'Basic a' }, '/v1?alt=sse&key=d%2Be', 'd+e'],
    [{ authorization: 'Bearer ' }, '/?key=', null],
    [{}, '/', null],
  ])('of %j at %s is %s', (headers, url, expected) => {
    expect(readCredential(headers, url)).toBe(expected)
  })
})

describe.each(engines())('control credentials on $name', ({ address }) => {
  const adminKey = 'a-long-admin-key'

  test('ADMIN_KEY opens control routes as bearer and as X-Admin-Key, a wrong one is 401', async () => {
    const node = await openNode(await address(), { adminKey })
    const ask = async (headers: Record<string, string>) => {
      const answer = await node.app.inject({ url: '/admin/users', headers })
      return answer.statusCode
    }
    expect(await ask({ authorization: `Bearer ${adminKey}` })).toBe(200)
    expect(await ask({ authorization: `bearer ${adminKey}` })).toBe(200)
    expect(await ask({ 'x-admin-key': adminKey })).toBe(200)
    expect(await ask({ 'x-admin-key': `${adminKey}x` })).toBe(401)
    expect(await ask({ authorization: 'Bearer admin-secret-key-change-this' })).toBe(401)
    expect(await ask({})).toBe(401)
  })

  test('an empty ADMIN_KEY is nobody', async () => {
    const node = await openNode(await address())
    await claim(node)
    for (const headers of [{ 'x-admin-key': '' }, { authorization: 'Bearer ' }, { 'x-admin-key': ' ' }]) {
      const answer = await node.app.inject({ url: '/api/users', headers })
      expect(answer.statusCode).toBe(401)
    }
  })

  test('API keys never open control routes', async () => {
    const node = await openNode(await address(), { adminKey })
    const made = await call(node, 'POST', '/api/keys', { token: adminKey, body: { name: 'app' } })
    expect((await call(node, 'GET', '/api/keys', { token: made.body.key })).status).toBe(403)
    expect((await call(node, 'GET', '/api/keys', { token: createApiKey() })).status).toBe(403)
  })

  test('a forged session token opens nothing', async () => {
    const node = await openNode(await address())
    const { access_token: token } = await claim(node)
    const [head, body] = token.split('.') as [string, string, string]
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    for (const forged of [`${none}.${body}.`, `${head}.${body}.${'A'.repeat(43)}`, 'a.b.c']) {
      expect((await call(node, 'GET', '/api/auth/me', { token: forged })).status).toBe(401)
    }
    expect((await call(node, 'GET', '/api/auth/me', { token })).status).toBe(200)
  })
})
