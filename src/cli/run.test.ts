import { expect, test } from 'vitest'
import { createCommandLine } from './testing.ts'

const { run: gatehouse, writeFile } = createCommandLine()
const writeToml = (text: string) => writeFile('hub.toml', text)

test('a wrong command line ends with 64 and says where help is', async () => {
  for (const args of [
    ['frobnicate'],
    ['config', 'vlidate'],
    ['config', 'show', '--frob'],
    ['config', 'show', 'x'],
    [],
  ]) {
    const { exitCode, err, out } = await gatehouse(args)
    expect([args, exitCode]).toEqual([args, 64])
    expect(err).toContain('--help')
    expect(out).toBe('')
  }
})

test('help and version are answers, not mistakes', async () => {
  expect(await gatehouse(['--version'])).toMatchObject({ exitCode: 0, out: '1.2.3' })
  const help = await gatehouse(['config', '--help'])
  expect(help).toMatchObject({ exitCode: 0, err: '' })
  expect(help.out).toMatch(/validate.*检查/s)
})

test('config validate ends with 0 when all is well, 2 with warnings, 78 when the start would be refused', async () => {
  expect(await gatehouse(['config', 'validate'])).toMatchObject({ exitCode: 0, err: '' })

  const warned = await gatehouse(['config', 'validate'], { ADMIN_KEY: 'changeme' })
  expect(warned.exitCode).toBe(2)
  expect(warned.err).toContain('ADMIN_KEY')

  const refused = await gatehouse(['config', 'validate', '--config', writeToml('[server]\nprot = 1\nport = "x"\n')])
  expect(refused.exitCode).toBe(78)
  expect(refused.out).toBe('')
  expect(refused.err).toContain('hub.toml:2  server.prot')
  expect(refused.err).toContain('hub.toml:3  server.port')
  expect(refused.err).toMatch(/[\u4e00-\u9fff]/)
})

test('config validate refuses a data folder that could not be made', async () => {
  const file = writeToml('')
  const { exitCode, err } = await gatehouse(['config', 'validate', '--data', `${file}/data`])
  expect(exitCode).toBe(78)
  expect(err).toContain('--data  data.dir')
})

test('findings come as JSON for programs', async () => {
  const { exitCode, out } = await gatehouse(['config', 'validate', '--json'], { GATEHOUSE_SERVER_PORT: 'x' })
  expect(exitCode).toBe(78)
  expect(JSON.parse(out)).toMatchObject({
    ok: false,
    findings: [{ level: 'error', where: 'GATEHOUSE_SERVER_PORT', setting: 'server.port' }],
  })
})

test('config show tells every value with its origin, and no secret', async () => {
  const file = writeToml('[server]\nport = 8100\n')
  const env = { DATABASE_URL: 'postgres://hub:canary-pw@db/hub', ADMIN_KEY: 'canary-key-with-length' }
  const json = await gatehouse(['config', 'show', '--config', file, '--data', '/srv/hub', '--json'], env)
  const shown = JSON.parse(json.out)
  expect(shown['server.port']).toEqual({ value: 8100, source: 'file', where: `${file}:2` })
  expect(shown['data.dir']).toEqual({ value: '/srv/hub', source: 'flag', where: '--data' })
  expect(shown['database.url']).toMatchObject({ value: 'postgres://hub:***@db/hub', where: 'DATABASE_URL' })
  expect(shown['log.level']).toMatchObject({ value: 'info', source: 'default' })

  const text = await gatehouse(['config', 'show', '--config', file], env)
  expect(text.out).toMatch(/^server\.port +8100 +.*hub\.toml:2$/m)
  expect(json.out + text.out + json.err + text.err).not.toMatch(/canary-(pw|key)/)
})
