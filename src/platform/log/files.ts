import { join } from 'node:path'
import { type LogLimits, tidyArchives } from './archive.ts'
import { createLogFile, type LogFile } from './file.ts'
import { levelRanks } from './levels.ts'
import type { LineKind } from './lines.ts'

/** What an operator looks into; seed 003's runbooks name them. */
export const logFileNames = { api: 'api.log', access: 'api-access.log', error: 'api-error.log', ai: 'ai.log' } as const
export type LogFileName = keyof typeof logFileNames

export type LogFiles = {
  readonly folder: string
  /** Never waits, never throws. */
  write(kind: LineKind, rank: number, line: string, alsoApp: boolean): void
  /** Resolves when everything written before is in the files. */
  flush(): Promise<void>
  flushSync(): void
  /** Deletes what is too old or too much and packs the rest now, as it is done every hour; resolves when that is over. */
  tidy(): Promise<void>
  /** For whoever has renamed the files. */
  reopen(): void
  close(): Promise<void>
  stats(): Record<LogFileName, { bytes: number; errors: number; dropped: number }> & { totalBytes: number }
}

export type LogFilesOptions = LogLimits & {
  folder: string
  maxFileBytes: number
  now(): number
  /** The disk refuses, or takes lines again; told elsewhere than in these files alone. */
  tell(level: 'error' | 'warn', message: string, fields: { file: string; error?: unknown; count?: number }): void
}

const tidyEveryMs = 3_600_000

/** Opens the four files of a process in a folder that is its own. */
export function openLogFiles({ folder, maxFileBytes, now, tell, ...limits }: LogFilesOptions): LogFiles {
  let tidying: Promise<void> | null = null
  let isAskedAgain = false
  let archivedBytes = 0
  let isTidyTroubled = false

  function tidy(): void {
    if (tidying !== null) {
      isAskedAgain = true
      return
    }
    tidying = tidyArchives(folder, limits, now())
      .then(
        (bytes) => {
          archivedBytes = Math.max(0, bytes - openBytes())
          isTidyTroubled = false
        },
        (error: NodeJS.ErrnoException) => {
          // Before the first line there is no folder.
          if (error.code === 'ENOENT' || isTidyTroubled) return
          isTidyTroubled = true
          tell('warn', 'Old log files can be neither packed nor deleted', { file: folder, error })
        },
      )
      .finally(() => {
        tidying = null
        if (isAskedAgain) {
          isAskedAgain = false
          tidy()
        }
      })
  }

  const openOne = (name: LogFileName): LogFile =>
    createLogFile({
      path: join(folder, logFileNames[name]),
      // All four and one put aside of each must find room.
      maxBytes: Math.min(maxFileBytes, Math.floor(limits.maxTotalBytes / 8)),
      now,
      onRotated: tidy,
      onTrouble: (error) =>
        tell('error', `A log file cannot be written; its lines wait for a while and are dropped then`, {
          file: logFileNames[name],
          error,
        }),
      onRecovered: (count) =>
        tell('warn', `A log file is written again; ${count} lines are missing in it`, {
          file: logFileNames[name],
          count,
        }),
    })
  const files = { api: openOne('api'), access: openOne('access'), error: openOne('error'), ai: openOne('ai') }
  const all = Object.values(files)
  const openBytes = () => all.reduce((sum, file) => sum + file.stats().bytes, 0)
  const timer = setInterval(tidy, tidyEveryMs)
  timer.unref()
  tidy()

  return {
    folder,
    write(kind, rank, line, alsoApp) {
      if (kind === 'access') files.access.write(line)
      else if (kind === 'ai') files.ai.write(line)
      if (kind !== 'app' && !alsoApp) return
      files.api.write(line)
      if (rank >= levelRanks.error) files.error.write(line)
    },
    flush: async () => void (await Promise.all(all.map((file) => file.flush()))),
    async tidy() {
      tidy()
      await tidying
    },
    flushSync() {
      for (const file of all) file.flushSync()
    },
    reopen() {
      for (const file of all) file.reopen()
    },
    async close() {
      clearInterval(timer)
      await Promise.all(all.map((file) => file.close()))
      isAskedAgain = false
      await tidying
    },
    stats: () => ({
      api: files.api.stats(),
      access: files.access.stats(),
      error: files.error.stats(),
      ai: files.ai.stats(),
      totalBytes: archivedBytes + openBytes(),
    }),
  }
}
