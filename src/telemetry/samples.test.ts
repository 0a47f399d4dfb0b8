import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../../test/harness/control.ts'
import { createManualClock } from '../kernel/clock.ts'
import { createRecordingLog } from '../platform/database/testing-log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSamples } from './samples.ts'

const start = Date.UTC(2026, 0, 1)
const bounds = { limit: 100, maxSamples: 100_000_000, timeoutMs: 60_000 }

test('a thread that runs out of memory is started again, and what it kept is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-samples-'))
  const clock = createManualClock(start)
  const log = createRecordingLog()
  const samples = createSamples({
    file: join(folder, 'samples.db'),
    limits: { maxSeries: 100, maxBytes: 1e9, keepMs: [6 * 3_600_000, 30 * 86_400_000, 730 * 86_400_000] },
    ...{ clock, log, metrics: createMetrics({ clock }), maxHeapMb: 64 },
  })
  try {
    await samples.start()
    const pairs = ['__name__', 'kept']
    await samples.keep('append', { at: start, samples: [{ pairs, kind: 'gauge', value: 7 }], isSent: false })
    const hungry = { text: 'count_over_time(vector(1)[20000s:1ms])', atMs: start, ...bounds }
    await expect(samples.ask('instant', hungry)).rejects.toMatchObject({ code: 'unavailable' })
    await until('it answers again', async () => {
      await clock.advance(5000)
      const found = await samples.ask('instant', { text: 'kept', atMs: start + 1000, ...bounds }).catch(() => '')
      return found.includes('"7"')
    })
    expect(samples.epoch()).toBe(2)
    expect(log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      'The thread of samples ended; it is started again',
    ])
  } finally {
    await samples.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})
