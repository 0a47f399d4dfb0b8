import type { LogFileName } from '../../platform/log/files.ts'
import { type Found, type LineFilter, searchFiles } from '../../platform/log/search.ts'
import { answerCalls } from '../../platform/thread.ts'
import { type Digest, digestOf } from './digest.ts'

export type Search = {
  folder: string
  files: LogFileName[]
  filter: LineFilter
  limit: number
  maxBytes: number
  timeoutMs: number
}

function createVerbs() {
  const find = ({ folder, files, filter, limit, maxBytes, timeoutMs }: Search, waitedMs: number): Promise<Found> =>
    searchFiles(folder, files, filter, limit, {
      bytes: maxBytes,
      untilMono: performance.now() + Math.max(0, timeoutMs - waitedMs),
    })
  return {
    find,
    /** `limit` is how many lines are looked at. */
    async digest(search: Search, waitedMs: number): Promise<Digest> {
      const { lines, stoppedAt } = await find(search, waitedMs)
      return digestOf(lines, stoppedAt)
    },
  }
}

export type ReaderVerbs = ReturnType<typeof createVerbs>

answerCalls(createVerbs, { urgent: [] })
