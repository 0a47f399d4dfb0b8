import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import zlib from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { HubError } from '../kernel/errors.ts'
import { readBody } from './body.ts'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

type Outcome = { text: string } | { code: string }

async function open(maxBytes: number) {
  const outcomes: Outcome[] = []
  const waiting: ((outcome: Outcome) => void)[] = []
  const settle = (outcome: Outcome) => {
    const resolve = waiting.shift()
    if (resolve) resolve(outcome)
    else outcomes.push(outcome)
  }
  const server = http.createServer(async (request: IncomingMessage, response) => {
    const outcome: Outcome = await readBody(request, { maxBytes }).then(
      (body) => ({ text: body.toString() }),
      (error: unknown) => ({ code: error instanceof HubError ? error.code : String(error) }),
    )
    settle(outcome)
    response.end(JSON.stringify(outcome))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const send = async (body: Uint8Array | string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST',
      body: body as Uint8Array<ArrayBuffer> | string,
      headers,
    })
    return (await answer.json()) as Outcome
  }
  const next = (): Promise<Outcome> =>
    outcomes.length > 0 ? Promise.resolve(outcomes.shift()!) : new Promise((resolve) => waiting.push(resolve))
  return { send, port, next }
}

test('a body arrives whole, in one piece or in many', async () => {
  const { send } = await open(1_000_000)
  expect(await send('hello')).toEqual({ text: 'hello' })
  const long = '汉字'.repeat(100_000)
  expect(await send(long)).toEqual({ text: long })
})

test.each([
  ['gzip', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['deflate', zlib.deflateRawSync],
  ['br', zlib.brotliCompressSync],
  ['GZIP', zlib.gzipSync],
] as const)('%s is taken off', async (encoding, pack) => {
  const { send } = await open(1000)
  expect(await send(pack(Buffer.from('packed')), { 'content-encoding': encoding })).toEqual({ text: 'packed' })
})

test('a small body that unpacks beyond the limit is refused', async () => {
  const { send } = await open(10_000)
  const bomb = zlib.gzipSync(Buffer.alloc(5_000_000))
  expect(bomb.length).toBeLessThan(10_000)
  expect(await send(bomb, { 'content-encoding': 'gzip' })).toEqual({ code: 'body_too_large' })
})

test('a declared length above the limit is refused, and the caller can read why', async () => {
  const { send } = await open(1000)
  expect(await send('x'.repeat(300_000))).toEqual({ code: 'body_too_large' })
})

test('an undeclared length is counted while it arrives', async () => {
  const { port, next } = await open(1000)
  const socket = net.connect(port, '127.0.0.1')
  stops.push(() => socket.destroy())
  socket.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n')
  const chunk = `258\r\n${'x'.repeat(600)}\r\n`
  socket.write(chunk + chunk)
  expect(await next()).toEqual({ code: 'body_too_large' })
})

test('damaged and unknown encodings say so', async () => {
  const { send } = await open(1000)
  expect(await send('not gzip', { 'content-encoding': 'gzip' })).toEqual({ code: 'invalid_request' })
  expect(await send('x', { 'content-encoding': 'lzma' })).toEqual({ code: 'unsupported_media_type' })
})

test('a caller that hangs up midway ends in client_closed', async () => {
  const { port, next } = await open(1000)
  const socket = net.connect(port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf', () => socket.destroy())
  expect(await next()).toEqual({ code: 'client_closed' })
})

test('a body of megabytes is read as it was sent, whether or not its length was declared', async () => {
  const { send } = await open(32 * 1024 * 1024)
  const text = Array.from({ length: 900_000 }, (_, index) => index.toString(36)).join(' ')
  expect(Buffer.byteLength(text)).toBeGreaterThan(4 * 1024 * 1024)
  expect(await send(text)).toEqual({ text })
  expect(await send(zlib.gzipSync(text), { 'content-encoding': 'gzip' })).toEqual({ text })
})

test("the memory of a large body's pieces is given back as they are read", async () => {
  const pieces: Buffer[] = []
  const server = http.createServer(async (request, response) => {
    request.on('data', (piece: Buffer) => pieces.push(piece))
    const body = await readBody(request, { maxBytes: 2 * 1024 * 1024 })
    response.end(String(body.length))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => server.close())
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: 'x'.repeat(1024 * 1024) })
  expect(await answer.text()).toBe(String(1024 * 1024))
  expect(pieces.length).toBeGreaterThan(1)
  expect(pieces.filter((piece) => piece.length > 0)).toEqual([])
})
