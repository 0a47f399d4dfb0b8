import type { LogControl } from '../log.ts'
import type { Metrics } from '../metrics.ts'

/** Counts what the log wrote, left out and could not write. */
export function measureLog(metrics: Metrics, log: LogControl): void {
  const lines = metrics.readings('counter', 'gatehouse_log_lines_total', 'Lines of the log.', ['level', 'module'])
  const suppressed = metrics.readings(
    'counter',
    'gatehouse_log_suppressed_total',
    'Lines that were not written because the same came too often.',
    ['module'],
  )
  const errors = metrics.readings(
    'counter',
    'gatehouse_log_write_errors_total',
    'Writes to log files that the disk refused.',
    ['file'],
  )
  const dropped = metrics.readings(
    'counter',
    'gatehouse_log_dropped_total',
    'Lines that are missing in log files because the disk refused them for too long.',
    ['file'],
  )
  const bytes = metrics.readings('gauge', 'gatehouse_log_bytes', 'Bytes of all log files, packed ones included.')
  metrics.beforeRender(() => {
    const counts = log.counts()
    lines.replace(
      'log',
      counts.flatMap(({ module, written }) =>
        Object.entries(written).map(([level, value]) => ({ labels: { level, module }, value })),
      ),
    )
    suppressed.replace(
      'log',
      counts.map(({ module, suppressed: value }) => ({ labels: { module }, value })),
    )
    const stats = log.files()?.stats()
    if (stats === undefined) return
    const { totalBytes, ...files } = stats
    errors.replace(
      'log',
      Object.entries(files).map(([file, { errors: value }]) => ({ labels: { file }, value })),
    )
    dropped.replace(
      'log',
      Object.entries(files).map(([file, { dropped: value }]) => ({ labels: { file }, value })),
    )
    bytes.replace('log', [{ labels: {}, value: totalBytes }])
  })
}
