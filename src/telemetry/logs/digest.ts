import { createHash } from 'node:crypto'
import { fingerprint } from '../../platform/log/fingerprint.ts'
import { levelNames, logLevels } from '../../platform/log/levels.ts'
import type { FoundLine } from '../../platform/log/search.ts'

/** Lines that say the same, but for ids, numbers and what stands in quotes. */
export type DigestEntry = {
  fingerprint: string
  level: string
  module: string
  /** As the newest of them says it. */
  msg: string
  /** Of the error, '' where there is none. */
  error: string
  /** Lines that were not written because they came too often are counted too. */
  count: number
  /** Epoch ms. */
  firstAt: number
  lastAt: number
  traceIds: string[]
}

export type Digest = {
  /** Most frequent first. */
  entries: DigestEntry[]
  lines: number
  /** What is older was not looked at; null when all was. */
  stoppedAt: number | null
}

const mostEntries = 1000
const mostTraces = 3
/** As `createLog` puts it. */
const suppressedLine = /^\d+ more lines like this were not written: /

type Told = {
  msg?: string
  code?: string
  trace_id?: string
  suppressed?: number
  err?: { name?: string; message?: string; code?: string }
}

/** Sorts lines, newest first, by what they say. */
export function digestOf(lines: readonly FoundLine[], stoppedAt: number | null): Digest {
  const entries = new Map<string, DigestEntry>()
  let count = 0
  for (const { at, rank, module, text } of lines) {
    const told = readTold(text)
    if (told === null) continue
    const msg = (told.msg ?? '').replace(suppressedLine, '')
    const error = told.err?.code ?? told.code ?? told.err?.name ?? ''
    const level = levelNames[logLevels[rank]!]
    const key = `${level}\0${module}\0${fingerprint(msg)}\0${told.suppressed === undefined ? error : ''}`
    const times = told.suppressed ?? 1
    count += times
    const known = entries.get(key)
    if (known === undefined) {
      if (entries.size >= mostEntries) continue
      const id = createHash('sha256').update(key).digest('hex').slice(0, 12)
      const traceIds = told.trace_id === undefined ? [] : [told.trace_id]
      entries.set(key, { fingerprint: id, level, module, msg, error, count: times, firstAt: at, lastAt: at, traceIds })
      continue
    }
    known.count += times
    known.firstAt = Math.min(known.firstAt, at)
    known.lastAt = Math.max(known.lastAt, at)
    if (told.trace_id !== undefined && known.traceIds.length < mostTraces && !known.traceIds.includes(told.trace_id)) {
      known.traceIds.push(told.trace_id)
    }
  }
  return { entries: [...entries.values()].sort((a, b) => b.count - a.count), lines: count, stoppedAt }
}

function readTold(text: string): Told | null {
  try {
    return JSON.parse(text) as Told
  } catch {
    return null
  }
}
