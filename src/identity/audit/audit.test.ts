import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { engines } from '../../platform/database/testing.ts'
import { createSecrets } from '../../platform/secrets.ts'
import { verifyAuditFile } from '../index.ts'
import { call, claim, eventually, makeTenant, openNode, ownerLogin, type TestNode, testMasterKey } from '../testing.ts'

const admin = { adminKey: 'the-admin-key', token: 'the-admin-key' }

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
type Json = Record<string, any>
// biome-ignore lint/suspicious/noExplicitAny: a tamperer knows no types
type AnyStore = Kysely<any>

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

const intent = {
  ...{ action: 'things.update', target: 't', principal: null, before: { name: 'a' } },
  ...{ requestId: 'req_1', traceId: 'f'.repeat(32), clientIp: '203.0.113.1', userAgent: 'test' },
}

/** `count` changes, each an intent and a result. */
async function change(node: TestNode, count: number, at = ''): Promise<void> {
  for (let i = 0; i < count; i++) {
    const open = await node.identity.audit.begin({ ...intent, target: `t${at}${i}` })
    await open.end({ status: 200, code: '', after: { name: `b${i}` } })
  }
}

/** What an owner of the tables can do and the hub itself cannot. */
async function disarm(db: AnyStore, engine: string): Promise<void> {
  if (engine === 'postgres') {
    for (const table of ['audit_log', 'audit_checkpoints', 'audit_head']) {
      await sql`alter table ${sql.table(table)} disable trigger all`.execute(db)
    }
    return
  }
  const found = await sql<{ name: string }>`select name from sqlite_master where type = 'trigger'`.execute(db)
  for (const { name } of found.rows) await sql`drop trigger ${sql.id(name)}`.execute(db)
}

/** Eleven days after the clocks of other nodes began. */
const later = () => createManualClock(Date.UTC(2026, 0, 12))

const rowsOf = (node: TestNode) => node.db.selectFrom('audit_log').selectAll().orderBy('seq').execute()

describe.each(engines())('the audit log on $name', ({ name: engine, address }) => {
  const open = async (more: Parameters<typeof openNode>[1] = {}) => openNode(await address(), { ...admin, ...more })

  test('a change through the API is found by actor, action, target and time, with what was before and after', async () => {
    const node = await open()
    const acme = await makeTenant(node, admin.token, 'acme')
    const made = await ask(node, 'POST', '/api/keys', { name: 'app', tenant_id: 'acme' })
    await node.clock.advance(1000)
    const at = new Date(node.clock.now()).toISOString()
    await ask(node, 'PATCH', `/api/keys/${made.id}`, { rate_limit: 5 })
    await ask(node, 'DELETE', '/api/keys/key_absent')

    const { data } = await ask(node, 'GET', '/api/audit')
    expect(data.map(({ action, outcome, code }: Json) => [action, outcome, code])).toEqual([
      ['keys.delete', 'refused', 'not_found'],
      ['keys.update', 'done', ''],
      ['keys.create', 'done', ''],
      ['tenants.create', 'done', ''],
    ])
    expect(data[1]).toMatchObject({
      ...{ target: made.id, status: 200, tenant_id: acme, ip: '203.0.113.1', at },
      actor: { kind: 'admin_key', id: 'admin', name: 'ADMIN_KEY', role: 'super_admin' },
      before: { id: made.id, rate_limit: null },
      after: { id: made.id, rate_limit: 5 },
      request_id: expect.stringMatching(/^req_/),
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    await ask(node, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 5 })
    const [rotated] = (await ask(node, 'GET', '/api/audit?limit=1')).data
    expect(rotated).toMatchObject({
      action: 'keys.rotate',
      before: { id: made.id, rotated_at: null },
      after: { key: '[redacted]' },
    })
    const count = async (query: string) => (await ask(node, 'GET', `/api/audit?${query}`)).data.length
    expect(await count(`target=${made.id}`)).toBe(3)
    expect(await count('action=keys.*')).toBe(4)
    expect(await count('action=keys.create')).toBe(1)
    expect(await count('actor=admin')).toBe(5)
    expect(await count('actor=usr_x')).toBe(0)
    expect(await count(`from=${at}`)).toBe(3)
    expect(await count(`to=${at}`)).toBe(2)
    for (const tenant of ['acme', acme]) expect(await count(`tenant_id=${tenant}`)).toBe(3)
    expect(await count('tenant_id=hub')).toBe(2)
    expect(await count('tenant_id=nowhere')).toBe(0)
    const first = await ask(node, 'GET', '/api/audit?limit=3')
    const second = await ask(node, 'GET', `/api/audit?limit=3&cursor=${first.next_cursor}`)
    const paged = [...first.data, ...second.data].map((each: Json) => each.id)
    expect(paged).toEqual([rotated, ...data].map((each: Json) => each.id))
    expect(second.next_cursor).toBeNull()
  })

  test('no secret is in it: not keys, passwords, tokens or set-up tokens', async () => {
    const node = await openNode(await address())
    const setupToken = node.identity.setupToken()!
    const { access_token, refresh_token } = await claim(node)
    const made = await ask(node, 'POST', '/api/keys', { name: 'sk-proj-aVeryLongSecret0123456789' }, access_token)
    const rotated = await ask(node, 'POST', `/api/keys/${made.id}/rotate`, { grace_seconds: 60 }, access_token)
    const password = 'another long password'
    const user = await ask(node, 'POST', '/api/users', { email: 'joe@example.com', password }, access_token)
    await ask(node, 'PATCH', `/api/users/${user.id}`, { password: `${password} 2` }, access_token)
    await ask(node, 'POST', '/api/auth/refresh', { refresh_token }, '')
    // Pasted where an id belongs.
    await ask(node, 'DELETE', `/api/keys/${rotated.key}`, undefined, access_token)
    const text = JSON.stringify(await rowsOf(node))
    const secrets = [setupToken, access_token, refresh_token, made.key, rotated.key, password, ownerLogin.password]
    for (const secret of [...secrets, 'aVeryLongSecret']) expect(text).not.toContain(secret)
    expect(text).not.toMatch(/argon2|eyJ/)
    expect(text).toContain('[redacted]')
    const { data } = await ask(node, 'GET', `/api/audit?target=${user.id}`, undefined, access_token)
    expect(data[0]).toMatchObject({ action: 'users.update', before: { email: 'joe@example.com' } })
  })

  test('log-ins, wrong passwords and lock-outs are in it, under who it was', async () => {
    const node = await openNode(await address())
    const owner = await claim(node)
    const { email } = ownerLogin
    await ask(node, 'POST', '/api/auth/login', ownerLogin, '')
    for (let i = 0; i < 9; i++) await ask(node, 'POST', '/api/auth/login', { email, password: 'wrong' }, '')
    const { data } = await ask(node, 'GET', '/api/audit?action=auth.*', undefined, owner.access_token)
    expect(data.slice(0, 9).map(({ status, code }: Json) => `${status} ${code}`)).toEqual([
      ...Array(4).fill('429 rate_limited'),
      ...Array(5).fill('401 invalid_credentials'),
    ])
    for (const { action, target, actor } of data.slice(0, 9)) {
      expect({ action, target, actor }).toMatchObject({
        ...{ action: 'auth.login', target: email.toLowerCase() },
        actor: { kind: 'anonymous', id: '', tenant_id: '' },
      })
    }
    expect(data.at(-1)).toMatchObject({ action: 'auth.setup', outcome: 'done' })
    expect(data.at(-2)).toMatchObject({
      action: 'auth.login',
      outcome: 'done',
      tenant_id: 'hub',
      actor: { kind: 'user', id: owner.user.id, tenant_id: 'hub' },
    })
  })

  test('administrators of a tenant see what concerns their tenant, and nothing of the hub or of others', async () => {
    const node = await open()
    const password = 'a long enough password'
    const email = 'boss@acme.example'
    for (const name of ['acme', 'other']) await makeTenant(node, admin.token, name)
    await ask(node, 'POST', '/api/users', { email, password, role: 'tenant_admin', tenant_id: 'acme' })
    const { status, access_token } = await ask(node, 'POST', '/api/auth/login', { email, password }, '')
    // Nothing below would tell apart who asks without it.
    expect(status).toBe(200)
    await ask(node, 'POST', '/api/keys', { name: 'theirs', tenant_id: 'acme' })
    await ask(node, 'POST', '/api/keys', { name: 'others', tenant_id: 'other' })
    await ask(node, 'POST', '/api/keys', { name: 'hubs' })
    await ask(node, 'POST', '/api/keys', { name: 'own' }, access_token)
    const { data } = await ask(node, 'GET', '/api/audit', undefined, access_token)
    expect(data.map((each: Json) => each.after?.name ?? each.action)).toEqual(['own', 'theirs', 'auth.login', ''])
    expect(data.at(-1)).toMatchObject({ action: 'users.create', outcome: 'done' })
    expect((await ask(node, 'GET', '/api/audit?tenant_id=other', undefined, access_token)).data).toEqual([])
    expect((await ask(node, 'GET', '/api/audit/verify', undefined, access_token)).status).toBe(403)
  })

  test('a hub that dies in the middle of a change leaves an intent, shown as unknown', async () => {
    const url = await address()
    const node = await openNode(url, admin)
    await node.identity.audit.begin({ ...intent, action: 'keys.delete', target: 'key_1' })
    const after = await openNode(url, admin)
    const { data } = await ask(after, 'GET', '/api/audit')
    expect(data).toMatchObject([{ action: 'keys.delete', target: 'key_1', outcome: 'unknown', status: null }])
    expect(await ask(after, 'GET', '/api/audit/verify')).toMatchObject({ ok: true, rows: 1 })
  })

  test('while the store does not take the intent nothing is changed; a result it does not take comes later', async () => {
    const node = await open()
    const { id, key } = await ask(node, 'POST', '/api/keys', { name: 'app' })
    await sql`alter table audit_log rename to away`.execute(node.db)
    const refused = await ask(node, 'DELETE', `/api/keys/${id}`)
    expect(refused).toMatchObject({ status: 503, code: 'unavailable' })
    await sql`alter table away rename to audit_log`.execute(node.db)
    expect(node.identity.byApiKey(key)).toMatchObject({ keyId: id })

    const begun = await node.identity.audit.begin({ ...intent, target: 'late' })
    await sql`alter table audit_log rename to away`.execute(node.db)
    await begun.end({ status: 200, code: '' })
    expect(node.identity.audit.owed()).toBe(1)
    await sql`alter table away rename to audit_log`.execute(node.db)
    await eventually(node, () => node.identity.audit.owed() === 0)
    expect((await ask(node, 'GET', '/api/audit?target=late')).data).toMatchObject([{ outcome: 'done', status: 200 }])
    expect((await ask(node, 'GET', '/api/audit/verify')).ok).toBe(true)
  })

  test('many nodes appending at once make one chain without a fork or a gap', async () => {
    const url = await address()
    const nodes = await Promise.all([1, 2, 3].map(() => openNode(url, admin)))
    await Promise.all(nodes.flatMap((node, n) => Array.from({ length: 10 }, (_, i) => change(node, 3, `${n}-${i}-`))))
    const rows = await rowsOf(nodes[0]!)
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 180 }, (_, i) => i + 1))
    for (let i = 1; i < rows.length; i++) expect(rows[i]!.previous).toBe(rows[i - 1]!.hash)
    expect(await nodes[1]!.identity.audit.verify()).toMatchObject({ isWhole: true, rows: 180, firstBreak: null })
  })

  test('the store itself refuses to change or delete rows', async () => {
    const node = await open()
    await change(node, 2)
    const db = node.db as AnyStore
    await expect(db.updateTable('audit_log').set({ target: 'x' }).where('seq', '=', 1).execute()).rejects.toThrow()
    await expect(db.deleteFrom('audit_log').where('seq', '=', 4).execute()).rejects.toThrow()
    await expect(db.deleteFrom('audit_head').execute()).rejects.toThrow()
    if (engine === 'postgres') await expect(sql`truncate audit_log`.execute(db)).rejects.toThrow()
    expect(await rowsOf(node)).toHaveLength(4)
  })

  test('any single change of the table is found', async () => {
    const node = await open()
    await change(node, 6)
    await disarm(node.db, engine)
    const db = node.db as AnyStore
    const sound = await rowsOf(node)
    const head = (await node.db.selectFrom('audit_head').selectAll().executeTakeFirst())!
    const place = fc.integer({ min: 0, max: sound.length - 1 })
    const columns = Object.keys(sound[0]!).filter((column) => column !== 'seq')
    const mutation = fc.oneof(
      fc.record({
        kind: fc.constant('change' as const),
        at: place,
        column: fc.constantFrom(...columns),
        bit: fc.nat(300),
      }),
      fc.record({ kind: fc.constant('delete' as const), at: place }),
      fc.record({ kind: fc.constant('cut' as const), at: place }),
      fc.record({ kind: fc.constant('cutFront' as const), at: place }),
      fc.record({ kind: fc.constant('swap' as const), at: place, other: place }),
      fc.record({ kind: fc.constant('move' as const), at: place, to: fc.integer({ min: -3, max: 40 }) }),
      fc.record({ kind: fc.constant('copy' as const), at: place, to: fc.integer({ min: -3, max: 40 }) }),
      fc.record({
        kind: fc.constant('head' as const),
        column: fc.constantFrom('seq', 'hash', 'signature'),
        bit: fc.nat(300),
      }),
      fc.record({ kind: fc.constant('headGone' as const) }),
      fc.record({ kind: fc.constant('cutWithHead' as const), at: place }),
    )
    const alter = (value: unknown, bit: number) =>
      typeof value === 'number' ? value + 1 + bit : `${String(value).slice(0, bit)}x${String(value).slice(bit)}`
    const put = async (rows: readonly Json[]) => {
      await db.deleteFrom('audit_log').execute()
      if (rows.length > 0) await db.insertInto('audit_log').values(rows).execute()
    }
    expect((await node.identity.audit.verify()).isWhole).toBe(true)

    await fc.assert(
      fc.asyncProperty(mutation, async (wish) => {
        const rows: Json[] = sound.map((row) => ({ ...row }))
        const end: Json = { ...head }
        if (wish.kind === 'change') rows[wish.at]![wish.column] = alter(rows[wish.at]![wish.column], wish.bit)
        if (wish.kind === 'delete') rows.splice(wish.at, 1)
        if (wish.kind === 'cut') rows.splice(wish.at)
        if (wish.kind === 'cutFront') rows.splice(0, wish.at + 1)
        if (wish.kind === 'swap') {
          fc.pre(wish.at !== wish.other)
          const [a, b] = [rows[wish.at]!, rows[wish.other]!]
          ;[a.seq, b.seq] = [b.seq, a.seq]
        }
        if (wish.kind === 'move') {
          fc.pre(!rows.some(({ seq }) => seq === wish.to))
          rows[wish.at]!.seq = wish.to
        }
        if (wish.kind === 'copy') {
          fc.pre(!rows.some(({ seq }) => seq === wish.to))
          rows.push({ ...rows[wish.at]!, seq: wish.to })
        }
        if (wish.kind === 'head') end[wish.column] = alter(end[wish.column], wish.bit)
        if (wish.kind === 'cutWithHead') {
          rows.splice(wish.at)
          const last = rows.at(-1)
          Object.assign(end, { seq: last?.seq ?? 0, hash: last?.hash ?? '' })
        }
        await put(rows)
        await db.deleteFrom('audit_head').execute()
        if (wish.kind !== 'headGone') await db.insertInto('audit_head').values(end).execute()
        const told = await node.identity.audit.verify()
        expect(told.isWhole, JSON.stringify(wish)).toBe(false)
        expect(told.firstBreak?.message).not.toBe('')
      }),
      { numRuns: engine === 'sqlite' ? 150 : 80 },
    )
    await put(sound)
    await db.deleteFrom('audit_head').execute()
    await db.insertInto('audit_head').values(head).execute()
    expect((await node.identity.audit.verify()).isWhole).toBe(true)
  })

  test('the first broken row is named, and how it is broken', async () => {
    const node = await open()
    await change(node, 5)
    await disarm(node.db, engine)
    const db = node.db as AnyStore
    const sound = await rowsOf(node)
    const broken = async (tamper: () => Promise<unknown>) => {
      await tamper()
      const { firstBreak } = await node.identity.audit.verify()
      await db.deleteFrom('audit_log').execute()
      await db.insertInto('audit_log').values(sound).execute()
      return [firstBreak?.seq, firstBreak?.reason]
    }
    const at = (seq: number) => db.updateTable('audit_log').where('seq', '=', seq)
    expect(await broken(() => at(4).set({ target: 'x' }).execute())).toEqual([4, 'changed'])
    expect(await broken(() => db.deleteFrom('audit_log').where('seq', '=', 4).execute())).toEqual([4, 'missing'])
    expect(await broken(() => db.deleteFrom('audit_log').where('seq', '>', 7).execute())).toEqual([8, 'truncated'])
    expect(
      await broken(async () => {
        await at(3).set({ seq: 100 }).execute()
        await at(5).set({ seq: 3 }).execute()
        await at(100).set({ seq: 5 }).execute()
      }),
    ).toEqual([3, 'reordered'])
    expect(
      await broken(() =>
        db
          .insertInto('audit_log')
          .values({ ...sound[0]!, seq: 11, id: 'forged', hash: 'x' })
          .execute(),
      ),
    ).toEqual([11, 'changed'])
    expect(
      await broken(async () => {
        for (let seq = 10; seq >= 4; seq--)
          await at(seq)
            .set({ seq: seq + 1 })
            .execute()
        await db
          .insertInto('audit_log')
          .values({ ...sound[0]!, seq: 4, id: 'forged' })
          .execute()
      }),
    ).toEqual([4, 'inserted'])
  })

  test('an end of the log that was forged is not signed anew in silence, and changes go on', async () => {
    const node = await open()
    await change(node, 3)
    await disarm(node.db, engine)
    const db = node.db as AnyStore
    const rows = await rowsOf(node)
    await db.deleteFrom('audit_log').where('seq', '>', 4).execute()
    await db.updateTable('audit_head').set({ seq: 4, hash: rows[3]!.hash }).execute()
    await change(node, 1)
    expect((await node.identity.audit.verify()).firstBreak).toMatchObject({ seq: 5, reason: 'head' })
    // Somebody's row where the next one belongs does not stop changes either.
    const { seq } = (await node.db.selectFrom('audit_head').selectAll().executeTakeFirst())!
    await db
      .insertInto('audit_log')
      .values({ ...rows[0]!, seq: seq + 1 })
      .execute()
    await change(node, 1)
    expect((await node.identity.audit.verify()).isWhole).toBe(false)
  })

  test('an anchor kept elsewhere shows that the whole log was replaced by an older one', async () => {
    const node = await open()
    await change(node, 2)
    await disarm(node.db, engine)
    const db = node.db as AnyStore
    const early = (await node.db.selectFrom('audit_head').selectAll().executeTakeFirst())!
    await change(node, 2)
    const { head } = await node.identity.audit.verify()
    await db.deleteFrom('audit_log').where('seq', '>', early.seq).execute()
    await db.updateTable('audit_head').set(early).execute()
    // Without the anchor nothing is wrong with what is there.
    expect((await node.identity.audit.verify()).isWhole).toBe(true)
    expect((await node.identity.audit.verify({ anchor: head })).firstBreak).toMatchObject({ reason: 'anchor' })
    await change(node, 2, 'other')
    expect((await node.identity.audit.verify({ anchor: head })).firstBreak).toMatchObject({ seq: 8, reason: 'anchor' })
  })

  test('old rows leave for a file through a signed checkpoint, and file and rest verify', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const url = await address()
    await change(await openNode(url, admin), 3, 'old')
    const node = await openNode(url, { ...admin, clock: later(), audit: { retentionDays: () => 10, folder } })
    await change(node, 2, 'new')
    const before = await node.identity.audit.verify()
    await node.identity.audit.archive()
    expect(await node.identity.audit.archive()).toEqual({ rows: 0, files: [] })
    expect((await rowsOf(node)).map(({ seq }) => seq)).toEqual([7, 8, 9, 10])
    expect(await node.identity.audit.verify({ anchor: before.head })).toMatchObject({
      isWhole: true,
      rows: 4,
      firstSeq: 7,
    })
    await change(node, 1)

    const [file] = readdirSync(folder)
    const text = readFileSync(join(folder, file!), 'utf8')
    const parts = { secrets: createSecrets(testMasterKey) }
    expect(verifyAuditFile(text, parts)).toMatchObject({ rows: 6, firstBrokenLine: null })
    expect(verifyAuditFile(text.replace('told2', 'told9'), parts)).toMatchObject({ firstBrokenLine: 5 })
    expect(verifyAuditFile(text.split('\n').toSpliced(2, 1).join('\n'), parts)).toMatchObject({ firstBrokenLine: 3 })

    await disarm(node.db, engine)
    const db = node.db as AnyStore
    await db.updateTable('audit_checkpoints').set({ hash: 'x' }).execute()
    expect((await node.identity.audit.verify()).firstBreak).toMatchObject({ reason: 'checkpoint' })
    await db.deleteFrom('audit_checkpoints').execute()
    expect((await node.identity.audit.verify()).firstBreak).toMatchObject({ seq: 1, reason: 'missing' })
  })

  test('rows that are not as they were written are evidence: they are not archived', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const url = await address()
    await change(await openNode(url, admin), 3)
    const node = await openNode(url, { ...admin, clock: later(), audit: { retentionDays: () => 10, folder } })
    await disarm(node.db, engine)
    await (node.db as AnyStore).updateTable('audit_log').set({ target: 'x' }).where('seq', '=', 2).execute()
    await node.identity.audit.archive()
    expect(await rowsOf(node)).toHaveLength(6)
  })

  test('a part of the log verifies by time', async () => {
    const node = await open()
    await change(node, 2)
    await node.clock.advance(1000)
    const middle = node.clock.now()
    await change(node, 2)
    await node.clock.advance(1000)
    const late = node.clock.now()
    await change(node, 2)
    const { verify } = node.identity.audit
    expect(await verify({ from: middle, to: late })).toMatchObject({ isWhole: true, rows: 4, firstSeq: 5, lastSeq: 8 })
    expect(await verify({ from: late })).toMatchObject({ isWhole: true, rows: 4, firstSeq: 9 })
    expect(await verify({ from: late + 1 })).toMatchObject({ isWhole: true, rows: 0 })
    await disarm(node.db, engine)
    await (node.db as AnyStore).updateTable('audit_log').set({ target: 'x' }).where('seq', '=', 2).execute()
    expect(await verify({ from: middle })).toMatchObject({ isWhole: true, rows: 8 })
    expect((await verify()).firstBreak).toMatchObject({ seq: 2 })
  })
})
