import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { startHub } from '../../../test/harness/hub.ts'
import { startRedis } from '../../../test/harness/services.ts'
import { createCommandLine, type Ran } from '../testing.ts'

const { run: gatehouse, writeFile, path } = createCommandLine()

type Shown = {
  id: string
  status: string
  evidence: string
  cause: { en: string; zh: string } | null
  fixable: boolean
}

/** What is not in order, by id. */
function troubles({ out }: Ran): Record<string, Shown> {
  const { findings } = JSON.parse(out) as { findings: Shown[] }
  return Object.fromEntries(
    findings.filter(({ status }) => !['ok', 'skip'].includes(status)).map((each) => [each.id, each]),
  )
}

const doctor = (args: readonly string[] = [], env: Record<string, string> = {}) =>
  gatehouse(['doctor', '--json', ...args], env)

test('a healthy hub has no findings, seen from outside and from inside', async () => {
  const hub = await startHub()
  onTestFinished(() => hub.stop())
  const ran = await doctor(['--data', hub.dataDir], { GATEHOUSE_SERVER_PORT: new URL(hub.url).port })
  expect(troubles(ran)).toEqual({})
  expect(ran.exitCode).toBe(0)

  const inside = await hub.admin('GET', '/api/doctor')
  expect(inside.findings.filter(({ status }: Shown) => !['ok', 'skip'].includes(status))).toEqual([])
  expect(inside.verdict).toBe('ok')
})

test('over HTTP it mends too: a dry run first, then done, looked at again, in the audit log, and undone', async () => {
  const hub = await startHub()
  onTestFinished(() => hub.stop())
  const modeOf = (name: string) => statSync(`${hub.dataDir}/${name}`).mode & 0o777
  chmodSync(hub.dataDir, 0o755)
  chmodSync(`${hub.dataDir}/secret.key`, 0o640)
  writeFileSync(`${hub.dataDir}/secret.key.999999999.draft`, 'half')
  const seen = async () =>
    (await hub.admin('GET', '/api/doctor?offline=true')).findings
      .filter(({ status }: Shown) => !['ok', 'skip'].includes(status))
      .map(({ id }: Shown) => id)
  expect(await seen()).toEqual(['data_folder_open', 'leftovers', 'secret_key_open'])

  const dry = await hub.admin('POST', '/api/doctor/fix', {})
  expect(dry).toMatchObject({ dry_run: true, undo_id: null, verdict: 'fail' })
  expect(dry.fixes.map(({ finding }: { finding: string }) => finding)).toEqual([
    ...['data_folder_open', 'leftovers', 'secret_key_open'],
  ])
  expect([modeOf(''), modeOf('secret.key'), await hub.admin('GET', '/api/doctor/fixes')]).toEqual([0o755, 0o640, []])

  const one = { dry_run: false, findings: ['data_folder_open', 'secret_key_open'] }
  const done = await hub.admin('POST', '/api/doctor/fix', one)
  expect(done.fixes).toMatchObject([{ error: null, undo: expect.stringContaining('chmod 0755') }, { error: null }])
  expect([modeOf(''), modeOf('secret.key')]).toEqual([0o700, 0o600])
  expect(await seen()).toEqual(['leftovers'])
  expect(await hub.admin('GET', '/api/doctor/fixes')).toMatchObject([{ id: done.undo_id }])

  const undone = await hub.admin('POST', '/api/doctor/undo', { id: done.undo_id })
  expect(undone.undone).toMatchObject([
    { finding: 'secret_key_open', error: null },
    { finding: 'data_folder_open', error: null },
  ])
  expect([modeOf(''), modeOf('secret.key')]).toEqual([0o755, 0o640])
  await expect(hub.admin('POST', '/api/doctor/undo', { id: done.undo_id })).rejects.toThrow(/404|nothing mended/)
  await hub.admin('POST', '/api/doctor/fix', { dry_run: false })
  expect(await seen()).toEqual([])

  const { data } = await hub.admin('GET', '/api/audit?limit=50')
  const actions = data.map(({ action }: { action: string }) => action)
  expect(actions.filter((action: string) => action === 'doctor.fix').length).toBeGreaterThanOrEqual(3)
  expect(actions).toContain('doctor.undo')

  const nobody = await fetch(`${hub.url}/api/doctor/fix`, { method: 'POST', body: '{}' })
  expect(nobody.status).toBe(401)
})

test('a configuration that cannot be read is told, and the rest is still looked at', async () => {
  const ran = await doctor(['--config', writeFile('hub.toml', '[server]\nport = = 1\n')])
  expect(ran.exitCode).toBe(1)
  expect(troubles(ran)).toMatchObject({
    configuration_unreadable: { status: 'fail', evidence: expect.stringContaining('hub.toml:2') },
  })
  expect(ran.out).toContain('runtime_old')
})

test('a setting that does not exist is named with its place', async () => {
  const ran = await doctor(['--config', writeFile('hub.toml', '[server]\nprot = 1\n')])
  expect(troubles(ran)).toMatchObject({
    setting_refused: { status: 'fail', evidence: expect.stringContaining('hub.toml:2  server.prot') },
  })
})

test('a port that another program has is told with its process', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const ran = await doctor(['--only', 'hub'], { GATEHOUSE_SERVER_PORT: `${port}` })
  expect(troubles(ran)).toMatchObject({
    port_taken: { status: 'fail', evidence: expect.stringContaining(`process ${process.pid}`) },
  })
})

test('--fix says what it will do, does it, and looks again; --dry-run only says it', async () => {
  mkdirSync(path('data'), { mode: 0o755 })
  chmodSync(path('data'), 0o755)
  writeFileSync(path('data/secret.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`)
  chmodSync(path('data/secret.key'), 0o644)
  writeFileSync(path('data/secret.key.999999999.draft'), '')

  const dry = await gatehouse(['doctor', '--fix', '--dry-run', '--only', 'machine'])
  expect(dry.out).toContain('→ data_folder_open: chmod go=')
  expect(statSync(path('data')).mode & 0o777).toBe(0o755)
  expect(Object.keys(troubles(await doctor()))).toEqual(
    expect.arrayContaining(['data_folder_open', 'secret_key_open', 'leftovers']),
  )

  const ran = await doctor(['--fix'])
  expect(troubles(ran)).toEqual({})
  expect(statSync(path('data')).mode & 0o777).toBe(0o700)
  expect(statSync(path('data/secret.key')).mode & 0o777).toBe(0o600)
})

test('an unknown area and a lonely --dry-run are mistakes of the caller', async () => {
  expect((await gatehouse(['doctor', '--only', 'weather'])).exitCode).toBe(78)
  expect((await gatehouse(['doctor', '--dry-run'])).exitCode).toBe(64)
})

const postgres = process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''
const redis = process.env.GATEHOUSE_TEST_REDIS_URL ?? ''

/** The test server's address with parts of it changed. */
function changed(url: string, change: (address: URL) => void): string {
  const address = new URL(url)
  change(address)
  return address.href
}

/** A server that says `words` to everybody who connects, or after the first bytes. */
async function speaking(words: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.end(words))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as { port: number }).port
}

const failing = (ran: Ran) =>
  Object.values(troubles(ran))
    .filter(({ status }) => status === 'fail')
    .map(({ id }) => id)

test.skipIf(postgres === '')('what keeps us from PostgreSQL is told apart', async () => {
  const database = (url: string) => doctor(['--only', 'database'], { DATABASE_URL: url }).then(failing)
  expect(await database(postgres)).toEqual([])
  expect(
    await database(
      changed(postgres, (url) => {
        url.password = 'wrong'
      }),
    ),
  ).toEqual(['database_password'])
  expect(
    await database(
      changed(postgres, (url) => {
        url.pathname = '/nowhere'
      }),
    ),
  ).toEqual(['database_missing'])
  expect(
    await database(
      changed(postgres, (url) => {
        url.port = '1'
      }),
    ),
  ).toEqual(['database_unreachable'])
  expect(
    await database(
      changed(postgres, (url) => {
        url.hostname = 'db.invalid'
      }),
    ),
  ).toEqual(['database_name_unresolved'])
  const http = await speaking('HTTP/1.1 400 Bad Request\r\n\r\n')
  expect(await database(`postgres://a:b@127.0.0.1:${http}/x`)).toEqual(['database_not_postgres'])
})

test.skipIf(postgres === '')('a role without rights and a store of a newer program are told', async () => {
  const client = new pg.Client({ connectionString: postgres })
  await client.connect()
  const name = `doctor_${process.pid}_${Date.now()}`
  const run = (text: string) => client.query(text)
  onTestFinished(async () => {
    await run(`drop database if exists ${name} with (force)`)
    await run(`drop role if exists ${name}`)
    await client.end()
  })
  await run(`create database ${name}`)
  await run(`create role ${name} login password 'only-for-this-test' connection limit 3`)
  const url = changed(postgres, (address) => {
    address.pathname = `/${name}`
    address.username = name
    address.password = 'only-for-this-test'
  })
  const database = () => doctor(['--only', 'database'], { DATABASE_URL: url })
  const first = troubles(await database())
  expect(first).toMatchObject({ database_grants: { status: 'fail' }, migrations_pending: { status: 'warn' } })

  await run(`alter role ${name} connection limit 0`)
  expect(failing(await database())).toEqual(['database_connections'])
  await run(`alter role ${name} connection limit 3 nologin`)
  expect(failing(await database())).toEqual(['database_role_missing'])
  await run(`alter role ${name} login`)
  await run(`alter database ${name} owner to ${name}`)
  expect((await gatehouse(['migrate', 'up'], { DATABASE_URL: url })).exitCode).toBe(0)
  expect(troubles(await database())).toEqual({})

  const inside = new pg.Client({ connectionString: url })
  await inside.connect()
  await inside.query("update schema_migrations set name = '9999-of-a-newer-version' where name like '0003%'")
  await inside.end()
  expect(troubles(await database())).toMatchObject({
    migrations_unknown: { status: 'fail', evidence: expect.stringContaining('9999-of-a-newer-version') },
  })
})

test.skipIf(redis === '')('what keeps us from Redis is told apart', async () => {
  const look = (url: string) => doctor(['--only', 'redis'], { REDIS_URL: url }).then(failing)
  expect(await look(redis)).toEqual([])
  expect(await look('redis://127.0.0.1:1/0')).toEqual(['redis_unreachable'])
  const other = await speaking('HTTP/1.1 400 Bad Request\r\n\r\n')
  expect(await look(`redis://127.0.0.1:${other}/0`)).toEqual(['redis_not_redis'])
  const guarded = await startRedis(['--requirepass', 'sesame-for-the-test', '--maxmemory', '1'])
  onTestFinished(() => guarded.destroy())
  expect(await look(guarded.url)).toEqual(['redis_password'])
  const opened = changed(guarded.url, (url) => {
    url.password = 'sesame-for-the-test'
  })
  expect(await look(opened)).toEqual(['redis_full'])
  expect(
    await look(
      changed(opened, (url) => {
        url.pathname = '/99'
      }),
    ),
  ).toEqual(['redis_database'])
})

test('a proxy variable that catches internal calls is told, and one that exempts them is not', async () => {
  const network = (env: Record<string, string>) => doctor(['--only', 'network'], env).then(troubles)
  expect(await network({ HTTP_PROXY: 'http://10.0.0.1:3128' })).toHaveProperty('proxy_variables')
  expect(await network({ HTTP_PROXY: 'http://10.0.0.1:3128', NO_PROXY: 'localhost,127.0.0.1' })).toEqual({})
})

test('a weak ADMIN_KEY, a damaged store and a data folder that is a file are told', async () => {
  expect(troubles(await doctor(['--only', 'secrets'], { ADMIN_KEY: 'changeme' }))).toHaveProperty('secret_weak')
  writeFile('not-a-folder', '')
  expect(failing(await doctor(['--data', path('not-a-folder')]))).toContain('data_folder_unusable')
  mkdirSync(path('data'), { mode: 0o700 })
  writeFileSync(path('data/gatehouse.db'), 'this is no database at all, but long enough to be looked at '.repeat(40))
  expect(failing(await doctor())).toContain('database_file')
  writeFileSync(path('data/secret.key'), 'short', { mode: 0o600 })
  expect(failing(await doctor(['--only', 'secrets']))).toEqual(['master_key'])
})

test('faults of a provider are told apart: key, quota, limit, format, network, a model that is gone', async () => {
  const hub = await startHub()
  onTestFinished(() => hub.stop())
  let answer = { status: 200, body: JSON.stringify({ object: 'list', data: [{ id: 'another', object: 'model' }] }) }
  const vendor = createHttpServer((_, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void vendor.close())
  await new Promise((resolve) => vendor.once('listening', resolve))
  const { port } = vendor.address() as { port: number }
  await hub.serve('model-a', { type: 'openai', base_url: `http://127.0.0.1:${port}/v1` })
  const look = async () => Object.keys(troubles(await doctor(['--data', hub.dataDir, '--only', 'providers'])))
  expect(await look()).toEqual(['model_gone'])
  const says = (status: number, code: string, message: string) => {
    answer = { status, body: JSON.stringify({ error: { message, type: code, code } }) }
  }
  says(401, 'invalid_api_key', 'Incorrect API key provided')
  expect(await look()).toContain('provider_key_refused')
  says(429, 'insufficient_quota', 'You exceeded your current quota')
  expect(await look()).toContain('provider_quota')
  says(402, 'payment_required', 'Insufficient balance')
  expect(await look()).toContain('provider_quota')
  says(429, 'rate_limit_exceeded', 'Slow down')
  expect(await look()).toContain('provider_limited')
  says(503, 'server_error', 'Sorry')
  expect((await look()).some((id) => id === 'provider_failed')).toBe(true)
  answer = { status: 200, body: '<html>not json</html>' }
  expect(await look()).toContain('provider_garbled')
  vendor.closeAllConnections()
  await new Promise((resolve) => vendor.close(resolve))
  expect(await look()).toContain('provider_unreachable')
  expect(await doctor(['--data', hub.dataDir, '--only', 'providers', '--offline']).then(troubles)).toEqual({})
})
