import type { Agent } from 'node:http'
import type { createConnection, Socket } from 'node:net'
import type { buildConnector } from 'undici'
import WebSocket from 'ws'

export type { WebSocket }

export type WebSocketOptions = {
  headers: Record<string, string>
  /** Subprotocols to offer. */
  protocols: readonly string[]
  handshakeTimeoutMs: number
  /** Largest message taken; a larger one ends the connection with 1009. */
  maxMessageBytes: number
}

/** Opens a WebSocket over `connect`, which decides what may be connected to. Redirects are not followed. */
export function openGuardedWebSocket(
  address: string,
  connect: buildConnector.connector,
  { headers, protocols, handshakeTimeoutMs, maxMessageBytes }: WebSocketOptions,
): WebSocket {
  const url = new URL(address)
  const isSecure = url.protocol === 'wss:'
  const open = (_options: unknown, done: (error: Error | null, socket?: Socket) => void) => {
    connect(
      {
        hostname: url.hostname,
        host: url.host,
        protocol: isSecure ? 'https:' : 'http:',
        port: url.port === '' ? (isSecure ? '443' : '80') : url.port,
      },
      (error, socket) => (error === null ? done(null, socket as Socket) : done(error)),
    )
  }
  return new WebSocket(url, [...protocols], {
    headers,
    maxPayload: maxMessageBytes,
    handshakeTimeout: handshakeTimeoutMs,
    // Sound does not shrink, and a window for each side of each session is memory.
    perMessageDeflate: false,
    followRedirects: false,
    agent: undefined as unknown as Agent,
    createConnection: open as unknown as typeof createConnection,
  })
}
