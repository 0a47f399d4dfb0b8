import { join } from 'node:path'
import { fail } from '../kernel/errors.ts'
import { copyChunkFile, openChunkFile } from '../platform/chunk-file.ts'
import { readFileSize, removeFile } from '../platform/files.ts'
import type { TelemetryConfig } from './config.ts'
import { askInstant, askRange } from './promql/asking.ts'
import type { Engine } from './promql/query.ts'
import type { QueryResult, RangeSeries } from './schema.ts'
import { createStore } from './store/store.ts'

export type StoredSamples = {
  query(expression: string, atMs: number): Promise<QueryResult>
  queryRange(expression: string, range: { startMs: number; endMs: number; stepMs: number }): Promise<RangeSeries[]>
  /** Removes the copy. */
  close(): void
}

const dayMs = 86_400_000

/**
 * The samples of a data folder for a command of its own: a copy as they are now, so that a running hub goes on with its
 * file undisturbed. Throws `not_found` where there are none.
 */
export function openStoredSamples(dataDir: string, config: TelemetryConfig): StoredSamples {
  const path = join(dataDir, 'telemetry', 'samples.db')
  if (readFileSize(path) === null) {
    throw fail('not_found', `there are no samples in ${path}: start the hub once, or name its folder with --data`)
  }
  const copy = `${path}.copy-${process.pid}`
  const clear = () => {
    for (const suffix of ['', '-wal', '-shm']) removeFile(copy + suffix)
  }
  try {
    copyChunkFile(path, copy)
    const store = createStore(openChunkFile(copy), {
      ...{ maxSeries: config.max_series, maxBytes: Number.MAX_SAFE_INTEGER },
      keepMs: [config.raw_hours * 3_600_000, config.minute_days * dayMs, config.hour_days * dayMs],
    })
    const engine: Engine = { source: store, now: () => performance.now() }
    return {
      query: async (expression, atMs) => askInstant(engine, expression, atMs),
      queryRange: async (expression, range) => askRange(engine, expression, range),
      close() {
        store.close()
        clear()
      },
    }
  } catch (error) {
    clear()
    throw error
  }
}
