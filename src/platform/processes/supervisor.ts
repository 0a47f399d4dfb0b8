import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../log.ts'
import type { Child, Ended } from './child.ts'
import { createFront, type Server } from './front.ts'
import type { Member } from './messages.ts'
import type { SeatWords } from './seat.ts'
import { createSwitchboard } from './switchboard.ts'

export type SupervisorOptions = {
  workers: number
  host: string
  port: number
  /** The node's data folder: sockets of its processes lie in `run/` below it. */
  dataDir: string
  /** How long a worker that was replaced may go on with the answers it has begun. */
  retireMs: number
  /** What workers are given: they read no settings themselves. */
  settings: unknown
  /** The same read again, before workers are replaced; rejects when nobody could start with them. */
  readSettings(): Promise<unknown>
  start(seat: SeatWords): Child
  clock: Clock
  log: Log
}

/**
 * Starts the processes of a node and keeps them: one for control, some for calls, this one in between holds the public
 * port and what they share. Whoever ends by itself, or answers nothing for long, is started again, with growing pauses.
 */
export type Supervisor = {
  /** Resolves when all processes serve; rejects with `StartFailed` when one ends before that. */
  start(): Promise<{ url: string; port: number }>
  /** Replaces all of them, one after the other: no answer under way is cut. A second call joins the first. */
  restart(): Promise<void>
  /** Lets all of them end in good order. */
  stop(): Promise<void>
  /** Passes a signal on to all of them. */
  signal(signal: NodeJS.Signals): void
}

/** The process that could not start has said why; its exit code is the program's. */
export class StartFailed extends Error {
  readonly exitCode: number
  constructor(name: string, { code, signal }: Ended, reason = `it ended with ${code ?? signal}`) {
    super(`the process ${name} did not come to serve: ${reason}`)
    this.exitCode = code === null || code === 0 ? 1 : code
  }
}

type Post = {
  seat: SeatWords & { kind: Member['kind'] }
  child: Child
  server: Server
  state: Member['state']
  restarts: number
  startedMs: number
  heardMs: number
  leave(): void
  ready: PromiseWithResolvers<void>
}

const pingMs = 5000
/** A process whose event loop does not turn for so long does not serve anybody either. */
const silentMs = 30_000
/** Migrations of a large store take their time. */
const startingMs = 15 * 60_000
const shortestPauseMs = 100
const longestPauseMs = 30_000
/** Who has lived so long has earned a quick start after its end. */
const provenMs = 60_000

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { workers, clock, log } = options
  const folder = socketFolder(options.dataDir)
  const front = createFront(options)
  const switchboard = createSwitchboard({ clock })
  const posts = new Set<Post>()
  /** Consecutive ends by name, for the pause before the next start. */
  const ends = new Map<string, number>()
  const stopping = new AbortController()
  let address = { host: options.host, port: options.port }
  let isUp = false
  let restarting: Promise<void> | null = null
  let { settings } = options

  function seatOf(name: string): SeatWords & { kind: Member['kind'] } {
    const path = (each: string) => join(folder, `${each}.sock`)
    return {
      ...{ name, kind: name === 'control' ? 'control' : 'worker', processes: workers + 1 },
      ...{ socket: path(name), controlSocket: path('control'), ...address, url: urlOf(address) },
    }
  }

  function begin(name: string, restarts = 0): Post {
    const seat = seatOf(name)
    const child = options.start(seat)
    if (seat.kind === 'worker') child.order({ kind: 'settings', settings })
    const now = clock.monotonic()
    const post: Post = {
      ...{ seat, child, state: 'starting', restarts, startedMs: now, heardMs: now },
      server: { send: (id, connection, sent) => child.order({ kind: 'connection', id }, connection, sent) },
      leave: switchboard.join(name, seat.kind, child.wire),
      ready: Promise.withResolvers<void>(),
    }
    // Who waits for it hears; nobody has to.
    post.ready.promise.catch(() => {})
    posts.add(post)
    child.onReport((report) => {
      post.heardMs = clock.monotonic()
      if (report.kind === 'took') front.took(post.server, report.id)
      if (report.kind === 'replace-workers') void replace(replaceWorkers)
      if (report.kind !== 'ready' || post.state !== 'starting') return
      post.state = 'running'
      if (seat.kind === 'worker') front.add(post.server)
      post.ready.resolve()
      tell()
    })
    void child.ended.then((ended) => onEnd(post, ended))
    tell()
    return post
  }

  function onEnd(post: Post, ended: Ended): void {
    const { seat, state } = post
    front.remove(post.server)
    post.leave()
    post.ready.reject(new StartFailed(seat.name, ended))
    if (state === 'retiring' || stopping.signal.aborted || !isUp) {
      posts.delete(post)
      tell()
      return
    }
    const lived = clock.monotonic() - post.startedMs
    const times = lived >= provenMs ? 0 : (ends.get(seat.name) ?? 0)
    ends.set(seat.name, times + 1)
    const waitMs = Math.min(longestPauseMs, shortestPauseMs * 2 ** times)
    log.error(`The process ${seat.name} ended and is started again`, {
      ...{ process: seat.name, code: String(ended.code ?? ended.signal), waitMs },
    })
    post.state = 'waiting'
    tell()
    void clock.sleep(waitMs, stopping.signal).then(() => {
      posts.delete(post)
      if (!stopping.signal.aborted) begin(seat.name, post.restarts + 1)
    })
  }

  function tell(): void {
    switchboard.tell(
      [...posts].map(({ seat: { name, kind }, state, child, restarts }) => ({
        ...{ name, kind, state, pid: child.pid, restarts },
      })),
    )
  }

  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(pingMs, stopping.signal)
      const now = clock.monotonic()
      for (const post of posts) {
        if (post.state === 'waiting') continue
        post.child.order({ kind: 'ping' })
        if (now - post.heardMs < (post.state === 'starting' ? startingMs : silentMs)) continue
        log.error(`The process ${post.seat.name} does not answer and is ended`, { process: post.seat.name })
        post.child.kill('SIGKILL')
      }
    }
  }

  /** The lowest number nobody has; one that retires keeps its journal, and so its number, until it has ended. */
  function freeWorkerName(): string {
    const taken = new Set([...posts].map(({ seat }) => seat.name))
    for (let number = 1; ; number++) if (!taken.has(`worker-${number}`)) return `worker-${number}`
  }

  async function replaceAll(): Promise<void> {
    log.info('Replacing the processes, one after the other')
    const control = [...posts].find(({ seat }) => seat.kind === 'control')
    if (control !== undefined) await replaceControl(control)
    await replaceWorkers()
    log.info('The processes are replaced; answers begun before go on')
  }

  async function replaceWorkers(): Promise<void> {
    for (const post of [...posts].filter(({ seat }) => seat.kind === 'worker')) {
      if (stopping.signal.aborted) return
      // It may have ended meanwhile and been started anew: then it is new already.
      if (!posts.has(post) || post.state !== 'running') continue
      const next = begin(freeWorkerName())
      try {
        await next.ready.promise
      } catch (error) {
        log.error('A new worker cannot start; the others stay as they are', { process: next.seat.name, error })
        return
      }
      front.rest(post.server)
      post.state = 'retiring'
      tell()
      post.child.order({ kind: 'retire', limitMs: options.retireMs })
    }
    log.info('The workers are replaced')
  }

  /** Its journal and its socket are its own: there is one at a time, and workers wait for the next one. */
  async function replaceControl(post: Post): Promise<void> {
    post.state = 'retiring'
    tell()
    post.child.kill('SIGTERM')
    await post.child.ended
    if (!stopping.signal.aborted) await begin('control').ready.promise.catch(() => {})
  }

  /** With settings that nobody can start with, the processes that serve now would be replaced by none. */
  async function readAgain(): Promise<boolean> {
    try {
      settings = await options.readSettings()
      return true
    } catch (error) {
      log.error('The processes are not replaced: nobody could start with the settings as they are', { error })
      return false
    }
  }

  function replace(work: () => Promise<void>): Promise<void> {
    restarting ??= readAgain()
      .then((isFit) => (isFit ? work() : undefined))
      .finally(() => {
        restarting = null
      })
    return restarting
  }

  return {
    async start() {
      address = await front.listen()
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      try {
        // First alone: it brings the store into shape.
        await begin('control').ready.promise
        const first = Array.from({ length: workers }, (_, i) => begin(`worker-${i + 1}`))
        await Promise.all(first.map(({ ready }) => ready.promise))
      } catch (error) {
        await this.stop()
        throw error
      }
      isUp = true
      void watch()
      return { url: urlOf(address), port: address.port }
    },

    restart: () => replace(replaceAll),

    async stop() {
      stopping.abort()
      const end = async (kind: Member['kind']) => {
        const those = [...posts].filter(({ seat, state }) => seat.kind === kind && state !== 'waiting')
        for (const { child } of those) child.kill('SIGTERM')
        await Promise.all(those.map(({ child }) => child.ended))
      }
      const closed = front.close()
      // Workers hand requests on to the control process until they have ended.
      await end('worker')
      await end('control')
      await closed
      rmSync(folder, { recursive: true, force: true })
    },

    signal(signal) {
      for (const { child, state } of posts) if (state !== 'waiting') child.kill(signal)
    },
  }
}

/** A path of a Unix socket may have 107 bytes; a data folder may lie deeper than that. */
function socketFolder(dataDir: string): string {
  const own = join(resolve(dataDir), 'run')
  return own.length <= 80 ? own : join(tmpdir(), `gatehouse-${process.pid}`)
}

function urlOf({ host, port }: { host: string; port: number }): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
