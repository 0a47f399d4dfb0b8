import { closeSync, createReadStream, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { constants, createGunzip, gunzipSync } from 'node:zlib'
import { byAge, readArchiveName } from './archive.ts'
import { type LogFileName, logFileNames } from './files.ts'
import { levelNames, logLevels } from './levels.ts'

export type LineFilter = {
  /** Epoch ms, both included. */
  sinceMs: number
  untilMs: number
  /** Of `logLevels`: lines below it are left out. */
  minRank: number
  /** '' for any. */
  module: string
  /** An id of a trace or request that a line has; '' for any. */
  trace: string
  /** A text that stands on the line, in any case; '' for any. */
  text: string
}

export type FoundLine = { at: number; rank: number; module: string; text: string }

/** What a search may still read; it stops where one of them is used up. */
export type Budget = { bytes: number; untilMono: number }

export type Found = {
  /** Newest first. */
  lines: FoundLine[]
  /** Up to here, going back in time, everything was looked at: null when there is nothing more. */
  stoppedAt: number | null
}

const blockBytes = 256 * 1024
/** No line is longer than a text with an error and its causes; what is, is torn. */
const longestLine = 1024 * 1024
/** Lines of one file are in order but for what was told within one turn, or by a clock that was set. */
const disorderMs = 2000

const head = /^\{"time":"([^"]{24})","level":"([A-Z]+)","module":"([^"]*)","msg":/
const rankOf: ReadonlyMap<string, number> = new Map(logLevels.map((level, rank) => [levelNames[level], rank]))

/** When a line was written, by whom and how bad it is; null for what is none of ours. */
export function readLineHead(text: string): { at: number; rank: number; module: string } | null {
  const found = head.exec(text)
  if (found === null) return null
  const at = Date.parse(found[1]!)
  const rank = rankOf.get(found[2]!)
  return Number.isNaN(at) || rank === undefined ? null : { at, rank, module: found[3]! }
}

/** Whether a filter lets a line pass; `text` of the filter is in lower case. */
export function passes(line: FoundLine, { minRank, module, trace, text }: LineFilter): boolean {
  if (line.rank < minRank || (module !== '' && line.module !== module)) return false
  if (trace !== '' && !hasId(line.text, trace)) return false
  return text === '' || line.text.toLowerCase().includes(text)
}

function hasId(line: string, id: string): boolean {
  for (const name of ['trace_id', 'request_id', 'caller_request_id']) {
    if (line.includes(`"${name}":"${id}"`)) return true
  }
  return false
}

/**
 * The newest `limit` lines that pass, of the files of `names` in a folder, packed ones too; files that are written to
 * meanwhile may be read, and put aside. Files come and go: one that is gone is left out.
 */
export async function searchFiles(
  folder: string,
  names: readonly LogFileName[],
  filter: LineFilter,
  limit: number,
  budget: Budget,
): Promise<Found> {
  const readers = names.map((name) => readBack(folder, name, filter, limit, budget, names.length > 1))
  const lines: FoundLine[] = []
  try {
    const heads = await Promise.all(readers.map((each) => each.next()))
    while (lines.length < limit) {
      let newest = -1
      for (const [i, each] of heads.entries()) {
        if (each.done) continue
        if (newest === -1 || each.value.at > heads[newest]!.value!.at) newest = i
      }
      if (newest === -1) return { lines, stoppedAt: null }
      const next = heads[newest]!.value!
      if (!('text' in next)) return { lines, stoppedAt: next.at }
      lines.push(next)
      heads[newest] = await readers[newest]!.next()
    }
    return { lines, stoppedAt: lines.at(-1)!.at }
  } finally {
    await Promise.all(readers.map((each) => each.return(undefined)))
  }
}

/** The budget was used up: what is older was not looked at. */
type Stop = { at: number }

async function* readBack(
  folder: string,
  name: LogFileName,
  filter: LineFilter,
  limit: number,
  budget: Budget,
  isOneOfSeveral: boolean,
): AsyncGenerator<FoundLine | Stop, undefined> {
  let reached = filter.untilMs
  const seen = (at: number) => {
    reached = Math.min(reached, at)
  }
  // A page that came no further than the one before would be the last but for ever.
  const mayStop = () => isUsedUp(budget) && reached < filter.untilMs
  for (const { path, isPacked } of listNewestFirst(folder, logFileNames[name])) {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined || stat.size === 0) continue
    if (stat.mtimeMs < filter.sinceMs - disorderMs) return
    if (firstAt(path, isPacked) > filter.untilMs + disorderMs) continue
    if (mayStop()) {
      yield { at: reached }
      return
    }
    const lines = isPacked ? readPacked(path, filter, limit, budget, seen) : readPlain(path, filter.untilMs, budget)
    for await (const text of lines) {
      if (text === null) {
        if (!mayStop()) continue
        yield { at: reached }
        return
      }
      const told = readLineHead(text)
      if (told === null) continue
      if (told.at < filter.sinceMs - disorderMs) return
      seen(told.at)
      // What stands in two files is told once.
      if (isOneOfSeveral && name === 'api' && told.module === 'access') continue
      const line = { ...told, text }
      if (told.at >= filter.sinceMs && told.at <= filter.untilMs && passes(line, filter)) yield line
    }
  }
}

function isUsedUp({ bytes, untilMono }: Budget): boolean {
  return bytes <= 0 || performance.now() > untilMono
}

function listNewestFirst(folder: string, base: string): { path: string; isPacked: boolean }[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder)
  const archives = names.flatMap((name) => readArchiveName(name) ?? []).filter((each) => each.base === base)
  // One that is being packed is there twice for a moment.
  const plain = new Set(archives.filter(({ isPacked }) => !isPacked).map(({ name }) => name))
  const older = archives
    .filter(({ name, isPacked }) => !isPacked || !plain.has(name.slice(0, -'.gz'.length)))
    .sort(byAge)
    .reverse()
    .map(({ name, isPacked }) => ({ path: join(folder, name), isPacked }))
  return [{ path: join(folder, base), isPacked: false }, ...older]
}

/** When the first line of a file was written; as far back as can be where that cannot be told. */
function firstAt(path: string, isPacked: boolean): number {
  let file: number | null = null
  try {
    file = openSync(path, 'r')
    const start = Buffer.allocUnsafe(4096)
    const bytes = start.subarray(0, readSync(file, start, 0, start.length, 0))
    const text = isPacked ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) : bytes
    return readLineHead(text.toString('utf8', 0, 200))?.at ?? Number.NEGATIVE_INFINITY
  } catch {
    return Number.NEGATIVE_INFINITY
  } finally {
    if (file !== null) closeSync(file)
  }
}

/** Lines from the last to the first, from about `untilMs` on; null wherever the budget is used up. */
async function* readPlain(path: string, untilMs: number, budget: Budget): AsyncGenerator<string | null, undefined> {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return
  }
  try {
    let end = findEnd(file, fstatSync(file).size, untilMs)
    let tail: Buffer = Buffer.alloc(0)
    while (end > 0) {
      const start = Math.max(0, end - blockBytes)
      const block = Buffer.allocUnsafe(end - start)
      const read = readSync(file, block, 0, block.length, start)
      budget.bytes -= read
      // Truncated meanwhile: what was there is gone.
      if (read < block.length) return
      const bytes = tail.length === 0 ? block : Buffer.concat([block, tail])
      const first = start === 0 ? 0 : bytes.indexOf(10) + 1
      if (start > 0 && first === 0) tail = bytes.length > longestLine ? Buffer.alloc(0) : bytes
      else {
        tail = bytes.subarray(0, first)
        const lines = bytes.toString('utf8', first).split('\n')
        for (let i = lines.length - 1; i >= 0; i--) if (lines[i] !== '') yield lines[i]!
      }
      end = start
      if (end > 0 && isUsedUp(budget)) yield null
      // Others may have their turn, on whatever thread this is.
      await new Promise((resolve) => setImmediate(resolve))
    }
  } finally {
    closeSync(file)
  }
}

/** The end of a line after which all are newer than `untilMs`: found by halving. */
function findEnd(file: number, size: number, untilMs: number): number {
  let [low, high] = [0, size]
  const probe = Buffer.allocUnsafe(64 * 1024)
  while (high - low > blockBytes) {
    const middle = Math.floor((low + high) / 2)
    const read = readSync(file, probe, 0, probe.length, middle)
    const at = probe
      .toString('utf8', 0, read)
      .split('\n')
      .slice(1)
      .map((line) => readLineHead(line)?.at)
      .find((each) => each !== undefined)
    if (at !== undefined && at > untilMs + disorderMs) high = middle
    else low = middle
  }
  if (high === size) return size
  const read = readSync(file, probe, 0, probe.length, high)
  const newline = probe.subarray(0, read).indexOf(10)
  return newline === -1 ? size : high + newline + 1
}

/**
 * What is packed can only be read forwards: of the lines that pass, the newest `limit` are kept, and told from the last to
 * the first. A file is read whole whatever the budget says: half of it would be the older half.
 */
async function* readPacked(
  path: string,
  filter: LineFilter,
  limit: number,
  budget: Budget,
  seen: (at: number) => void,
): AsyncGenerator<string, undefined> {
  const kept: string[] = []
  let oldest = Number.POSITIVE_INFINITY
  const source = createReadStream(path)
  const unpacked = source.pipe(createGunzip())
  source.on('error', (error) => unpacked.destroy(error))
  unpacked.setEncoding('utf8')
  let tail = ''
  try {
    for await (const piece of unpacked as AsyncIterable<string>) {
      budget.bytes -= piece.length
      const lines = (tail + piece).split('\n')
      tail = lines.pop()!
      if (tail.length > longestLine) tail = ''
      for (const text of lines) {
        const told = readLineHead(text)
        if (told === null) continue
        if (told.at < oldest) oldest = told.at
        if (told.at < filter.sinceMs || told.at > filter.untilMs || !passes({ ...told, text }, filter)) continue
        kept.push(text)
        if (kept.length > 2 * limit) kept.splice(0, kept.length - limit)
      }
    }
  } catch {
    // Damaged, or deleted while it was read: what came is told.
  } finally {
    source.destroy()
    unpacked.destroy()
  }
  for (let i = kept.length - 1; i >= Math.max(0, kept.length - limit); i--) yield kept[i]!
  seen(oldest)
}
