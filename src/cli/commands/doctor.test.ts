import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { startHub } from '../../../test/harness/hub.ts'
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
