import type { Clock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { isAlive } from '../platform/diagnose/machine.ts'
import type { Log } from '../platform/log.ts'
import type { Job, Running } from './job.ts'
import type { Reason, Run, Told } from './schema.ts'
import type { MaintenanceStore } from './store.ts'
import { lastTurn } from './times.ts'
import type { Timings } from './timings.ts'
import type { World } from './world.ts'

export type KeeperParts = {
  store: MaintenanceStore
  timings: Timings
  jobs: readonly Job[]
  world: World
  clock: Clock
  bus: Bus
  log: Log
  /** This process: `<machine>:<process id>:<start>`. */
  node: string
  keepDays: number
  noted(run: Pick<Run, 'job'>, outcome: Told['outcome'], seconds: number): void
}

export type Keeper = ReturnType<typeof createKeeper>

const minuteMs = 60_000
const beatEveryMs = 5000
/** Who has not said for so long that it works is taken for dead. */
const deadAfterMs = minuteMs
/** A wish waits no longer for a process that takes it. */
const wishWindowMs = 6 * 60 * minuteMs

/**
 * Runs what is due, one at a time over all nodes. A run is its row: it is there before anything is done, only one node
 * can make it its own, and only that node, while it says that it lives, can say how it ended.
 */
export function createKeeper(parts: KeeperParts) {
  const { store, timings, jobs, world, clock, bus, log, node } = parts
  const stopping = new AbortController()
  let current: { run: Run; ended: Promise<void> } | null = null
  /** Looks take turns: two at once would begin two runs. */
  let looking: Promise<void> = Promise.resolve()

  /** The row of every turn that has come. */
  async function plan(): Promise<void> {
    const now = clock.now()
    const marks = await store.marks()
    for (const job of jobs) {
      const timing = await timings.of(job)
      if (!timing.isEnabled) continue
      const after = Math.max(marks.get(job.name)?.lastDueAt ?? 0, timing.seenAt)
      const dueAt = lastTurn(timing.cron, timing.zone, after, now)
      if (dueAt === null) continue
      const untilAt = dueAt + timing.windowMinutes * minuteMs
      await store.want({ id: createId('maintenanceRun', now), job: job.name, dueAt, untilAt, wantedBy: '' })
    }
  }

  /** Runs that nobody will end: their process died, or their window is over before anybody came. */
  async function reap(open: readonly Run[]): Promise<Run[]> {
    const left: Run[] = []
    const now = clock.now()
    for (const run of open) {
      const isMissed = run.state === 'waiting' && run.untilAt <= now
      const isForeignDead = run.node !== node && (isGone(run.node, node) || now - run.beatAt > deadAfterMs)
      // One of ours that we no longer work at is one whose end could not be written down.
      const isDead = run.state === 'running' && (isForeignDead || (run.node === node && current?.run.id !== run.id))
      if (isMissed) await close(run, missed)
      else if (isDead) await close(run, killedAt(run))
      else left.push(run)
    }
    return left
  }

  async function close(run: Run, told: Told & { reason: Reason }): Promise<void> {
    const now = clock.now()
    if (!(await store.end(run, told, now))) return
    parts.noted(run, told.outcome, run.begunAt === 0 ? 0 : (now - run.begunAt) / 1000)
    announce(run, told)
  }

  function announce({ id, job }: Run, { outcome, message }: Told): void {
    if (outcome === 'ok' || outcome === 'warn')
      bus.announce('maintenance.finished', { runId: id, job, outcome, message: message.en })
    else bus.announce('maintenance.failed', { runId: id, job, outcome, reason: message.en })
  }

  async function work(run: Run, job: Job): Promise<void> {
    const own = { id: run.id, node }
    const ending = new AbortController()
    const [lost, late] = [new AbortController(), new AbortController()]
    const signal = AbortSignal.any([stopping.signal, lost.signal, late.signal])
    const progress = { done: 0, total: 0, note: '' }
    const beat = async () => {
      if (!(await store.beat(run.id, node, clock.now(), progress))) lost.abort()
    }
    const beating = (async () => {
      while (!ending.signal.aborted) {
        await clock.sleep(beatEveryMs, ending.signal)
        if (ending.signal.aborted) return
        if (clock.now() >= run.untilAt) late.abort()
        // A store that is away for a moment ends nothing; for longer it lets others take us for dead, and that is found then.
        await beat().catch((error: unknown) => log.warn('A run of maintenance could not say that it lives', { error }))
      }
    })()
    const running: Running = {
      signal,
      progress(done, total, note = '') {
        Object.assign(progress, { done, total, note })
      },
      async assertHeld() {
        await beat()
        signal.throwIfAborted()
      },
      former: (limit) => store.list({ job: job.name, limit, states: ['ok', 'warn', 'fail'] }),
    }
    const begun = clock.monotonic()
    let told: Told & { reason: Reason }
    try {
      const found = await Promise.race([job.run(world, running), aborted(signal)])
      told = { ...found, reason: found.outcome === 'inconclusive' ? 'job' : '' }
    } catch (error) {
      told = stopping.signal.aborted ? stopped : late.signal.aborted ? windowOver : broken(error)
    }
    ending.abort()
    await beating
    parts.noted(run, told.outcome, (clock.monotonic() - begun) / 1000)
    if (await store.end(own, told, clock.now())) announce(run, told)
    else log.warn(`A run of the maintenance ${job.name} ended after it had been taken for dead; its result is dropped`)
  }

  async function takeNext(waiting: readonly Run[]): Promise<void> {
    for (const run of waiting) {
      const job = jobs.find(({ name }) => name === run.job)
      if (job === undefined || stopping.signal.aborted) continue
      if (!(await store.take(run.id, node, clock.now()))) continue
      const ended = work({ ...run, node, state: 'running' }, job)
        .catch((error: unknown) => log.error(`How the maintenance ${job.name} ended was not kept`, { error }))
        .finally(() => {
          current = null
          // What waits behind it need not wait for the next look.
          if (!stopping.signal.aborted) void look(false).catch(() => {})
        })
      current = { run, ended }
      return
    }
  }

  function look(isPlanned: boolean): Promise<void> {
    const mine = looking.then(async () => {
      if (isPlanned) {
        await plan()
        await store.forget(clock.now() - parts.keepDays * 24 * 60 * minuteMs)
      }
      const open = await reap(await store.open())
      if (current !== null || open.some(({ state }) => state === 'running')) return
      await takeNext(open.filter(({ state }) => state === 'waiting'))
    })
    looking = mine.catch(() => {})
    return mine
  }

  return {
    /** Looks what is due and begins it; it goes on by itself. Called again and again on one node. */
    turn: look,

    /** Writes a wish down; whichever process works takes it. Rejects with `conflict` while that job waits or runs. */
    async want(name: string, by: string): Promise<Run> {
      if (!jobs.some((job) => job.name === name)) {
        throw fail('not_found', `There is no job ${name}; there are ${jobs.map((job) => job.name).join(', ')}`)
      }
      const other = (await store.open()).find(({ job }) => job === name)
      if (other !== undefined)
        throw fail('conflict', `The job ${name} ${other.state === 'running' ? 'runs' : 'waits'} already: ${other.id}`)
      const now = clock.now()
      const id = createId('maintenanceRun', now)
      if (!(await store.want({ id, job: name, dueAt: now, untilAt: now + wishWindowMs, wantedBy: by || 'somebody' })))
        throw fail('conflict', `The job ${name} was wanted by somebody else at this very moment`)
      return (await store.find(id))!
    },

    /** Resolves when nothing of this process runs. */
    async idle(): Promise<void> {
      for (; current !== null; await looking) await current.ended
    },

    /** Begins nothing more, ends what runs, and says so. */
    async stop(): Promise<void> {
      stopping.abort()
      await looking
      await current?.ended
    },
  }
}

/** Whether a process of this machine is certainly no longer there: what is on another machine is judged by its beats. */
export function isGone(other: string, own: string): boolean {
  const [[machine, pid], [ownMachine, ownPid]] = [split(other), split(own)]
  // The same id with another start is a process that was before us: in a container it is always 1.
  return machine === ownMachine && (pid === ownPid || !isAlive(Number(pid)))
}

function split(node: string): [machine: string, pid: string] {
  const [pid = '', start = ''] = node.split(':').slice(-2)
  return [node.slice(0, -(pid.length + start.length + 2)), pid]
}

async function aborted(signal: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  throw signal.reason
}

const nothing = { outcome: 'inconclusive', figures: {}, evidence: [] } as const

const missed: Told & { reason: Reason } = {
  ...{ ...nothing, reason: 'missed' },
  message: {
    en: 'Nobody began it in its window: no process with the role worker ran, or something else took all the time.',
    zh: '在时间窗口内无人执行：没有运行 worker 角色的进程，或一直被其他任务占用。',
  },
}

const stopped: Told & { reason: Reason } = {
  ...{ ...nothing, reason: 'stopped' },
  message: { en: 'The hub was stopped while it ran.', zh: '执行过程中服务被停止。' },
}

const windowOver: Told & { reason: Reason } = {
  ...{ ...nothing, reason: 'window' },
  message: { en: 'Its window ended before it did.', zh: '时间窗口结束时仍未完成。' },
}

function killedAt({ node, progress }: Run): Told & { reason: Reason } {
  const at = progress.note === '' ? '' : ` (${progress.note})`
  return {
    ...{ ...nothing, reason: 'killed' },
    message: {
      en: `The process that ran it (${node}) ended before it was done${at}.`,
      zh: `执行它的进程（${node}）在完成前退出${at}。`,
    },
  }
}

function broken(error: unknown): Told & { reason: Reason } {
  const { message } = error as Error
  const detail = error instanceof HubError && error.detail !== undefined ? ` (${error.detail})` : ''
  return {
    ...{ ...nothing, reason: 'error' },
    message: { en: `It could not look: ${message}${detail}`, zh: `任务无法执行：${message}${detail}` },
  }
}
