import { fail } from '../../kernel/errors.ts'
import type { LogFileName } from '../../platform/log/files.ts'
import { type LogLevel, levelNames, levelRanks, logLevels, readLevel } from '../../platform/log/levels.ts'
import type { LineFilter } from '../../platform/log/search.ts'
import type { LineKind } from '../../platform/log.ts'

/** As it comes from a query. */
export type Asked = {
  since?: string
  until?: string
  level?: string
  trace?: string
  module?: string
  q?: string
  file?: 'all' | LogFileName
  limit?: number
  cursor?: string
}

/** Where a page ended: the time of its last line, and how many lines of that time were told. */
export type Cursor = { at: number; told: number }

const dayMs = 86_400_000
const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: dayMs }

/** Throws `invalid_request` for what is no level. */
export function readLevelNamed(text: string): LogLevel {
  const level = readLevel(text)
  if (level !== null) return level
  const known = logLevels.map((each) => levelNames[each]).join(', ')
  throw fail('invalid_request', `${text} is not a level: write ${known}`, { param: 'level' })
}

export function readFilter({ level, trace, module, q }: Asked): Omit<LineFilter, 'sinceMs' | 'untilMs'> {
  return {
    minRank: level === undefined ? 0 : levelRanks[readLevelNamed(level)],
    module: module ?? '',
    // As it stands in JSON.
    trace: JSON.stringify(trace ?? '').slice(1, -1),
    text: (q ?? '').toLowerCase(),
  }
}

export function readPeriod({ since, until }: Asked, now: number): { sinceMs: number; untilMs: number } {
  const untilMs = until === undefined ? now : readMoment(until, 'until', now)
  const sinceMs = since === undefined ? untilMs - dayMs : readMoment(since, 'since', now)
  if (sinceMs > untilMs) throw fail('invalid_request', 'since is later than until', { param: 'since' })
  return { sinceMs, untilMs }
}

function readMoment(text: string, param: string, now: number): number {
  const ago = /^(\d{1,6})([smhd])$/.exec(text)
  if (ago !== null) return now - Number(ago[1]) * unitMs[ago[2]!]!
  const time = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)
  if (!Number.isNaN(time)) return time
  throw fail('invalid_request', `${param} is not a time: write 2026-11-23T00:00:00Z, epoch milliseconds, or 15m`, {
    param,
  })
}

export function readFiles(file: Asked['file']): LogFileName[] {
  return file === undefined || file === 'all' ? ['api', 'access', 'ai'] : [file]
}

export function readKinds(file: Asked['file']): LineKind[] {
  if (file === undefined || file === 'all') return ['app', 'access', 'ai']
  return file === 'access' || file === 'ai' ? [file] : ['app']
}

export function writeCursor({ at, told }: Cursor): string {
  return `${at}.${told}`
}

export function readCursor(text: string): Cursor {
  const found = /^(\d{1,15})\.(\d{1,6})$/.exec(text)
  if (found !== null) return { at: Number(found[1]), told: Number(found[2]) }
  throw fail('invalid_request', 'cursor is none of ours: take it from next_cursor as it is', { param: 'cursor' })
}
