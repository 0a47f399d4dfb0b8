import net, { type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { fail } from '../../kernel/errors.ts'
import {
  onHead,
  openStage,
  type StageOptions,
  startPlugin,
  startRaw,
  testInstance,
  testPrincipal,
  testService,
} from './testing.ts'

async function open(over: StageOptions = {}) {
  const { port, server } = await startPlugin((_request, response) => void response.writeHead(404).end())
  const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered][0] ?? false })
  const seen: { url: string; headers: Record<string, unknown> }[] = []
  sockets.on('connection', (socket, request) => {
    seen.push({ url: request.url!, headers: request.headers })
    socket.on('error', () => {})
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate()
  })
  const stage = await openStage([testService([testInstance(port)])], over)
  const url = stage.url.replace('http', 'ws')
  return { stage, sockets, seen, url }
}

function connected(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
}

function nextMessage(socket: WebSocket): Promise<Buffer> {
  return new Promise((resolve) => socket.once('message', (data) => resolve(data as Buffer)))
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

test('messages of any size go both ways, protocol and query arrive, and the end is told to both', async () => {
  const { stage, seen, url, sockets } = await open({
    authenticate: () => testPrincipal(),
  })
  const socket = new WebSocket(`${url}/api/demo/live%2Froom?a=1`, ['chat.v1'], {
    headers: { 'x-gatehouse-user': 'root' },
  })
  await connected(socket)
  expect(socket.protocol).toBe('chat.v1')
  for (const size of [0, 1, 65_536, 4 << 20]) {
    const sent = Buffer.alloc(size, 'x')
    const answered = nextMessage(socket)
    socket.send(sent)
    expect((await answered).equals(sent)).toBe(true)
  }
  expect(seen[0]!.url).toBe('/live%2Froom?a=1')
  expect(seen[0]!.headers['x-gatehouse-user']).toBe('usr_1')
  expect(seen[0]!.headers['x-forwarded-for']).toBe('127.0.0.1')
  const closed = new Promise<number>((resolve) => [...sockets.clients][0]!.once('close', resolve))
  expect(await stage.metrics()).toContain('gatehouse_services_proxy_open{kind="web_socket"} 1')
  socket.close(4001, 'bye')
  expect(await closed).toBe(4001)
  await until(() => stage.records.length === 1)
  expect(stage.records[0]).toMatchObject({ status: 101, outcome: 'answered', isWebSocket: true, attempts: 1 })
  expect(stage.records[0]!.bytesIn).toBeGreaterThan(4 << 20)
})

test('a caller that breaks off takes the instance’s side with it, and the other way round', async () => {
  const { url, sockets } = await open()
  const one = new WebSocket(`${url}/api/demo/`)
  await connected(one)
  const heard = new Promise<number>((resolve) => [...sockets.clients][0]!.once('close', resolve))
  one.terminate()
  expect(await heard).toBe(1006)
  const other = new WebSocket(`${url}/api/demo/`)
  await connected(other)
  const told = new Promise<number>((resolve) => other.once('close', resolve))
  for (const socket of sockets.clients) socket.terminate()
  expect(await told).toBe(1006)
})

test('who may not come in is answered in HTTP', async () => {
  const refused = async (path: string, over: StageOptions = {}) => {
    const { url } = await open(over)
    const socket = new WebSocket(`${url}${path}`)
    return new Promise<number>((resolve) => {
      socket.on('unexpected-response', (request, response) => {
        resolve(response.statusCode!)
        request.destroy()
      })
      socket.on('error', () => {})
    })
  }
  expect(await refused('/api/nothing/')).toBe(401)
  expect(await refused('/api/demo/%00')).toBe(400)
  const bad = () => {
    throw fail('invalid_api_key', 'unknown')
  }
  expect(await refused('/api/nothing/', { authenticate: bad })).toBe(401)
  expect(await refused('/api/nothing/', { authenticate: () => testPrincipal() })).toBe(404)
})

test("an instance's own refusal arrives as it said it", async () => {
  const port = await startRaw((socket) =>
    onHead(socket, () => socket.write('HTTP/1.1 403 Not You\r\nX-Why: rules\r\nContent-Length: 4\r\n\r\nsays')),
  )
  const stage = await openStage([testService([testInstance(port)])])
  const text = await rawUpgrade(stage.port)
  expect(text).toMatch(/^HTTP\/1.1 403 Not You\r\n/)
  expect(text).toContain('X-Why: rules')
  expect(text.endsWith('\r\n\r\nsays')).toBe(true)
})

test('an instance that is not there is a 502, and one without instances a 503', async () => {
  const stage = await openStage([testService([testInstance(1)]), testService([], { name: 'empty' })])
  expect(await rawUpgrade(stage.port)).toMatch(/^HTTP\/1.1 502 /)
  expect(await rawUpgrade(stage.port, '/api/empty/')).toMatch(/^HTTP\/1.1 503 [\s\S]*retry-after: 5/)
})

test('a side that has said all it has to say still hears the other', async () => {
  let instance: Socket | undefined
  let heard = ''
  const port = await startRaw((socket) => {
    socket.once('data', () => {
      instance = socket
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString()
      })
      socket.on('end', () => {
        heard += '|end'
      })
    })
  })
  const stage = await openStage([testService([testInstance(port)])])
  const caller = net.connect({ port: stage.port, host: '127.0.0.1', allowHalfOpen: true })
  let got = ''
  let isEnded = false
  caller.on('data', (chunk: Buffer) => {
    got += chunk.toString()
  })
  caller.on('end', () => {
    isEnded = true
  })
  caller.write(upgradeRequest('/api/demo/'))
  await until(() => got.includes('\r\n\r\n'))
  caller.end('last words')
  await until(() => heard === 'last words|end')
  instance!.write('still here')
  await until(() => got.endsWith('still here'))
  expect(isEnded).toBe(false)
  instance!.end()
  await until(() => isEnded)
})

test('a hub that stops waits for its WebSockets, then cuts them and says how many', async () => {
  const { stage, url } = await open()
  const socket = new WebSocket(`${url}/api/demo/`)
  await connected(socket)
  const over = new Promise((resolve) => socket.once('close', resolve))
  expect(await stage.drain(50)).toBe(1)
  await over
})

test('a WebSocket on which nothing moves is cut', async () => {
  const { url, stage } = await open({ settings: { web_socket_idle_seconds: 1 } })
  const socket = new WebSocket(`${url}/api/demo/`)
  await connected(socket)
  await new Promise((resolve) => socket.once('close', resolve))
  await until(() => stage.records.length === 1)
  expect(stage.records[0]!.outcome).toBe('aborted')
})

test('another upgrade than to a WebSocket is answered in HTTP/1.1', async () => {
  const { stage } = await open()
  const response = await fetch(`${stage.url}/api/demo/`)
  expect(response.status).toBe(404)
  const text = await rawUpgrade(stage.port, '/api/demo/', 'h2c')
  expect(text).toMatch(/^HTTP\/1.1 404 /)
})

function upgradeRequest(path: string, to = 'websocket'): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ${to}\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  )
}

function rawUpgrade(port: number, path = '/api/demo/', to?: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (to !== undefined) socket.destroy()
    })
    socket.on('close', () => resolve(text))
    socket.write(upgradeRequest(path, to))
  })
}
