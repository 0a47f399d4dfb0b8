import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort, spawnGuarded } from '../../../test/harness/process.ts'
import { provideNginx } from '../../../test/harness/services.ts'
import {
  ask,
  echo,
  get,
  onHead,
  openStage,
  type RawAnswer,
  startPlugin,
  startRaw,
  testInstance,
  testService,
  valuesOf,
} from './testing.ts'

const nginx = await provideNginx()

const sizes = { empty: 0, one: 1, page: 65_536, megabyte: 1 << 20 }
const text = (bytes: number) => Buffer.alloc(bytes, 'The quick brown fox jumps over the lazy dog. ')

/** A plugin with an answer for everything that proxies get wrong. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const [path, query = ''] = request.url!.split('?')
  const size = sizes[query as keyof typeof sizes] ?? 0
  switch (path) {
    case '/gzip':
    case '/br': {
      const packed = path === '/gzip' ? gzipSync(text(size)) : brotliCompressSync(text(size))
      response.writeHead(200, { 'content-encoding': path.slice(1), 'content-length': packed.length }).end(packed)
      return
    }
    case '/length':
      response.writeHead(200, ['Content-Type', 'text/plain', 'Content-Length', String(size)]).end(text(size))
      return
    case '/chunked':
      response.writeHead(200, { 'X-Mixed-Case': 'Yes', 'x-mixed-case': 'no' })
      if (size > 0) response.write(text(size))
      response.end()
      return
    case '/cookies':
      response
        .writeHead(200, ['Set-Cookie', 'a=1; Path=/', 'X-Between', 'x', 'set-cookie', 'b=2, c', 'Set-Cookie', 'a=3'])
        .end('ok')
      return
    case '/status':
      response.writeHead(Number(query), { etag: '"x"', ...(query === '304' ? { 'content-length': '1234' } : {}) }).end()
      return
    case '/reason':
      response.writeHead(299, 'Well Then', [
        'X-Latin',
        'caf\xe9',
        'X-Empty',
        '',
        'Warning',
        '199 - "a"',
        'Warning',
        '199 - "b"',
      ])
      response.end('fine')
      return
    case '/echo': {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => response.end(Buffer.concat(chunks)))
      return
    }
    default:
      response.writeHead(404).end('no such path here')
  }
}

/** What must be the same; the hub adds its ids, and connections are each hop's own. */
function compare(direct: RawAnswer, through: RawAnswer): void {
  const own = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date', 'x-request-id', 'x-trace-id'])
  const plain = ({ headers }: RawAnswer) => headers.filter(([name]) => !own.has(name.toLowerCase()))
  expect(through.head.split('\r\n')[0]).toBe(direct.head.split('\r\n')[0])
  expect(plain(through)).toEqual(plain(direct))
  expect(through.body.equals(direct.body)).toBe(true)
  expect(through.end).toBe(direct.end)
}

describe('an answer is the same through the hub, byte for byte', () => {
  const paths = [
    ...Object.keys(sizes).flatMap((size) => ['/gzip', '/br', '/length', '/chunked'].map((path) => `${path}?${size}`)),
    ...['/cookies', '/status?204', '/status?304', '/status?205', '/status?418', '/status?500', '/reason', '/nothing'],
  ]

  test.each(paths)('GET and HEAD %s from node', async (path) => {
    const plugin = await startPlugin(answer)
    const stage = await openStage([testService([testInstance(plugin.port)], { routing: { retries: 0 } })])
    for (const method of ['GET', 'HEAD']) {
      const sent = ['Accept-Encoding: gzip, br']
      compare(
        await ask(plugin.port, get(path, sent, method)),
        await ask(stage.port, get(`/api/demo${path}`, sent, method)),
      )
    }
  })

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY', 'REPORT'])(
    'the body of a %s, with a length and in chunks',
    async (method) => {
      const plugin = await startPlugin(answer)
      const stage = await openStage([testService([testInstance(plugin.port)])])
      for (const size of Object.values(sizes)) {
        const body = text(size)
        const declared = (path: string) =>
          Buffer.concat([Buffer.from(get(path, [`Content-Length: ${size}`], method)), body])
        const chunk = Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), body, Buffer.from('\r\n')])
        const chunked = (path: string) =>
          Buffer.concat([
            Buffer.from(get(path, ['Transfer-Encoding: chunked'], method)),
            size === 0 ? Buffer.alloc(0) : chunk,
            Buffer.from('0\r\n\r\n'),
          ])
        for (const write of [declared, chunked]) {
          const through = await ask(stage.port, write('/api/demo/echo'))
          compare(await ask(plugin.port, write('/echo')), through)
          expect(through.status).toBe(200)
        }
      }
    },
  )

  test('an HTTP/1.0 caller', async () => {
    const plugin = await startPlugin(answer)
    const stage = await openStage([testService([testInstance(plugin.port)])])
    const old = (path: string) => `GET ${path} HTTP/1.0\r\n\r\n`
    for (const path of ['/length?page', '/chunked?page', '/cookies']) {
      compare(await ask(plugin.port, old(path)), await ask(stage.port, old(`/api/demo${path}`)))
    }
  })

  test.skipIf('missing' in nginx && process.env.CI !== 'true')('files, ranges and conditions from nginx', async () => {
    const port = await startNginx(nginx)
    const stage = await openStage([testService([testInstance(port)])])
    const asked: [path: string, headers: string[]][] = [
      ['/', []],
      ['/page.txt', []],
      ['/page.txt', ['Accept-Encoding: gzip']],
      ['/page.txt', ['Range: bytes=10-19']],
      ['/page.txt', ['Range: bytes=0-1,4-5']],
      ['/page.txt', ['Range: bytes=999999999-']],
      ['/page.txt', ['If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT']],
      ['/empty.txt', []],
      ['/folder', []],
      ['/a%20b.txt?', []],
      ['/missing', []],
      ['/headers', []],
    ]
    const withoutBoundary = (given: RawAnswer): RawAnswer => {
      // nginx counts its boundaries up.
      const strip = (value: string) => value.replace(/\d{20}/g, 'boundary')
      return {
        ...given,
        headers: given.headers.map(([name, value]) => [name, strip(value)]),
        body: Buffer.from(strip(given.body.toString('latin1')), 'latin1'),
      }
    }
    for (const [path, headers] of asked) {
      for (const method of ['GET', 'HEAD']) {
        const direct = await ask(port, get(path, headers, method))
        const through = await ask(stage.port, get(`/api/demo${path}`, headers, method))
        if (direct.status !== 301) compare(withoutBoundary(direct), withoutBoundary(through))
        else expect(through.status).toBe(301)
      }
    }
  })
})

describe('what the ancestor got wrong', () => {
  const open = async (
    listener = (request: IncomingMessage, response: ServerResponse): void => {
      response.end(JSON.stringify(echo(request)))
    },
  ) => {
    const plugin = await startPlugin(listener)
    return { plugin, stage: await openStage([testService([testInstance(plugin.port)])]) }
  }
  const seen = (given: RawAnswer): ReturnType<typeof echo> => JSON.parse(given.body.toString('latin1'))
  const headersSeen = (given: RawAnswer, name: string) =>
    seen(given)
      .headers.filter(([each]) => each.toLowerCase() === name)
      .map(([, value]) => value)

  test('a gzip answer stays packed, and only when it was asked for', async () => {
    const { stage } = await open(answer)
    const packed = await ask(stage.port, get('/api/demo/gzip?page'))
    expect(valuesOf(packed, 'content-encoding')).toEqual(['gzip'])
    expect(valuesOf(packed, 'content-length')).toEqual([String(packed.body.length)])
    const plain = await open()
    expect(headersSeen(await ask(plain.stage.port, get('/api/demo/')), 'accept-encoding')).toEqual([])
  })

  test('each Set-Cookie stays one, in order', async () => {
    const { stage } = await open(answer)
    const cookies = valuesOf(await ask(stage.port, get('/api/demo/cookies')), 'set-cookie')
    expect(cookies).toEqual(['a=1; Path=/', 'b=2, c', 'a=3'])
  })

  test('HEAD is served', async () => {
    const { stage } = await open(answer)
    const head = await ask(stage.port, get('/api/demo/length?page', [], 'HEAD'))
    expect([head.status, valuesOf(head, 'content-length'), head.body.length]).toEqual([200, ['65536'], 0])
  })

  test('no slash behind the name is no redirect', async () => {
    const { stage } = await open()
    for (const [asked, arrived] of [
      ['/api/demo', '/'],
      ['/api/demo/', '/'],
      ['/api/demo?a=1', '/?a=1'],
      ['/api/demo?', '/?'],
    ]) {
      const given = await ask(stage.port, get(asked!))
      expect([given.status, seen(given).url]).toEqual([200, arrived])
    }
  })

  test('path and query arrive as they were sent', async () => {
    const { stage } = await open()
    for (const path of [
      '/a%2Fb/c%20d',
      '//x//y//',
      '/%E4%BD%A0%e5%a5%bd',
      '/a?b=%2F&b=+&c&=&&',
      '/?',
      '/a??b=/../',
      "/!$&'()*+,;=:@-._~",
      '/..a/b../...',
    ]) {
      const given = await ask(stage.port, Buffer.from(get(`/api/demo${path}`), 'latin1'))
      expect(seen(given).url).toBe(path)
    }
    // Bytes that no address may have are not guessed at.
    expect((await ask(stage.port, Buffer.from(get('/api/demo/a\xe9'), 'latin1'))).status).toBe(400)
  })

  test('the base path of a service stands before each path', async () => {
    const plugin = await startPlugin((request, response) => void response.end(request.url))
    const at = async (basePath: string, path: string) => {
      const stage = await openStage([testService([testInstance(plugin.port)], { basePath })])
      return (await ask(stage.port, get(`/api/demo${path}`))).body.toString()
    }
    expect(await at('/x/y', '/z')).toBe('/x/y/z')
    expect(await at('/x/y/', '/z?q')).toBe('/x/y/z?q')
    expect(await at('/x/y', '')).toBe('/x/y')
    expect(await at('/x/y', '/')).toBe('/x/y/')
  })

  test('hop-by-hop headers end here, in both directions, those that Connection names too', async () => {
    const port = await startRaw((socket) =>
      onHead(socket, (head) => {
        const body = JSON.stringify(head.split('\r\n'))
        socket.end(
          `HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n` +
            `X-End: 1\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        )
      }),
    )
    const stage = await openStage([testService([testInstance(port)])])
    const given = await ask(
      stage.port,
      `GET /api/demo/ HTTP/1.1\r\nHost: h\r\nConnection: close, X-Private, TE\r\nX-Private: 1\r\nX-Public: 1\r\n` +
        `TE: gzip, trailers\r\nProxy-Authorization: Basic eA==\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`,
    )
    const names = given.headers.map(([name]) => name.toLowerCase())
    expect(names).toContain('x-end')
    expect(names.filter((name) => ['x-hop', 'proxy-connection'].includes(name))).toEqual([])
    const lines: string[] = JSON.parse(given.body.toString())
    const arrived = lines.map((line) => line.toLowerCase())
    expect(arrived).toContain('x-public: 1')
    expect(arrived).toContain('te: trailers')
    expect(arrived).toContain('connection: keep-alive')
    expect(arrived.filter((line) => /^(x-private|proxy-auth|keep-alive|upgrade|http2)/.test(line))).toEqual([])
  })

  test('only a trusted proxy is believed about where a caller is', async () => {
    const plugin = await startPlugin((request, response) => void response.end(JSON.stringify(echo(request))))
    const forged = [
      ...[
        'X-Forwarded-For: 6.6.6.6',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: evil',
        'X-Forwarded-Prefix: /evil',
      ],
      ...['x_forwarded_for: 6.6.6.6', 'Forwarded: for=6.6.6.6', 'X-Real-IP: 6.6.6.6', 'X-Forwarded-Port: 1'],
    ]
    const forwarded = async (trustedProxies: string[]) => {
      const stage = await openStage([testService([testInstance(plugin.port)])], { trustedProxies })
      const { headers } = seen(await ask(stage.port, get('/api/demo/x', forged)))
      return headers.filter(([name]) => /forward|real/i.test(name))
    }
    expect(await forwarded([])).toEqual([
      ['x-forwarded-for', '127.0.0.1'],
      ['x-forwarded-proto', 'http'],
      ['x-forwarded-host', 'hub.test'],
      ['x-forwarded-prefix', '/api/demo'],
    ])
    expect(await forwarded(['127.0.0.1'])).toEqual([
      ['x-forwarded-for', '6.6.6.6, 127.0.0.1'],
      ['x-forwarded-proto', 'https'],
      ['x-forwarded-host', 'evil'],
      ['x-forwarded-prefix', '/evil/api/demo'],
    ])
  })

  test('connections to an instance are kept and used again', async () => {
    const ports = new Set<number>()
    const { stage } = await open((request, response) => {
      ports.add(request.socket.remotePort!)
      response.end('ok')
    })
    for (let i = 0; i < 5; i++) await (await fetch(`${stage.url}/api/demo/`)).text()
    expect(ports.size).toBe(1)
  })

  test('a proxy named in the environment is not asked', async () => {
    const { stage } = await open()
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']
    onTestFinished(() => {
      for (const name of names) delete process.env[name]
    })
    for (const name of names) process.env[name] = 'http://127.0.0.1:9'
    expect((await ask(stage.port, get('/api/demo/'))).status).toBe(200)
  })

  test('a removed service is gone at once, a new one is there at once, a moved one is where it is', async () => {
    const [one, two] = [await open(), await open((_request, response) => void response.end('two'))]
    const { stage } = one
    expect((await ask(stage.port, get('/api/demo/'))).status).toBe(200)
    stage.directory.put(testService([testInstance(two.plugin.port)]))
    expect((await ask(stage.port, get('/api/demo/'))).body.toString()).toBe('two')
    stage.directory.remove('demo')
    expect((await ask(stage.port, get('/api/demo/'))).status).toBe(401)
    stage.directory.put(testService([testInstance(one.plugin.port)], { name: 'other' }))
    expect((await ask(stage.port, get('/api/other/'))).status).toBe(200)
  })

  test('an ambiguous length is refused before anybody is asked', async () => {
    const asked: string[] = []
    const { stage } = await open((request, response) => {
      asked.push(request.url!)
      response.end()
    })
    for (const lines of [
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Content-Length: 5', 'Content-Length: 6'],
      ['Transfer-Encoding: xchunked'],
      ['Transfer-Encoding : chunked'],
    ]) {
      const given = await ask(stage.port, `${get('/api/demo/', lines, 'POST')}0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`)
      expect(given.status).toBe(400)
    }
    expect(asked).toEqual([])
  })

  test('the hub says through which hop, trace and id a call came', async () => {
    const { stage } = await open()
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const given = await ask(
      stage.port,
      get('/api/demo/', [
        `traceparent: 00-${traceId}-00f067aa0ba902b7-00`,
        ...['tracestate: a=b', 'X-Request-ID: mine-1', 'X-Trace-ID: forged', 'Via: 1.0 edge'],
      ]),
    )
    const [sent] = headersSeen(given, 'traceparent')
    expect(sent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
    expect(sent).not.toContain('00f067aa0ba902b7')
    expect(headersSeen(given, 'tracestate')).toEqual(['a=b'])
    expect(headersSeen(given, 'x-request-id')).toEqual(['mine-1'])
    expect(headersSeen(given, 'x-trace-id')).toEqual([traceId])
    expect(headersSeen(given, 'via')).toEqual(['1.0 edge'])
    expect(valuesOf(given, 'x-request-id')).toEqual(['mine-1'])
    expect(valuesOf(given, 'x-trace-id')).toEqual([traceId])
  })

  test('an instance that sends calls back to the hub is found out', async () => {
    const stage = await openStage([])
    stage.directory.put(testService([testInstance(stage.port)], { basePath: '/api/demo' }))
    const given = await ask(stage.port, get('/api/demo/'))
    expect([given.status, given.body.toString()]).toEqual([508, expect.stringContaining('again and again')])
  })
})

async function startNginx(provided: Awaited<ReturnType<typeof provideNginx>>): Promise<number> {
  if ('missing' in provided) throw new Error(provided.missing)
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-plugin-'))
  const port = await freePort()
  for (const [name, content] of [
    ['index.html', '<p>hello</p>'],
    ['page.txt', text(100_000)],
    ['empty.txt', ''],
    ['a b.txt', 'a b'],
  ] as const)
    writeFileSync(join(folder, name), content)
  const config = join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `pid ${folder}/pid; error_log stderr; worker_processes 1; daemon off; events {} user root;
    http { access_log off; client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
    uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e; gzip on; gzip_types text/plain; gzip_min_length 10;
    types { text/plain txt; text/html html; }
    server { listen 127.0.0.1:${port}; root ${folder};
      location /headers { add_header X-Twice one; add_header X-Twice two; return 200 "ok"; }
      location = /folder { return 301 /folder/; } } }`,
  )
  const running = spawnGuarded([provided.service, '-c', config, '-e', 'stderr'], { folder, stopSignal: 'TERM' })
  onTestFinished(async () => {
    await running.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  for (let tries = 0; tries < 200; tries++) {
    if (await fetch(`http://127.0.0.1:${port}/headers`).catch(() => null)) return port
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('nginx does not answer')
}
