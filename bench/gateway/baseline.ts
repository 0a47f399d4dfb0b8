/**
 * What anyone would write first: a plain node:http proxy with a keep-alive agent. Its cost per request is the unit that
 * everything else is measured in, so it must not become clever.
 *
 *   node baseline.ts PORT UPSTREAM_PORT
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
if (!port || !upstreamPort) throw new Error('usage: baseline.ts PORT UPSTREAM_PORT')

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
const models = new Set(['mock', 'mock-paced', 'soak'])

function forward(incoming: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const { model } = JSON.parse(body.toString())
  if (!models.has(model)) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such model"}}')
    return
  }
  const headers = { ...incoming.headers, host: `127.0.0.1:${upstreamPort}`, authorization: 'Bearer sk-upstream' }
  const call = request(
    { host: '127.0.0.1', port: upstreamPort, method: 'POST', path: incoming.url, headers, agent },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    },
  )
  call.on('error', () => response.destroy())
  call.end(body)
}

const server = createServer((incoming, response) => {
  const pieces: Buffer[] = []
  incoming.on('data', (piece: Buffer) => pieces.push(piece))
  incoming.on('end', () => forward(incoming, response, Buffer.concat(pieces)))
})
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1', () => console.log('ready'))
process.on('SIGTERM', () => process.exit(0))
