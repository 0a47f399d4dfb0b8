import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createHubLink } from './hub-link.ts'
import { createMembership, type Manifest, type TokenStore } from './membership.ts'

type Heard = { path: string; token: string; body: Record<string, unknown> }
type Answer = { status: number; body?: unknown; headers?: Record<string, string> }

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A registry over real HTTP that answers as it is told and remembers what it heard. */
async function startRegistry(answer: (heard: Heard, count: number) => Answer, port = 0) {
  const heard: Heard[] = []
  const server = http.createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const entry: Heard = {
      path: request.url ?? '',
      token: request.headers.authorization?.slice(7) ?? '',
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    }
    heard.push(entry)
    const { status, body = {}, headers = {} } = answer(entry, heard.filter(({ path }) => path === entry.path).length)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

const manifest: Manifest = { name: 'notes', version: '1.0.0', host: '127.0.0.1', port: 8010 }

function memory(first: string | null = null): TokenStore & { value: string | null } {
  return {
    value: first,
    read() {
      return this.value
    },
    write(token) {
      this.value = token
    },
  }
}

function join(url: string, options: { tokens?: TokenStore; registrationToken?: string } = {}) {
  const lines: string[] = []
  const waits: number[] = []
  const link = createHubLink(url)
  closers.push(() => link.close())
  // Time stands still between the beats until a test asks for the next one.
  let beat: (() => void) | undefined
  const membership = createMembership({
    ...{ link, manifest, tokens: options.tokens ?? memory(), registrationToken: options.registrationToken ?? 'reg-1' },
    log: (line) => lines.push(line),
    random: () => 1,
    sleep(ms, signal) {
      waits.push(ms)
      if (!membership.isRegistered()) return Promise.resolve()
      return new Promise((resolve) => {
        beat = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    },
  })
  return { membership, lines, waits, beat: () => beat?.() }
}

const registered: Answer = {
  status: 201,
  body: { id: 'svc_1', instance_id: 'ins_1', service_token: 'sk-gh-own', next_heartbeat_seconds: 7 },
}
const beaten: Answer = { status: 200, body: { next_heartbeat_seconds: 9 } }
const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

test('the first registration uses the registration token; from then on the own token is kept and used', async () => {
  const { heard, url } = await startRegistry(({ path }) => (path.endsWith('/register') ? registered : beaten))
  const tokens = memory()
  const first = join(url, { tokens })
  await first.membership.join()
  expect(heard[0]).toMatchObject({ path: '/api/registry/register', token: 'reg-1', body: manifest })
  expect(tokens.value).toBe('sk-gh-own')
  await first.membership.leave()

  const second = join(url, { tokens })
  await second.membership.join()
  expect(heard.at(-1)).toMatchObject({ path: '/api/registry/register', token: 'sk-gh-own' })
  await second.membership.leave()
})

test('the ancestor registered once and never again (B3.1): a hub that comes up later is found, with growing waits', async () => {
  const { heard, url } = await startRegistry(({ path }, count) =>
    path.endsWith('/register') && count < 4 ? { status: 503, body: { detail: 'starting' } } : registered,
  )
  const { membership, lines, waits } = join(url)
  await membership.join()
  expect(heard).toHaveLength(4)
  expect(waits.slice(0, 3)).toEqual([500, 1000, 2000])
  expect(lines.filter((line) => line.includes('not registered yet'))).toEqual(['not registered yet: starting'])
  await membership.leave()
})

test('a hub that does not listen is told as such, with what to look at', async () => {
  const { url, server } = await startRegistry(() => registered)
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const { membership, lines } = join(url)
  const joining = membership.join()
  await until(() => lines.length > 0)
  expect(lines[0]).toBe(
    `not registered yet: the hub at http://127.0.0.1:${port} cannot be reached: nothing listens there; is the hub running?`,
  )
  await startRegistry(() => registered, port)
  await joining
  expect(membership.isRegistered()).toBe(true)
  await membership.leave()
})

test('what the hub asks to wait is waited, and a refusal that only a person can mend is told in its words', async () => {
  const { url } = await startRegistry(({ path }, count) =>
    !path.endsWith('/register')
      ? beaten
      : count === 1
        ? { status: 409, body: { code: 'reserved_name', detail: 'notes is a path of the hub' } }
        : count === 2
          ? { status: 429, body: { detail: 'slow down' }, headers: { 'retry-after': '4' } }
          : registered,
  )
  const { membership, lines, waits } = join(url)
  await membership.join()
  expect(lines.slice(0, 2)).toEqual(['not registered yet: notes is a path of the hub', 'not registered yet: slow down'])
  expect(waits.slice(0, 2)).toEqual([15_000, 4000])
  await membership.leave()
})

test('beats come when the hub wants them, and a hub that has forgotten the instance gets it again', async () => {
  const { heard, url } = await startRegistry(({ path }, count) =>
    path.endsWith('/register') ? registered : count === 2 ? { status: 404, body: { detail: 'unknown' } } : beaten,
  )
  const { membership, waits, beat } = join(url)
  await membership.join()
  await until(() => waits.length === 1)
  expect(waits).toEqual([7000])
  beat()
  await until(() => waits.length === 2)
  expect(waits[1]).toBe(9000)
  expect(heard.at(-1)).toMatchObject({
    path: '/api/registry/heartbeat',
    token: 'sk-gh-own',
    body: { service_id: 'notes', instance_id: 'ins_1', status: 'healthy' },
  })
  beat()
  await until(() => heard.filter(({ path }) => path.endsWith('/register')).length === 2)
  await membership.leave()
})

test('draining is told before leaving, and after leaving nothing beats', async () => {
  const { heard, url } = await startRegistry(({ path }) => (path.endsWith('/register') ? registered : beaten))
  const { membership } = join(url)
  await membership.join()
  await membership.drain()
  await membership.leave()
  expect(heard.map(({ path, body }) => [path, body.status])).toEqual([
    ['/api/registry/register', undefined],
    ['/api/registry/heartbeat', 'draining'],
    ['/api/registry/deregister/notes', undefined],
  ])
  expect(membership.isRegistered()).toBe(false)
})

test('the ancestor said "deregistered" whatever the registry answered (B3.1): a refusal is an error', async () => {
  const { url } = await startRegistry(({ path }) =>
    path.includes('deregister') ? { status: 404, body: { detail: 'no such instance' } } : registered,
  )
  const { membership, lines } = join(url)
  await membership.join()
  await expect(membership.leave()).rejects.toThrow('no such instance')
  expect(lines.join()).not.toContain('deregistered')
})

test('without any token the plugin says which one it needs', async () => {
  const { url } = await startRegistry(() => registered)
  const link = createHubLink(url)
  closers.push(() => link.close())
  const lines: string[] = []
  const membership = createMembership({
    ...{ link, manifest, tokens: memory(), log: (line) => lines.push(line), random: () => 1 },
    sleep: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
  })
  const joining = membership.join()
  await until(() => lines.length > 0)
  expect(lines[0]).toContain('GATEHOUSE_REGISTRATION_TOKEN')
  await membership.leave()
  await joining
})
