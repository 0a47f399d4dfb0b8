import { pino } from 'pino'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { createCleaner, type LogFields } from './log/fields.ts'
import type { LogFiles } from './log/files.ts'
import { createFlood } from './log/flood.ts'
import {
  createGates,
  type Gate,
  type LogLevel,
  levelNames,
  levelRanks,
  logLevels,
  type ModuleLevel,
} from './log/levels.ts'
import type { LineKind, LineListener, LineWriter } from './log/lines.ts'
import { createTextWriter } from './log/text.ts'
import { createScrubber, type Scrubber } from './scrub.ts'

export type { LogFields } from './log/fields.ts'
export type { LogLevel } from './log/levels.ts'
export type { LineKind, LineWriter } from './log/lines.ts'
export { type Scrubber, scrub } from './scrub.ts'

/**
 * One line of JSON for each thing worth telling (or of text, for a person at a terminal).
 *
 * Redaction is by allow-list: `LogFields` names every field that may be written, and a name not on it is replaced at
 * run time too. Bodies, headers and URLs with a query are not on the list. Strings are scrubbed of anything that looks
 * like a credential before they are written.
 */
export type Log = {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The hub, or something it cannot do without, does not work, or data is lost. */
  critical(message: string, fields?: LogFields): void
  /** A log that writes these fields on every line; `room` is its module, by which levels are set. */
  child(fields: LogFields): Log
}

export type LogControl = Log & {
  /** Masks in every line; tell it each secret this process comes to know. */
  scrubber: Scrubber
  /** Module `access` or `ai`, for one line a request. */
  lines(kind: 'access' | 'ai'): LineWriter
  /** `*` first, then every module known so far. */
  levels(): ModuleLevel[]
  /** Takes effect at once, also for children made before; null goes back to the settings. `*` is all without a level of their own. */
  setLevel(module: string, level: LogLevel | null): void
  /** Other settings from now on. */
  configure(settings: Pick<LogOptions, 'level' | 'levels' | 'floodPerSecond'>): void
  /** Hears every line from now on; returns the verb that ends that. */
  listen(listener: LineListener): () => void
  /** Writes to files from now on as well, until `close`. */
  writeTo(files: LogFiles): void
  files(): LogFiles | null
  counts(): { module: string; written: Record<LogLevel, number>; suppressed: number }[]
  /** Returns when everything told so far has been handed to the operating system. */
  flush(): void
  /** Resolves when all is in the files; from then on lines go to standard output alone. */
  close(): Promise<void>
}

export type LogOptions = {
  level: LogLevel
  /** Of modules that have another one. */
  levels?: ReadonlyMap<string, LogLevel>
  /** `json` for collectors, one object a line; `text` for a person at a terminal. */
  format: 'json' | 'text'
  /** Where lines go; standard output unless given. */
  stream?: { write(line: string): unknown }
  /** Lines of requests and calls go there too, not only to files. */
  showsRequests?: boolean
  /** The same line at most so often a second; 0 for no limit. */
  floodPerSecond?: number
  scrubber?: Scrubber
  clock?: Clock
  /** On every line. */
  bound?: LogFields
}

/** The module of whoever has not said which room it is. */
const ownModule = 'hub'

/** Opens the log. Lines to standard output are written in the background and flushed when the process exits. */
export function createLog(options: LogOptions): LogControl {
  const { level, format, stream, clock = systemClock, showsRequests = false } = options
  const gates = createGates(level, options.levels ?? new Map())
  // Bounded: when nobody reads standard output, lines are dropped rather than the memory filled.
  const stdout = stream === undefined ? pino.destination({ dest: 1, sync: false, maxLength: 8 << 20 }) : null
  const target = stream ?? stdout!
  const toText = format === 'text' ? createTextWriter() : null
  const scrubber = options.scrubber ?? createScrubber()
  const clean = createCleaner(scrubber, format === 'json')
  const timeOf = createTimes(clock)
  const listeners = new Set<LineListener>()
  let files: LogFiles | null = null

  function emit(kind: LineKind, at: LogLevel, gate: Gate, line: string, alsoApp: boolean, shown = line): void {
    const rank = levelRanks[at]
    gate.written[rank]!++
    if (kind === 'app' || showsRequests) target.write(toText === null ? shown : toText(shown))
    files?.write(kind, rank, line, alsoApp)
    if (listeners.size > 0) for (const listener of listeners) listener(line, kind, rank, gate.module)
  }

  function write(gate: Gate, at: LogLevel, message: string, bound: string, fields?: Record<string, unknown>): void {
    const head = `{"time":"${timeOf()}","level":"${levelNames[at]}","module":"${gate.module}","msg":${JSON.stringify(message)}${bound}`
    const lineOf = ({ duration_ms: duration, ...told }: Record<string, unknown> = {}) => {
      const members = JSON.stringify(told).slice(1, -1)
      // Last and after a space: `awk '{print $NF}'` of runbooks finds it.
      const last = duration === undefined ? '' : `,"duration_ms": ${JSON.stringify(duration)}`
      return `${head}${members === '' ? '' : `,${members}`}${last}}\n`
    }
    // The one secret that is told is told once, where whoever starts the hub sees it: files are kept.
    const kept = fields?.setup_token === undefined ? fields : { ...fields, setup_token: '[on standard output]' }
    emit('app', at, gate, lineOf(kept), false, kept === fields ? undefined : lineOf(fields))
  }

  const flood = createFlood(options.floodPerSecond ?? 0, clock, (gate, at, message, suppressed) =>
    write(gate, at, `${suppressed} more lines like this were not written: ${clean.text(message)}`, '', { suppressed }),
  )

  function logOver(gate: Gate, bound: LogFields): Log {
    const written = JSON.stringify(clean.fields(bound)).slice(1, -1)
    const tail = written === '' ? '' : `,${written}`
    const tell = (at: LogLevel) => {
      const rank = levelRanks[at]
      return (message: string, fields?: LogFields) => {
        const own = fields?.room === undefined ? gate : gates.of(fields.room)
        if (rank < own.threshold || !flood.lets(own, at, message)) return
        write(own, at, clean.text(message), tail, fields === undefined ? undefined : clean.fields(fields))
      }
    }
    return {
      debug: tell('debug'),
      info: tell('info'),
      warn: tell('warn'),
      error: tell('error'),
      critical: tell('critical'),
      child: (fields) => logOver(fields.room === undefined ? gate : gates.of(fields.room), { ...bound, ...fields }),
    }
  }

  return {
    ...logOver(gates.of(ownModule), options.bound ?? {}),
    scrubber: {
      ...scrubber,
      add(secret) {
        scrubber.add(secret)
        clean.forget()
      },
    },
    lines(kind) {
      const gate = gates.of(kind)
      return {
        quote: clean.quote,
        isOn: (at) => levelRanks[at] >= gate.threshold,
        write(at, message, members, alsoApp = false) {
          if (levelRanks[at] < gate.threshold) return
          const head = `{"time":"${timeOf()}","level":"${levelNames[at]}","module":"${kind}","msg":"${message}"`
          emit(kind, at, gate, `${head}${members}}\n`, alsoApp)
        },
      }
    },
    levels: gates.list,
    setLevel: gates.set,
    configure({ level, levels, floodPerSecond }) {
      gates.configure(level, levels ?? new Map())
      flood.limit(floodPerSecond ?? 0)
    },
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    writeTo(opened) {
      files = opened
    },
    files: () => files,
    counts: () =>
      [...gates.all()].map(({ module, written, suppressed }) => ({
        module,
        suppressed,
        written: Object.fromEntries(logLevels.map((name, rank) => [name, written[rank]!])) as Record<LogLevel, number>,
      })),
    flush() {
      flood.settle()
      stdout?.flushSync()
      files?.flushSync()
    },
    async close() {
      flood.settle()
      const open = files
      files = null
      await open?.close()
    },
  }
}

/** Formatting a time costs more than the rest of a short line: within a millisecond it is done once. */
function createTimes(clock: Clock): () => string {
  let lastMs = Number.NaN
  let last = ''
  return () => {
    const now = Math.floor(clock.now())
    if (now !== lastMs) {
      lastMs = now
      last = new Date(now).toISOString()
    }
    return last
  }
}
