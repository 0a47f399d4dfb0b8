import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runCli } from '../../src/cli/run.ts'
import { cleanParts } from '../../src/doctor/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bundle-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const data = join(folder, 'data')
const file = join(folder, 'out.tgz')

/** One of every kind, each where it could really be. */
const planted = {
  admin: 'kD82-canary-admin-key-hZ91',
  database: 'p@ss/canary#database',
  redis: 'canary-redis-password-77',
  mail: 'canary-mail-password-88',
  master: Buffer.alloc(32, 9).toString('base64'),
  openai: 'sk-proj-canary0123456789abcdefABCDEF',
  google: 'AIzaSyCanary0123456789abcdefghijklmn',
  github: 'ghp_canary0123456789abcdefABCDEF01',
  aws: 'AKIACANARY0123456789',
  jwt: 'eyJhbGciOiJIUzI1NiJ9canary.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ',
  bearer: 'canary-bearer-token-0123456789',
  webhook: 'canary-webhook-token-0123456789',
  unknown: 'canary-variable-nobody-told-us-of',
}

async function bundle(logLine = '', ...args: string[]) {
  rmSync(data, { recursive: true, force: true })
  mkdirSync(join(data, 'logs'), { recursive: true, mode: 0o700 })
  writeFileSync(join(data, 'secret.key'), `${planted.master}\n`, { mode: 0o600 })
  const line = JSON.stringify({
    time: '2026-11-28T00:00:00.000Z',
    level: 'ERROR',
    msg: `call with Bearer ${planted.bearer} and ${planted.openai} to https://u:${encodeURIComponent(planted.database)}@h/?key=${planted.google}`,
    err: {
      message: `${planted.github} ${planted.aws} ${planted.jwt} ${planted.admin} x-api-key: ${planted.webhook} ${planted.unknown}`,
    },
  })
  writeFileSync(join(data, 'logs/api-error.log'), `${line}\n${logLine}\n`)
  writeFileSync(
    join(folder, 'hub.toml'),
    `[server]\npublic_url = "http://127.0.0.1:1"\n[mail]\nurl = "smtp://user:${planted.mail}@127.0.0.1:25"\n[redis]\nurl = "redis://:${planted.redis}@127.0.0.1:1/0"\n`,
  )
  const out: string[] = []
  const env = {
    ...{ GATEHOUSE_CONFIG: join(folder, 'hub.toml'), GATEHOUSE_DATA_DIR: data, GATEHOUSE_SERVER_PORT: '0' },
    ...{ ADMIN_KEY: planted.admin, MY_OTHER_TOKEN: planted.unknown, HTTP_PROXY: 'http://proxy:3128' },
    DATABASE_URL: `postgres://hub:${encodeURIComponent(planted.database)}@127.0.0.1:1/hub`,
  }
  const terminal = { out: (text: string) => void out.push(text), err: (text: string) => void out.push(text), env }
  const exitCode = await runCli(['doctor', '--offline', '--bundle', file, ...args], terminal, '1.2.3')
  return { exitCode, told: out.join('\n') }
}

const unpack = () => execFileSync('tar', ['-xzOf', file], { encoding: 'utf8' })

test('a bundle holds what helpers need and none of the secrets of any kind that were planted', async () => {
  rmSync(file, { force: true })
  const { told } = await bundle()
  expect(execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n')).toEqual([
    ...['manifest.json', 'doctor.json', 'diagnose.txt', 'machine.json', 'variables.json', 'settings.json'],
    ...['data-folder.txt', 'logs/api-error.log', 'logs/api.log'],
  ])
  const text = unpack()
  for (const [kind, secret] of Object.entries(planted))
    expect([kind, text.includes(secret), text.includes(encodeURIComponent(secret)), told.includes(secret)]).toEqual([
      kind,
      false,
      false,
      false,
    ])
  expect(text).toContain('database_unreachable')
  expect(text).toContain('"ADMIN_KEY"')
  expect(text).toContain('[masked]')
  // Shown before it is written, with what was masked.
  expect(told).toMatch(/logs\/api-error\.log {2}\d+ bytes, [1-9]\d* masked/)
  expect(JSON.parse(/\{[\s\S]*?"parts"[\s\S]*?\n\}/.exec(text)![0]).parts[0]).toMatchObject({
    name: 'doctor.json',
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
})

test('--dry-run shows what would be in it and writes nothing', async () => {
  rmSync(file, { force: true })
  const { told } = await bundle('', '--dry-run')
  expect(told).toContain('not written')
  expect(existsSync(file)).toBe(false)
})

test.each([
  ['a private key', '-----BEGIN RSA PRIVATE KEY-----'],
  ['a recovery key', 'ghb-secret-canary0123456789abcdefghij'],
  ['a password hash', '$argon2id$v=19$m=65536,t=3,p=4$canary'],
])('with %s in a log there is no bundle at all, and the refusal does not tell it', async (what, secret) => {
  rmSync(file, { force: true })
  const { exitCode, told } = await bundle(`{"msg":"${secret}"}`)
  expect(exitCode).toBe(1)
  expect(told).toContain(`still holds ${what}`)
  expect(told).not.toContain('canary0123456789')
  expect(existsSync(file)).toBe(false)
})

test('a secret in a spelling that nobody masks ends it, too', () => {
  const secret = 'a-secret-of-the-settings'
  const text = `base64 of it: ${Buffer.from(secret).toString('base64')}`
  expect(() => cleanParts([{ name: 'x', what: '', text }], { secrets: [secret], home: '' })).toThrow('x still holds')
})

test('sealed texts and the home folder go out as what they are of, and nothing more', () => {
  const text = '/home/ann/data v1.feedbeef.c2VhbGVkLWl2LWhlcmU.c2VhbGVkLXRleHQtaGVyZS1pcy1sb25n'
  const [part] = cleanParts([{ name: 'x', what: '', text }], { secrets: [], home: '/home/ann' })
  expect(part!.text).toBe('~/data v1.feedbeef.[masked]')
})

test('the quick diagnosis has the seven steps of seed 003 in their order', async () => {
  const out: string[] = []
  const env = {
    GATEHOUSE_CONFIG: '',
    GATEHOUSE_DATA_DIR: data,
    REDIS_URL: 'redis://127.0.0.1:1/0',
    GATEHOUSE_SERVER_PORT: '0',
  }
  const terminal = { out: (text: string) => void out.push(text), err: () => {}, env }
  expect(await runCli(['diagnose'], terminal, '1.2.3')).toBe(1)
  expect(out.filter((line) => /^\d\./.test(line)).map((line) => line.split(' · ')[0])).toEqual([
    ...['1. 检查服务状态', '2. 检查端口状态', '3. 检查进程状态', '4. 检查资源使用', '5. 检查最近的错误'],
    ...['6. 检查数据库连接', '7. 检查 Redis 连接'],
  ])
  expect(out.join('\n')).toMatch(/✗ 127\.0\.0\.1:1 redis: nobody listens/)
  expect(readFileSync(join(data, 'secret.key'), 'utf8')).toContain(planted.master)
})
