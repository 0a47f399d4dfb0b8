import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { createScopeCheck } from './key-scope.ts'
import { call, codeOf, eventually, makeTenant, openNode, type TestNode } from './testing.ts'

const admin = { adminKey: 'the-admin-key', token: 'the-admin-key' }

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
type Json = Record<string, any>

async function ask(
  node: TestNode,
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
  token = admin.token,
): Promise<Json & { status: number }> {
  const answer = await call(node, method, path, { token, ...(body === undefined ? {} : { body }) })
  return { ...(answer.body as unknown as Json), status: answer.status }
}

/** A hub with an administrator and a plain user of the tenant acme, each with a session. */
async function people(node: TestNode) {
  const acme = await makeTenant(node, admin.token, 'acme')
  const logIn = async (email: string, role: string) => {
    const password = 'a long enough password'
    const user = await ask(node, 'POST', '/api/users', { email, password, role, tenant_id: 'acme' })
    expect(user.status).toBe(201)
    const tokens = await ask(node, 'POST', '/api/auth/login', { email, password }, '')
    return { id: user.id as string, token: tokens.access_token as string }
  }
  return { acme, boss: await logIn('boss@acme.example', 'tenant_admin'), joe: await logIn('joe@acme.example', 'user') }
}

describe.each(engines())('keys of programs on $name', ({ address }) => {
  const open = async (config: Parameters<typeof openNode>[1] = {}) => openNode(await address(), { ...admin, ...config })
  const codeNow = (node: TestNode, key: string) => codeOf(() => node.identity.byApiKey(key))

  test('scopes are stored, shown, changed, and carried by the principal', async () => {
    const node = await open()
    const scopes = {
      allowed_services: ['wiki', 'ocr-*'],
      allowed_endpoints: ['/v1/embeddings', '/v1/files/*'],
      allowed_ips: ['10.0.0.0/8', '2001:db8::/32'],
    }
    const made = await ask(node, 'POST', '/api/keys', { name: 'app', ...scopes })
    expect(made).toMatchObject({ status: 201, ...scopes })
    expect(await ask(node, 'GET', `/api/keys/${made.id}`)).toMatchObject(scopes)
    expect(node.identity.byApiKey(made.key)).toMatchObject({
      allowedServices: scopes.allowed_services,
      allowedEndpoints: scopes.allowed_endpoints,
      allowedIps: scopes.allowed_ips,
    })
    const wider = { allowed_services: null, allowed_endpoints: ['/api/v1/*'], allowed_ips: null }
    // The older spelling of a path is the same path.
    expect(await ask(node, 'PATCH', `/api/keys/${made.id}`, wider)).toMatchObject({ allowed_endpoints: ['/v1/*'] })
    expect(node.identity.byApiKey(made.key)).toMatchObject({ allowedServices: null, allowedIps: null })
    for (const wrong of [
      { allowed_endpoints: ['v1/*'] },
      { allowed_endpoints: ['/v1/*/x'] },
      { allowed_ips: ['10.0.0.0/40'] },
      { allowed_ips: ['localhost'] },
      { allowed_services: ['a*b'] },
    ]) {
      expect((await ask(node, 'PATCH', `/api/keys/${made.id}`, wrong)).status, JSON.stringify(wrong)).toBe(400)
    }
  })

  test('a rotated key has two texts until the grace ends, on every node, and stays the same key', async () => {
    const url = await address()
    const [here, there] = [await openNode(url, admin), await openNode(url, admin)]
    const made = await ask(here, 'POST', '/api/keys', { name: 'app', rate_limit: 60, tags: ['web'] })
    const rotated = await ask(here, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 3600 })
    expect(rotated).toMatchObject({ status: 200, id: made.id, rate_limit: 60, tags: ['web'] })
    expect(rotated.old_until).toBe(new Date(here.clock.now() + 3_600_000).toISOString())
    expect(rotated.key).not.toBe(made.key)
    for (const text of [made.key, rotated.key]) {
      expect(here.identity.byApiKey(text)).toMatchObject({ keyId: made.id, rateLimit: 60 })
      expect(await there.identity.byApiKey(text)).toMatchObject({ keyId: made.id })
    }
    await eventually(there, async () => !(there.identity.byApiKey(made.key) instanceof Promise))
    await here.clock.advance(3_600_000)
    await there.clock.advance(3_600_000)
    for (const node of [here, there]) {
      expect(await codeNow(node, made.key)).toBe('invalid_api_key')
      expect(node.identity.byApiKey(rotated.key)).toMatchObject({ keyId: made.id })
    }
    // What ended is forgotten, and a hub that starts now does not know it any more.
    await here.identity.keys.flushUses()
    const again = await openNode(url, admin)
    expect(await codeNow(again, made.key)).toBe('invalid_api_key')
    expect(again.identity.byApiKey(rotated.key)).toMatchObject({ keyId: made.id })
  })

  test('rotating without grace ends every older text at once here, elsewhere within the poll, and after a restart', async () => {
    const url = await address()
    const [here, there] = [await openNode(url, admin), await openNode(url, admin)]
    const made = await ask(here, 'POST', '/api/keys', { name: 'app' })
    const second = await ask(here, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 3600 })
    await eventually(
      there,
      async () => (await codeNow(there, second.key)) === '' && (await codeNow(there, made.key)) === '',
    )
    // Nothing said is no grace.
    const third = await ask(here, 'POST', `/api/keys/${made.id}/rotate`)
    for (const text of [made.key, second.key]) expect(await codeNow(here, text)).toBe('invalid_api_key')
    const before = there.clock.now()
    await eventually(there, async () => (await codeNow(there, second.key)) === 'invalid_api_key')
    expect(there.clock.now() - before).toBeLessThan(2000)
    expect(await codeNow(there, made.key)).toBe('invalid_api_key')
    // A node that was killed and comes back reads what was committed.
    const back = await openNode(url, admin)
    for (const text of [made.key, second.key]) expect(await codeNow(back, text)).toBe('invalid_api_key')
    expect(back.identity.byApiKey(third.key)).toMatchObject({ keyId: made.id })
  })

  test('a text ended by a rotation stays ended here when the store goes away right after', async () => {
    const node = await open()
    const made = await ask(node, 'POST', '/api/keys', { name: 'app' })
    const { key } = await ask(node, 'POST', `/api/keys/${made.id}/rotate`, {})
    await node.database.close()
    await eventually(node, () => node.identity.isStale())
    expect(await codeNow(node, made.key)).not.toBe('')
    expect(node.identity.byApiKey(key)).toMatchObject({ keyId: made.id })
  })

  test('of many rotations at once each is whole: the last text works, and with no grace no other', async () => {
    const node = await open()
    const made = await ask(node, 'POST', '/api/keys', { name: 'app' })
    const rotations = await Promise.all(
      Array.from({ length: 8 }, () => ask(node, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 0 })),
    )
    const codes = await Promise.all(rotations.map(({ key }) => codeNow(node, key)))
    expect(codes.filter((code) => code === '')).toHaveLength(1)
    const shown = await ask(node, 'GET', `/api/keys/${made.id}`)
    const working = rotations[codes.indexOf('')]!
    expect(shown.masked).toBe(`sk-gh-…${working.key.slice(-4)}`)
  })

  test('older texts are bounded, and deleting the key ends them all', async () => {
    const node = await open()
    const made = await ask(node, 'POST', '/api/keys', { name: 'app' })
    const texts = [made.key]
    for (let i = 0; i < 5; i++) {
      texts.push((await ask(node, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 60 })).key)
    }
    const more = await ask(node, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 60 })
    expect(more).toMatchObject({ status: 409, code: 'conflict' })
    await ask(node, 'DELETE', `/api/keys/${made.id}`)
    for (const text of texts) expect(await codeNow(node, text)).toBe('invalid_api_key')
    expect(await node.db.selectFrom('api_key_old_texts').selectAll().execute()).toEqual([])
  })

  test('a person makes, narrows, rotates and deletes keys of its own, and sees nobody else’s', async () => {
    const node = await open()
    const { acme, boss, joe } = await people(node)
    await makeTenant(node, admin.token, 'other')
    const theirs = await ask(node, 'POST', '/api/keys', { name: 'theirs' }, boss.token)
    for (const tenant_id of ['other', 'nowhere', 'hub']) {
      expect((await ask(node, 'POST', '/api/keys', { name: 'mine', tenant_id }, joe.token)).status).toBe(404)
    }
    const mine = await ask(node, 'POST', '/api/keys', { name: 'mine' }, joe.token)
    expect(mine).toMatchObject({ status: 201, tenant_id: acme, user_id: joe.id })
    const list = await ask(node, 'GET', '/api/keys', undefined, joe.token)
    expect(list.data.map((key: Json) => key.id)).toEqual([mine.id])
    for (const [method, path] of [
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/rotate'],
    ] as const) {
      expect(
        (await ask(node, method, `/api/keys/${theirs.id}${path}`, method === 'DELETE' ? undefined : {}, joe.token))
          .status,
      ).toBe(404)
    }
    const change = (body: object, token = joe.token) => ask(node, 'PATCH', `/api/keys/${mine.id}`, body, token)
    expect(await change({ allowed_models: ['gpt-*'], rate_limit: 10, allowed_ips: ['10.0.0.1'] })).toMatchObject({
      status: 200,
    })
    expect(await change({ allowed_models: ['gpt-4o*'] })).toMatchObject({ status: 200 })
    for (const wider of [
      { allowed_models: ['gpt-*'] },
      { rate_limit: 11 },
      { rate_limit: null },
      { allowed_ips: null },
      { allowed_ips: ['10.0.0.2'] },
      { tags: ['team-x'] },
    ]) {
      expect((await change(wider)).status, JSON.stringify(wider)).toBe(403)
    }
    // Nothing asked is as much as there may be, which is what the key has.
    expect(await change({ allowed_models: null })).toMatchObject({ status: 200, allowed_models: ['gpt-4o*'] })
    // What an administrator switched off stays off.
    expect(await change({ enabled: false }, boss.token)).toMatchObject({ enabled: false })
    expect((await change({ enabled: true })).status).toBe(403)
    expect(await change({ enabled: true, allowed_models: null, tags: ['team-x'] }, boss.token)).toMatchObject({
      status: 200,
    })
    expect((await ask(node, 'POST', `/api/keys/${mine.id}/rotate`, {}, joe.token)).status).toBe(200)
    expect((await ask(node, 'DELETE', `/api/keys/${mine.id}`, undefined, joe.token)).status).toBe(204)
  })

  test('a policy bounds what people make for themselves, administrators it does not', async () => {
    const node = await open({
      settings: {
        self_service_max_keys: 2,
        self_service_max_days: 30,
        self_service_models: ['gpt-4o*', 'mini'],
        self_service_endpoints: ['/v1/chat/completions'],
      },
    })
    const { boss, joe } = await people(node)
    const make = (body: object, token = joe.token) => ask(node, 'POST', '/api/keys', { name: 'k', ...body }, token)
    expect(await make({ allowed_models: ['gpt-5'] })).toMatchObject({ status: 403, code: 'forbidden' })
    expect(await make({ expires_at: new Date(node.clock.now() + 31 * 86_400_000).toISOString() })).toMatchObject({
      status: 403,
    })
    const [first, second] = await Promise.all([make({ allowed_models: ['gpt-4o-mini'] }), make({})])
    expect(first).toMatchObject({
      status: 201,
      allowed_models: ['gpt-4o-mini'],
      allowed_endpoints: ['/v1/chat/completions'],
    })
    expect(second).toMatchObject({ status: 201, allowed_models: ['gpt-4o*', 'mini'] })
    expect(second.expires_at).toBe(new Date(node.clock.now() + 30 * 86_400_000).toISOString())
    expect((await make({})).status).toBe(409)
    expect((await make({}, boss.token)).allowed_models).toBeNull()
  })

  test('the last place is taken once, however many ask for it at the same time', async () => {
    const node = await open({ settings: { self_service_max_keys: 3 } })
    const { joe } = await people(node)
    const made = await Promise.all(
      Array.from({ length: 8 }, () => ask(node, 'POST', '/api/keys', { name: 'k' }, joe.token)),
    )
    expect(made.filter(({ status }) => status === 201)).toHaveLength(3)
  })

  test('where self-service is off a person still ends a key of its own, and does no more', async () => {
    const url = await address()
    const before = await openNode(url, admin)
    const { joe } = await people(before)
    const mine = await ask(before, 'POST', '/api/keys', { name: 'k' }, joe.token)
    const node = await openNode(url, { ...admin, settings: { self_service_keys: false } })
    expect((await ask(node, 'POST', '/api/keys', { name: 'k' }, joe.token)).status).toBe(403)
    expect((await ask(node, 'POST', `/api/keys/${mine.id}/rotate`, {}, joe.token)).status).toBe(403)
    expect((await ask(node, 'DELETE', `/api/keys/${mine.id}`, undefined, joe.token)).status).toBe(204)
  })

  test('a disabled service account’s keys open nothing: here at once, elsewhere within the poll', async () => {
    const url = await address()
    const [here, there] = [await openNode(url, admin), await openNode(url, admin)]
    const { acme, boss, joe } = await people(here)
    const account = await ask(here, 'POST', '/api/service-accounts', { name: 'nightly' }, boss.token)
    expect(account).toMatchObject({ status: 201, tenant_id: acme, owner_id: boss.id, enabled: true })
    expect((await ask(here, 'POST', '/api/service-accounts', { name: 'nightly' }, boss.token)).status).toBe(409)
    const wish = { name: 'import', service_account_id: account.id }
    expect((await ask(here, 'POST', '/api/keys', wish, joe.token)).status).toBe(403)
    const made = await ask(here, 'POST', '/api/keys', wish, boss.token)
    expect(made).toMatchObject({ status: 201, service_account_id: account.id, user_id: '', tenant_id: acme })
    expect(here.identity.byApiKey(made.key)).toMatchObject({
      serviceAccountId: account.id,
      userId: account.id,
      keyName: 'nightly/import',
      tenantId: acme,
    })
    await eventually(there, async () => (await codeNow(there, made.key)) === '')
    // It outlives whoever made it.
    await ask(here, 'DELETE', `/api/users/${boss.id}`)
    expect(await codeNow(here, made.key)).toBe('')
    const path = `/api/service-accounts/${account.id}`
    expect(await ask(here, 'PATCH', path, { enabled: false })).toMatchObject({ enabled: false })
    expect(await codeNow(here, made.key)).toBe('invalid_api_key')
    const from = there.clock.now()
    await eventually(there, async () => (await codeNow(there, made.key)) === 'invalid_api_key')
    expect(there.clock.now() - from).toBeLessThan(2000)
    await ask(here, 'PATCH', path, { enabled: true, name: 'daily' })
    expect(here.identity.byApiKey(made.key)).toMatchObject({ keyName: 'daily/import' })
    expect(await here.identity.tenantOf('user', account.id)).toBe(acme)
    expect((await ask(here, 'DELETE', path)).status).toBe(204)
    expect(await codeNow(here, made.key)).toBe('invalid_api_key')
    expect((await ask(here, 'GET', path)).status).toBe(404)
  })

  test('another tenant’s service account is as if it were not', async () => {
    const node = await open()
    const { boss } = await people(node)
    await makeTenant(node, admin.token, 'other')
    for (const [tenant_id, token] of [
      ['nowhere', admin.token],
      ['other', boss.token],
    ] as const) {
      expect((await ask(node, 'POST', '/api/service-accounts', { name: 'x', tenant_id }, token)).status).toBe(404)
    }
    const other = await ask(node, 'POST', '/api/service-accounts', { name: 'x', tenant_id: 'other' })
    const path = `/api/service-accounts/${other.id}`
    for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
      expect((await ask(node, method, path, method === 'PATCH' ? {} : undefined, boss.token)).status).toBe(404)
    }
    expect((await ask(node, 'POST', '/api/keys', { name: 'k', service_account_id: other.id }, boss.token)).status).toBe(
      404,
    )
    expect((await ask(node, 'GET', '/api/service-accounts', undefined, boss.token)).data).toEqual([])
    const foreign = await ask(node, 'POST', '/api/service-accounts', { name: 'y', owner_id: 'usr_nobody' }, boss.token)
    expect(foreign.status).toBe(404)
  })

  test('a plugin service’s token is known as that service, hidden from lists, and opens routes made for services', async () => {
    const node = await open()
    const { serviceTokens } = node.identity
    const acme = await makeTenant(node, admin.token, 'acme')
    const wish = { tenantId: acme, service: 'wiki', allowedModels: ['mini'], createdBy: 'usr_1' }
    const { keyId, text } = await serviceTokens.issue(wish)
    expect(node.identity.byApiKey(text)).toMatchObject({
      service: 'wiki',
      tenantId: acme,
      allowedModels: ['mini'],
      userId: '',
    })
    const headers = { authorization: `Bearer ${text}` }
    expect(await node.identity.byServiceCredential(headers)).toMatchObject({ keyId, service: 'wiki' })
    expect((await ask(node, 'GET', '/api/keys')).data).toEqual([])
    expect((await ask(node, 'GET', '/api/keys?kind=service')).data).toMatchObject([{ id: keyId, service: 'wiki' }])
    const plain = await ask(node, 'POST', '/api/keys', { name: 'plain' })
    expect(await codeOf(() => node.identity.byServiceCredential({ authorization: `Bearer ${plain.key}` }))).toBe(
      'forbidden',
    )
    expect(await codeOf(() => node.identity.byServiceCredential({}))).toBe('unauthenticated')
    // The control API stays shut for it, and its scopes end where models and registry do.
    expect((await ask(node, 'GET', '/api/keys', undefined, text)).status).toBe(403)
    const principal = await node.identity.byServiceCredential(headers)
    const may = (path: string) => codeOf(() => node.identity.checkScope(principal, path, '10.0.0.1'))
    expect(await Promise.all(['/v1/chat/completions', '/v1beta/models', '/api/registry/heartbeat'].map(may))).toEqual([
      '',
      '',
      '',
    ])
    expect(await may('/api/wiki/pages')).toBe('forbidden')
    await serviceTokens.revoke(plain.id)
    expect(await codeNow(node, plain.key)).toBe('')
    await serviceTokens.revoke(keyId)
    expect(await codeNow(node, text)).toBe('invalid_api_key')
    await serviceTokens.revoke(keyId)
  })
})

test('an address is let in when one of the ranges holds it, and else is refused, unknown ones too', () => {
  const check = createScopeCheck()
  const octet = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(octet, octet, octet, octet, fc.integer({ min: 0, max: 32 }), octet, (a, b, c, d, bits, other) => {
      const number = (one: number, two: number, three: number, four: number) =>
        ((one * 256 + two) * 256 + three) * 256 + four
      const same = (x: number, y: number) =>
        bits === 0 || Math.floor(x / 2 ** (32 - bits)) === Math.floor(y / 2 ** (32 - bits))
      const principal = { allowedIps: [`${a}.${b}.${c}.${d}/${bits}`], allowedEndpoints: null } as never
      const isIn = same(number(a, b, c, d), number(a, other, c, d))
      for (const ip of [`${a}.${other}.${c}.${d}`, `::ffff:${a}.${other}.${c}.${d}`]) {
        if (isIn) check(principal, '/v1/x', ip)
        else expect(() => check(principal, '/v1/x', ip)).toThrow('allowed_ips')
      }
      expect(() => check(principal, '/v1/x', '')).toThrow('allowed_ips')
    }),
  )
})
