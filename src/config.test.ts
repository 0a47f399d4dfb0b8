import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, checkMachine, type Finding, type LoadOptions, loadConfig, mask, settings } from './config.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-config-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function writeToml(text: string, name = 'gatehouse.toml'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function catchError(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was refused')
}

function findingsOf(options: LoadOptions): readonly Finding[] {
  const thrown = catchError(() => loadConfig(options))
  if (thrown instanceof ConfigError) return thrown.findings
  throw thrown
}

/** `file:line setting` of each finding, the folder cut off. */
const places = (findings: readonly Finding[]) =>
  findings.map(({ where, setting }) => `${where.replace(`${folder}/`, '')} ${setting}`)

describe('order and origins', () => {
  test('without file, variables or flags every value is its default and says so', () => {
    const { config, origins, file, warnings } = loadConfig({ file: null, env: {} })
    expect(config.server).toMatchObject({ host: '127.0.0.1', port: 8000 })
    expect(file).toBeNull()
    expect(warnings).toEqual([])
    expect(new Set([...origins.values()].map((origin) => origin.source))).toEqual(new Set(['default']))
    expect([...origins.keys()]).toEqual(settings.map((setting) => setting.name))
  })

  test('a file beats the default, a variable beats the file, a flag beats them all', () => {
    const file = writeToml('[server]\nport = 1111\nhost = "127.0.0.2"\ndrain_seconds = 5\n')
    const { config, origins } = loadConfig({
      file,
      env: { GATEHOUSE_SERVER_PORT: '2222', GATEHOUSE_SERVER_HOST: '127.0.0.3' },
      flags: { 'server.port': { value: 3333, flag: '--port' } },
    })
    expect(config.server).toMatchObject({ port: 3333, host: '127.0.0.3', drain_seconds: 5 })
    expect(origins.get('server.port')).toEqual({ source: 'flag', where: '--port' })
    expect(origins.get('server.host')).toEqual({ source: 'env', where: 'GATEHOUSE_SERVER_HOST' })
    expect(origins.get('server.drain_seconds')).toEqual({ source: 'file', where: `${file}:4` })
    expect(origins.get('server.max_body_bytes')).toEqual({ source: 'default', where: 'default' })
  })

  test('GATEHOUSE_CONFIG names the file, and --config is stronger', () => {
    const asked = writeToml('[server]\nport = 1\n', 'asked.toml')
    const flagged = writeToml('[server]\nport = 2\n', 'flagged.toml')
    const env = { GATEHOUSE_CONFIG: asked }
    expect(loadConfig({ env })).toMatchObject({ file: asked, config: { server: { port: 1 } } })
    expect(loadConfig({ env, file: flagged })).toMatchObject({ file: flagged, config: { server: { port: 2 } } })
  })

  test('a gatehouse.toml in the data folder is found when nobody names another', () => {
    const path = writeToml('[server]\nport = 4\n')
    expect(loadConfig({ env: { GATEHOUSE_DATA_DIR: folder } })).toMatchObject({ file: path })
    expect(loadConfig({ env: {}, flags: { 'data.dir': { value: folder, flag: '--data' } } }).file).toBe(path)
  })

  test('a file that was asked for and is not there stops the start', () => {
    const missing = join(folder, 'none.toml')
    expect(findingsOf({ env: {}, file: missing })).toMatchObject([{ where: '--config', level: 'error' }])
    expect(findingsOf({ env: { GATEHOUSE_CONFIG: missing } })).toMatchObject([{ where: 'GATEHOUSE_CONFIG' }])
    expect(findingsOf({ env: {}, file: folder })[0]?.cause.en).toContain('EISDIR')
  })
})

describe('variables', () => {
  const load = (env: Record<string, string>) => loadConfig({ file: null, env })

  test('the seeds’ own names work', () => {
    const { config, origins } = load({
      DATABASE_URL: 'postgres://u:p@db/x',
      REDIS_URL: 'redis://cache:6379/0',
      ADMIN_KEY: 'k3y-with-enough-random-letters',
      CORS_ORIGINS: 'https://a.example, https://b.example',
      LOG_LEVEL: 'INFO',
    })
    expect(config.database.url).toBe('postgres://u:p@db/x')
    expect(config.redis.url).toBe('redis://cache:6379/0')
    expect(config.auth.admin_key).toBe('k3y-with-enough-random-letters')
    expect(config.server.cors_origins).toEqual(['https://a.example', 'https://b.example'])
    expect(config.log.level).toBe('INFO')
    expect(origins.get('database.url')).toEqual({ source: 'env', where: 'DATABASE_URL' })
  })

  test('an empty variable counts as not set', () => {
    expect(load({ DATABASE_URL: '', GATEHOUSE_SERVER_PORT: '' }).config.server.port).toBe(8000)
  })

  test('of two names for one setting the prefixed one wins, and the difference is pointed out', () => {
    const { config, warnings } = load({ REDIS_URL: 'redis://a', GATEHOUSE_REDIS_URL: 'redis://b' })
    expect(config.redis.url).toBe('redis://b')
    expect(places(warnings)).toEqual(['REDIS_URL redis.url'])
  })

  test('lists come as commas or as JSON, numbers and switches as text', () => {
    const { config } = load({
      GATEHOUSE_SERVER_TRUSTED_PROXIES: '["10.0.0.0/8","::1"]',
      GATEHOUSE_SERVER_DRAIN_SECONDS: '1.5',
      GATEHOUSE_GATEWAY_IMPORT_CAPABILITIES: 'off',
    })
    expect(config.server.trusted_proxies).toEqual(['10.0.0.0/8', '::1'])
    expect(config.server.drain_seconds).toBe(1.5)
    expect(config.gateway.import_capabilities).toBe(false)
  })

  test('a wrong value is refused under the variable’s name', () => {
    const env = { GATEHOUSE_SERVER_PORT: 'eighty', GATEHOUSE_LOG_FORMAT: 'xml', GATEHOUSE_SERVER_TRUSTED_PROXIES: '1' }
    expect(places(findingsOf({ file: null, env }))).toEqual([
      'GATEHOUSE_SERVER_PORT server.port',
      'GATEHOUSE_SERVER_TRUSTED_PROXIES server.trusted_proxies.0',
      'GATEHOUSE_LOG_FORMAT log.format',
    ])
  })

  test('a misspelt variable is refused with the name that was meant', () => {
    const [finding] = findingsOf({ file: null, env: { GATEHOUSE_SERVER_PROT: '80' } })
    expect(finding).toMatchObject({ level: 'error', where: 'GATEHOUSE_SERVER_PROT' })
    expect(finding?.remedy.en).toContain('GATEHOUSE_SERVER_PORT')
  })

  test('a variable that resembles nothing is pointed out, what Kubernetes injects is not', () => {
    const { warnings } = load({
      GATEHOUSE_COLOUR_OF_THE_SKY: 'blue',
      GATEHOUSE_PORT: 'tcp://10.0.0.1:8000',
      GATEHOUSE_PORT_8000_TCP_ADDR: '10.0.0.1',
      GATEHOUSE_SERVICE_HOST: '10.0.0.1',
      GATEHOUSE_TEST_POSTGRES_URL: 'postgres://x',
    })
    expect(places(warnings)).toEqual(['GATEHOUSE_COLOUR_OF_THE_SKY '])
  })
})

describe('refusals', () => {
  test('everything wrong is told at once, each with its line', () => {
    const file = writeToml(`# our hub
[server]
prot = 80
port = "80"
drain_seconds = 99999
cors_origins = [
  "https://fine.example", # a comment, with "quotes"
  "nonsense",
]

[servr]
host = "x"

[log]
level = "loud"
`)
    const findings = findingsOf({ env: {}, file })
    expect(places(findings).sort()).toEqual([
      'gatehouse.toml:11 servr',
      'gatehouse.toml:15 log.level',
      'gatehouse.toml:3 server.prot',
      'gatehouse.toml:4 server.port',
      'gatehouse.toml:5 server.drain_seconds',
      'gatehouse.toml:6 server.cors_origins.1',
    ])
    for (const { cause, remedy } of findings) {
      expect(cause.en).toMatch(/\w.*\.$/)
      expect(cause.zh).toMatch(/[\u4e00-\u9fff]/)
      expect(remedy.en).not.toBe('')
      expect(remedy.zh).toMatch(/[\u4e00-\u9fff]/)
    }
  })

  test('an unknown key comes with the one that was meant, in its own section or another', () => {
    const remedyOf = (text: string) => findingsOf({ env: {}, file: writeToml(text) })[0]?.remedy.en
    expect(remedyOf('[server]\nprot = 1')).toContain('"port"')
    expect(remedyOf('port = 1')).toContain('[server] port')
    expect(remedyOf('[databse]\nurl = ""')).toContain('"database"')
    expect(remedyOf('[server]\nfrobnicate = 1')).toContain('gatehouse.example.toml')
  })

  test('text that is not TOML is refused with its line', () => {
    expect(places(findingsOf({ env: {}, file: writeToml('[server]\nport = 80\nhost = localhost\n') }))).toEqual([
      'gatehouse.toml:3 ',
    ])
  })

  test('a value where a table belongs is refused, and variables beneath it do no harm', () => {
    const findings = findingsOf({ env: { GATEHOUSE_SERVER_PORT: '1' }, file: writeToml('server = 3') })
    expect(findings.map((finding) => finding.setting)).toEqual(['server'])
    expect(findings[0]?.remedy.en).toContain('[server]')
  })

  test('no message repeats a secret', () => {
    const secret = 'hunter2-hunter2'
    const file = writeToml(`[database]\nurl = "mysql://root:${secret}@db/x"\n[auth]\nadmin_key = ["${secret}"]\n`)
    const findings = findingsOf({ env: { REDIS_URL: `memcached://${secret}` }, file })
    expect(findings).toHaveLength(3)
    expect(JSON.stringify(findings)).not.toContain(secret)
  })
})

describe('guessable secrets', () => {
  const known = 'admin-secret-key-change-this'
  const at = (host: string, key: string): LoadOptions => ({
    file: null,
    env: { ADMIN_KEY: key, GATEHOUSE_SERVER_HOST: host },
  })

  test.each(['0.0.0.0', '::', '10.1.2.3', 'hub.example.com'])('refuse the start on %s', (host) => {
    for (const key of [known, 'changeme', 'short', 'aaaaaaaaaaaaaaaaaaaaaaaa']) {
      expect(findingsOf(at(host, key))).toMatchObject([{ level: 'error', where: 'ADMIN_KEY' }])
    }
  })

  test.each(['127.0.0.1', '::1', 'localhost', '127.9.9.9'])('are only pointed out on %s', (host) => {
    expect(loadConfig(at(host, known)).warnings).toMatchObject([{ level: 'warning', where: 'ADMIN_KEY' }])
  })

  test('a random secret raises nothing anywhere', () => {
    expect(loadConfig(at('0.0.0.0', '9f86d081884c7d659a2feaa0c55ad015')).warnings).toEqual([])
  })
})

describe('this machine', () => {
  const withData = (dir: string) =>
    loadConfig({ file: null, env: {}, flags: { 'data.dir': { value: dir, flag: '--data' } } })

  test('a missing data folder is made only when it is wanted, closed to others, and left empty', () => {
    const dir = join(folder, 'a', 'b')
    checkMachine(withData(dir), { make: false })
    expect(existsSync(dir)).toBe(false)
    checkMachine(withData(dir), { make: true })
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(readdirSync(dir)).toEqual([])
  })

  test('a file in the way is named with owner, mode and remedy', () => {
    const path = writeToml('', 'in-the-way')
    for (const make of [true, false]) {
      const thrown = catchError(() => checkMachine(withData(join(path, 'data')), { make }))
      const [finding] = (thrown as ConfigError).findings
      expect(finding).toMatchObject({ where: '--data', setting: 'data.dir' })
      expect(finding?.cause.en).toContain(path)
      expect(finding?.cause.en).toMatch(/mode 0\d{3}/)
      expect(finding?.remedy.en).toContain(path)
    }
  })

  test('a folder that the user may not write is refused', () => {
    const dir = join(folder, 'closed')
    mkdirSync(dir, { mode: 0o555 })
    const isRoot = process.geteuid?.() === 0
    // Nothing is closed to root.
    if (isRoot) process.seteuid?.(65534)
    try {
      expect(() => checkMachine(withData(dir), { make: true })).toThrow(/EACCES/)
      expect(() => checkMachine(withData(join(dir, 'inside')), { make: false })).toThrow(/EACCES/)
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })
})

test('what is shown of a secret is enough to recognise it and too little to use it', () => {
  const byName = (name: string) => settings.find((setting) => setting.name === name)!
  expect(mask(byName('database.url'), 'postgres://u:pw@db:5432/x?password=pw2')).toBe('postgres://u:***@db:5432/x')
  expect(mask(byName('redis.url'), 'redis://:pw@cache:6379')).toBe('redis://:***@cache:6379')
  expect(mask(byName('auth.admin_key'), 'a-key')).toBe('***')
  expect(mask(byName('auth.admin_key'), 'a:key')).toBe('***')
  expect(mask(byName('auth.admin_key'), '')).toBe('')
  expect(mask(byName('server.host'), '0.0.0.0')).toBe('0.0.0.0')
})

describe('settings that need one another', () => {
  test('mail needs an address of the hub, and an OpenID provider a client and a way back', () => {
    const mail = writeToml('[mail]\nurl = "smtp://mail.example.com"\n')
    expect(places(findingsOf({ file: mail, env: {} }))).toEqual(['gatehouse.toml:2 mail.url'])
    const oidc = writeToml('[auth.oidc]\nissuer = "https://id.example.com"\n')
    expect(findingsOf({ file: oidc, env: {} }).map(({ cause }) => cause.en)).toEqual([
      expect.stringContaining('auth.oidc.client_id is not'),
      expect.stringContaining('server.public_url is not'),
    ])
    const whole = writeToml(
      '[server]\npublic_url = "https://hub.example.com"\n[mail]\nurl = "smtp://u:p@mail.example.com"\n' +
        '[auth.oidc]\nissuer = "https://id.example.com"\nclient_id = "hub"\nrole_map = ["a=b=user"]\n',
    )
    expect(loadConfig({ file: whole, env: {} }).config.auth.oidc).toMatchObject({ role_map: ['a=b=user'] })
  })

  test.each([
    ['[auth.oidc]\nissuer = "http://id.example.com"\n', 'https://'],
    ['[auth.oidc]\nrole_map = ["admins=king"]\n', '=super_admin'],
    ['[auth.oidc]\nrole_map = ["admins"]\n', 'form'],
    ['[server]\npublic_url = "hub.example.com"\n', 'https://hub.example.com'],
    ['[mail]\nurl = "https://mail.example.com"\n', 'smtp://'],
  ])('%s is refused and told why', (text, reason) => {
    const findings = findingsOf({ file: writeToml(text), env: {} })
    expect(findings.map(({ cause, remedy }) => `${cause.en} ${remedy.en}`).join('\n')).toContain(reason)
  })
})
