import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Log } from '../log.ts'

/** A process that serves connections. */
export type Server = {
  /** Hands it over; the callback says whether it could be sent. */
  send(id: number, connection: Socket, sent: (error: Error | null) => void): void
}

/**
 * The one public port of a node with workers: accepts connections, reads nothing of them, and hands each to the next
 * worker in turn. It is never closed while workers come and go, so nobody is refused; what a worker had not taken when
 * it died is given to another.
 */
export type Front = {
  listen(): Promise<{ host: string; port: number }>
  add(server: Server): void
  /** No more for this one; what is on its way to it, it will still take. */
  rest(server: Server): void
  /** It has ended; what it has not taken goes to others. */
  remove(server: Server): void
  /** The process has the connection: it is its own from now on. */
  took(server: Server, id: number): void
  close(): Promise<void>
}

/** While no worker is there; beyond it callers are refused. */
const mostWaiting = 4096

export function createFront({ host, port, log }: { host: string; port: number; log: Log }): Front {
  const servers: { server: Server; given: Map<number, Socket>; isResting: boolean }[] = []
  const waiting: Socket[] = []
  let turn = 0
  let lastId = 0
  let isClosed = false

  function give(connection: Socket): void {
    if (connection.destroyed) return
    if (isClosed) {
      connection.destroy()
      return
    }
    const ready = servers.filter(({ isResting }) => !isResting)
    const next = ready[turn++ % Math.max(1, ready.length)]
    if (next === undefined) {
      if (waiting.length < mostWaiting) waiting.push(connection)
      else connection.destroy()
      return
    }
    const id = ++lastId
    next.given.set(id, connection)
    next.server.send(id, connection, (error) => {
      if (error !== null && next.given.delete(id)) give(connection)
    })
  }

  const listener = createServer({ pauseOnConnect: true, noDelay: true }, (connection) => {
    // Node would keep a list of what it handed over, and ask for its state at the end: whoever takes it looks after it.
    Object.assign(connection, { server: null })
    connection.on('error', () => {})
    give(connection)
  })

  return {
    async listen() {
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject)
        listener.listen({ host, port, backlog: 4096 }, () => {
          listener.off('error', reject)
          resolve()
        })
      })
      listener.on('error', (error) => log.error('the listening socket failed', { error }))
      const bound = listener.address() as AddressInfo
      return { host: bound.address, port: bound.port }
    },
    add(server) {
      servers.push({ server, given: new Map(), isResting: false })
      for (const connection of waiting.splice(0)) give(connection)
    },
    rest(server) {
      const found = servers.find((each) => each.server === server)
      if (found !== undefined) found.isResting = true
    },
    remove(server) {
      const at = servers.findIndex((each) => each.server === server)
      if (at === -1) return
      const [gone] = servers.splice(at, 1)
      for (const connection of gone!.given.values()) give(connection)
    },
    took(server, id) {
      const given = servers.find((each) => each.server === server)?.given
      given?.get(id)?.destroy()
      given?.delete(id)
    },
    async close() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
      isClosed = true
      for (const connection of waiting.splice(0)) connection.destroy()
      // A worker that has one has it still: only our end of it is closed.
      for (const { given } of servers) for (const connection of given.values()) connection.destroy()
      await closed
    },
  }
}
