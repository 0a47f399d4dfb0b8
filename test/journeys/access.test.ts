import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Plugin, sendJson, servePlugin } from '../../src/plugin/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** Sends bytes as they are and answers with the status and all that came back. */
function send(hub: TestHub, bytes: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(hub.url).port), '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? done() : reject(error)))
    socket.on('close', done)
    function done() {
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text })
    }
    socket.write(Buffer.from(bytes, 'latin1'))
  })
}

function get(target: string, headers: readonly string[] = [], line = `GET ${target} HTTP/1.1`): string {
  return [line, 'Host: hub', 'Connection: close', ...headers, '', ''].join('\r\n')
}

/** What only an administrator's answer to `/api/providers`, `/api/users` or `/metrics` says. */
const secretWords = /"api_key|"email"|boss@example\.com|gatehouse_http_requests_total\{/

describe('nobody comes in without credentials', () => {
  let hub: TestHub
  let weather: Plugin
  let folder: string
  beforeAll(async () => {
    hub = await startHub({ settings: { 'access.public_paths': ['/api/weather/public/*', '/api/weather/today'] } })
    await hub.admin('POST', '/api/users', {
      ...{ email: 'boss@example.com', password: 'a password of her own', name: 'Boss', role: 'super_admin' },
    })
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-access-'))
    const { token } = await hub.admin('POST', '/api/registry/tokens', { service: 'weather' })
    weather = await servePlugin({
      ...{ name: 'weather', version: '1.0.0', hubUrl: hub.url, registrationToken: token, log: () => {} },
      tokenFile: join(folder, 'token'),
      // Whoever gets this far has been let in, and is shown what only the owner may see.
      handle: ({ request, response, caller }) =>
        sendJson(response, 200, { caller, email: 'boss@example.com', sent: request.headers.authorization ?? '' }),
    })
    await weather.registered
  })
  afterAll(async () => {
    await weather?.stop()
    await hub?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const tricks: [name: string, bytes: string, status: number][] = [
    ['the plain path', get('/api/users'), 401],
    ['a slash at the end', get('/api/users/'), 401],
    ['two slashes', get('//api/users'), 404],
    ['two slashes inside', get('/api//users'), 404],
    ['an encoded slash', get('/api%2fusers'), 404],
    ['an encoded letter', get('/%61pi/users'), 401],
    ['an encoded letter of the name', get('/api/%75sers'), 401],
    ['an encoded percent sign', get('/api/%2575sers'), 401],
    ['capitals', get('/API/USERS'), 404],
    ['a capital in the name', get('/api/Users'), 401],
    ['a dot segment', get('/api/./users'), 401],
    ['a way up from a public path', get('/api/weather/public/../../users'), 400],
    ['an encoded way up', get('/api/weather/public/%2e%2e/%2e%2e/users'), 400],
    ['a way up half encoded', get('/api/weather/public/.%2e/secret'), 400],
    ['a way up by an encoded slash', get('/api/weather/public/..%2fsecret'), 400],
    ['a way up by a backslash', get('/api/weather/public\\..\\secret'), 400],
    ['a way up by an encoded backslash', get('/api/weather/public/..%5csecret'), 400],
    ['a way up encoded twice', get('/api/weather/public/%252e%252e/secret'), 400],
    ['a way up for servlets', get('/api/weather/public/..;/secret'), 400],
    ['a parameter of a segment', get('/api/weather/public;x=1/a'), 401],
    ['the prefix without its slash', get('/api/weather/publicity'), 401],
    ['the prefix alone', get('/api/weather/public'), 401],
    ['the prefix in capitals', get('/api/weather/PUBLIC/a'), 401],
    ['an exact path with more behind it', get('/api/weather/today/secret'), 401],
    ['an exact path with a suffix', get('/api/weather/today.json'), 401],
    ['a public path inside the query', get('/api/users?/api/weather/public/a'), 401],
    ['a public path behind a fragment', get('/api/users#/api/weather/public/a'), 401],
    ['a zero byte, encoded', get('/api/weather/public/%00/a'), 400],
    ['a zero byte in the path', get('/api/users\0'), 400],
    ['a tab in the path', get('/api/users\t'), 400],
    ['a path that is no UTF-8', get('/api/users/%ff'), 400],
    ['half an encoding', get('/api/users/%2'), 400],
    ['a dot at the end', get('/api/users.'), 401],
    ['an encoded dot at the end', get('/api/users%2e'), 401],
    ['a space at the end, encoded', get('/api/users%20'), 401],
    ['a semicolon', get('/api/users;.css'), 401],
    ['an ending of a picture', get('/api/users.png'), 401],
    ['a whole address', get('http://hub/api/users'), 401],
    ['a whole address of another host', get('http://127.0.0.1/api/users'), 401],
    ['a path without its slash', get('api/users'), 400],
    ['the alias', get('/admin/users'), 401],
    ['the longer alias', get('/api/admin/users'), 401],
    ['the alias with a way up', get('/admin/../api/users'), 404],
    ['an alias of an alias', get('/admin/admin/users'), 404],
    ['metrics', get('/metrics'), 401],
    ['metrics, encoded', get('/%6detrics'), 401],
    ['metrics behind two slashes', get('//metrics'), 404],
    ['a forged X-Forwarded-For', get('/api/users', ['X-Forwarded-For: 127.0.0.1']), 401],
    ['a forged X-Real-IP', get('/api/users', ['X-Real-IP: 127.0.0.1']), 401],
    ['a forged Forwarded', get('/api/users', ['Forwarded: for=127.0.0.1;by=127.0.0.1']), 401],
    ['a forged X-Original-URL', get('/health', ['X-Original-URL: /api/users']), 200],
    ['a forged X-Rewrite-URL', get('/health', ['X-Rewrite-URL: /api/users']), 200],
    ['a forged identity', get('/api/users', ['X-Gatehouse-Role: super_admin', 'X-Gatehouse-User: usr_1']), 401],
    ['a forged user', get('/api/users', ['X-Remote-User: admin', 'X-User-Id: 1']), 401],
    ['another host', get('/api/users', ['X-Forwarded-Host: localhost']), 401],
    ['an empty bearer', get('/api/users', ['Authorization: Bearer ']), 401],
    ['an empty admin key', get('/api/users', ['X-Admin-Key: ']), 401],
    ['a token without signature', get('/api/users', ['Authorization: Bearer eyJhbGciOiJub25lIn0.eyJyIjoxfQ.']), 401],
    ['Basic instead of Bearer', get('/api/users', ['Authorization: Basic YWRtaW46YWRtaW4=']), 401],
    ['another method by header', get('/api/users', ['X-HTTP-Method-Override: OPTIONS']), 401],
    ['another method by query', get('/api/users?_method=OPTIONS'), 401],
    ['HEAD', get('/api/users', [], 'HEAD /api/users HTTP/1.1'), 401],
    ['a method in small letters', get('', [], 'get /api/users HTTP/1.1'), 400],
    ['HTTP/1.0', 'GET /api/users HTTP/1.0\r\n\r\n', 401],
    ['HTTP/0.9', 'GET /api/users\r\n\r\n', 401],
    ['two hosts', get('/api/users', ['Host: localhost']), 401],
    ['no host', 'GET /api/users HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['two lengths', get('/api/users', ['Content-Length: 0', 'Content-Length: 5']), 400],
    ['a length beside chunks', get('/api/users', ['Content-Length: 3', 'Transfer-Encoding: chunked']), 400],
    ['a header name with a space', get('/api/users', ['X-Admin-Key : x']), 400],
    ['a folded header', get('/api/users', ['X-A: b', ' X-Admin-Key: x']), 400],
  ]

  test('the table holds at least sixty tricks, none twice', () => {
    expect(tricks.length).toBeGreaterThanOrEqual(60)
    expect(new Set(tricks.map(([name]) => name)).size).toBe(tricks.length)
  })

  test.each(tricks)('by %j', async (_, bytes, status) => {
    const answer = await send(hub, bytes)
    expect(answer.text).not.toMatch(secretWords)
    expect([answer.status, answer.text.slice(0, 300)]).toEqual([status, expect.any(String)])
  })

  test.each(['/api/weather/public/a', '/api/weather/public/a/b?c=d', '/api/weather/today'])(
    '%s is public, and whoever asks stays nobody',
    async (path) => {
      const forged = ['X-Gatehouse-Role: super_admin', 'X-Gatehouse-User: usr_1', 'Authorization: Bearer not-a-key']
      for (const headers of [[], forged]) {
        const { status, text } = await send(hub, get(path, headers))
        expect(status).toBe(200)
        expect(text).toContain('"caller":null')
        expect(text).not.toMatch(/super_admin|usr_1|not-a-key/)
      }
    },
  )

  test('the ancestor made whoever asked for a public path its administrator: the same connection is still nobody', async () => {
    const both = get('/api/weather/today').replace('Connection: close', 'Connection: keep-alive') + get('/api/users')
    const { text } = await send(hub, both)
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401'])
  })

  test('the same words are there for an administrator, or the table would prove nothing', async () => {
    const answer = await send(hub, get('/api/users', [`X-Admin-Key: ${hub.adminKey}`]))
    expect([answer.status, secretWords.test(answer.text)]).toEqual([200, true])
  })
})

describe('lists of addresses', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await startHub({
      settings: {
        'server.trusted_proxies': ['127.0.0.1'],
        'access.llm.deny': ['203.0.113.0/24'],
        'access.control.allow': ['127.0.0.0/8', '2001:db8::/32', '::ffff:198.51.100.0/120'],
        'access.control.deny': ['2001:db8:bad::/48', '::ffff:198.51.100.66'],
        'access.metrics.deny': ['0.0.0.0/0', '::/0'],
      },
    })
  })
  afterAll(() => hub?.stop())

  const from = (target: string, ip: string) =>
    send(hub, get(target, [`X-Forwarded-For: ${ip}`, `X-Admin-Key: ${hub.adminKey}`]))

  test.each([
    ['2001:db8::1', 200],
    ['2001:DB8:0::1', 200],
    ['2001:db8:bad::1', 403],
    ['2001:0DB8:0BAD:0:0::1', 403],
    ['198.51.100.7', 200],
    ['::ffff:198.51.100.7', 200],
    ['198.51.100.66', 403],
    ['::ffff:c633:6442', 403],
    ['203.0.113.5', 403],
    ['127.0.0.1, 203.0.113.5', 403],
    ['203.0.113.5, 2001:db8::1', 200],
    ['[2001:db8:bad::1]:4711', 403],
  ])('a caller at %s gets %i of the control API: deny is stronger than allow', async (ip, status) => {
    expect((await from('/api/users', ip)).status).toBe(status)
  })

  // Not one plain address: believed as nothing, so the caller is the proxy, which is on the list.
  test.each(['2130706433', '0x7f000001', '0177.0.0.1', '127.1', 'localhost', '127.0.0.1%00', ''])(
    'the hop %j is no address, and takes nobody’s place',
    async (hop) => {
      expect((await from('/api/users', `${hop}, 203.0.113.5`)).status).toBe(403)
    },
  )

  test('an area is what is served, however its path is spelt', async () => {
    for (const path of ['/metrics', '/metrics/', '/%6detrics', '/m%65trics', 'http://hub/metrics']) {
      const { status, text } = await from(path, '127.0.0.1')
      expect([path, status]).toEqual([path, 403])
      expect(text).not.toMatch(secretWords)
    }
    expect((await from('/health', '203.0.113.5')).status).toBe(200)
  })

  test('a refusal is in the area’s own envelope; the setting is named in the log and not to the caller', async () => {
    const openai = await from('/v1/models', '203.0.113.5')
    expect(openai.status).toBe(403)
    expect(openai.text).toContain('"error":{')
    const anthropic = await from('/v1/messages', '203.0.113.5')
    expect([anthropic.status, anthropic.text]).toEqual([403, expect.stringContaining('"type":"error"')])
    const control = await from('/api/users', '203.0.113.5')
    expect(control.text).toContain('"code":"address_not_allowed"')
    for (const { text } of [openai, anthropic, control]) expect(text).not.toMatch(/access\.|deny/)
    expect(hub.lines.join('')).toMatch(/"setting":"access\.llm\.deny"/)
    expect(hub.lines.join('')).toMatch(/"setting":"access\.control\.allow"/)
  })
})

describe('limits of an area', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await startHub({
      settings: {
        'access.health.requests_per_minute': 3,
        'access.llm.max_url_bytes': 64,
        'access.llm.max_headers': 8,
        'access.control.max_header_bytes': 1024,
        'access.control.max_body_bytes': 100,
      },
    })
  })
  afterAll(() => hub?.stop())
  const admin = () => `X-Admin-Key: ${hub.adminKey}`

  test('the fourth request of a minute is told when to come again, and another area counts for itself', async () => {
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(await send(hub, get('/livez')))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect(answers[3]!.text).toMatch(/retry-after: (?:1\d|20)\r\n/i)
    expect((await send(hub, get('/api/users', [admin()]))).status).toBe(200)
    const metrics = await send(hub, get('/metrics', [admin()]))
    expect(metrics.text).toContain('gatehouse_http_refused_total{area="health",setting="requests_per_minute"} 1')
  })

  test('addresses, headers and bodies beyond their measure are refused', async () => {
    expect((await send(hub, get(`/v1/models?${'x'.repeat(64)}`))).status).toBe(414)
    const many = Array.from({ length: 9 }, (_, i) => `X-${i}: 1`)
    expect((await send(hub, get('/v1/models', many))).status).toBe(431)
    expect((await send(hub, get('/api/users', [admin(), `X-A: ${'x'.repeat(1024)}`]))).status).toBe(431)
    const body = JSON.stringify({ name: 'x'.repeat(100) })
    const post = (headers: string[], sent: string) =>
      send(hub, get('', [admin(), 'Content-Type: application/json', ...headers], 'POST /api/keys HTTP/1.1') + sent)
    expect((await post([`Content-Length: ${body.length}`], body)).status).toBe(413)
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    expect((await post(['Transfer-Encoding: chunked'], chunked)).status).toBe(413)
  })
})

describe('what browsers are told', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await startHub({
      settings: { 'server.public_url': 'https://hub.example.com', 'server.cors_origins': ['https://app.example.com'] },
    })
  })
  afterAll(() => hub?.stop())

  test('data can do nothing as a page, and nobody may frame anything', async () => {
    const { headers } = await fetch(`${hub.url}/api/users`)
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('strict-transport-security')).toContain('max-age=31536000')
  })

  test('the reference’s policy lets its own scripts run, by hash, and no other', async () => {
    const page = await fetch(`${hub.url}/docs/`)
    const policy = page.headers.get('content-security-policy')!
    expect(policy).toMatch(/script-src 'self' 'sha256-[A-Za-z0-9+/]{43}='/)
    expect(policy).not.toMatch(/script-src[^;]*unsafe/)
    expect(await page.text()).not.toMatch(/src="https?:/)
  })

  test('an origin is the one in the list to the letter, and null is nobody’s', async () => {
    const origins = ['https://app.example.com.evil', 'http://app.example.com', 'https://app.example.com:444', 'null']
    for (const origin of origins) {
      const { headers } = await fetch(`${hub.url}/api/users`, { headers: { origin } })
      expect(headers.get('access-control-allow-origin')).not.toBe(origin)
      expect(headers.get('access-control-allow-credentials')).toBeNull()
    }
  })
})
