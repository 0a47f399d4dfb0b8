import { expect, test } from 'vitest'
import { createSseReader } from '../../kernel/sse.ts'
import { createLog } from '../../platform/log.ts'
import { createTails } from './tail.ts'

const everything = { minRank: 0, module: '', trace: '', text: '' }

function openTails() {
  const log = createLog({ level: 'info', format: 'json', stream: { write: () => {} } })
  return { log, tails: createTails(log) }
}

test('a reader that is too slow loses lines, is told how many, and the log grows no memory for it', async () => {
  const { log, tails } = openTails()
  const stream = tails.open(everything, ['app'], new AbortController().signal)
  const told = 5000
  for (let i = 0; i < told; i++) log.info(`${i} ${'x'.repeat(1000)}`)
  expect(stream.readableLength).toBeLessThan(1.1 * 1024 * 1024)
  const events = createSseReader()
  let lines = 0
  let missed = 0
  stream.on('data', (bytes: Buffer) => {
    for (const { event, data } of events.push(bytes)) {
      if (event === 'line') lines++
      else missed += JSON.parse(data).count
    }
  })
  await new Promise((resolve) => setImmediate(resolve))
  log.info('heard again')
  tails.end()
  await new Promise((resolve) => stream.on('end', resolve))
  expect(missed).toBeGreaterThan(3000)
  expect(lines + missed).toBe(told + 1)
})

test('who follows the log is bounded in number, and leaves nothing behind', () => {
  const { log, tails } = openTails()
  const leave = new AbortController()
  const open = () => tails.open({ ...everything, minRank: 3 }, ['app'], leave.signal)
  for (let i = 0; i < 20; i++) open()
  expect(open).toThrow(/20 callers/)
  leave.abort()
  const other = tails.open({ ...everything, minRank: 3 }, ['app'], new AbortController().signal)
  const before = other.readableLength
  log.info('no')
  expect(other.readableLength).toBe(before)
  log.error('yes')
  expect(other.readableLength).toBeGreaterThan(before)
})
