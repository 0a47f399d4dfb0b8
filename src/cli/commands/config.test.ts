import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminKey, startHub, type TestHub } from '../../../test/harness/hub.ts'
import { createCommandLine } from '../testing.ts'

const { run } = createCommandLine()

function write(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-config-cli-'))
  const file = join(folder, 'gatehouse.toml')
  writeFileSync(file, text)
  return file
}

describe('the file from the command line', () => {
  test('set writes one value, keeps comments, and get reads it back', async () => {
    const file = write('# ours\n[server]\nport = 8000 # the port\n')
    const set = await run(['config', 'set', 'server.port', '9000', '--config', file])
    expect(set).toMatchObject({ exitCode: 0, out: expect.stringContaining('restart') })
    expect(readFileSync(file, 'utf8')).toBe('# ours\n[server]\nport = 9000 # the port\n')
    expect(await run(['config', 'get', 'server.port', '--config', file])).toMatchObject({ exitCode: 0, out: '9000' })
    const lists = await run([
      'config',
      'set',
      'server.cors_origins',
      'https://a.example, https://b.example',
      '--config',
      file,
    ])
    expect(lists).toMatchObject({ exitCode: 0, out: expect.stringContaining('config reload') })
    expect(readFileSync(file, 'utf8')).toContain('cors_origins = ["https://a.example", "https://b.example"]')
    expect(await run(['config', 'unset', 'server.cors_origins', '--config', file])).toMatchObject({ exitCode: 0 })
    expect(readFileSync(file, 'utf8')).toBe('# ours\n[server]\nport = 9000 # the port\n')
  })

  test('what would not do is refused before anything is written: range, kind, name, together', async () => {
    const text = '[server]\nport = 8000\n'
    const file = write(text)
    const range = await run(['config', 'set', 'server.port', '99999', '--config', file])
    expect(range).toMatchObject({ exitCode: 78, err: expect.stringContaining('0 to 65535') })
    expect(await run(['config', 'set', 'server.port', 'many', '--config', file])).toMatchObject({ exitCode: 78 })
    const name = await run(['config', 'set', 'server.prot', '1', '--config', file])
    expect(name).toMatchObject({ exitCode: 1, err: expect.stringContaining('did you mean server.port?') })
    const together = await run(['config', 'set', 'mail.url', 'smtp://mail.example', '--config', file])
    expect(together).toMatchObject({ exitCode: 78, err: expect.stringContaining('server.public_url') })
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('a variable that is stronger is named, with exit code 2', async () => {
    const file = write('')
    const env = { GATEHOUSE_SERVER_PORT: '7000' }
    const set = await run(['config', 'set', 'server.port', '9000', '--config', file], env)
    expect(set).toMatchObject({ exitCode: 2, err: expect.stringContaining('GATEHOUSE_SERVER_PORT') })
  })

  test('validate --live really tries: store, Redis, folders, rule files; each with what, where and remedy', async () => {
    const file = write(
      `[database]\nurl = "postgres://nobody@127.0.0.1:9/none"\n[redis]\nurl = "redis://127.0.0.1:9"\n[alerts]\nrule_files = ["/nowhere/rules.yml"]\n[backups]\nfolder = "/proc/nowhere"\n`,
    )
    const { exitCode, out } = await run(['config', 'validate', '--live', '--json', '--config', file])
    expect(exitCode).toBe(78)
    const { findings } = JSON.parse(out) as { findings: { setting: string; where: string; remedy: { en: string } }[] }
    const named = new Map(findings.map((each) => [each.setting, each]))
    expect([...named.keys()].sort()).toEqual(
      expect.arrayContaining(['alerts.rule_files', 'backups.folder', 'database.url', 'redis.url']),
    )
    expect(named.get('database.url')!.where).toMatch(/gatehouse\.toml:2$/)
    for (const { remedy } of named.values()) expect(remedy.en).not.toBe('')
    expect(await run(['config', 'validate', '--config', file])).toMatchObject({ exitCode: 0 })
  })
})

describe('beside a running hub', () => {
  let hub: TestHub
  let file: string
  let env: Record<string, string>
  const hubRun = (...args: string[]) => run([...args, '--config', file, '--data', hub.dataDir], env)

  beforeAll(async () => {
    hub = await startHub()
    file = write('# ours\n')
    env = { ADMIN_KEY: adminKey, GATEHOUSE_SERVER_PORT: new URL(hub.url).port }
  })
  afterAll(async () => {
    await hub?.stop()
    rmSync(join(file, '..'), { recursive: true, force: true })
  })

  test('reload asks it, diff shows what it runs with, revisions who changed what', async () => {
    expect(await hubRun('config', 'reload')).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining('Nothing differs'),
    })
    writeFileSync(file, '[server]\ndrain_seconds = 9\n')
    const diff = JSON.parse((await hubRun('config', 'diff', '--json')).out)
    expect(diff.changes).toContainEqual({ name: 'server.drain_seconds', before: 30, after: 9, reloadable: true })
    const [first] = JSON.parse((await hubRun('config', 'revisions', '--json')).out)
    expect(first).toMatchObject({ origin: 'start', outcome: 'kept' })
  })

  test('without ADMIN_KEY it says how else to reload', async () => {
    const { exitCode, err } = await run(['config', 'reload', '--data', hub.dataDir], {})
    expect(exitCode).toBe(1)
    expect(err).toContain('SIGHUP')
  })

  test('the control plane goes out to a file and in again, previewed before it is done', async () => {
    await hub.admin('POST', '/api/providers', { name: 'Main 主', type: 'openai', api_key: 'sk-0123456789abcdef' })
    await hub.admin('POST', '/api/models', { name: 'gpt', remark: '=1+1' })
    await hub.admin('POST', '/api/model-providers', {
      model_id: 'gpt',
      provider_id: 'Main 主',
      provider_model: 'gpt-x',
    })
    const [toml, xlsx] = ['plane.toml', 'plane.xlsx'].map((name) => join(file, '..', name)) as [string, string]
    env.IMPORT_PASSPHRASE = 'correct horse battery'
    expect(await hubRun('config', 'export', '--to', toml, '--secrets', 'passphrase')).toMatchObject({ exitCode: 0 })
    expect(readFileSync(toml, 'utf8')).toContain('api_key_cipher = "sealed:v1.')
    expect(await hubRun('config', 'export', '--to', xlsx)).toMatchObject({ exitCode: 0 })
    await hub.admin('PATCH', '/api/models/gpt', { remark: 'changed' })
    const dry = await hubRun('config', 'import', toml, '--on-conflict', 'update')
    expect(dry).toMatchObject({ exitCode: 0, out: expect.stringContaining('nothing was changed') })
    expect((await hub.admin('GET', '/api/models/gpt')).remark).toBe('changed')
    const done = await hubRun('config', 'import', xlsx, '--on-conflict', 'update', '--yes')
    expect(done).toMatchObject({ exitCode: 0, out: expect.stringContaining('1 updated') })
    expect((await hub.admin('GET', '/api/models/gpt')).remark).toBe('=1+1')
    const audit = (await hub.admin('GET', '/api/audit?limit=5')).data
    expect(audit).toContainEqual(expect.objectContaining({ action: 'config.import', outcome: 'done' }))
  })

  test('the same over the API: an export, a dry run, a workbook, faults with their places', async () => {
    const ask = (path: string, body?: unknown) =>
      fetch(hub.url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${adminKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    const exported = await ask('/api/config/export', { format: 'json' })
    const document = await exported.text()
    expect(JSON.parse(document).models).toMatchObject([{ name: 'gpt' }])
    const told = await (await ask('/api/config/import', { document, on_conflict: 'update' })).json()
    expect(told).toMatchObject({ dry_run: true, counts: { unchanged: expect.any(Number) } })
    const workbook = Buffer.from(await (await ask('/api/config/export.xlsx')).arrayBuffer()).toString('base64')
    expect(await (await ask('/api/config/import.xlsx', { workbook, dry_run: false })).json()).toMatchObject({
      counts: { skipped: 3 },
    })
    const wrong = await ask('/api/config/import', {
      document: 'gatehouse = 1\n[[models]]\nname = "x"\nenabled = "yes"\n',
    })
    expect(wrong.status).toBe(400)
    expect(await wrong.json()).toMatchObject({ errors: [{ path: 'models[0].enabled' }] })
  })
})
