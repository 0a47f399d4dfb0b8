import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Config, loadConfig } from '../config.ts'
import { createManualClock } from '../kernel/clock.ts'
import { createUpstreams } from '../platform/fetch.ts'
import { createTemporaryFolder } from '../platform/files.ts'
import { silentLog } from '../platform/testing.ts'
import { readAdvisories } from './advisories.ts'

const clock = createManualClock()

async function ask(settings: Partial<Config['maintenance']>, timeoutMs?: number) {
  const upstreams = createUpstreams({ allow: ['127.0.0.0/8'], connectTimeoutMs: 2000, proxy: '', log: silentLog })
  onTestFinished(() => upstreams.close(0))
  const { config } = loadConfig({ file: null, env: {} })
  const maintenance = { ...config.maintenance, ...settings }
  return readAdvisories({ config: { maintenance }, clock, upstreams }, timeoutMs)
}

/** Something that speaks npm's advisories/bulk, or does not; the questions it was asked. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: { method: string | undefined; versions: Record<string, string[]> }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += String(piece)
    asked.push({ method: request.method, versions: JSON.parse(body) as Record<string, string[]> })
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/-/npm/v1/security/advisories/bulk`
  return { url, asked }
}

test('the address is told which packages are installed, and what it knows of them is read', async () => {
  const told = { fastify: [{ severity: 'high', title: 'too fast', url: 'https://example/1' }], zod: [{ title: 'new' }] }
  const { url, asked } = await serve((_, response) => response.end(JSON.stringify(told)))
  expect(await ask({ advisories_url: url })).toEqual([
    {
      ...{ source: new URL(url).host, asOfMs: clock.now(), fault: '' },
      found: [
        { package: 'fastify', severity: 'high', title: 'too fast', url: 'https://example/1' },
        // One that does not say how bad it is, is not taken lightly.
        { package: 'zod', severity: 'high', title: 'new', url: '' },
      ],
    },
  ])
  expect(asked).toMatchObject([{ method: 'POST', versions: { fastify: [expect.stringMatching(/^\d+\./)] } }])
})

test('that nothing is known is an answer, and nobody is asked where nobody was named', async () => {
  const { url } = await serve((_, response) => response.end('{}'))
  expect(await ask({ advisories_url: url })).toMatchObject([{ fault: '', found: [] }])
  expect(await ask({})).toEqual([])
})

test.each<[string, RegExp, (request: IncomingMessage, response: ServerResponse) => void]>([
  ['a web page', /its answer is no JSON/, (_, response) => response.end('<html>log in</html>')],
  ['another JSON', /no list of advisories/, (_, response) => response.end('["fastify"]')],
  ['packages without lists', /no list of advisories/, (_, response) => response.end('{"error":"no"}')],
  ['a failure', /it answers 503/, (_, response) => response.writeHead(503).end('{}')],
  ['a hang-up', /./, (request) => request.socket.destroy()],
  ['more than it may', /bytes|large|8/, (_, response) => response.end(`{"a":"${'x'.repeat(9 * 1024 ** 2)}"}`)],
])('an address that answers with %s leaves it unknown, with the cause', async (_, fault, answer) => {
  const { url } = await serve(answer)
  const [told] = await ask({ advisories_url: url })
  expect(told).toMatchObject({ fault: expect.stringMatching(fault), found: [] })
})

test('an address that keeps us waiting is left, and one where nobody is leaves it unknown', async () => {
  const slow = await serve((_, response) => void response.writeHead(200).write('{'))
  expect(await ask({ advisories_url: slow.url }, 200)).toMatchObject([{ fault: expect.stringMatching(/200|time/i) }])
  const gone = await serve(() => {})
  const nobody = new URL(gone.url)
  nobody.port = '1'
  expect(await ask({ advisories_url: nobody.href })).toMatchObject([{ fault: expect.stringMatching(/./), found: [] }])
})

test('what somebody brought in a file counts as of that day, beside what the address says', async () => {
  const folder = createTemporaryFolder('gatehouse-advisories-')
  onTestFinished(() => folder.remove())
  const file = join(folder.path, 'audit.json')
  writeFileSync(file, JSON.stringify({ vulnerabilities: {} }))
  const { url } = await serve((_, response) => response.end('{}'))
  const told = await ask({ advisories_file: file, advisories_url: url })
  expect(told.map(({ source, fault }) => [source, fault])).toEqual([
    [file, ''],
    [new URL(url).host, ''],
  ])
  expect(Math.abs(told[0]!.asOfMs - Date.now())).toBeLessThan(60_000)
  writeFileSync(file, '{"vulner')
  expect(await ask({ advisories_file: file })).toMatchObject([{ fault: 'its answer is no JSON' }])
  expect(await ask({ advisories_file: join(folder.path, 'gone') })).toMatchObject([{ fault: 'there is no such file' }])
})
