/**
 * Both ends of a long call in one process beside the test's: a plugin that pours out and takes in, and a caller that is
 * told over IPC what to ask for. Only what the hub itself holds is then in the memory that the test watches.
 */
import { createHash } from 'node:crypto'
import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export type PeerOrder = { url: string; direction: 'down' | 'up'; framing: 'length' | 'chunks'; bytes: number }
export type PeerReport = { bytes: number; isSame: boolean }

/** Writes `total` bytes no faster than they are taken; resolves with their digest. */
export function pour(to: NodeJS.WritableStream, total: number): Promise<string> {
  const chunk = Buffer.alloc(64 * 1024, 'abcdefgh')
  const hash = createHash('sha1')
  return new Promise((resolve) => {
    let left = total
    const more = (): void => {
      while (left > 0) {
        const piece = left < chunk.length ? chunk.subarray(0, left) : chunk
        left -= piece.length
        hash.update(piece)
        if (!to.write(piece)) {
          to.once('drain', more)
          return
        }
      }
      to.end()
      resolve(hash.digest('hex'))
    }
    more()
  })
}

async function drink(stream: AsyncIterable<Buffer>): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha1')
  let bytes = 0
  for await (const chunk of stream) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { digest: hash.digest('hex'), bytes }
}

async function carryOut({ url, direction, framing, bytes }: PeerOrder): Promise<PeerReport> {
  const isUp = direction === 'up'
  const length = framing === 'length' ? { 'content-length': bytes } : { 'transfer-encoding': 'chunked' }
  const request = http.request(`${url}?${framing}=${bytes}`, {
    agent: false,
    method: isUp ? 'POST' : 'GET',
    headers: isUp ? length : {},
  })
  const answer = new Promise<IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject))
  if (isUp) {
    const sent = await pour(request, bytes)
    const report = JSON.parse(Buffer.concat(await (await answer).toArray()).toString())
    return { bytes: report.bytes, isSame: report.digest === sent }
  }
  request.end()
  const got = await drink(await answer)
  return { bytes: got.bytes, isSame: got.digest === poured }
}

let poured = ''

function serve(): void {
  const server = http.createServer((request, response) => {
    if (request.method === 'POST') {
      void drink(request).then((got) => response.end(JSON.stringify(got)))
      return
    }
    const [, framing, bytes] = /\?(\w+)=(\d+)/.exec(request.url ?? '')!
    response.writeHead(200, framing === 'length' ? { 'content-length': Number(bytes) } : {})
    void pour(response, Number(bytes)).then((digest) => {
      poured = digest
    })
  })
  server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }))
  process.on('message', (order: PeerOrder) => {
    void carryOut(order).then((report) => process.send!(report))
  })
}

if (process.argv[1]?.endsWith('testing-peer.ts')) serve()
