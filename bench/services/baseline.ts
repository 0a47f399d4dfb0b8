/**
 * What anyone would write first: a plain node:http reverse proxy with a keep-alive agent that pipes both ways. It checks
 * nothing and is the unit that the other is measured in, so it must not become clever.
 *
 *   node baseline.ts PORT UPSTREAM_PORT
 */
import { Agent, createServer, request } from 'node:http'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
if (!port || !upstreamPort) throw new Error('usage: baseline.ts PORT UPSTREAM_PORT')

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
const prefix = '/api/bench'

const server = createServer((incoming, response) => {
  const path = incoming.url!.slice(prefix.length)
  const headers = { ...incoming.headers, host: `127.0.0.1:${upstreamPort}` }
  const call = request(
    { host: '127.0.0.1', port: upstreamPort, method: incoming.method, path, headers, agent },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    },
  )
  call.on('error', () => response.destroy())
  incoming.pipe(call)
})
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1', () => console.log('ready'))
process.on('SIGTERM', () => process.exit(0))
