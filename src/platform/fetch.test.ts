import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createUpstreams, isRefusedAddress, type UpstreamOptions } from './fetch.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'

const log = createLog({ level: 'error', format: 'json', stream: { write: () => {} } })

function open(options: Partial<UpstreamOptions> = {}) {
  const upstreams = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 5000, log, ...options })
  onTestFinished(() => upstreams.close(0))
  return upstreams
}

/** A server on a loopback address; `seen` are the requests it got. */
async function serve(
  answer: RequestListener = (_request, response) => response.end('hello'),
  host = '127.0.0.1',
  port = 0,
) {
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    seen.push(request)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const bound = (server.address() as AddressInfo).port
  return { seen, port: bound, origin: `http://${host}:${bound}` }
}

async function caught(call: Promise<unknown>): Promise<Error> {
  return call.then(
    () => Promise.reject(new Error('it was not refused')),
    (thrown) => thrown,
  )
}

describe('a URL set by a person', () => {
  const upstreams = createUpstreams({ allow: [], connectTimeoutMs: 5000, log })

  test('is http or https, without credentials', () => {
    expect(upstreams.checkUrl('https://api.openai.com/v1').href).toBe('https://api.openai.com/v1')
    for (const url of ['ftp://h/', 'file:///etc/passwd', 'api.openai.com', '', 'http://']) {
      expect(() => upstreams.checkUrl(url, 'base_url')).toThrow(/base_url must be an http/)
    }
    expect(() => upstreams.checkUrl('https://u:hunter22@h/')).toThrow(/must not hold a user name/)
    expect(() => upstreams.checkUrl('https://u:hunter22@h/')).not.toThrow('hunter22')
  })

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://localhost:11434/',
  ])('%s is refused with the setting to change', (url) => {
    expect(() => upstreams.checkUrl(url, 'base_url')).toThrow(/network\.allow_private/)
    expect(() => upstreams.pool(new URL(url).origin)).toThrow(/network\.allow_private/)
  })
})

describe('a connection', () => {
  test('goes to an opened range and is used again', async () => {
    const { origin, seen } = await serve()
    const upstreams = open()
    expect((await upstreams.get(`${origin}/a?b=c`)).body.toString()).toBe('hello')
    for (let i = 0; i < 4; i++) await upstreams.get(origin)
    expect(seen.map((request) => request.url)).toEqual(['/a?b=c', '/', '/', '/', '/'])
    // The next call may begin while the last one is still leaving its connection.
    expect(new Set(seen.map((request) => request.socket.remotePort)).size).toBeLessThan(3)
    expect(upstreams.pool(origin)).toBe(upstreams.pool(origin))
  })

  test('of a name is refused when the name leads to a private address', async () => {
    const { port, seen } = await serve()
    const upstreams = open({ allow: [], lookup: async () => [{ address: '127.0.0.1', family: 4 }] })
    const error = await caught(upstreams.get(`http://rebind.example:${port}/`))
    expect(error).toMatchObject({ code: 'upstream_unreachable' })
    expect(error.message).toMatch(/rebind\.example has a loopback address.*network\.allow_private/)
    expect(isRefusedAddress(error)).toBe(true)
    expect(seen).toHaveLength(0)
  })

  test('4.9.38 goes to the address that was checked, even when the next answer is another', async () => {
    const checked = await serve()
    const forbidden = await serve(undefined, '127.0.0.2', checked.port)
    let lookups = 0
    const upstreams = open({
      lookup: async () => [{ address: ++lookups === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }],
    })
    const url = `http://rebind.example:${checked.port}/`
    expect((await upstreams.get(url)).status).toBe(200)
    expect(lookups).toBe(1)
    checked.seen[0]!.socket.destroy()
    await upstreams.close(0)
    expect(isRefusedAddress(await caught(upstreams.get(url)))).toBe(true)
    expect(forbidden.seen).toHaveLength(0)
    expect(checked.seen[0]!.headers.host).toBe(`rebind.example:${checked.port}`)
  })

  test('of a name with good and forbidden addresses goes to the good ones only', async () => {
    const good = await serve()
    const forbidden = await serve(undefined, '127.0.0.2', good.port)
    const lookup = async () => ['127.0.0.2', '127.0.0.1'].map((address) => ({ address, family: 4 }))
    expect((await open({ lookup }).get(`http://mixed.example:${good.port}/`)).status).toBe(200)
    expect(forbidden.seen).toHaveLength(0)
  })

  test('to localhost goes where the system says, when that is opened', async () => {
    const { port } = await serve()
    expect((await open().get(`http://localhost:${port}/`)).status).toBe(200)
  })

  test('that fails for another reason is not taken for a refused one', async () => {
    const upstreams = open({
      lookup: async () => {
        throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
      },
    })
    const error = await caught(upstreams.get('http://absent.example/'))
    expect(error).toMatchObject({
      code: 'upstream_unreachable',
      message: 'absent.example cannot be reached (ENOTFOUND).',
    })
    expect(isRefusedAddress(error)).toBe(false)
  })

  test('never inherits the proxy of the environment, and uses the one that is set', async () => {
    const { origin, port } = await serve()
    const proxy = await serve((_request, response) => response.end('by proxy'))
    process.env.HTTP_PROXY = process.env.http_proxy = proxy.origin
    onTestFinished(() => {
      delete process.env.HTTP_PROXY
      delete process.env.http_proxy
    })
    expect((await open().get(origin)).body.toString()).toBe('hello')
    expect((await open({ proxy: proxy.origin }).get(`${origin}/x`)).body.toString()).toBe('by proxy')
    expect(proxy.seen.map((request) => request.url)).toEqual([`http://127.0.0.1:${port}/x`])
    expect(() => open({ proxy: proxy.origin, allow: [] }).pool(origin)).toThrow(/network\.allow_private/)
  })

  test('over TLS asks for the name, not for the address that was checked', async () => {
    const asked: string[] = []
    // Without a certificate the handshake fails right after the name was asked for, which is all this needs.
    const server = createTlsServer({
      SNICallback: (name, done) => done(asked.push(name) ? new Error('no certificate') : null),
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const upstreams = open({ lookup: async () => [{ address: '127.0.0.1', family: 4 }] })
    const error = await caught(upstreams.get(`https://tls.example:${(server.address() as AddressInfo).port}/`))
    expect(error).toMatchObject({ code: 'upstream_unreachable' })
    expect(asked).toEqual(['tls.example'])
  })

  test('over TLS by a proxy is a tunnel to the name, which is not looked up here', async () => {
    const proxy = createServer()
    const tunnels: (string | undefined)[] = []
    proxy.on('connect', (request, socket) => {
      tunnels.push(request.url)
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void proxy.close())
    const lookup = () => Promise.reject(new Error('looked up'))
    const upstreams = open({ proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, lookup })
    expect(await caught(upstreams.get('https://api.example/'))).toMatchObject({ code: 'upstream_unreachable' })
    expect(tunnels).toEqual(['api.example:443'])
  })

  test('of an origin long unused makes room, when its calls have ended', async () => {
    const [one, two] = [await serve(), await serve()]
    const upstreams = open({ maxOrigins: 1 })
    const first = upstreams.pool(one.origin)
    const running = upstreams.get(one.origin)
    await upstreams.get(two.origin)
    expect((await running).status).toBe(200)
    expect(upstreams.pool(one.origin)).not.toBe(first)
  })

  test('is counted by outcome, and its pool is watched', async () => {
    const { origin } = await serve()
    const metrics = createMetrics()
    const upstreams = open({ metrics, lookup: async () => [{ address: '10.0.0.1', family: 4 }] })
    await upstreams.get(origin)
    await caught(upstreams.get('http://private.example/'))
    await caught(upstreams.get('http://127.0.0.1:1/'))
    const { text } = await metrics.render()
    for (const outcome of ['connected', 'refused', 'failed']) {
      expect(text).toContain(`gatehouse_upstream_connects_total{outcome="${outcome}"} 1`)
    }
    expect(text).toContain(`gatehouse_upstream_connections{origin="${origin}",state="open"} 1`)
  })
})

describe('a small GET', () => {
  const redirect =
    (location: string, status = 302): RequestListener =>
    (_request, response) =>
      response.writeHead(status, { location }).end()

  test('follows a redirect, keeping credentials on the same origin only', async () => {
    const other = await serve()
    const { origin, seen } = await serve((request, response) => {
      const to = request.url === '/' ? '/next' : `${other.origin}/there`
      response.writeHead(307, { location: to }).end()
    })
    const headers = { authorization: 'Bearer secret-token', 'x-api-key': 'secret-key', accept: 'application/json' }
    expect((await open().get(origin, { headers })).status).toBe(200)
    expect(seen[1]!.headers).toMatchObject({ authorization: 'Bearer secret-token', 'x-api-key': 'secret-key' })
    expect(other.seen[0]!.headers).toMatchObject({ accept: 'application/json' })
    expect(JSON.stringify(other.seen[0]!.headers)).not.toContain('secret')
  })

  test('4.9.38 does not follow a redirect to a private address', async () => {
    const target = await serve(undefined, '127.0.0.2')
    for (const location of [target.origin, 'http://169.254.169.254/latest/meta-data', 'http://[::ffff:127.0.0.2]/']) {
      const { origin } = await serve(redirect(location))
      expect(isRefusedAddress(await caught(open().get(origin)))).toBe(true)
    }
    expect(target.seen).toHaveLength(0)
  })

  test('does not follow a redirect to another scheme, or for ever', async () => {
    const file = await serve(redirect('file:///etc/passwd'))
    expect(await caught(open().get(file.origin))).toMatchObject({ code: 'upstream_garbled' })
    const loop = await serve(redirect('/again'))
    expect(await caught(open().get(loop.origin, { maxRedirects: 2 }))).toMatchObject({ code: 'upstream_garbled' })
    expect(loop.seen).toHaveLength(3)
  })

  test('takes no more bytes than it was told', async () => {
    const { origin } = await serve((_request, response) => response.end('x'.repeat(1000)))
    const error = await caught(open().get(origin, { maxBytes: 999 }))
    expect(error).toMatchObject({ code: 'upstream_garbled', message: expect.stringContaining('999 bytes') })
    expect((await open().get(origin, { maxBytes: 1000 })).body).toHaveLength(1000)
  })

  test('gives up on a server that says nothing', async () => {
    const { origin } = await serve(() => {})
    expect(await caught(open().get(origin, { timeoutMs: 50 }))).toMatchObject({ code: 'upstream_timeout' })
  })

  test('passes on what the server answered, errors too', async () => {
    const { origin } = await serve((_request, response) => response.writeHead(401, { 'x-request-id': 'r1' }).end('no'))
    const answer = await open().get(origin)
    expect(answer).toMatchObject({ status: 401, headers: { 'x-request-id': 'r1' } })
    expect(answer.body.toString()).toBe('no')
  })
})

test('closing does not wait for ever for a call under way', async () => {
  const { origin, seen } = await serve(() => {})
  const upstreams = open()
  const call = caught(upstreams.get(origin))
  await vi.waitFor(() => expect(seen).toHaveLength(1))
  await upstreams.close(10)
  expect(await call).toMatchObject({ code: 'upstream_unreachable' })
})

describe('a request whose sender is asked before it goes out', () => {
  test('opens its connection first, writes nothing until then, and then the whole', async () => {
    let connections = 0
    const { seen, origin } = await serve((request, response) => {
      let raw = ''
      request.on('data', (chunk) => {
        raw += chunk
      })
      request.on('end', () => response.end(`${request.headers['content-length']} ${raw}`))
    })
    const upstreams = open()
    const { promise: go, resolve } = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const answer = upstreams.send(`${origin}/x`, {
      ...{ method: 'POST', body: 'déjà', timeoutMs: 300 },
      beforeWriting: () => {
        connections++
        asked.resolve()
        return go
      },
    })
    await asked.promise
    // Longer than its time: that is counted from when it may write.
    await new Promise((done) => setTimeout(done, 400))
    expect(seen).toEqual([])
    resolve()
    expect(String((await answer).body)).toBe('6 déjà')
    expect([seen.length, connections]).toEqual([1, 1])
  })

  test('nobody is asked where nothing listens, and a refusal lets nothing out', async () => {
    let asked = 0
    const refuse = async () => {
      asked++
      throw new Error('not now')
    }
    const wish = { method: 'POST', body: 'x', beforeWriting: refuse } as const
    const { seen, origin } = await serve()
    await caught(open().send('http://127.0.0.1:9/', wish))
    expect(asked).toBe(0)
    await caught(open().send(origin, wish))
    expect([asked, seen]).toEqual([1, []])
  })

  test('who answers too late after it went out is left, and who hangs up while it waits fails at once', async () => {
    const { origin } = await serve(() => {})
    const late = await caught(
      open().send(origin, { method: 'POST', body: 'x', timeoutMs: 50, beforeWriting: async () => {} }),
    )
    expect(late).toMatchObject({ code: 'upstream_timeout' })
    const server = createTcpServer((socket) => void setTimeout(() => socket.destroy(), 20))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const never = { method: 'POST', body: 'x', beforeWriting: () => new Promise<void>(() => {}) } as const
    expect(await caught(open().send(`http://127.0.0.1:${port}/`, never))).toMatchObject({
      code: 'upstream_unreachable',
    })
  })
})
