/**
 * The log as operators see it: lines found again in the files of this node, followed while they are written, summed up by
 * what they say, and levels changed for a while. What is written, and where, is the platform's (`platform/log.ts`).
 */
import type { Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { levelNames, levelRanks } from '../../platform/log/levels.ts'
import type { LogControl } from '../../platform/log.ts'
import {
  type Asked,
  readCursor,
  readFiles,
  readFilter,
  readKinds,
  readLevelNamed,
  readPeriod,
  writeCursor,
} from './asked.ts'
import { createLevels } from './levels.ts'
import { createLogReader } from './reader.ts'
import { logRoutes } from './routes.ts'
import type { LogDigest, LogPage, LogVerbs } from './schema.ts'
import { createTails } from './tail.ts'

export type { LogDigest, LogPage } from './schema.ts'

export type SystemLogs = LogVerbs & {
  routes: Route[]
  /** Ends what follows the log; called first when the hub stops. */
  endTails(): void
  stop(): Promise<void>
}

/** Lines that a digest looks at. */
const mostDigested = 50_000

export function createSystemLogs(parts: { control: LogControl; bus: Bus; clock: Clock }): SystemLogs {
  const { control, clock } = parts
  const log = control.child({ room: 'telemetry' })
  const reader = createLogReader(control)
  const tails = createTails(control)
  const levels = createLevels({ ...parts, log })

  const verbs: LogVerbs = {
    async find(asked: Asked): Promise<LogPage> {
      const { limit = 100 } = asked
      const period = readPeriod(asked, clock.now())
      const cursor = asked.cursor === undefined ? { at: period.untilMs, told: 0 } : readCursor(asked.cursor)
      const filter = { ...readFilter(asked), ...period, untilMs: Math.min(period.untilMs, cursor.at) }
      const { lines, stoppedAt } = await reader.find(readFiles(asked.file), filter, limit + cursor.told)
      const fresh = lines.slice(cursor.told)
      const data = fresh.map(({ text }) => readObject(text)).filter((each) => each !== null)
      if (stoppedAt === null) return { data, next_cursor: null }
      const told = lines.filter(({ at }) => at === stoppedAt).length
      return { data, next_cursor: writeCursor({ at: stoppedAt, told }) }
    },
    async digest(asked: Asked): Promise<LogDigest> {
      const period = readPeriod(asked, clock.now())
      const level = readLevelNamed(asked.level ?? 'ERROR')
      const files = readFiles(levelRanks[level] >= levelRanks.error ? 'error' : 'all')
      const found = await reader.digest(files, { ...readFilter({ ...asked, level }), ...period }, mostDigested)
      return {
        data: found.entries.slice(0, asked.limit ?? 20).map(({ firstAt, lastAt, traceIds, ...entry }) => ({
          ...entry,
          first_at: iso(firstAt),
          last_at: iso(lastAt),
          trace_ids: traceIds,
        })),
        lines: found.lines,
        complete_since: iso(found.stoppedAt ?? period.sinceMs),
      }
    },
    tail: (asked: Asked, signal: AbortSignal) => {
      const filter = readFilter(asked)
      const minRank = asked.file === 'error' ? Math.max(filter.minRank, levelRanks.error) : filter.minRank
      return tails.open({ ...filter, minRank }, readKinds(asked.file), signal)
    },
    levels: () =>
      levels.list().map(({ module, level, configured, until }) => ({
        module,
        level: levelNames[level],
        configured: levelNames[configured],
        until: until === null ? null : iso(until),
      })),
    changeLevel: levels.change,
  }

  return {
    ...verbs,
    routes: logRoutes(verbs),
    endTails: tails.end,
    async stop() {
      tails.end()
      levels.stop()
      await reader.stop()
    },
  }
}

function readObject(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return null
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
