import { Socket } from 'node:net'
import { createLink, type Link } from './link.ts'
import type { Order, Report } from './messages.ts'

/** Which part of a node this process is, as the supervisor that started it has said. */
export type SeatWords = {
  /** `control`, or `worker-1`. */
  name: string
  kind: 'control' | 'worker'
  /** Processes that share this node: what the settings allow a node, each has its part of. */
  processes: number
  /** Unix sockets: where this process listens, and the control process. */
  socket: string
  controlSocket: string
  /** Where people reach the node. */
  host: string
  port: number
  url: string
}

export type Seat = SeatWords & {
  link: Link
  /** Connections that were accepted for this process; each is to be read from by `take`. */
  onConnection(take: (connection: Socket) => void): void
  /** Asked to serve what is open and take nothing new; when the promise resolves the process ends in good order. */
  onRetire(retire: (limitMs: number) => Promise<void>): void
  /** Tells the supervisor that calls can be sent. */
  ready(): void
  /** Asks the supervisor for workers that read the settings anew. */
  replaceWorkers(): void
}

/** Set by the supervisor for the processes it starts. */
export const seatVariable = 'GATEHOUSE_SEAT'

/** The third and fourth descriptors after the standard ones: Node's own channel, and the wire to the switchboard. */
const wireDescriptor = 4

/** Takes the seat that the supervisor has given this process; null for one that nobody supervises. */
export function takeSeat(env: NodeJS.ProcessEnv): Seat | null {
  const words = env[seatVariable]
  if (words === undefined || process.send === undefined) return null
  const link = createLink(new Socket({ fd: wireDescriptor, readable: true, writable: true }).unref())
  const report = (what: Report) => process.send?.(what, undefined, undefined, () => {})
  let take: (connection: Socket) => void = (connection) => connection.destroy()
  let retire: (limitMs: number) => Promise<void> = async () => {}
  process.on('message', (order: Order, connection?: Socket) => {
    if (order.kind === 'ping') report({ kind: 'pong' })
    else if (order.kind === 'retire') void retire(order.limitMs).then(() => process.kill(process.pid, 'SIGTERM'))
    else {
      // Before anything is read: what a process that was killed had not said it took, another is given.
      report({ kind: 'took', id: order.id })
      // Closed by its caller on the way here.
      if (connection !== undefined) take(connection)
    }
  })
  process.channel?.unref()
  return {
    ...(JSON.parse(words) as SeatWords),
    link,
    onConnection(listener) {
      take = listener
    },
    onRetire(listener) {
      retire = listener
    },
    ready: () => void report({ kind: 'ready' }),
    replaceWorkers: () => void report({ kind: 'replace-workers' }),
  }
}
