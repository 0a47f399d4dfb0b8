import type { Log, LogFields } from '../log.ts'

export type LogLine = { level: 'debug' | 'info' | 'warn' | 'error' | 'critical'; message: string; fields: LogFields }

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => silentLog }

/** A log that keeps its lines for a test to look at. */
export function createRecordingLog(): Log & { lines: LogLine[] } {
  const lines: LogLine[] = []
  const write =
    (level: LogLine['level']) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields })
    }
  const log = {
    ...{ debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    ...{ critical: write('critical'), lines },
  }
  return { ...log, child: () => ({ ...log, child: () => createRecordingLog() }) }
}
