import { expect, test } from 'vitest'
import { readLineHead } from '../../platform/log/search.ts'
import { createLog } from '../../platform/log.ts'
import { digestOf } from './digest.ts'

test('lines that say the same are one entry, those that were not written for a flood are counted, traces are shown', () => {
  const lines: string[] = []
  const log = createLog({
    ...{ level: 'info', format: 'json', floodPerSecond: 2 },
    stream: { write: (line: string) => lines.unshift(line) },
  })
  const usage = log.child({ room: 'usage' })
  for (let i = 0; i < 10; i++) usage.error(`The provider "p${i}" is away for ${i} s`, { traceId: `trace-${i}` })
  log.error('The disk is full', { error: Object.assign(new Error('no space'), { code: 'ENOSPC' }) })
  log.error('The disk is full', { error: Object.assign(new Error('io'), { code: 'EIO' }) })
  log.flush()
  const found = lines.map((text) => ({ ...readLineHead(text)!, text }))
  const { entries, lines: count, stoppedAt } = digestOf(found, null)
  expect([count, stoppedAt]).toEqual([12, null])
  expect(entries.map((each) => [each.module, each.error, each.count])).toEqual([
    ['usage', '', 10],
    ['hub', 'EIO', 1],
    ['hub', 'ENOSPC', 1],
  ])
  expect(entries[0]).toMatchObject({ level: 'ERROR', traceIds: ['trace-1', 'trace-0'] })
  expect(new Set(entries.map(({ fingerprint }) => fingerprint)).size).toBe(3)
})
