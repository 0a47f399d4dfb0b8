import { expect, test } from 'vitest'
import { createCommandLine } from '../testing.ts'

const { run, writeFile } = createCommandLine()

const kuma = JSON.stringify({
  version: '1.23.11',
  monitorList: [
    {
      id: 1,
      name: 'Shop',
      type: 'http',
      url: 'https://shop.example.com/',
      interval: 60,
      accepted_statuscodes: ['200-299'],
    },
    { id: 2, name: 'Nightly', type: 'push', pushToken: 'abcDEF123', interval: 86_400, active: 0 },
    { id: 3, name: 'Game', type: 'gamedig', interval: 60 },
  ],
})
const gatus = `
endpoints:
  - name: api
    group: core
    url: https://api.example.com/health
    interval: 30s
    conditions: ["[STATUS] == 200", "[RESPONSE_TIME] < 500"]
  - name: name server
    url: 1.1.1.1
    dns: { query-name: example.com, query-type: A }
    conditions: ["[DNS_RCODE] == NOERROR"]
`
const names = (out: string) =>
  (JSON.parse(out).checks as { name: string; type: string }[]).map(({ name, type }) => [type, name])

test("a backup of Uptime Kuma's is taken over, what is not understood is said, and twice makes nothing twice", async () => {
  await run(['migrate', 'up'])
  const file = writeFile('kuma.json', kuma)
  const told = await run(['checks', 'import', file, '--dry-run', '--json'])
  expect([told.exitCode, JSON.parse(told.out)]).toMatchObject([2, { from: 'uptime-kuma', dry_run: true, made: 0 }])
  const made = await run(['checks', 'import', file, '--json'])
  expect(JSON.parse(made.out)).toMatchObject({ made: 2, dry_run: false })
  expect(names(made.out)).toEqual([
    ['http', 'Shop'],
    ['push', 'Nightly'],
  ])
  expect(JSON.stringify(JSON.parse(made.out).notes)).toContain('Game')
  expect(made.out).not.toContain('abcDEF123')
  const again = await run(['checks', 'import', file, '--json'])
  expect(JSON.parse(again.out).made).toBe(0)
})

test("a configuration of Gatus' is taken over, and shown to people line by line", async () => {
  await run(['migrate', 'up'])
  const { exitCode, out } = await run(['checks', 'import', writeFile('gatus.yaml', gatus)])
  expect(exitCode, 'one condition has no like here').toBe(2)
  expect(out).toMatch(/^! core \/ api: .*RESPONSE_TIME/m)
  expect(out).toMatch(/^ {2}http +core \/ api$/m)
  expect(out).toMatch(/^ {2}dns +name server$/m)
  expect(out).toContain('2 checks made from gatus')
})

test('a file that is not there, or is neither, is refused, and nothing is made', async () => {
  await run(['migrate', 'up'])
  expect(await run(['checks', 'import', '/nowhere.json'])).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining('/nowhere.json'),
  })
  const other = await run(['checks', 'import', writeFile('other.yaml', 'services: [a]')])
  expect([other.exitCode, other.out]).toEqual([2, expect.stringContaining('0 checks made')])
})
