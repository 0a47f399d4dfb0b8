import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { migrations } from '../../src/migrations/index.ts'
import { startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { auditLedger } from '../harness/ledger-audit.ts'
import { type Run, type RunOptions, runGatehouse, startProcessHub } from '../harness/process-hub.ts'

/** Of the contract, in its order; what a start says besides comes in between. */
const steps = [
  'Starting Gatehouse',
  'Waiting for database',
  'Database is ready',
  'Running database migrations',
  'Initializing',
  'Starting application server',
]

let folder: string
let dataDir: string
const cleanups: (() => unknown)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-start-'))
  dataDir = join(folder, 'data')
  mkdirSync(dataDir)
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  rmSync(folder, { recursive: true, force: true })
})

function serve(env: Record<string, string> = {}, options: RunOptions = {}): Run {
  const settings = { GATEHOUSE_DATA_DIR: dataDir, GATEHOUSE_SERVER_PORT: '0', ...env }
  const run = runGatehouse(['serve'], { env: settings, cwd: folder, ...options })
  cleanups.push(async () => {
    run.kill('SIGKILL')
    await run.ended
  })
  return run
}

const messages = (run: Run) => run.lines().map(({ msg }) => msg)
/** The steps of the contract that a run came to, each once. */
const stepsOf = (run: Run) => steps.filter((step) => messages(run).includes(step))

test('a start tells its steps and every migration in the order of the contract', async () => {
  const run = serve()
  await run.says('Listening on ')
  const upgrades = migrations.map(({ name }, i) => `Running upgrade ${migrations[i - 1]?.name ?? ''} -> ${name}`)
  const expected = [...steps.slice(0, 4), ...upgrades, ...steps.slice(4)]
  const told = messages(run).filter((message) => expected.includes(message) || message.startsWith('Listening on '))
  expect(told).toEqual([...expected, expect.stringMatching(/^Listening on http:\/\/127\.0\.0\.1:\d+$/)])
  run.kill('SIGTERM')
  expect(await run.ended).toMatchObject({ exitCode: 0, err: '' })

  const again = serve()
  await again.says('Listening on ')
  expect(messages(again).filter((message) => message.startsWith('Running upgrade'))).toEqual([])
})

test('a port in use stops the start and names the process that has it', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  cleanups.push(() => holder.close())
  const { port } = holder.address() as AddressInfo
  const { exitCode, err } = await serve({ GATEHOUSE_SERVER_PORT: String(port) }).ended
  expect(exitCode).toBe(1)
  expect(err).toContain('GATEHOUSE_SERVER_PORT  server.port')
  expect(err).toContain(`the port is in use by process ${process.pid} (`)
  expect(err).toContain(`stop it (kill ${process.pid}), or choose another one with --port or server.port`)
})

test('a data folder of somebody else stops the start with its owner, its mode and who asks', async () => {
  chmodSync(folder, 0o755)
  const isRoot = process.getuid?.() === 0
  chmodSync(dataDir, isRoot ? 0o700 : 0o000)
  cleanups.push(() => chmodSync(dataDir, 0o700))
  const prefix = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []
  const run = serve({}, { prefix })
  const { exitCode, out, err } = await run.ended
  expect({ exitCode, out }).toEqual({ exitCode: 78, out: '' })
  expect(err).toContain('GATEHOUSE_DATA_DIR  data.dir')
  expect(err).toMatch(new RegExp(`${dataDir} cannot be used: EACCES.*belongs to .+ with mode 0\\d00; the hub runs as`))
  expect(err).toContain(`chown -R USER ${dataDir}`)
})

test('a store file that is no database is left as it is, and the start says so', async () => {
  const file = join(dataDir, 'gatehouse.db')
  const text = 'this is a letter and no database\n'.repeat(200)
  writeFileSync(file, text)
  const run = serve()
  const { exitCode, err } = await run.ended
  expect(exitCode).toBe(78)
  expect(err).toContain(`${file} is not a SQLite database, or it is damaged (SQLITE_NOTADB)`)
  expect(err).toContain('Move it away to start with an empty store, restore it from a backup')
  expect(stepsOf(run)).toEqual(steps.slice(0, 2))
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test.each<[what: string, toml: string, env: Record<string, string>, told: string[]]>([
  [
    'an unknown key in the file',
    '[server]\nport = 0\n\n[database]\npool_sise = 4\n',
    {},
    ['gatehouse.toml:5  database.pool_sise', 'pool_size'],
  ],
  ['a file that is no TOML', '[server]\nport = \n', {}, ['gatehouse.toml:2', 'not TOML']],
  ['a wrong type in the file', '[server]\nport = "many"\n', {}, ['gatehouse.toml:2  server.port', '0 to 65535']],
  [
    'a wrong type in a variable',
    '',
    { GATEHOUSE_USAGE_RETENTION_DAYS: 'many' },
    ['GATEHOUSE_USAGE_RETENTION_DAYS  usage.retention_days', '1 to 3650'],
  ],
  [
    'a variable that is nearly one of ours',
    '',
    { GATEHOUSE_SERVER_HOSTS: '::1' },
    ['There is no variable GATEHOUSE_SERVER_HOSTS', 'GATEHOUSE_SERVER_HOST?'],
  ],
  [
    'a default secret on a public address',
    '',
    { GATEHOUSE_SERVER_HOST: '0.0.0.0', ADMIN_KEY: 'admin-secret-key-change-this' },
    ['ADMIN_KEY  auth.admin_key', 'a default that everybody knows', 'openssl rand -hex 32', '(now 0.0.0.0)'],
  ],
])('%s stops the start before anything is made', async (_, toml, env, told) => {
  writeFileSync(join(folder, 'gatehouse.toml'), toml)
  const run = runGatehouse(['serve'], { env: { GATEHOUSE_DATA_DIR: join(folder, 'new'), ...env }, cwd: folder })
  const { exitCode, out, err } = await run.ended
  expect({ exitCode, out }).toEqual({ exitCode: 78, out: '' })
  for (const text of told) expect(err).toContain(text)
  expect(err).not.toContain('admin-secret-key-change-this')
  expect(existsSync(join(folder, 'new'))).toBe(false)
})

/** A store as a hub has left it. */
async function startedOnce(): Promise<Database.Database> {
  const run = serve()
  await run.says('Listening on ')
  run.kill('SIGTERM')
  await run.ended
  const database = new Database(join(dataDir, 'gatehouse.db'))
  cleanups.push(() => database.close())
  return database
}

test('a store of a newer program is refused and not touched', async () => {
  const database = await startedOnce()
  database.exec(`insert into schema_migrations values ('9999-from-the-future', 1, '7.8.9')`)
  const before = database.prepare('select * from schema_migrations').all()
  const run = serve()
  const { exitCode, err } = await run.ended
  expect(exitCode).toBe(78)
  expect(err).toContain('The database is newer than this program: it holds 9999-from-the-future')
  expect(err).toContain('Start version 7.8.9 or later, or restore a backup from before the upgrade.')
  expect(stepsOf(run)).toEqual(steps.slice(0, 4))
  expect(database.prepare('select * from schema_migrations').all()).toEqual(before)
})

test('a migration that fails stops the start, and nothing of it or after it is there', async () => {
  const last = migrations.at(-1)!
  const database = await startedOnce()
  database.exec(`delete from schema_migrations where name = '${last.name}'`)
  const tables = () => database.prepare(`select name, sql from sqlite_master order by name`).all()
  const before = tables()
  rmSync(join(dataDir, 'journal'), { recursive: true })

  const run = serve()
  const { exitCode, err } = await run.ended
  expect(exitCode).toBe(1)
  expect(err).toMatch(
    new RegExp(
      `Migration ${last.name} \\(up\\) failed: .*(already exists|duplicate column name).*Nothing of it was kept`,
    ),
  )
  expect(stepsOf(run)).toEqual(steps.slice(0, 4))
  expect(tables()).toEqual(before)
  expect(existsSync(join(dataDir, 'journal'))).toBe(false)
})

test('a second hub on the same data folder is refused with the reason, and the first goes on', async () => {
  const first = serve()
  const { address } = await first.says('Listening on ')
  const second = serve()
  const { exitCode, err } = await second.ended
  expect(exitCode).toBe(1)
  expect(err).toContain(join(dataDir, 'journal'))
  expect(err).toContain('another process has it open: give each hub its own data folder')
  expect(messages(second)).not.toContain('Starting application server')
  expect((await fetch(`${address}/readyz`)).status).toBe(200)
})

const model = 'gpt-4o-mini'
const question = (key: string, stream: boolean) => ({
  method: 'POST',
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }] }),
})

/** A hub in the middle of a streamed answer, which goes on when `release` is called. */
async function hubWithOpenStream() {
  const upstream = await startFakeProvider({ kind: 'openai', models: [model] })
  const hub = await startProcessHub()
  cleanups.push(() => upstream.close(), hub.destroy)
  await hub.serveModel(model, { type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey })
  const { key } = await hub.createKey()
  upstream.behave({ answer: { text: 'one two six ten ', pieceLength: 4 }, holdAt: 3 })
  const response = await fetch(`${hub.url()}/v1/chat/completions`, question(key, true))
  const { release } = await upstream.arrival(1)
  return { hub, key, response, release }
}

test('SIGTERM lets a running stream end, takes no new connection, and leaves nothing in the journal', async () => {
  const { hub, key, response, release } = await hubWithOpenStream()
  expect(response.status).toBe(200)
  const stopped = hub.stop()
  await hub.run().says('Stopping')
  await until('new connections are refused', () => fetch(`${hub.url()}/livez`).then(() => false, isRefused))
  await expect(fetch(`${hub.url()}/v1/chat/completions`, question(key, false))).rejects.toThrow()

  release()
  const text = await response.text()
  expect(text).toContain('ten ')
  expect(text).toMatch(/data: \[DONE\]\n\n$/)
  expect(await stopped).toMatchObject({ exitCode: 0, signal: null, err: '' })
  expect(messages(hub.run()).at(-1)).toBe('Stopped')
  const traceId = response.headers.get('x-trace-id')!
  const audit = await auditLedger({ databaseUrl: '', dataDir: hub.dataDir }, [{ traceId }])
  expect(audit).toMatchObject({ rows: 1, missing: [], wrongSums: [], unsettled: 0 })
})

test('a further signal ends the hub at once, streams or not', async () => {
  const { hub, response } = await hubWithOpenStream()
  const cut = response.text().catch((error: Error) => error)
  const stopped = hub.stop()
  await hub.run().says('Stopping')
  // Within half a second a signal counts as the same one: terminals and npm pass each Ctrl-C on.
  await new Promise((resolve) => setTimeout(resolve, 600))
  hub.run().kill('SIGTERM')
  expect(await stopped).toMatchObject({ exitCode: 143 })
  expect(messages(hub.run()).at(-1)).toBe('Ended at once, without waiting for answers')
  expect(await cut).toBeInstanceOf(Error)
})

function isRefused(error: Error): boolean {
  return (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'
}

test('4.9.39 an unclaimed hub answers on its own machine only, and its token makes the first owner once', async () => {
  const upstream = await startFakeProvider({ kind: 'openai', models: [model] })
  cleanups.push(() => upstream.close())
  const env = { ADMIN_KEY: '', GATEHOUSE_SERVER_HOST: '0.0.0.0', GATEHOUSE_SERVER_TRUSTED_PROXIES: '127.0.0.1' }
  const hub = await startProcessHub({ env })
  cleanups.push(hub.destroy)
  const { port } = new URL(hub.url())
  const here = `http://127.0.0.1:${port}`
  const outside = fromOutside(port)
  const post = (path: string, body: unknown, headers = {}) =>
    fetch(here + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  for (const [path, status] of [
    ['/livez', 200],
    ['/readyz', 200],
    ['/health', 403],
    ['/', 403],
    ['/v1/models', 403],
  ] as const) {
    expect((await outside(path)).status, path).toBe(status)
  }
  const { setup_token: setupToken } = await hub.run().says('Set up the first administrator')
  const owner = { email: 'owner@example.com', password: 'correct horse battery', name: 'Owner' }
  const claim = { token: setupToken, ...owner }
  expect(await (await outside('/api/auth/setup', claim)).json()).toMatchObject({ status: 403, code: 'setup_required' })
  expect((await post('/api/auth/setup', { ...claim, token: `${String(setupToken)}x` })).status).toBe(401)

  expect((await post('/api/auth/setup', claim)).status).toBe(200)
  expect((await post('/api/auth/setup', { ...claim, email: 'thief@example.com' })).status).toBe(401)
  const login = await outside('/api/auth/login', { email: owner.email, password: owner.password })
  expect(login.status).toBe(200)
  const { access_token: token } = (await login.json()) as { access_token: string }
  const authorization = { authorization: `Bearer ${token}` }
  const provider = { name: 'fake', type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey }
  expect((await post('/api/providers', provider, authorization)).status).toBe(201)
  expect((await post('/api/models', { name: model }, authorization)).status).toBe(201)
  const link = { model_id: model, provider_id: 'fake', provider_model: model }
  expect((await post('/api/model-providers', link, authorization)).status).toBe(201)
  const made = await post('/api/keys', { name: 'first' }, authorization)
  const { key } = (await made.json()) as { key: string }
  expect((await fetch(`${here}/v1/chat/completions`, question(key, false))).status).toBe(200)
  expect((await outside('/v1/models')).status).toBe(401)

  await hub.stop()
  await hub.restart()
  expect(messages(hub.run()).filter((message) => message.startsWith('Set up'))).toEqual([])
})

/** Calls as another machine would: to an address of this one that is not loopback, else through a proxy of its own. */
function fromOutside(port: string) {
  const address = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  const headers: Record<string, string> = address === undefined ? { 'x-forwarded-for': '203.0.113.9' } : {}
  return (path: string, body?: unknown) =>
    fetch(`http://${address ?? '127.0.0.1'}:${port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
}
