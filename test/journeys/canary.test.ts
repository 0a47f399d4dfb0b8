import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { type Canary, findCanaries, type Place } from '../harness/canaries.ts'
import { until } from '../harness/control.ts'
import { type ProcessHub, runGatehouse, startProcessHub } from '../harness/process-hub.ts'
import {
  callModels,
  configure,
  createRecorder,
  failAtTheDoor,
  type Plant,
  readEverything,
  setUp,
  startUpstreams,
} from './canary-exercises.ts'

/** Not secret, and planted beside the secrets: a search that does not find it looks in the wrong place. */
const marker = `marker-${randomBytes(12).toString('hex')}`
const email = `${marker}@example.com`

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('a search', () => {
  test.each([
    ['plain', (secret: string) => `key=${secret};`],
    ['cut short', (secret: string) => secret.slice(0, 19)],
    ['masked at its beginning', (secret: string) => `****${secret.slice(11)}`],
    ['in a URL', encodeURIComponent],
    ['in JSON', (secret: string) => JSON.stringify({ secret })],
    ['in base64', (secret: string) => Buffer.from(secret).toString('base64')],
    ['in hexadecimal', (secret: string) => Buffer.from(secret).toString('hex')],
  ])('finds a secret %s', (_, spell) => {
    const canaries = [{ name: 'password', secret: `A"b/c+d${randomBytes(24).toString('base64')}` }]
    const content = `before ${spell(canaries[0]!.secret)} after`
    expect(findCanaries(canaries, [{ name: 'log', content }])).not.toEqual([])
    expect(findCanaries(canaries, [{ name: 'log', content, allowed: ['password'] }])).toEqual([])
    expect(findCanaries(canaries, [{ name: 'log', content: 'nothing here' }])).toEqual([])
  })
})

const random = (bytes = 24) => randomBytes(bytes).toString('base64url')

/** A store of its own for a role whose password is a canary. */
async function postgresStore(server: string): Promise<{ url: string; password: string }> {
  const name = `canary_${randomBytes(6).toString('hex')}`
  const password = `Pg/${random()}+x`
  const command = async (text: string) => {
    const client = new pg.Client({ connectionString: server })
    await client.connect()
    await client.query(text).finally(() => client.end())
  }
  await command(`create role ${name} login password '${password}'`)
  await command(`create database ${name} owner ${name}`)
  cleanups.push(async () => {
    await command(`drop database ${name} with (force)`)
    await command(`drop role ${name}`)
  })
  const url = new URL(server)
  Object.assign(url, { username: name, password: encodeURIComponent(password), pathname: `/${name}` })
  return { url: url.href, password }
}

const server = process.env.GATEHOUSE_TEST_POSTGRES_URL
const stores = ['sqlite', ...(server ? ['postgres'] : [])]
if (!server) describe.skip('secrets on postgres', () => void test('needs a PostgreSQL server', () => {}))

test.each(stores)(
  '4.9.37 no planted secret stands anywhere it was not given to, on %s',
  async (engine) => {
    const store = engine === 'postgres' ? await postgresStore(server!) : null
    const canaries: Canary[] = []
    const plant = (name: string, secret: string) => {
      canaries.push({ name, secret })
      return secret
    }
    if (store !== null) plant('database password', store.password)
    const adminKey = plant('admin key', `Adm-${random()}`)
    const password = plant('password', `Pw"${random()} x`)
    const providerKeys = {
      openai: plant('OpenAI key', `sk-proj-${random(30)}`),
      anthropic: plant('Anthropic key', `sk-ant-api03-${random(30)}`),
      gemini: plant('Gemini key', `AIza${random(26)}`),
      // As self-hosted upstreams have them: no shape that a pattern could know.
      shapeless: plant('shapeless key', `correct${randomBytes(10).toString('hex').replace(/\d/g, 'q')}battery`),
    }
    const places: Place[] = []

    const secretKey = engine === 'postgres' ? { GATEHOUSE_SECRET_KEY: plant('secret key', random(32)) } : {}
    const settings = { LOG_LEVEL: 'debug', ...secretKey, ...(store && { DATABASE_URL: store.url }) }
    const hub = await startProcessHub({ env: { ...settings, ADMIN_KEY: '' } })
    cleanups.push(() => hub.destroy())
    const client = createRecorder(hub, places)

    const setupToken = plant('setup token', String((await hub.run().says('Set up the first')).setup_token))
    await setUp(client, plant, { setupToken, password, email })
    await hub.stop()
    hub.env.ADMIN_KEY = adminKey
    await hub.restart()

    const upstreams = await startUpstreams(providerKeys, marker)
    cleanups.push(() => Promise.all(upstreams.map(({ fake }) => fake.close())))
    const apiKey = await configure(client, plant, { adminKey, upstreams, marker })
    await callModels(client, { apiKey, upstreams })
    await failAtTheDoor(client, { apiKey, adminKey, password, setupToken, providerKey: providerKeys.openai })
    await until('the store has every row', async () => {
      const { json } = await createRecorder(hub, [])('GET', '/api/logs', { headers: { 'x-admin-key': adminKey } })
      return json.pending === 0
    })
    await readEverything(client, adminKey)

    // While it runs: what is in the write-ahead log now may be gone from it after the end.
    places.push(...filesOf(hub.dataDir, 'running '))
    await hub.stop()
    places.push(...filesOf(hub.dataDir, 'stopped '))
    places.push(...(await commandLine(hub, plant, store?.url)))
    if (store) places.push(...(await databaseText(store.url)))
    places.push(...logPlaces(hub.output(), setupToken))
    if (engine === 'sqlite') plant('secret.key', readFileSync(join(hub.dataDir, 'secret.key'), 'utf8').trim())

    expect(canaries.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['API key', 'refresh token', 'access token']),
    )
    expectMarkers(places, engine)
    expect(findCanaries(canaries, places)).toEqual([])
  },
  120_000,
)

/** A search that cannot fail shows nothing: the marker must be found in every sort of place, by the same search. */
function expectMarkers(places: readonly Place[], engine: string) {
  const marked = findCanaries([{ name: 'marker', secret: marker }], places).map(({ place }) => place)
  const sorts = [
    'log',
    'GET /metrics',
    'GET /api/providers',
    'GET /api/keys',
    'GET /api/logs',
    'GET /api/users',
    'POST /v1/chat',
  ]
  const stored =
    engine === 'sqlite' ? ['running gatehouse.db', 'stopped gatehouse.db'] : ['table request_logs', 'table providers']
  for (const sort of [...sorts, ...stored, 'running rows-', 'config show']) {
    expect(
      marked.some((place) => place.startsWith(sort)),
      `the marker is found in ${sort}`,
    ).toBe(true)
  }
  expect(places.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['GET /openapi.json 200', 'GET /api/prices 200', 'GET /docs/ 200']),
  )
}

/** Every file of the data folder, byte by byte, but the one that is there to hold a secret. */
function filesOf(folder: string, label: string): Place[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'secret.key')
    .map((entry) => ({ name: label + entry.name, content: readFileSync(join(entry.parentPath, entry.name)) }))
}

/** The log of all runs, whose one line with the set-up token is the place for it. */
function logPlaces(output: string, setupToken: string): Place[] {
  const lines = output.split('\n')
  const shown = lines.filter((line) => line.includes(setupToken))
  expect(shown.map((line) => JSON.parse(line).msg)).toEqual([expect.stringContaining('Set up the first administrator')])
  return [
    { name: 'log', content: lines.filter((line) => !shown.includes(line)).join('\n') },
    { name: 'log line with the set-up token', content: shown.join('\n'), allowed: ['setup token'] },
  ]
}

/** Commands that speak of the configuration, a wrong password for the store, and an address that is none. */
async function commandLine(hub: ProcessHub, plant: Plant, databaseUrl: string | undefined): Promise<Place[]> {
  const proxy = plant('proxy password', `Px-${random()}`)
  const wrong = plant('mistyped database password', `Mt-${random()}`)
  const mistyped = new URL(databaseUrl ?? 'postgres://gatehouse@127.0.0.1:1/gatehouse')
  mistyped.password = wrong
  const env = {
    ...hub.env,
    GATEHOUSE_NETWORK_PROXY: `http://user:${proxy}@127.0.0.1:1`,
    CORS_ORIGINS: `https://${marker}.example.com`,
    GATEHOUSE_USAGE_RETENTION_DAYS: marker,
    REDIS_URL: `redis://:${wrong}@127.0.0.1:1/0`,
  }
  const { GATEHOUSE_USAGE_RETENTION_DAYS: _, ...valid } = env
  const runs: [args: string[], env: Record<string, string>][] = [
    [['config', 'show'], valid],
    [['config', 'show', '--json'], valid],
    [['config', 'validate'], valid],
    [['config', 'validate'], env],
    [['config', 'validate'], { ...valid, DATABASE_URL: `mysql://root:${wrong}@127.0.0.1/x` }],
    [['keys', 'list'], hub.env],
    [['migrate', 'status'], { ...hub.env, DATABASE_URL: mistyped.href }],
    [['serve'], { ...hub.env, DATABASE_URL: mistyped.href, GATEHOUSE_DATABASE_WAIT_TRIES: '1' }],
  ]
  const places: Place[] = []
  for (const [args, environment] of runs) {
    const { out, err } = await runGatehouse(args, { env: environment, cwd: hub.dataDir }).ended
    expect(out + err).not.toBe('')
    places.push({ name: args.join(' '), content: out + err })
  }
  return places
}

/** Every row of every table as text, and what pg_dump makes of it where there is one. */
async function databaseText(url: string): Promise<Place[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const tables = await client.query(`select table_name from information_schema.tables where table_schema = 'public'`)
    const places: Place[] = []
    for (const { table_name: table } of tables.rows) {
      const { rows } = await client.query(`select t::text as line from "${table}" as t`)
      places.push({ name: `table ${table}`, content: rows.map(({ line }) => line).join('\n') })
    }
    const dump = findDumpProgram()
    if (dump !== null) {
      const content = execFileSync(dump, ['--dbname', url], { maxBuffer: 1 << 28 })
      expect(content.includes(marker)).toBe(true)
      places.push({ name: 'pg_dump', content })
    }
    return places
  } finally {
    await client.end()
  }
}

function findDumpProgram(): string | null {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => join(root, version, 'bin/pg_dump')).find((file) => existsSync(file)) ?? null
}
