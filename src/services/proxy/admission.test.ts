import type { IncomingMessage } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { createControlApp } from '../../http/mount.ts'
import { createManualClock, systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { silentLog } from '../../platform/testing.ts'
import {
  ask,
  echo,
  get,
  openStage,
  type RawAnswer,
  type ServiceInput,
  type StageOptions,
  startPlugin,
  testEndpoint,
  testInstance,
  testPrincipal,
  testService,
  valuesOf,
} from './testing.ts'

/** Callers by the text of their credential. */
const callers: Record<string, Principal> = {
  user: testPrincipal(),
  admin: testPrincipal({ ...{ kind: 'user', id: 'usr_a', role: 'tenant_admin', keyId: '', userId: 'usr_a' } }),
  root: testPrincipal({
    ...{ kind: 'admin_key', id: 'admin', role: 'super_admin', tenantId: '' },
    keyId: '',
    userId: '',
  }),
  other: testPrincipal({ id: 'key_2', keyId: 'key_2', tenantId: 'ten_b' }),
  scoped: testPrincipal({ id: 'key_3', keyId: 'key_3', allowedServices: ['pay*'] }),
  pathed: testPrincipal({ id: 'key_4', keyId: 'key_4', allowedEndpoints: ['/v1/*'] }),
  plugin: testPrincipal({ id: 'key_5', keyId: 'key_5', userId: '', service: 'caller', allowedServices: ['demo'] }),
}

function authenticate({ headers, url = '' }: IncomingMessage): Principal | null {
  const bearer = /^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  const text = bearer ?? (headers['x-api-key'] as string | undefined) ?? /[?&]key=sk-gh-(\w+)/.exec(url)?.[1]
  if (text === undefined) return null
  const known = callers[text]
  if (known === undefined) throw fail('invalid_api_key', 'this key is not known')
  return known
}

async function open(input: ServiceInput = {}, over: StageOptions = {}) {
  const plugin = await startPlugin((request, response) => {
    response.writeHead(200, { 'x-plugin': 'yes' }).end(JSON.stringify(echo(request)))
  })
  const service = testService([testInstance(plugin.port)], { requiresAuth: true, ...input })
  const stage = await openStage([service], { authenticate, ...over })
  const call = (path: string, who = '', headers: readonly string[] = [], method = 'GET') =>
    ask(stage.port, get(path, [...(who === '' ? [] : [`Authorization: Bearer ${who}`]), ...headers], method))
  return { stage, call, plugin }
}

const detail = (given: RawAnswer): string => JSON.parse(given.body.toString()).detail
const seen = (given: RawAnswer): Map<string, string> =>
  new Map(
    JSON.parse(given.body.toString()).headers.map(([name, value]: [string, string]) => [name.toLowerCase(), value]),
  )

test('credentials are asked for, and wrong ones refused, as problem details', async () => {
  const { call } = await open()
  const none = await call('/api/demo/')
  expect([none.status, valuesOf(none, 'content-type')[0], valuesOf(none, 'www-authenticate')]).toEqual([
    401,
    'application/problem+json; charset=utf-8',
    ['Bearer'],
  ])
  const wrong = await call('/api/demo/', 'nobody')
  expect([wrong.status, JSON.parse(wrong.body.toString()).code]).toEqual([401, 'invalid_api_key'])
  expect((await call('/api/demo/', 'user')).status).toBe(200)
})

test('an answer that takes its time to be known is waited for, and a store that is away says so', async () => {
  const slow = await open({}, { authenticate: async (request) => authenticate(request) })
  expect((await slow.call('/api/demo/', 'user')).status).toBe(200)
  expect((await slow.call('/api/demo/', 'nobody')).status).toBe(401)
  const away = await open({}, { authenticate: async () => Promise.reject(fail('unavailable', 'cannot tell')) })
  expect((await away.call('/api/demo/', 'user')).status).toBe(503)
})

test('public endpoints are open to strangers, and to whoever has a credential that is no longer one', async () => {
  const { call } = await open({ endpoints: [testEndpoint('/open/{id}', { isPublic: true })] })
  expect((await call('/api/demo/open/1')).status).toBe(200)
  expect((await call('/api/demo/open/1', 'nobody')).status).toBe(200)
  expect((await call('/api/demo/open')).status).toBe(401)
  expect((await call('/api/demo/open/1/2')).status).toBe(401)
})

test('roles of an endpoint are asked for, however its path is spelled', async () => {
  const endpoints = [testEndpoint('/admin/*', { requiredRoles: ['tenant_admin'] })]
  const { call } = await open({ requiresAuth: false, endpoints })
  expect((await call('/api/demo/other')).status).toBe(200)
  const spellings = [
    '/admin/x',
    '/%61dmin/x',
    '/Admin/x',
    '//admin/x',
    '/admin//x',
    '/admin%2Fx',
    '/admin/',
    '/admin;a/x',
  ]
  for (const path of spellings) {
    expect([path, (await call(`/api/demo${path}`)).status]).toEqual([path, 401])
    expect([path, (await call(`/api/demo${path}`, 'user')).status]).toEqual([path, 403])
    expect([path, (await call(`/api/demo${path}`, 'admin')).status]).toEqual([path, 200])
    expect([path, (await call(`/api/demo${path}`, 'root')).status]).toEqual([path, 200])
  }
})

test('a service that serves what it declares serves nothing else, and says which methods there are', async () => {
  const endpoints = [testEndpoint('/items/{id}', { method: 'GET' }), testEndpoint('/items/{id}', { method: 'PUT' })]
  const { call } = await open({ declaredOnly: true, endpoints })
  expect((await call('/api/demo/items/1', 'user')).status).toBe(200)
  expect((await call('/api/demo/items/1', 'user', [], 'HEAD')).status).toBe(200)
  expect((await call('/api/demo/items', 'user')).status).toBe(404)
  const wrong = await call('/api/demo/items/1', 'user', [], 'DELETE')
  expect([wrong.status, valuesOf(wrong, 'allow')]).toEqual([405, ['GET, HEAD, PUT']])
})

test("a service of another tenant is as absent as one that isn't there", async () => {
  const { call, stage } = await open()
  const theirs = await call('/api/demo/', 'other')
  const absent = await call('/api/nothing/', 'other')
  expect([theirs.status, absent.status]).toEqual([404, 404])
  expect(detail(theirs).replace('demo', 'nothing')).toBe(detail(absent))
  expect((await call('/api/nothing/')).status).toBe((await call('/api/demo/')).status)
  stage.directory.put({ ...stage.directory.find('demo')!, isShared: true })
  expect((await call('/api/demo/', 'other')).status).toBe(200)
})

test('a wrong name is told those that may be called, and nobody is told others', async () => {
  const { call, stage } = await open()
  stage.directory.put(testService([], { name: 'theirs', tenantId: 'ten_b' }))
  stage.directory.put(testService([], { name: 'everyones', tenantId: 'ten_b', isShared: true }))
  expect(detail(await call('/api/demos/', 'user'))).toBe('There is no service "demos". You may call: demo, everyones.')
  expect(detail(await call('/api/demos/', 'root'))).toContain('theirs')
  expect(detail(await call('/api/demos/', 'scoped'))).toContain('No service is open to you.')
  expect(detail(await call('/api/demos/'))).not.toMatch(/theirs|everyones/)
})

test('keys call the services and paths they are for, tenants those they switched on', async () => {
  const { call, stage } = await open({}, { isEnabledFor: (tenantId) => tenantId !== 'ten_b' })
  expect((await call('/api/demo/', 'scoped')).status).toBe(403)
  expect((await call('/api/demo/', 'pathed')).status).toBe(403)
  expect((await call('/api/demo/', 'plugin')).status).toBe(200)
  stage.directory.put({ ...stage.directory.find('demo')!, isShared: true })
  const off = await call('/api/demo/', 'other')
  expect([off.status, detail(off)]).toEqual([403, 'The service demo is not switched on for your tenant.'])
})

test('a service that was switched off answers 503, and paths of the hub stay the hub’s', async () => {
  const { call, stage } = await open({ enabled: false })
  expect((await call('/api/demo/', 'user')).status).toBe(503)
  stage.directory.put(testService([testInstance(1)], { name: 'auth' }))
  await call('/api/auth/me', 'user')
  await call('/api/', 'user')
  await call('/apidemo/', 'user')
  expect(stage.passedOn).toEqual(['/api/auth/me', '/api/', '/apidemo/'])
})

test('the limit of an endpoint holds for each caller, and says how much is left', async () => {
  const clock = { ...createManualClock(), sleep: systemClock.sleep }
  const { call, stage } = await open({ endpoints: [testEndpoint('/few', { rateLimit: 2 })] }, { clock })
  const first = await call('/api/demo/few', 'user')
  expect([first.status, valuesOf(first, 'x-ratelimit-limit'), valuesOf(first, 'x-ratelimit-remaining')]).toEqual([
    200,
    ['2'],
    ['1'],
  ])
  expect((await call('/api/demo/few', 'user')).status).toBe(200)
  const third = await call('/api/demo/few', 'user')
  expect([third.status, valuesOf(third, 'x-ratelimit-remaining')]).toEqual([429, ['0']])
  expect(Number(valuesOf(third, 'retry-after')[0])).toBeGreaterThan(0)
  expect((await call('/api/demo/few', 'admin')).status).toBe(200)
  await clock.advance(70_000)
  expect((await call('/api/demo/few', 'user')).status).toBe(200)
  expect(stage.records.map(({ status, outcome, endpoint }) => [status, outcome, endpoint])).toContainEqual([
    ...[429, 'refused', '/few'],
  ])
})

test('who calls is told in headers of the hub, and what callers say under those names is not', async () => {
  const { call } = await open()
  const forged = [
    'X-Gatehouse-User: root',
    'x_gatehouse_role: super_admin',
    'X-GATEHOUSE_TENANT: hub',
    'x-gatehouse-new: 1',
  ]
  const headers = seen(await call('/api/demo/', 'user', forged))
  expect(headers.get('x-gatehouse-user')).toBe('usr_1')
  expect(headers.get('x-gatehouse-tenant')).toBe('ten_a')
  expect(headers.get('x-gatehouse-role')).toBe('user')
  expect(headers.get('x-gatehouse-key')).toBe('key_1')
  expect([...headers.keys()].filter((name) => /gatehouse[-_](new|service)|_/.test(name))).toEqual([])
  const plugin = seen(await call('/api/demo/', 'plugin'))
  expect([plugin.get('x-gatehouse-service'), plugin.get('x-gatehouse-user')]).toEqual(['caller', undefined])
  expect(seen(await call('/api/demo/', 'root')).get('x-gatehouse-tenant')).toBe('hub')
})

test('the identity is verified with the key the hub publishes, and by nobody it is not for', async () => {
  const { call, stage } = await open()
  const app = await createControlApp({
    ...{ routes: stage.proxy.routes, authenticate: () => null, log: silentLog, metrics: createMetrics() },
    ...{ corsOrigins: () => [], version: '0', clock: systemClock },
  })
  onTestFinished(() => app.close())
  const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', await app.listen({ port: 0, host: '127.0.0.1' })))
  const token = seen(await call('/api/demo/', 'user')).get('x-gatehouse-identity')!
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: 'gatehouse', audience: 'demo' })
  expect(payload).toMatchObject({ sub: 'key_1', user: 'usr_1', tenant: 'ten_a', role: 'user', key: 'key_1' })
  expect(payload.exp! - payload.iat!).toBe(60)
  expect(protectedHeader.alg).toBe('EdDSA')
  await expect(jwtVerify(token, keys, { audience: 'other' })).rejects.toThrow()
  const [head, claims, signature] = token.split('.')
  const changed = Buffer.from(claims!, 'base64url').toString().replace('"user"', '"super_admin"')
  const forged = [head, Buffer.from(changed).toString('base64url'), signature].join('.')
  await expect(jwtVerify(forged, keys)).rejects.toThrow()
})

test('a token is signed once in half a minute for each caller and service', async () => {
  const clock = { ...createManualClock(), sleep: systemClock.sleep }
  const { call } = await open({}, { clock })
  const token = async (who: string) => seen(await call('/api/demo/', who)).get('x-gatehouse-identity')
  const first = await token('user')
  await clock.advance(29_000)
  expect(await token('user')).toBe(first)
  expect(await token('admin')).not.toBe(first)
  await clock.advance(2000)
  expect(await token('user')).not.toBe(first)
})

test("a caller's credential for the hub goes no further, wherever it stood", async () => {
  const { call } = await open()
  const cookies = 'Cookie: a=1; gatehouse_session=x; b=2; __Host-gatehouse=y'
  const given = await call('/api/demo/x?a=1&key=sk-gh-user&b=2', 'user', ['X-API-Key: user', 'X-Admin-Key: x', cookies])
  const text = given.body.toString()
  expect(text).not.toMatch(/authorization|api-key|admin-key|sk-gh/i)
  expect(JSON.parse(text).url).toBe('/x?a=1&b=2')
  expect(seen(given).get('cookie')).toBe('a=1; b=2')
  const byQuery = await call('/api/demo/x?%6Bey=sk-gh-user&key=other&k=sk', '', ['x-api-key: user'])
  expect(JSON.parse(byQuery.body.toString()).url).toBe('/x?key=other&k=sk')
})

test("what a public endpoint asks for itself passes, unless it is the hub's", async () => {
  const { call } = await open({ requiresAuth: false })
  const foreign = await call('/api/demo/', '', ['Authorization: Basic dTpw', 'X-API-Key: nobody'])
  expect([seen(foreign).get('authorization'), seen(foreign).get('x-api-key')]).toEqual(['Basic dTpw', 'nobody'])
  const expired = `h.${Buffer.from('{"iss":"gatehouse"}').toString('base64url')}.s`
  for (const text of ['user', 'sk-gh-unknown', expired]) {
    expect(seen(await call('/api/demo/', text)).get('authorization')).toBeUndefined()
  }
  const ours = seen(await call('/api/demo/', 'user', ['x-goog-api-key: mine']))
  expect([ours.get('x-goog-api-key'), ours.get('x-gatehouse-user')]).toEqual([undefined, 'usr_1'])
})

test.each([
  ['/../x', '.'],
  ['/a/..', '.'],
  ['/./a', '.'],
  ['/%2e%2e/x', '.'],
  ['/a/.%2E/x', '.'],
  ['/a%2f..%2fx', '.'],
  ['/a%5C..%5cx', '.'],
  ['/%252e%252e/x', '.'],
  ['/..;a=b/x', '.'],
  ['/a\\b', 'backslash'],
  ['/a%00', 'zero'],
  ['/a#b', '#'],
])('the path %s is refused', async (path, reason) => {
  const { call } = await open({ requiresAuth: false })
  const given = await call(`/api/demo${path}`)
  expect([given.status, detail(given)]).toEqual([400, expect.stringContaining(reason)])
})

test('preflights of allowed origins are answered by the hub, by exact match; others are the service’s', async () => {
  const { call } = await open(
    { endpoints: [testEndpoint('/open', { isPublic: true })] },
    { corsOrigins: () => ['https://a.test'] },
  )
  const preflight = (path: string, origin: string) =>
    call(
      path,
      '',
      [`Origin: ${origin}`, 'Access-Control-Request-Method: PUT', 'Access-Control-Request-Headers: x-a'],
      'OPTIONS',
    )
  const own = await preflight('/api/demo/x', 'https://a.test')
  expect([own.status, valuesOf(own, 'access-control-allow-origin')]).toEqual([204, ['https://a.test']])
  expect(valuesOf(own, 'access-control-allow-methods')).toEqual(['PUT'])
  expect(valuesOf(own, 'access-control-allow-headers')).toEqual(['x-a'])
  for (const origin of ['https://a.test.evil', 'http://a.test', 'https://b.test', 'null']) {
    expect((await preflight('/api/demo/x', origin)).status).toBe(401)
    expect(valuesOf(await preflight('/api/demo/open', origin), 'x-plugin')).toEqual(['yes'])
  }
  expect(valuesOf(await call('/api/demo/open', '', [], 'OPTIONS'), 'x-plugin')).toEqual(['yes'])
})

test("answers to pages of an allowed origin carry the hub's word on that once, and refusals too", async () => {
  const plugin = await startPlugin((_request, response) => {
    response.writeHead(200, ['Access-Control-Allow-Origin', '*', 'Vary', 'Accept, Origin']).end('ok')
  })
  const stage = await openStage([testService([testInstance(plugin.port)], { declaredOnly: false })], {
    corsOrigins: () => ['https://a.test'],
  })
  const page = await ask(stage.port, get('/api/demo/', ['Origin: https://a.test']))
  expect(valuesOf(page, 'access-control-allow-origin')).toEqual(['https://a.test'])
  expect(valuesOf(page, 'vary')).toEqual(['Accept, Origin'])
  const other = await ask(stage.port, get('/api/demo/', ['Origin: https://b.test']))
  expect(valuesOf(other, 'access-control-allow-origin')).toEqual(['*'])
  const refused = await ask(stage.port, get('/api/none/', ['Origin: https://a.test']))
  expect([refused.status, valuesOf(refused, 'access-control-allow-origin')]).toEqual([401, ['https://a.test']])
})
