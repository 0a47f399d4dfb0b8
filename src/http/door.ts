import type { Socket } from 'node:net'

/** How requests come to one of several processes of a node: not by a port of its own. */
export type Door = {
  /** `control` is spoken to by workers alone. */
  kind: 'control' | 'worker'
  /** The Unix socket where it listens. */
  socket: string
  /** Where callers reach the node. */
  host: string
  port: number
  url: string
  /** Connections that the node's public port has accepted for it. */
  onConnection(take: (connection: Socket) => void): void
  /** Another process takes its place: it is to serve what is open, for so long at most, and take nothing new. */
  onRetire(retire: (limitMs: number) => Promise<void>): void
}
