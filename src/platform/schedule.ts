import type { Clock } from '../kernel/clock.ts'
import { type Heartbeats, unwatched } from '../kernel/heartbeats.ts'
import type { Leases } from './lease/lease.ts'
import type { Log } from './log.ts'

/** Runs jobs again and again, never one beside itself. */
export type Schedule = {
  /**
   * Runs `job` every `everyMs`, counted from start to start; a run that takes longer delays the next and is never
   * doubled. A failure is logged and the next run happens. `signal` aborts on `stop`, and when the lease is lost.
   */
  every(name: string, everyMs: number, job: Job, options: JobOptions): void
  /** Starts nothing more, aborts what runs and waits for it. */
  stop(): Promise<void>
}

export type Job = (signal: AbortSignal) => Promise<void> | void

export type JobOptions = {
  /** One node at a time runs it. When that node dies another goes on within half a minute of its next turn. */
  onOneNode: boolean
  /** Time to the first run; by default a random part of `everyMs`, so that nodes and jobs spread out. */
  firstDelayMs?: number
}

const leaseMs = 30_000
/** The longest a job takes that is healthy, on top of its interval: some walk over whole tables. */
const longestJobMs = 30 * 60_000

export function createSchedule(parts: {
  clock: Clock
  leases: Leases
  log: Log
  random?: () => number
  heartbeats?: Heartbeats | undefined
}): Schedule {
  const { clock, leases, log, random = Math.random, heartbeats = unwatched } = parts
  const stopping = new AbortController()
  const jobs: Promise<void>[] = []

  async function repeat(name: string, everyMs: number, job: Job, options: JobOptions): Promise<void> {
    const hold = options.onOneNode ? createHold(`job:${name}`, leases, log) : null
    const heart = heartbeats.watch(`job:${name}`, everyMs + longestJobMs)
    let dueAt = clock.monotonic() + (options.firstDelayMs ?? random() * everyMs)
    while (await waitUntil(dueAt, hold)) {
      dueAt = clock.monotonic() + everyMs
      if (hold === null || (await hold.take())) await run(name, job, hold)
      heart.beat()
    }
    heart.end()
    if (hold?.isHeld()) await leases.release(`job:${name}`).catch(() => {})
  }

  /** False when the schedule stops first. While the lease is held it is kept alive. */
  async function waitUntil(dueAt: number, hold: Hold | null): Promise<boolean> {
    while (!stopping.signal.aborted) {
      const leftMs = dueAt - clock.monotonic()
      if (leftMs <= 0) return true
      await clock.sleep(hold ? Math.min(leftMs, leaseMs / 3) : Math.min(leftMs, 3_600_000), stopping.signal)
      if (hold?.isHeld()) await hold.take()
    }
    return false
  }

  async function run(name: string, job: Job, hold: Hold | null): Promise<void> {
    const ended = new AbortController()
    const lost = new AbortController()
    const signal = AbortSignal.any([stopping.signal, lost.signal])
    const keeping = hold && keepAlive(hold, ended.signal, lost)
    try {
      await job(signal)
    } catch (error) {
      if (!signal.aborted) log.error(`The job ${name} failed; it runs again at its next turn`, { error })
    }
    ended.abort()
    await keeping
  }

  async function keepAlive(hold: Hold, ended: AbortSignal, lost: AbortController): Promise<void> {
    for (;;) {
      await clock.sleep(leaseMs / 3, ended)
      if (ended.aborted) return
      if (!(await hold.take())) return lost.abort()
    }
  }

  return {
    every(name, everyMs, job, options) {
      jobs.push(repeat(name, everyMs, job, options))
    },
    async stop() {
      stopping.abort()
      await Promise.all(jobs)
    },
  }
}

type Hold = { take(): Promise<boolean>; isHeld(): boolean }

function createHold(name: string, leases: Leases, log: Log): Hold {
  let held = false
  return {
    isHeld: () => held,
    async take() {
      try {
        held = await leases.acquire(name, leaseMs)
      } catch (error) {
        // Not to know who holds it is to not hold it.
        held = false
        log.warn(`The lease of ${name} could not be taken; this turn is left out`, { error })
      }
      return held
    },
  }
}
