import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorCatalogue, type HubError } from '../kernel/errors.ts'
import { http } from '../platform/node-http.ts'
import type { RequestContext } from './context.ts'

/** Connections that leave HTTP behind: WebSockets. */
export type Upgrades = {
  /** Whether a path may be upgraded at all; a request for another is answered like any. */
  isOurs(request: IncomingMessage): boolean
  /** Takes the socket over, and answers on it whatever happens. */
  serve(request: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): void
  /** Lets what runs come to an end within `limitMs`, then ends it; resolves with how many that were. */
  drain(limitMs: number): Promise<number>
}

/** Several as one: the first whose path it is serves it. */
export function joinUpgrades(all: readonly Upgrades[]): Upgrades {
  return {
    isOurs: (request) => all.some((each) => each.isOurs(request)),
    serve(request, ...rest) {
      all.find((each) => each.isOurs(request))?.serve(request, ...rest)
    },
    async drain(limitMs) {
      const ended = await Promise.all(all.map((each) => each.drain(limitMs)))
      return ended.reduce((sum, count) => sum + count, 0)
    },
  }
}

/** Answers a request for an upgrade with an error and ends the connection. */
export function refuseUpgrade(socket: Duplex, error: HubError, body: unknown, headers: readonly string[] = []): void {
  if (socket.destroyed || !socket.writable) return
  const text = JSON.stringify(body)
  const lines = [`HTTP/1.1 ${error.status} ${http.STATUS_CODES[error.status] ?? errorCatalogue[error.code].title}`]
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
  if (error.retryAfterMs !== undefined) lines.push(`retry-after: ${Math.max(1, Math.ceil(error.retryAfterMs / 1000))}`)
  lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(text)}`, 'connection: close')
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`)
}
