import { fork } from 'node:child_process'
import http, { type IncomingMessage } from 'node:http'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import {
  ask,
  get,
  onHead,
  openStage,
  rawExchange,
  startPlugin,
  startRaw,
  testInstance,
  testService,
  valuesOf,
} from './testing.ts'
import { type PeerOrder, type PeerReport, pour } from './testing-peer.ts'

const mb = 1 << 20

/** Resolves once `isTrue`; a test that waits for ever fails by its own limit. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

/** Resident memory at its highest while `work` runs, above where it began. */
async function growthOf(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }, 5)
  try {
    await work()
  } finally {
    clearInterval(watch)
  }
  return most
}

function open(
  url: string,
  options: http.RequestOptions = {},
): { request: http.ClientRequest; answer: Promise<IncomingMessage> } {
  const request = http.request(url, { agent: false, ...options })
  const answer = new Promise<IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject))
  answer.catch(() => {})
  return { request, answer }
}

/** Plugin and caller in a process of their own: what grows here is the hub's. */
async function startPeer() {
  const child = fork(fileURLToPath(new URL('./testing-peer.ts', import.meta.url)), { stdio: 'inherit' })
  const hear = <T>() => new Promise<T>((resolve) => child.once('message', (message) => resolve(message as T)))
  onTestFinished(() => void child.kill('SIGKILL'))
  const { port } = await hear<{ port: number }>()
  return {
    port,
    run(order: PeerOrder) {
      const done = hear<PeerReport>()
      child.send(order)
      return done
    },
  }
}

test.each(['length', 'chunks'] as const)(
  '200 MB pass down and up in constant memory, by %s',
  { timeout: 60_000 },
  async (framing) => {
    const bytes = 200 * mb
    const peer = await startPeer()
    const stage = await openStage([testService([testInstance(peer.port)])])
    const url = `${stage.url}/api/demo/`
    // The first megabytes bring buffers and compiled code that stay.
    for (const direction of ['down', 'up'] as const) await peer.run({ url, direction, framing, bytes: 20 * mb })
    for (const direction of ['down', 'up'] as const) {
      let report: PeerReport | undefined
      const growth = await growthOf(async () => {
        report = await peer.run({ url, direction, framing, bytes })
      })
      expect(report).toEqual({ bytes, isSame: true })
      expect(growth).toBeLessThan(64 * mb)
    }
    expect(stage.records.map(({ bytesIn, bytesOut }) => Math.max(bytesIn, bytesOut)).slice(-2)).toEqual([bytes, bytes])
  },
)

test('who reads slowly is not written for faster', async () => {
  let isHeldBack = false
  const plugin = await startPlugin(async (_request, response) => {
    const chunk = Buffer.alloc(mb)
    let written = 0
    while (response.write(chunk) && written < 200) written++
    // The plugin fills its own buffers and is then not asked for more.
    while (written < 64) {
      const drained = await Promise.race([
        new Promise<boolean>((resolve) => response.once('drain', () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(resolve, 300, false)),
      ])
      if (!drained) break
      response.write(chunk)
      written++
    }
    isHeldBack = written < 64
    response.destroy()
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const socket = net.connect(stage.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(get('/api/demo/'))
  await new Promise((resolve) => socket.once('readable', resolve))
  await until(() => stage.records.length > 0 || isHeldBack)
  expect(isHeldBack).toBe(true)
  socket.destroy()
})

test('events arrive one by one, and the head before the first of them', async () => {
  const told: (() => void)[] = []
  const plugin = await startPlugin((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    for (const text of ['one', 'two']) told.push(() => response.write(`data: ${text}\n\n`))
    told.push(() => response.end())
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const { request, answer } = open(`${stage.url}/api/demo/events`)
  request.end()
  const response = await answer
  expect(response.headers['content-type']).toBe('text/event-stream')
  const pieces: string[] = []
  response.on('data', (chunk: Buffer) => pieces.push(chunk.toString()))
  for (const [i, tell] of told.entries()) {
    tell()
    if (i < 2) await until(() => pieces.length === i + 1)
  }
  await new Promise((resolve) => response.on('end', resolve))
  expect(pieces).toEqual(['data: one\n\n', 'data: two\n\n'])
})

test('a long body is passed on before it is complete, and its answer before that', async () => {
  const plugin = await startPlugin((request, response) => {
    request.on('data', (chunk: Buffer) => response.write(`got ${chunk.length};`))
    request.on('end', () => response.end('done'))
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const { request, answer } = open(`${stage.url}/api/demo/`, { method: 'POST' })
  request.write('12345')
  const response = await answer
  const pieces: string[] = []
  response.on('data', (chunk: Buffer) => pieces.push(chunk.toString()))
  await until(() => pieces.join('') === 'got 5;')
  request.end('678')
  await new Promise((resolve) => response.on('end', resolve))
  expect(pieces.join('')).toBe('got 5;got 3;done')
})

test('early hints come early, every one of them, and not to HTTP/1.0', async () => {
  const plugin = await startPlugin((_request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-note': 'one' })
    response.writeEarlyHints({ link: ['</b.css>; rel=preload', '</c.js>; rel=preload'] })
    response.end('final')
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const given = await ask(stage.port, get('/api/demo/'))
  expect(given.early).toEqual([
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nx-note: one',
    'HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload, </c.js>; rel=preload',
  ])
  expect(given.body.toString()).toBe('final')
  const old = await ask(stage.port, 'GET /api/demo/ HTTP/1.0\r\n\r\n')
  expect([old.early, old.body.toString()]).toEqual([[], 'final'])
})

test('trailers come after the answer they were announced for', async () => {
  const plugin = await startPlugin((_request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum, Content-Type' })
    response.write('body')
    response.addTrailers([
      ['X-Sum', '42'],
      ['Content-Type', 'a/b'],
    ])
    response.end()
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const given = await ask(stage.port, get('/api/demo/', ['TE: trailers']))
  expect([given.body.toString(), given.trailers, valuesOf(given, 'trailer')]).toEqual([
    'body',
    ['X-Sum: 42'],
    ['X-Sum, Content-Type'],
  ])
  expect((await ask(stage.port, 'GET /api/demo/ HTTP/1.0\r\n\r\n')).body.toString()).toBe('body')
})

test('who expects to be told to continue is told, and the body arrives', async () => {
  const plugin = await startPlugin((request, response) => void request.pipe(response))
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const { request, answer } = open(`${stage.url}/api/demo/`, {
    method: 'PUT',
    headers: { expect: '100-continue', 'content-length': 5 },
  })
  request.on('continue', () => request.end('hello'))
  request.flushHeaders()
  const chunks = await (await answer).toArray()
  expect(Buffer.concat(chunks).toString()).toBe('hello')
})

test('a body beyond the limit is refused, whether it was declared or not', async () => {
  let arrived = 0
  const plugin = await startPlugin((request, response) => {
    request.on('data', (chunk: Buffer) => {
      arrived += chunk.length
    })
    request.on('end', () => response.end('taken'))
  })
  const stage = await openStage([testService([testInstance(plugin.port)])], { settings: { max_body_bytes: 100_000 } })
  const declared = await ask(stage.port, get('/api/demo/', ['Content-Length: 100001'], 'POST'))
  expect([declared.status, arrived]).toEqual([413, 0])
  const { request, answer } = open(`${stage.url}/api/demo/`, { method: 'POST' })
  await pour(request, 200_000)
  expect((await answer).statusCode).toBe(413)
  expect(arrived).toBeLessThanOrEqual(100_000)
  expect((await ask(stage.port, get('/api/demo/', ['Content-Length: 0'], 'POST'))).status).toBe(200)
})

test('an answer before the end of the body comes through', async () => {
  const plugin = await startPlugin((_request, response) => void response.writeHead(403).end('no need for it'))
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const { request, answer } = open(`${stage.url}/api/demo/`, { method: 'POST' })
  request.on('error', () => {})
  request.write(Buffer.alloc(mb))
  const response = await answer
  expect(response.statusCode).toBe(403)
  expect(Buffer.concat(await response.toArray()).toString()).toBe('no need for it')
  request.destroy()
})

test('a caller that leaves ends the call: before the answer, in it, and while it sends', async () => {
  let cut = 0
  const arrived: string[] = []
  const plugin = await startPlugin((request, response) => {
    arrived.push(request.url!)
    response.on('close', () => {
      if (!response.writableFinished) cut++
    })
    if (request.url === '/stream') response.write('first')
    else request.resume()
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  for (const [i, path] of ['/wait', '/stream', '/send'].entries()) {
    const { request, answer } = open(`${stage.url}/api/demo${path}`, { method: path === '/send' ? 'POST' : 'GET' })
    request.on('error', () => {})
    if (path === '/send') request.write('half')
    else request.end()
    if (path === '/stream') await new Promise((resolve) => void answer.then((got) => got.once('data', resolve)))
    await until(() => arrived.length === i + 1)
    request.destroy()
    await until(() => cut === i + 1 && stage.records.length === i + 1)
  }
  expect(stage.records.map(({ outcome }) => outcome)).toEqual(['aborted', 'aborted', 'aborted'])
  expect(await stage.metrics()).toContain('gatehouse_services_proxy_open{kind="request"} 0')
})

test('an answer that breaks off never looks whole', async () => {
  const heads: Record<string, string> = {
    length: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
    chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    unstated: 'HTTP/1.0 200 OK\r\n\r\nhalf',
  }
  let asked = ''
  const port = await startRaw((socket) =>
    onHead(socket, (head) => {
      asked = /GET \/(\w+)/.exec(head)![1]!
      socket.write(heads[asked]!)
      // Once the caller has the first half, the connection is reset.
      cutNow = () => socket.resetAndDestroy()
    }),
  )
  let cutNow = () => {}
  const stage = await openStage([testService([testInstance(port)])])
  for (const framing of Object.keys(heads)) {
    for (const version of ['1.1', '1.0']) {
      const { bytes, end } = await rawExchange(
        stage.port,
        `GET /api/demo/${framing} HTTP/${version}\r\nHost: h\r\n\r\n`,
        (got) => {
          if (got.includes('half')) cutNow()
          return false
        },
      )
      const text = bytes.toString('latin1')
      const isDeclared = /content-length: 100\r\n/i.test(text)
      const isChunked = /transfer-encoding: chunked\r\n/i.test(text)
      const looksWhole = isDeclared ? false : isChunked ? text.endsWith('0\r\n\r\n') : end === 'closed'
      expect([framing, version, looksWhole]).toEqual([framing, version, false])
    }
  }
  expect(stage.records.map(({ outcome, status }) => [outcome, status])).toEqual(Array(6).fill(['truncated', 200]))
  expect(stage.warnings[0]!.message).toMatch(/An answer of demo broke off/)
  expect(await stage.metrics()).toContain('gatehouse_services_proxy_truncated_total{service="demo"} 6')
})

test('an HTTP/1.0 instance whose answer ends with its connection is answered whole', async () => {
  const port = await startRaw((socket) =>
    onHead(socket, () => socket.end('HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nall of it')),
  )
  const stage = await openStage([testService([testInstance(port)])])
  const given = await ask(stage.port, get('/api/demo/'))
  expect([given.status, given.body.toString(), given.isWhole]).toEqual([200, 'all of it', true])
  const old = await ask(stage.port, 'GET /api/demo/ HTTP/1.0\r\n\r\n')
  expect([old.body.toString(), old.end]).toEqual(['all of it', 'closed'])
})

test('silence inside an answer cuts it after the time the service gives it', async () => {
  const port = await startRaw((socket) =>
    onHead(socket, () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')),
  )
  const stage = await openStage([testService([testInstance(port)], { routing: { idleTimeoutMs: 100 } })])
  const given = await ask(stage.port, get('/api/demo/'))
  expect(given.body.toString()).toBe('half')
  await until(() => stage.records.length === 1)
  expect(stage.records[0]).toMatchObject({ outcome: 'truncated', code: 'service_timeout' })
  expect(stage.warnings[0]!.message).toContain('fell silent for 100 ms')
})

test('a hub that stops lets answers under way come to their end', async () => {
  let finish = () => {}
  const plugin = await startPlugin((_request, response) => {
    response.write('first;')
    finish = () => response.end('last')
  })
  const stage = await openStage([testService([testInstance(plugin.port)])])
  const { request, answer } = open(`${stage.url}/api/demo/`)
  request.end()
  const response = await answer
  const drained = stage.drain(10_000)
  finish()
  expect(Buffer.concat(await response.toArray()).toString()).toBe('first;last')
  expect(await drained).toBe(0)
})
