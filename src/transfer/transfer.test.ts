import fc from 'fast-check'
import type { Kysely } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createMonitorStore } from '../health/monitors/store.ts'
import { createManualClock } from '../kernel/clock.ts'
import { createId } from '../kernel/ids.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import { createSecrets, type Secrets } from '../platform/secrets.ts'
import { toWorkbook } from '../platform/spreadsheet/xlsx.ts'
import { transferShapes } from '../wiring/transfer-shapes.ts'
import { createTransfer } from './index.ts'
import { kinds, leftTables } from './kinds.ts'
import type { ImportOptions } from './transfer.ts'

// biome-ignore lint/suspicious/noExplicitAny: rows of every room
type Db = Kysely<any>

const clock = createManualClock()
const ours = createSecrets(Buffer.alloc(32, 1))
const theirs = createSecrets(Buffer.alloc(32, 2))
const passphrase = 'correct horse battery'
const real: ImportOptions = { onConflict: 'skip', choices: {}, passphrase, isDry: false }

describe.each(engines())('the control plane as a document, on $name', ({ open }) => {
  let here: Db
  let there: Db
  beforeAll(async () => {
    here = (await open(migrations)).kysely
    there = (await open(migrations)).kysely
  })
  async function wipe() {
    for (const db of [here, there])
      for (const { table, companion } of [...kinds].reverse())
        for (const each of [table, companion?.table ?? '']) if (each !== '') await db.deleteFrom(each).execute()
  }
  beforeEach(wipe)
  const hub = (db: Db, secrets: Secrets, env: Record<string, string> = {}) => {
    const told: string[] = []
    const bus = { announce: (_: string, { kind }: { kind: string }) => void told.push(kind) }
    const transfer = createTransfer({
      db,
      secrets,
      bus: bus as never,
      clock,
      version: '1.2.3',
      shapes: transferShapes,
      env,
    })
    return { ...transfer, told }
  }
  const times = { created_at: 1, updated_at: 1 }
  const userOf = (id: string, email: string) => ({
    ...{
      id,
      email,
      name: '',
      password_hash: '',
      role: 'user',
      tenant_id: '',
      enabled: 1,
      last_login_at: null,
      ...times,
    },
  })

  async function fill(db: Db, { name, note, key }: { name: string; note: string; key: string }) {
    const ids = {
      ...{ provider: createId('provider'), model: createId('model'), other: createId('model') },
      ...{ channel: createId('channel'), second: createId('channel'), tenant: createId('tenant') },
    }
    const seal = (text: string, context: string) => (text === '' ? '' : ours.encrypt(text, context))
    await db
      .insertInto('tenants')
      .values({
        id: ids.tenant,
        name: `t-${name}`,
        display_name: note,
        enabled: 1,
        config: JSON.stringify({ note }),
        enabled_services: '',
        ...times,
      })
      .execute()
    await db
      .insertInto('providers')
      .values({
        ...{
          id: ids.provider,
          name,
          type: 'openai',
          base_url: 'https://api.example',
          enabled: 1,
          priority: 5,
          weight: 7,
        },
        ...{ api_key_cipher: seal(key, `provider:${ids.provider}`), api_key_last_four: '', max_retries: 1, timeout: 9 },
        ...{
          rate_limit: null,
          is_synthetic: 0,
          options: '{}',
          tenants: JSON.stringify([ids.tenant]),
          tags: JSON.stringify([`tag ${name}`]),
        },
        ...{
          key_state: '',
          key_state_reason: '',
          first_token_timeout: null,
          idle_timeout: null,
          transform: '{}',
          ...times,
        },
      })
      .execute()
    const model = {
      max_retry: null,
      timeout: null,
      max_output_tokens: 100,
      enabled: 0,
      is_synthetic: 0,
      policy: '',
      access_groups: '[]',
      abort_policy: '',
      transform: '{}',
      mirror: '{}',
      first_token_timeout: null,
      idle_timeout: null,
      ...times,
    }
    await db
      .insertInto('models')
      .values({ ...model, id: ids.model, name: `m ${name}`, remark: note, alias_of: '' })
      .execute()
    await db
      .insertInto('models')
      .values({ ...model, id: ids.other, name: `alias ${name}`, remark: '', alias_of: ids.model })
      .execute()
    await db
      .insertInto('model_providers')
      .values({
        ...{
          id: createId('modelProvider'),
          model_id: ids.model,
          provider_id: ids.provider,
          provider_model: 'gpt 模型',
          priority: null,
        },
        ...{
          weight: 3,
          tool_call: 0,
          structured_output: 1,
          image: 1,
          enabled: 1,
          tenants: '[]',
          tags: '[]',
          transform: '{}',
        },
        ...{
          first_token_timeout: null,
          idle_timeout: null,
          timeout: null,
          max_retries: null,
          context_tokens: 4096,
          ...times,
        },
      })
      .execute()
    await db
      .insertInto('limits')
      .values({
        id: createId('limit'),
        scope: 'tenant',
        scope_id: ids.tenant,
        tenant_id: ids.tenant,
        rpm: 10,
        tpm: null,
        concurrency: null,
        ...times,
      })
      .execute()
    const channel = {
      tenant_id: ids.tenant,
      type: 'webhook',
      description: note,
      sandbox: '',
      sandbox_sealed: '',
      language: 'zh',
      zone: 'UTC',
      title_template: '',
      body_template: '',
      give_up_seconds: 60,
      send_resolved: 1,
      enabled: 1,
      ...times,
    }
    await db
      .insertInto('channels')
      .values({
        ...channel,
        id: ids.channel,
        name: 'one',
        parameters: JSON.stringify({ url: 'x', deep: [null, 1.5, { a: note }] }),
        sealed: seal(JSON.stringify({ token: key }), `channel ${ids.channel}`),
        fallback_id: ids.second,
      })
      .execute()
    await db
      .insertInto('channels')
      .values({ ...channel, id: ids.second, name: 'two', parameters: '{}', sealed: '', fallback_id: '' })
      .execute()
    await db
      .insertInto('receivers')
      .values({
        id: createId('receiver'),
        tenant_id: ids.tenant,
        name: 'all',
        description: '',
        targets: JSON.stringify([{ channelId: ids.channel, severities: [], times: [] }]),
        ...times,
      })
      .execute()
    await db
      .insertInto('alert_rules')
      .values({ id: `alr_${name}`, source: 'api', rule: JSON.stringify({ expr: note, for: '5m', limit: 0 }), ...times })
      .execute()
    await fillPeople(db, ids, { note, seal })
    return ids
  }
  /** What programs, people on call, people who are told and other gateways need. */
  async function fillPeople(
    db: Db,
    ids: { tenant: string },
    { note, seal }: { note: string; seal(text: string, context: string): string },
  ) {
    const source = createId('source')
    const own = (values: Record<string, unknown>) => ({ ...values, updated_at: 1 })
    await db
      .insertInto('service_accounts')
      .values({
        ...{ id: createId('serviceAccount'), tenant_id: ids.tenant, name: 'robot', description: note, owner_id: '' },
        ...{ enabled: 0, ...times },
      })
      .execute()
    await db
      .insertInto('conversation_settings')
      .values(
        own({
          ...{ scope: 'tenant', scope_id: ids.tenant, tenant_id: ids.tenant, is_stored: 1, redact: '' },
          ...{ words: JSON.stringify(['codename']), retention_days: 7 },
        }),
      )
      .execute()
    await db
      .insertInto('sources')
      .values({
        ...{ id: source, name: 'old-gateway', kind: 'new-api', enabled: 0, rows_per_second: null, ...times },
        dsn: seal('postgres://reader:sesame-of-the-source@db.example/newapi', `source:${source}`),
        ...{ log_dsn: '', place: 'PostgreSQL reader@db.example:5432/newapi', quota_per_usd_millionths: 5_000_000_000 },
      })
      .execute()
    const routing = { route: { receiver: 'all', group_by: ['alertname'] } }
    await db
      .insertInto('alert_routing')
      .values(own({ id: 1, settings: JSON.stringify(routing), updated_by: 'ann' }))
      .execute()
    const schedule = { members: [{ name: 'ann', channels: ['one'] }], starts_on: '2026-03-23', zone: 'Asia/Shanghai' }
    const policy = { steps: [{ on_call: ['day'], after_minutes: 5 }] }
    await db
      .insertInto('on_call_settings')
      .values([
        own({ kind: 'schedule', name: 'day', body: JSON.stringify(schedule) }),
        own({ kind: 'policy', name: 'P1', body: JSON.stringify(policy) }),
      ])
      .execute()
    await db
      .insertInto('maintenance_jobs')
      .values(own({ name: 'log_cleanup', enabled: 0, cron: '30 3 * * *', zone: '', window_minutes: 0, seen_at: 1 }))
      .execute()
  }

  const plain = async (db: Db, secrets: Secrets, format: 'json' | 'toml' = 'json') => {
    const text = await hub(db, secrets).export({ format, secrets: 'passphrase', passphrase, only: null })
    return text.replace(/sealed:v1\.[\w.-]+/g, 'SEALED').replace(/.*exported_at.*\n/, '')
  }

  test('every table of the store is carried by documents, or is said not to be, and why', async () => {
    const tables = (await here.introspection.getTables()).map(({ name }) => name)
    const carried = kinds.map(({ table }) => table)
    const left = Object.values(leftTables).flat()
    expect(tables.filter((name) => !carried.includes(name) && !left.includes(name))).toEqual([])
    expect(left.filter((name) => !tables.includes(name) || carried.includes(name))).toEqual([])
    expect(new Set(left).size).toBe(left.length)
  })

  test('every column of the control plane is in a document, is made anew, or is said to stay at home', async () => {
    const tables = await here.introspection.getTables()
    for (const kind of kinds) {
      const { columns } = tables.find(({ name }) => name === kind.table)!
      const own = new Map(columns.map((column) => [column.name, column]))
      const made = [
        'id',
        ...kind.times,
        ...[kind.fixed, kind.only, kind.derived].flatMap((each) => Object.keys(each ?? {})),
      ]
      const known = [...made, ...(kind.left ?? []), ...Object.keys(kind.columns)]
      expect({
        kind: kind.name,
        unknown: columns.map(({ name }) => name).filter((name) => !known.includes(name)),
      }).toEqual({
        ...{ kind: kind.name, unknown: [] },
      })
      for (const [name, column] of Object.entries(kind.columns)) {
        expect(own.get(name), `${kind.table}.${name}`).toMatchObject({ isNullable: column.nullable })
      }
    }
  })

  test('out of one hub and into another with another master key it is the same, secrets included', async () => {
    const words = fc
      .string({ unit: 'grapheme', maxLength: 20 })
      .filter((each) => !each.includes('\0') && each.isWellFormed())
    const slug = fc.stringMatching(/^[a-z]{3,8}$/)
    await fc.assert(
      fc.asyncProperty(
        slug,
        words,
        fc.stringMatching(/^[!-~]{0,24}$/),
        fc.constantFrom('json' as const, 'toml' as const),
        async (name, note, key, format) => {
          await wipe()
          const { provider, channel } = await fill(here, { name, note, key })
          const text = await hub(here, ours).export({ format, secrets: 'passphrase', passphrase, only: null })
          if (key.length > 3) expect(text.includes(key) && !note.includes(key)).toBe(false)
          const told = await hub(there, theirs).import(text, real)
          expect(told.filter(({ action }) => action !== 'created')).toEqual([])
          expect(await plain(there, theirs)).toBe(await plain(here, ours))
          const row = await there.selectFrom('providers').selectAll().executeTakeFirstOrThrow()
          expect(key === '' ? row.api_key_cipher : theirs.decrypt(row.api_key_cipher, `provider:${provider}`)).toBe(key)
          const sealed = await there
            .selectFrom('channels')
            .selectAll()
            .where('id', '=', channel)
            .executeTakeFirstOrThrow()
          expect(key === '' ? '' : theirs.decrypt(sealed.sealed, `channel ${channel}`)).toBe(
            key === '' ? '' : JSON.stringify({ token: key }),
          )
          const again = await hub(there, theirs).import(text, { ...real, onConflict: 'update' })
          expect(new Set(again.map(({ action }) => action))).toEqual(new Set(['unchanged']))
        },
      ),
      { numRuns: 12 },
    )
  }, 120_000)

  test('things that are there under other ids are found by name, and what points at them follows', async () => {
    await fill(here, { name: 'alpha', note: 'a', key: 'sk-0123456789abcdef' })
    const text = await hub(here, ours).export({ format: 'toml', secrets: 'key_ring', passphrase: '', only: null })
    const own = await fill(there, { name: 'alpha', note: 'b', key: '' })
    await there.deleteFrom('receivers').execute()
    await there.deleteFrom('alert_rules').execute()
    await hub(there, ours).import(text, { ...real, onConflict: 'update' })
    const receiver = await there.selectFrom('receivers').selectAll().executeTakeFirstOrThrow()
    expect(JSON.parse(receiver.targets)[0].channelId).toBe(own.channel)
    const provider = await there.selectFrom('providers').selectAll().executeTakeFirstOrThrow()
    expect(provider).toMatchObject({
      id: own.provider,
      tenants: JSON.stringify([own.tenant]),
      api_key_last_four: 'cdef',
    })
    expect(ours.decrypt(provider.api_key_cipher, `provider:${own.provider}`)).toBe('sk-0123456789abcdef')
  })

  test('who is on call, who is told, what is kept and read go from hub to hub, and what would not work there is refused', async () => {
    await fill(here, { name: 'alpha', note: 'a', key: 'sk-0123456789abcdef' })
    await here.insertInto('users').values(userOf('usr_ann', 'ann@example.com')).execute()
    await here.updateTable('service_accounts').set({ owner_id: 'usr_ann' }).execute()
    const text = await hub(here, ours).export({ format: 'json', secrets: 'reference', passphrase: '', only: null })
    expect(text).not.toMatch(/sesame/)
    await here.deleteFrom('users').execute()
    const document = JSON.parse(text)
    expect(document.sources[0].dsn).toBe('env:IMPORT_SOURCES_OLD_GATEWAY_DSN')
    const env = {
      IMPORT_SOURCES_OLD_GATEWAY_DSN: 'mysql://reader:other@elsewhere.example/newapi',
      IMPORT_PROVIDERS_ALPHA_API_KEY_CIPHER: 'sk-0123456789abcdef',
      ...Object.fromEntries(
        JSON.stringify(document.channels)
          .match(/IMPORT_\w+/g)!
          .map((name) => [name, '{}']),
      ),
    }
    const told = await hub(there, theirs, env).import(text, real)
    expect(told.find(({ kind }) => kind === 'service_accounts')!.note).toBe(
      'nobody here is called ann@example.com: owner is left open',
    )
    const source = await there.selectFrom('sources').selectAll().executeTakeFirstOrThrow()
    // What is told of an address is of the one that was given here.
    expect(source).toMatchObject({ enabled: 0, place: expect.stringContaining('elsewhere.example') })
    expect(theirs.decrypt(source.dsn, `source:${source.id}`)).toBe(env.IMPORT_SOURCES_OLD_GATEWAY_DSN)
    expect(await there.selectFrom('source_cursors').selectAll().execute()).toMatchObject([
      { source_id: source.id, state: 'waiting', backfill_to: null },
    ])
    const stored = await there.selectFrom('on_call_settings').selectAll().orderBy('kind', 'desc').execute()
    expect(stored.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['schedule day', 'policy P1'])
    const again = await hub(there, theirs, env).import(text, { ...real, onConflict: 'update' })
    expect(new Set(again.map(({ action }) => action))).toEqual(new Set(['unchanged']))

    const wrong: [string, unknown, string][] = [
      ['on_call_schedules', { name: 'night', body: { steps: [] } }, 'members'],
      ['on_call_policies', { name: 'P9', body: document.on_call_policies[0].body }, 'P0'],
      ['alert_routing', { id: 1, settings: { route: {} } }, 'receiver'],
      ['maintenance_jobs', { name: 'log_cleanup', cron: 'now and then' }, 'cron'],
      ['sources', { name: 'other', kind: 'new-api', dsn: 'clickhouse://x/y' }, 'ClickHouse'],
      ['conversation_settings', { scope: 'tenant', scope_id: 't-alpha', redact: ['no such pack'] }, 'redact'],
    ]
    for (const [kind, item, reason] of wrong) {
      const wish = JSON.stringify({ gatehouse: 1, [kind]: [item] })
      const failed = await hub(there, theirs, env)
        .import(wish, { ...real, onConflict: 'update' })
        .catch((error: unknown) => String((error as Error).message))
      expect([kind, failed]).toEqual([kind, expect.stringContaining(reason)])
    }
  })

  test('what another process reads in, a running hub is told by the store: checks, too', async () => {
    const store = createMonitorStore(there)
    const ids = await fill(here, { name: 'alpha', note: 'a', key: '' })
    const check = {
      ...{ id: createId('check'), tenant_id: ids.tenant, name: 'site', type: 'http', level: '', description: '' },
      ...{ parameters: '{}', sealed: '', interval_ms: 60_000, retry_interval_ms: 60_000, timeout_ms: 1000, retries: 0 },
      ...{ failures: 1, successes: 1, enabled: 1, is_public: 0, is_upside_down: 0, depends_on: '[]', windows: '[]' },
      ...{ push_hash: null, ...times },
    }
    await here.insertInto('checks').values(check).execute()
    const text = await hub(here, ours).export({ format: 'json', secrets: 'passphrase', passphrase, only: null })
    const stamps = [await store.stamp()]
    await hub(there, theirs).import(text, real)
    stamps.push(await store.stamp())
    // Of a node whose clock is ahead; the change is older than what is there.
    await there
      .updateTable('checks')
      .set({ updated_at: clock.now() + 60_000 })
      .execute()
    stamps.push(await store.stamp())
    const changed = text.replace('"interval_ms": 60000', '"interval_ms": 30000').replace('"site"', '"other site"')
    await hub(there, theirs).import(changed.replace(check.id, createId('check')), real)
    await there.deleteFrom('checks').where('name', '=', 'site').execute()
    stamps.push(await store.stamp())
    expect(new Set(stamps).size).toBe(4)
  })

  test('secrets as references name variables, and without them what is there keeps its own', async () => {
    await fill(here, { name: 'alpha', note: 'a', key: 'sk-0123456789abcdef' })
    const text = await hub(here, ours).export({
      format: 'toml',
      secrets: 'reference',
      passphrase: '',
      only: ['providers'],
    })
    expect(text).toContain('api_key_cipher = "env:IMPORT_PROVIDERS_ALPHA_API_KEY_CIPHER"')
    expect(text).not.toContain('sk-0123456789abcdef')
    const set = text.replace(/tenants = .*\n/, '')
    await expect(hub(there, theirs).import(set, real)).rejects.toThrow('IMPORT_PROVIDERS_ALPHA_API_KEY_CIPHER')
    await hub(there, theirs, { IMPORT_PROVIDERS_ALPHA_API_KEY_CIPHER: 'sk-other-key-000' }).import(set, real)
    const [told] = await hub(there, theirs).import(set, { ...real, onConflict: 'update' })
    expect(told).toMatchObject({ action: 'unchanged', note: expect.stringContaining('stays as it is') })
    const steals = set.replace('IMPORT_PROVIDERS_ALPHA_API_KEY_CIPHER', 'GATEHOUSE_SECRET_KEY')
    await expect(hub(there, theirs).import(steals, { ...real, onConflict: 'update' })).rejects.toThrow('IMPORT_')
  })

  test('a dry run and a document with any fault change nothing; every fault is told with its place', async () => {
    await fill(here, { name: 'alpha', note: 'a', key: '' })
    const text = await hub(here, ours).export({ format: 'json', secrets: 'passphrase', passphrase, only: null })
    const dry = hub(there, theirs)
    expect(
      (await dry.import(text, { ...real, isDry: true })).filter(({ action }) => action === 'created').length,
    ).toBeGreaterThan(8)
    expect(dry.told).toEqual([])
    expect(await there.selectFrom('providers').selectAll().execute()).toEqual([])
    const document = JSON.parse(text)
    document.providers[0].weight = 'heavy'
    document.models[0].colour = 'red'
    document.model_providers[0].provider = 'nobody'
    const failed = await hub(there, theirs)
      .import(JSON.stringify(document), real)
      .catch((error: unknown) => error)
    const { issues } = failed as { issues: { path: string; message: string }[] }
    expect(issues.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['models[0].colour', 'model_providers[0].provider']),
    )
    expect(await there.selectFrom('tenants').selectAll().execute()).toEqual([])
    await expect(hub(there, theirs).import('[[providers]', real)).rejects.toThrow('neither TOML nor JSON')
  })

  test('skip, update and replace are chosen for all and for single things', async () => {
    const ids = await fill(here, { name: 'alpha', note: 'a', key: 'sk-0123456789abcdef' })
    const wish = {
      gatehouse: 1,
      providers: [{ name: 'alpha', weight: 50 }],
      models: [{ name: 'm alpha', remark: 'new' }],
    }
    const own = hub(here, ours)
    const first = await own.import(JSON.stringify(wish), { ...real, choices: { 'models/m alpha': 'update' } })
    expect(first.map(({ action }) => action)).toEqual(['skipped', 'updated'])
    expect(own.told).toEqual(['routes'])
    const second = await own.import(JSON.stringify(wish), { ...real, onConflict: 'update' })
    expect(second).toMatchObject([{ action: 'updated', changes: ['weight'] }, { action: 'unchanged' }])
    await own.import(JSON.stringify({ ...wish, models: [] }), { ...real, onConflict: 'replace' })
    const row = await here.selectFrom('providers').selectAll().executeTakeFirstOrThrow()
    // All that is not said is as for a new one; a secret nobody said anything of stays.
    expect(row).toMatchObject({ id: ids.provider, weight: 50, priority: 100, timeout: 60, tags: '[]' })
    expect(ours.decrypt(row.api_key_cipher, `provider:${ids.provider}`)).toBe('sk-0123456789abcdef')
  })

  test('a wrong pass phrase, a short one and a changed document are refused', async () => {
    await fill(here, { name: 'alpha', note: 'a', key: 'sk-0123456789abcdef' })
    const wish = { format: 'toml', secrets: 'passphrase', only: null } as const
    await expect(hub(here, ours).export({ ...wish, passphrase: 'short' })).rejects.toThrow('at least 12')
    const text = await hub(here, ours).export({ ...wish, passphrase })
    await expect(hub(there, theirs).import(text, { ...real, passphrase: 'another pass phrase' })).rejects.toThrow(
      'pass phrase',
    )
    await expect(hub(there, theirs).import(text, { ...real, passphrase: '' })).rejects.toThrow('give it')
  })

  describe('the three sheets of the orchestrator', () => {
    const book = async (sheets: Parameters<typeof toWorkbook>[0]) => {
      const pieces: Buffer[] = []
      for await (const piece of toWorkbook(sheets)) pieces.push(piece as Buffer)
      return Buffer.concat(pieces)
    }

    test('out and in again they are the same, Chinese and formulas as text, booleans as booleans', async () => {
      await fill(here, { name: '=cmd()', note: '备注：你好', key: 'sk-0123456789abcdef' })
      const workbook = await hub(here, ours).exportSheets()
      expect(workbook.includes('0123456789abcdef')).toBe(false)
      const told = await hub(there, theirs).importSheets(workbook, real)
      expect(told.map(({ action }) => action)).toEqual(['created', 'created', 'created', 'created'])
      expect(await there.selectFrom('providers').selectAll().executeTakeFirstOrThrow()).toMatchObject({
        name: '=cmd()',
        enabled: 1,
        weight: 7,
      })
      const models = await there.selectFrom('models').selectAll().orderBy('name').execute()
      // The ancestor lost whether a model is enabled.
      expect(models).toMatchObject([{ enabled: 0 }, { name: 'm =cmd()', remark: '备注：你好', enabled: 0 }])
      const link = await there.selectFrom('model_providers').selectAll().executeTakeFirstOrThrow()
      expect(link).toMatchObject({
        provider_model: 'gpt 模型',
        tool_call: 0,
        structured_output: 1,
        image: 1,
        weight: 3,
      })
      const again = await hub(here, ours).importSheets(workbook, { ...real, onConflict: 'update' })
      expect(new Set(again.map(({ action }) => action))).toEqual(new Set(['unchanged']))
    })

    test('the ancestor read columns by place: here their names count, in any order and in Chinese', async () => {
      const workbook = await book([
        {
          name: '提供商',
          columns: ['类型', '启用状态', '名称', '基础URL'],
          rows: [{ 类型: 'openai', 启用状态: false, 名称: '主', 基础URL: 'https://a.example' }],
        },
        { name: 'Models', columns: ['remark', 'name'], rows: [{ name: 'm' }] },
        {
          name: 'Associations',
          columns: ['provider_model', 'provider_name', 'model_name'],
          rows: [{ model_name: 'm', provider_name: '主', provider_model: 'x' }],
        },
      ])
      await hub(here, ours).importSheets(workbook, real)
      expect(await here.selectFrom('providers').selectAll().executeTakeFirstOrThrow()).toMatchObject({
        name: '主',
        enabled: 0,
        weight: 100,
      })
      // The ancestor weighed an association of a file a hundred times as much as one of the API.
      expect(await here.selectFrom('model_providers').selectAll().executeTakeFirstOrThrow()).toMatchObject({
        weight: 1,
        tool_call: 1,
        image: 0,
      })
    })

    test('the ancestor took FALSE for empty and "yes" for false: booleans as text are refused with their cell', async () => {
      const workbook = await book([
        {
          name: 'Providers',
          columns: ['name', 'type', 'enabled', 'weight'],
          rows: [
            { name: 'a', type: 'openai', enabled: 'true', weight: 'many' },
            {},
            { name: 'b', type: 'openai', enabled: 1 },
          ],
        },
        { name: 'Sheet9', columns: ['x'], rows: [] },
        { name: 'Models', columns: ['name', 'nam'], rows: [] },
      ])
      const failed = await hub(here, ours)
        .importSheets(workbook, real)
        .catch((error: unknown) => error)
      expect((failed as { issues: { path: string }[] }).issues.map(({ path }) => path)).toEqual(
        expect.arrayContaining([
          'Sheet9',
          'Models, nam',
          'Providers, row 2, enabled',
          'Providers, row 2, weight',
          'Providers, row 4, enabled',
        ]),
      )
      expect(await here.selectFrom('providers').selectAll().execute()).toEqual([])
      await expect(hub(here, ours).importSheets(Buffer.from('no'), real)).rejects.toThrow('no workbook')
    })

    test('the ancestor knew only names of the same file: associations find what the hub has', async () => {
      await fill(here, { name: 'alpha', note: '', key: '' })
      const workbook = await book([
        {
          name: 'Associations',
          columns: ['model_name', 'provider_name', 'provider_model'],
          rows: [{ model_name: 'm alpha', provider_name: 'alpha', provider_model: 'second' }],
        },
      ])
      expect(await hub(here, ours).importSheets(workbook, real)).toMatchObject([
        { action: 'created', name: 'm alpha / alpha / second' },
      ])
      const unknown = await book([
        {
          name: 'Associations',
          columns: ['model_name', 'provider_name', 'provider_model'],
          rows: [{ model_name: 'm alpha', provider_name: 'nobody', provider_model: 'x' }],
        },
      ])
      await expect(hub(here, ours).importSheets(unknown, real)).rejects.toThrow('Associations, row 2')
    })
  })
})
