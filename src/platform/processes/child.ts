import { fork } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { seatVariable } from './entrance.ts'
import type { Order, Report } from './messages.ts'
import type { SeatWords } from './seat.ts'

export type Ended = { code: number | null; signal: NodeJS.Signals | null }

/** One process of the node, from the supervisor's side. */
export type Child = {
  pid: number
  wire: Duplex
  order(order: Order, connection?: Socket, sent?: (error: Error | null) => void): void
  onReport(listener: (report: Report) => void): void
  kill(signal: NodeJS.Signals): void
  ended: Promise<Ended>
}

/** Starts this very program again, with the same arguments, in a seat of its own. */
export function startChild(seat: SeatWords): Child {
  const child = fork(process.argv[1]!, process.argv.slice(2), {
    env: { ...process.env, [seatVariable]: JSON.stringify(seat) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
  })
  // It may end at any time; whoever is concerned hears of it by `ended`.
  child.on('error', () => {})
  return {
    pid: child.pid ?? -1,
    wire: child.stdio[4] as Duplex,
    order(order, connection, sent = () => {}) {
      if (!child.connected) return sent(new Error('the process is gone'))
      child.send(order, connection, { keepOpen: true }, (error) => sent(error))
    },
    onReport: (listener) => void child.on('message', (report) => listener(report as Report)),
    kill: (signal) => void child.kill(signal),
    ended: new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      if (child.pid === undefined) resolve({ code: 1, signal: null })
    }),
  }
}
