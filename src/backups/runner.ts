import { type ErrorCode, errorCatalogue, fail, HubError } from '../kernel/errors.ts'
import type { Log } from '../platform/log.ts'
import { startThread, type Thread } from '../platform/thread.ts'
import type { ThreadVerbs, Told } from './thread.ts'
import { load, take, verify } from './work.ts'

/** Who does the heavy part: this thread, for a command line, or one of its own, beside callers. */
export type Runner = { take: typeof take; verify: typeof verify; load: typeof load }

export const direct: Runner = { take, verify, load }

/** Each job gets a thread, which ends with it: between two of them nothing is held. */
export function createThreads(log: Log): Runner {
  async function inThread<T>(use: (thread: Thread<ThreadVerbs>) => Promise<Told<T>>): Promise<T> {
    const thread = startThread<ThreadVerbs>(new URL('./thread.ts', import.meta.url), {
      name: 'backups',
      data: null,
      maxHeapMb: 512,
      onEnd: (error) => log.warn('The thread of a backup ended before it was done', { error }),
    })
    try {
      return toValue(await use(thread))
    } finally {
      await thread.end()
    }
  }
  return {
    take: (wish) => inThread((thread) => thread.call('take', wish)),
    verify: (wish) => inThread((thread) => thread.call('verify', wish)),
    load: (wish) => inThread((thread) => thread.call('load', wish)),
  }
}

function toValue<T>(told: Told<T>): T {
  if ('value' in told) return told.value
  const { code, message, param } = told.fault
  if (code in errorCatalogue) throw fail(code as ErrorCode, message, param === undefined ? {} : { param })
  throw Object.assign(new Error(message), { code })
}

/**
 * Whether a failure says nothing about the backup: no room, no connection, no time. Everything else is held against it,
 * above all what its own reading found.
 */
export function saysNothing(error: unknown): boolean {
  if (error instanceof HubError && error.code === 'backup_unusable') return false
  const code = String((error as { code?: unknown }).code ?? '')
  const cause = error instanceof HubError ? String((error.cause as { code?: unknown } | undefined)?.code ?? '') : ''
  return [code, cause].some((each) =>
    /^(ENOSPC|EDQUOT|EROFS|EMFILE|EIO|ETIMEDOUT|ECONN|ENOTFOUND|EAI_|SQLITE_(FULL|IOERR|BUSY|CANTOPEN|READONLY)|53|57|08|unavailable$|ABORT_ERR)/.test(
      each,
    ),
  )
}

/** In one sentence, for people; a file system's own words where there are no better ones. */
export function tellOf(error: unknown): string {
  const { message, code } = error as Error & { code?: unknown }
  if (error instanceof HubError) return error.detail === undefined ? message : `${message} (${error.detail})`
  if (code === 'SQLITE_FULL' || code === 'ENOSPC') return `The disk is full (${message}).`
  return message
}
