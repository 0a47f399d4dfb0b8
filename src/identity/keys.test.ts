import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { createApiKey } from '../platform/secrets.ts'
import { type AnswerBody, call, codeOf, eventually, makeTenant, openNode, type TestNode } from './testing.ts'

const admin = { adminKey: 'the-admin-key', token: 'the-admin-key' }

async function makeKey(node: TestNode, body: object = {}): Promise<AnswerBody> {
  const answer = await call(node, 'POST', '/api/keys', { token: admin.token, body: { name: 'app', ...body } })
  expect(answer.status).toBe(201)
  return answer.body
}

describe.each(engines())('API keys on $name', ({ address }) => {
  const open = async () => openNode(await address(), admin)

  test('a new key works at once, without a promise, as what it was made', async () => {
    const node = await open()
    const tenantId = await makeTenant(node, admin.token, 'acme')
    const { id, key } = await makeKey(node, { allowed_models: ['gpt-4o*'], rate_limit: 60, tenant_id: 'acme' })
    expect(node.identity.byApiKey(key)).toEqual({
      kind: 'api_key',
      id,
      role: 'user',
      tenantId,
      userId: '',
      keyId: id,
      keyName: 'app',
      allowedModels: ['gpt-4o*'],
      rateLimit: 60,
      tokenLimit: null,
      concurrencyLimit: null,
      tags: [],
      allowedServices: null,
      allowedEndpoints: null,
      allowedIps: null,
      service: '',
      serviceAccountId: '',
    })
    expect((await makeKey(node)).key).not.toBe(key)
  })

  test('a key stands in a tenant that is there: by id, by name, or the hub’s own', async () => {
    const node = await open()
    const id = await makeTenant(node, admin.token, 'acme')
    const body = { name: 'app', tenant_id: 'nowhere' }
    const refused = await call(node, 'POST', '/api/keys', { token: admin.token, body })
    expect(refused).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(refused.text).toContain('no tenant nowhere')
    for (const tenant_id of [id, 'acme']) expect((await makeKey(node, { tenant_id })).tenant_id).toBe(id)
    const own = await makeKey(node, { tenant_id: 'hub' })
    expect([own.tenant_id, (await makeKey(node)).tenant_id]).toEqual(['hub', 'hub'])
    expect(node.identity.byApiKey(own.key)).toMatchObject({ tenantId: '' })
  })

  test('a known key keeps working for hours while the store is away; an unknown one is 503, never 401', async () => {
    const node = await open()
    const { id, key } = await makeKey(node)
    const stranger = createApiKey()
    expect(await codeOf(() => node.identity.byApiKey(stranger))).toBe('invalid_api_key')

    await node.database.close()
    // The outage has not been noticed yet: the look-up itself fails.
    const failure = await Promise.resolve(node.identity.byApiKey(stranger)).catch((error) => error)
    expect(failure).toMatchObject({ code: 'unavailable', status: 503, retryAfterMs: 5000 })
    await eventually(node, () => node.identity.isStale())
    expect(node.identity.byApiKey(key)).toMatchObject({ keyId: id })
    expect(await codeOf(() => node.identity.byApiKey(stranger))).toBe('unavailable')
    for (let minutes = 0; minutes < 120; minutes++) {
      await node.clock.leap(60_000)
      expect(node.identity.byApiKey(key)).toMatchObject({ keyId: id })
    }
    expect(node.identity.isStale()).toBe(true)
    // What was never a key needs nobody to say so.
    expect(await codeOf(() => node.identity.byApiKey('sk-gh-invented'))).toBe('invalid_api_key')
  })

  test('after an outage unknown keys are told apart again', async () => {
    const node = await open()
    const { key } = await makeKey(node)
    await sql`alter table api_keys rename to away`.execute(node.db)
    await sql`alter table revisions rename to away_revisions`.execute(node.db)
    await eventually(node, () => node.identity.isStale())
    expect(await codeOf(() => node.identity.byApiKey(createApiKey()))).toBe('unavailable')
    expect(node.identity.byApiKey(key)).toMatchObject({ keyName: 'app' })
    await sql`alter table away rename to api_keys`.execute(node.db)
    await sql`alter table away_revisions rename to revisions`.execute(node.db)
    await eventually(node, () => !node.identity.isStale())
    expect(await codeOf(() => node.identity.byApiKey(createApiKey()))).toBe('invalid_api_key')
  })

  test('a deleted key is refused at once here, and on another node within the poll', async () => {
    const url = await address()
    const [here, there] = [await openNode(url, admin), await openNode(url, admin)]
    const { id, key } = await makeKey(here)
    await eventually(there, () => codeNow(there, key) === '')
    expect((await call(here, 'DELETE', `/api/keys/${id}`, { token: admin.token })).status).toBe(204)
    expect(await codeOf(() => here.identity.byApiKey(key))).toBe('invalid_api_key')
    await eventually(there, () => codeNow(there, key) !== '')
    expect(await codeOf(() => there.identity.byApiKey(key))).toBe('invalid_api_key')
  })

  test('a disabled key is refused at once and works again when enabled', async () => {
    const node = await open()
    const { id, key } = await makeKey(node)
    const patch = (enabled: boolean) =>
      call(node, 'PATCH', `/api/keys/${id}`, { token: admin.token, body: { enabled } })
    expect((await patch(false)).body.enabled).toBe(false)
    expect(await codeOf(() => node.identity.byApiKey(key))).toBe('invalid_api_key')
    await patch(true)
    expect(node.identity.byApiKey(key)).toMatchObject({ keyId: id })
  })

  test('a key made on another node this second is found in the store', async () => {
    const url = await address()
    const [here, there] = [await openNode(url, admin), await openNode(url, admin)]
    const { id, key } = await makeKey(here)
    expect(await Promise.all([1, 2, 3].map(() => there.identity.byApiKey(key)))).toHaveLength(3)
    expect(await there.identity.byApiKey(key)).toMatchObject({ keyId: id })
  })

  test('expiry is looked at on every use', async () => {
    const node = await open()
    const expires = new Date(node.clock.now() + 60_000).toISOString()
    const { key } = await makeKey(node, { expires_at: expires })
    expect(node.identity.byApiKey(key)).toBeDefined()
    await node.clock.advance(60_000)
    expect(await codeOf(() => node.identity.byApiKey(key))).toBe('invalid_api_key')
    const past = await call(node, 'POST', '/api/keys', { token: admin.token, body: { name: 'x', expires_at: expires } })
    expect(past.status).toBe(400)
  })

  test('last use is written in batches, and a racing write brings no deleted key back', async () => {
    const node = await open()
    const [used, deleted] = [await makeKey(node), await makeKey(node)]
    await node.clock.advance(5000)
    const usedAt = new Date(node.clock.now()).toISOString()
    await node.identity.byApiKey(used.key)
    await node.identity.byApiKey(deleted.key)
    const stored = async () =>
      (await node.db.selectFrom('api_keys').select(['id', 'last_used_at']).execute()).map((row) => [
        row.id,
        row.last_used_at,
      ])
    expect(await stored()).toEqual(expect.arrayContaining([[used.id, null]]))
    await call(node, 'DELETE', `/api/keys/${deleted.id}`, { token: admin.token })
    await node.identity.keys.flushUses()
    expect(await stored()).toEqual([[used.id, Date.parse(usedAt)]])
    expect(await codeOf(() => node.identity.byApiKey(deleted.key))).toBe('invalid_api_key')
    const shown = await call(node, 'GET', `/api/keys/${used.id}`, { token: admin.token })
    expect(shown.body.last_used_at).toBe(usedAt)
  })

  test('no answer but the first holds the key, and the store holds only its hash', async () => {
    const node = await open()
    const { id, key } = await makeKey(node)
    const answers = [
      await call(node, 'GET', '/api/keys', { token: admin.token }),
      await call(node, 'GET', `/api/keys/${id}`, { token: admin.token }),
      await call(node, 'PATCH', `/api/keys/${id}`, { token: admin.token, body: { name: 'renamed' } }),
    ]
    for (const { status, text } of answers) {
      expect(status).toBe(200)
      expect(text).not.toContain(key)
      expect(text).not.toContain('hash')
      expect(text).toContain(`sk-gh-…${key.slice(-4)}`)
    }
    const rows = JSON.stringify(await node.db.selectFrom('api_keys').selectAll().execute())
    expect(rows).not.toContain(key.slice(6))
  })

  test('the list comes in pages, newest first', async () => {
    const node = await open()
    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      ids.unshift((await makeKey(node)).id)
      await node.clock.advance(10)
    }
    const first = await call(node, 'GET', '/api/keys?limit=2', { token: admin.token })
    const second = await call(node, 'GET', `/api/keys?limit=2&cursor=${first.body.next_cursor}`, { token: admin.token })
    const seen = [...first.body.data, ...second.body.data]
    expect(seen.map((key) => key.id)).toEqual(ids)
    expect(second.body.next_cursor).toBeNull()
  })

  test('a store written with another master key stops the start', async () => {
    const url = await address()
    await openNode(url, admin)
    await expect(openNode(url, { ...admin, masterKey: Buffer.alloc(32, 8) })).rejects.toThrow('master key')
  })
})

function codeNow(node: TestNode, key: string): string {
  try {
    const found = node.identity.byApiKey(key)
    if (found instanceof Promise) found.catch(() => {})
    return found instanceof Promise ? 'asking' : ''
  } catch (error) {
    return (error as { code: string }).code
  }
}
