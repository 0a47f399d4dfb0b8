import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'
import { describe, expect, onTestFinished, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { call, openNode, type TestNode } from './testing.ts'

type Account = Record<string, unknown> & { email?: string; email_verified?: boolean }

const redirectUrl = 'https://hub.example.com/login/oidc'
const admin = { token: 'a-long-admin-key' }

/** A real OpenID provider; who logs in there is who `accounts` knows by that subject. */
async function startProvider(accounts: Record<string, Account>) {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asked: string[] = []
  const provider = new Provider(issuer, {
    clients: [
      {
        ...{ client_id: 'gatehouse', client_secret: 'a-client-secret', redirect_uris: [redirectUrl] },
        ...{ response_types: ['code'], grant_types: ['authorization_code'] },
      },
    ],
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups', 'org'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    findAccount: (_context, sub) =>
      accounts[sub] === undefined ? undefined : { accountId: sub, claims: () => ({ sub, ...accounts[sub] }) },
    // Stands in for the person at the keyboard: logs in as `login_hint` and consents, without pages.
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ['a-cookie-key'] },
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
  })
  const serve = provider.callback()
  server.on('request', async (request, response) => {
    const path = request.url ?? ''
    asked.push(path.split('?')[0]!)
    if (!path.startsWith('/interaction/')) return serve(request, response)
    const { params, prompt } = await provider.interactionDetails(request, response)
    const sub = String(params.login_hint)
    if (prompt.name === 'login') {
      return provider.interactionFinished(request, response, { login: { accountId: sub } })
    }
    const grant = new provider.Grant({ accountId: sub, clientId: 'gatehouse' })
    grant.addOIDCScope('openid email profile groups')
    grant.addOIDCClaims(['email', 'email_verified', 'name', 'groups', 'org'])
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
  })
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  return { issuer, asked, server }
}

/** What a browser does: follows redirects with its cookies until the provider sends it back to the hub. */
async function browse(authorizationUrl: string, sub: string): Promise<string> {
  const cookies = new Map<string, string>()
  let url = new URL(authorizationUrl)
  url.searchParams.set('login_hint', sub)
  for (let hop = 0; hop < 10; hop++) {
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0]!.split('=') as [string, string]
      cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location === null) throw new Error(`${url.pathname} answered ${answer.status}: ${await answer.text()}`)
    url = new URL(location, url)
    if (url.href.startsWith(redirectUrl)) return url.search.slice(1)
  }
  throw new Error('the provider never sent anybody back')
}

describe.each(engines())('log-in by an OpenID provider on $name', ({ address }) => {
  const ann = { email: 'Ann@Example.com', email_verified: true, name: 'Ann' }
  const open = async (accounts: Record<string, Account>, oidc: object = {}) => {
    const provider = await startProvider(accounts)
    const settings = {
      oidc: {
        ...{ issuer: provider.issuer, client_id: 'gatehouse', client_secret: 'a-client-secret' },
        ...{ scopes: ['openid', 'email', 'profile', 'groups'], redirect_url: redirectUrl, ...oidc },
      },
    }
    const node = await openNode(await address(), { adminKey: admin.token, settings })
    return { node, provider }
  }
  const begin = async (node: TestNode) => (await call(node, 'POST', '/api/auth/oidc/start')).body
  const finish = (node: TestNode, login_token: string, query: string) =>
    call(node, 'POST', '/api/auth/oidc/finish', { body: { login_token, query } })
  const loginAs = async (node: TestNode, sub: string) => {
    const { authorization_url, login_token } = await begin(node)
    return finish(node, login_token, await browse(authorization_url, sub))
  }
  const make = (node: TestNode, body: object) =>
    call(node, 'POST', '/api/users', { ...admin, body: { password: 'a password of its own', ...body } })

  test('somebody with a verified address logs in as the person of that address, and stays that person', async () => {
    const accounts = { s1: { ...ann } as Account }
    const { node, provider } = await open(accounts)
    const { id } = (await make(node, { email: 'ann@example.com' })).body
    const first = await loginAs(node, 's1')
    expect(first.status).toBe(200)
    expect(first.body.user).toMatchObject({ id, email: 'ann@example.com', role: 'user' })
    expect((await call(node, 'GET', '/api/auth/me', { token: first.body.access_token })).status).toBe(200)
    // Known by the subject from now on: an address may change, or be given to somebody else.
    accounts.s1 = { email: 'new@example.com', email_verified: false }
    expect((await loginAs(node, 's1')).body.user.id).toBe(id)
    expect(provider.asked.filter((path) => path.startsWith('/.well-known'))).toHaveLength(1)
    expect(provider.asked.filter((path) => path === '/jwks')).toHaveLength(1)
    expect((await call(node, 'GET', '/api/auth/methods')).body.oidc).toBe(true)
  })

  test('an address nobody verified links nobody, and one nobody invited makes nobody', async () => {
    const { node } = await open({ s1: { ...ann, email_verified: false }, s2: { ...ann }, s3: {} })
    await make(node, { email: 'owner@example.com' })
    for (const sub of ['s1', 's2', 's3']) expect((await loginAs(node, sub)).status).toBe(403)
    await make(node, { email: 'ann@example.com' })
    expect((await loginAs(node, 's1')).status).toBe(403)
    expect(await node.db.selectFrom('user_identities').selectAll().execute()).toEqual([])
  })

  test('a code, a state and a passage are good together, once, and for who began', async () => {
    const { node } = await open({ s1: { ...ann }, s2: { ...ann, email: 'eve@example.com' } }, { auto_provision: true })
    const mine = await begin(node)
    const eves = await begin(node)
    const query = await browse(mine.authorization_url, 's1')
    // Somebody who lures a browser to the end of a log-in of its own has no token of that browser.
    expect((await finish(node, eves.login_token, query)).status).toBe(401)
    expect((await finish(node, `${mine.login_token.slice(0, -2)}AA`, query)).body.code).toBe('invalid_token')
    const forged = new URLSearchParams(query)
    forged.set('state', 'another')
    expect((await finish(node, mine.login_token, forged.toString())).status).toBe(401)
    expect((await finish(node, mine.login_token, query)).status).toBe(200)
    expect((await finish(node, mine.login_token, query)).body.code).toBe('invalid_token')
    const late = await begin(node)
    const lateQuery = await browse(late.authorization_url, 's1')
    await node.clock.advance(10 * 60_000)
    expect((await finish(node, late.login_token, lateQuery)).body.code).toBe('invalid_token')
    const denied = await begin(node)
    const { searchParams } = new URL(denied.authorization_url)
    expect(searchParams.get('code_challenge_method')).toBe('S256')
    const refusal = `error=access_denied&state=${searchParams.get('state')}`
    expect((await finish(node, denied.login_token, refusal)).body.code).toBe('invalid_credentials')
  })

  test('groups say the role and organisations the tenant, by a list: whoever is on none is not let in', async () => {
    const accounts: Record<string, Account> = {
      s1: { ...ann, groups: ['staff', 'hub-admins'], org: 'ACME' },
      s2: { email: 'bob@example.com', email_verified: true, groups: ['super_admin'], org: 'ACME' },
      s3: { email: 'eve@example.com', email_verified: true, groups: ['staff'], org: 'Other' },
    }
    const { node } = await open(accounts, {
      ...{ auto_provision: true, role_claim: 'groups', role_map: ['staff=user', 'hub-admins=tenant_admin'] },
      ...{ tenant_claim: 'org', tenant_map: ['ACME=acme'] },
    })
    const { id } = (await call(node, 'POST', '/api/tenants', { ...admin, body: { name: 'acme' } })).body
    const first = await loginAs(node, 's1')
    expect(first.body.user).toMatchObject({ role: 'tenant_admin', tenant_id: id, email: 'ann@example.com' })
    expect((await loginAs(node, 's2')).status).toBe(403)
    expect((await loginAs(node, 's3')).status).toBe(403)
    // The provider is asked again at each log-in: what it takes away is gone, with the sessions that had it.
    accounts.s1 = { ...ann, groups: ['staff'], org: 'ACME' }
    expect((await loginAs(node, 's1')).body.user.role).toBe('user')
    expect((await call(node, 'GET', '/api/auth/me', { token: first.body.access_token })).status).toBe(401)
  })

  test("somebody disabled here is not let in, and the hub's second factor is asked for unless the provider's will do", async () => {
    const { node } = await open({ s1: { ...ann } }, {})
    const { id } = (await make(node, { email: 'ann@example.com' })).body
    const { body } = await loginAs(node, 's1')
    const token = body.access_token
    await call(node, 'PATCH', '/api/tenants/hub', { ...admin, body: { config: { require_totp_for: ['user'] } } })
    expect((await loginAs(node, 's1')).body).toMatchObject({ mfa_required: true, mfa_enrolled: false })
    await call(node, 'PATCH', `/api/users/${id}`, { ...admin, body: { enabled: false } })
    expect((await call(node, 'GET', '/api/auth/me', { token })).status).toBe(401)
    expect((await loginAs(node, 's1')).status).toBe(401)
  })

  test('a provider that is away is told as such; password log-ins go on', async () => {
    const { node, provider } = await open({ s1: { ...ann } })
    await make(node, { email: 'ann@example.com' })
    provider.server.closeAllConnections()
    await new Promise<void>((resolve) => provider.server.close(() => resolve()))
    expect((await call(node, 'POST', '/api/auth/oidc/start')).body.code).toBe('unavailable')
    const body = { email: 'ann@example.com', password: 'a password of its own' }
    expect((await call(node, 'POST', '/api/auth/login', { body })).status).toBe(200)
  })

  test('an issuer cannot point inside: the way out is the guarded one', async () => {
    const { node } = await open({ s1: { ...ann } }, { issuer: 'https://169.254.169.254' })
    expect((await call(node, 'POST', '/api/auth/oidc/start')).body.code).toBe('unavailable')
  })

  test('a hub without one says there is none', async () => {
    const node = await openNode(await address(), { adminKey: admin.token })
    expect((await call(node, 'POST', '/api/auth/oidc/start')).status).toBe(404)
    expect((await finish(node, 'x', 'y')).status).toBe(404)
  })
})
