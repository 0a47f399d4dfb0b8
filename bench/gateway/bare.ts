/**
 * What is left when a proxy does nothing but pass bytes on: floors that the hub is measured against where the baseline is none.
 * `pipe` is node:http both ways and reads nothing; `dispatch` hands chunks of a bare undici pool on.
 *
 *   node bare.ts pipe|dispatch PORT UPSTREAM_PORT
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { Pool } from 'undici'

const [kind, ...ports] = process.argv.slice(2)
const [port, upstreamPort] = ports.map(Number)
if (!port || !upstreamPort) throw new Error('usage: bare.ts pipe|dispatch PORT UPSTREAM_PORT')

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 1024 })

function pipe(incoming: IncomingMessage, response: ServerResponse): void {
  const headers = { ...incoming.headers, host: `127.0.0.1:${upstreamPort}`, authorization: 'Bearer sk-upstream' }
  const call = request(
    { host: '127.0.0.1', port: upstreamPort, method: 'POST', path: incoming.url, headers, agent },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    },
  )
  call.on('error', () => response.destroy())
  incoming.pipe(call)
}

function dispatch(incoming: IncomingMessage, response: ServerResponse): void {
  const pieces: Buffer[] = []
  incoming.on('data', (piece: Buffer) => pieces.push(piece))
  incoming.on('end', () => {
    const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-upstream' }
    const body = Buffer.concat(pieces)
    pool.dispatch(
      { path: incoming.url ?? '/', method: 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, answered) {
          response.writeHead(status, { 'content-type': String(answered['content-type']) })
        },
        onResponseData: (_controller, chunk) => void response.write(chunk),
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    )
  })
}

const server = createServer(kind === 'pipe' ? pipe : dispatch)
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1', () => console.log('ready'))
process.on('SIGTERM', () => process.exit(0))
