import { fail } from '../../kernel/errors.ts'
import type { LogFileName } from '../../platform/log/files.ts'
import type { Found, LineFilter } from '../../platform/log/search.ts'
import type { LogControl } from '../../platform/log.ts'
import { startThread, type Thread } from '../../platform/thread.ts'
import type { Digest } from './digest.ts'
import type { ReaderVerbs, Search } from './thread.ts'

/** Reads the log files of this node in a thread of its own, which is there while somebody asks. */
export type LogReader = {
  find(files: LogFileName[], filter: LineFilter, limit: number): Promise<Found>
  /** Looks at the newest `limit` lines that pass. */
  digest(files: LogFileName[], filter: LineFilter, limit: number): Promise<Digest>
  stop(): Promise<void>
}

/** Of one question; the rest is for the next page. */
const bounds = { maxBytes: 512 * 1024 * 1024, timeoutMs: 10_000 }
const maxHeapMb = 256
const mostWaiting = 8
/** A thread costs some ten megabytes: it ends when nobody has asked for so long. */
const idleMs = 60_000

export function createLogReader(log: LogControl): LogReader {
  let thread: Thread<ReaderVerbs> | null = null
  let idle: NodeJS.Timeout | undefined
  let isStopped = false

  function open(): Thread<ReaderVerbs> {
    thread ??= startThread<ReaderVerbs>(new URL('./thread.ts', import.meta.url), {
      ...{ name: 'logs', data: null, maxHeapMb },
      onEnd(error) {
        thread = null
        log.error('The thread that reads log files ended; the next question starts it again', { error })
      },
    })
    return thread
  }

  function rest(): void {
    if (thread === null || thread.waiting() > 0) return
    void thread.end()
    thread = null
  }

  async function ask<V extends keyof ReaderVerbs>(
    verb: V,
    files: LogFileName[],
    filter: LineFilter,
    limit: number,
  ): Promise<Awaited<ReturnType<ReaderVerbs[V]>>> {
    const written = log.files()
    if (written === null || isStopped) {
      throw fail('unavailable', 'There are no log files to read: log.files is off, or the hub is stopping.')
    }
    // What was told a moment ago is to be found.
    await written.flush()
    clearTimeout(idle)
    const reader = open()
    if (reader.waiting() >= mostWaiting) {
      throw fail('rate_limited', 'Log files are being read for others already.', { retryAfterMs: 2000 })
    }
    const search: Search = { folder: written.folder, files, filter, limit, ...bounds }
    try {
      return (await reader.call(verb, search)) as Awaited<ReturnType<ReaderVerbs[V]>>
    } finally {
      idle = setTimeout(rest, idleMs)
      idle.unref()
    }
  }

  return {
    find: (...question) => ask('find', ...question),
    digest: (...question) => ask('digest', ...question),
    async stop() {
      isStopped = true
      clearTimeout(idle)
      await thread?.end()
      thread = null
    },
  }
}
