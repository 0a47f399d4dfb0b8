import { Socket } from 'node:net'
import { seatVariable } from './entrance.ts'
import { createLink, type Link } from './link.ts'
import type { Order, Report } from './messages.ts'

/** Which part of a node this process is, as the supervisor that started it has said. */
export type SeatWords = {
  /** `control`, or `worker-1`. */
  name: string
  /** `settings` reads them, says them and ends. */
  kind: 'control' | 'worker' | 'settings'
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

export type Seat = Omit<SeatWords, 'kind'> & {
  kind: 'control' | 'worker'
  link: Link
  /** For workers: the node's settings, read by another process. */
  settings: Promise<unknown>
  /** Connections that were accepted for this process; each is to be read from by `take`. */
  onConnection(take: (connection: Socket) => void): void
  /** Asked to serve what is open and take nothing new; when the promise resolves the process ends in good order. */
  onRetire(retire: (limitMs: number) => Promise<void>): void
  /** Tells the supervisor that calls can be sent. */
  ready(): void
  /** Asks the supervisor for workers that read the settings anew. */
  replaceWorkers(): void
}

/** The third and fourth descriptors after the standard ones: Node's own channel, and the wire to the switchboard. */
const wireDescriptor = 4

/** Takes the seat that the supervisor has given this process; null for one that nobody supervises. */
export function takeSeat(env: NodeJS.ProcessEnv): Seat | null {
  const words = readWords(env)
  if (words === null || words.kind === 'settings') return null
  const settings = Promise.withResolvers<unknown>()
  const link = createLink(new Socket({ fd: wireDescriptor, readable: true, writable: true }).unref())
  const report = (what: Report) => void say(what)
  let take: (connection: Socket) => void = (connection) => connection.destroy()
  let retire: (limitMs: number) => Promise<void> = async () => {}
  process.on('message', (order: Order, connection?: Socket) => {
    if (order.kind === 'ping') report({ kind: 'pong' })
    else if (order.kind === 'retire') void retire(order.limitMs).then(() => process.kill(process.pid, 'SIGTERM'))
    else if (order.kind === 'settings') {
      settings.resolve(order.settings)
      process.channel?.unref()
    } else {
      // Before anything is read: what a process that was killed had not said it took, another is given.
      report({ kind: 'took', id: order.id })
      // Closed by its caller on the way here.
      if (connection !== undefined) take(connection)
    }
  })
  // Until a worker has its settings there is nothing else that it lives for.
  if (words.kind === 'worker') process.channel?.ref()
  else process.channel?.unref()
  return {
    ...{ ...words, kind: words.kind, link, settings: settings.promise },
    onConnection(listener) {
      take = listener
    },
    onRetire(listener) {
      retire = listener
    },
    ready: () => report({ kind: 'ready' }),
    replaceWorkers: () => report({ kind: 'replace-workers' }),
  }
}

/**
 * Where the supervisor has started this process for the settings alone: says what `read` returns, or why it threw, and
 * resolves with true. Resolves with false for everybody else, having read nothing.
 */
export async function tellSettings(env: NodeJS.ProcessEnv, read: () => unknown): Promise<boolean> {
  if (readWords(env)?.kind !== 'settings') return false
  try {
    await say({ kind: 'settings', settings: read() })
  } catch (error) {
    await say({ kind: 'unfit', reason: (error as Error).message })
    throw error
  }
  return true
}

function readWords(env: NodeJS.ProcessEnv): SeatWords | null {
  const words = env[seatVariable]
  return words === undefined || process.send === undefined ? null : (JSON.parse(words) as SeatWords)
}

/** Resolves when it is on its way; a supervisor that is gone has ended this process already. */
function say(what: Report): Promise<void> {
  return new Promise((resolve) => process.send?.(what, undefined, undefined, () => resolve()))
}
