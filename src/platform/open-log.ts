import type { Clock } from '../kernel/clock.ts'
import type { LogConfig } from './config.ts'
import { openLogFiles } from './log/files.ts'
import { type LogLevel, readLevel, readModuleLevel } from './log/levels.ts'
import { createLog, type LogControl, type LogOptions } from './log.ts'

/** Opens the log as configured; `auto` writes text to a terminal and JSON elsewhere. */
export function openLog(config: LogConfig, stream?: LogOptions['stream'], processName = ''): LogControl {
  const isTerminal = stream === undefined && process.stdout.isTTY === true
  return createLog({
    ...logSettings(config),
    format: config.format === 'auto' ? (isTerminal ? 'text' : 'json') : config.format,
    showsRequests: config.access && config.access_stdout,
    ...(stream && { stream }),
    ...(processName !== '' && { bound: { process: processName } }),
  })
}

/** What of `[log]` a log takes over while it is open. */
export function logSettings(config: LogConfig) {
  return {
    level: readLevel(config.level) ?? ('info' as const),
    levels: new Map(config.levels.flatMap((text) => toPair(readModuleLevel(text)))),
    floodPerSecond: config.flood_per_second,
  }
}

/** Opens the log's files in a folder of this process alone, and lets the log write to them; closed with the log. */
export function openFiles(log: LogControl, config: LogConfig, folder: string, clock: Clock): void {
  if (!config.files) return
  const quiet = log.child({ room: 'log' })
  log.writeTo(
    openLogFiles({
      folder,
      maxFileBytes: config.max_file_mb * mebibyte,
      maxTotalBytes: config.max_total_mb * mebibyte,
      keepDays: config.keep_days,
      now: clock.now,
      tell: (level, message, fields) => quiet[level](message, fields),
    }),
  )
}

const mebibyte = 1024 * 1024

function toPair(found: ReturnType<typeof readModuleLevel>): [string, LogLevel][] {
  return found === null ? [] : [[found.module, found.level]]
}
