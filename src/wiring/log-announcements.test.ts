import { expect, test } from 'vitest'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createRecordingLog } from '../platform/database/testing-log.ts'
import { silentLog } from '../platform/testing.ts'
import { logAnnouncements } from './log-announcements.ts'

test('how an incident stands is said once, however many lines its timeline gets', async () => {
  const bus = createMemoryBus({ log: silentLog })
  const log = createRecordingLog()
  logAnnouncements(bus, log)
  const say = (state: string, severity = 'P2') =>
    bus.announce('incident.changed', { id: 'ALT-2026-01-01-001', state, severity, tenantId: '', title: 'Slow' })
  for (const state of ['open', 'open', 'open', 'acknowledged', 'acknowledged']) say(state)
  say('acknowledged', 'P1')
  say('open', 'P1')
  await new Promise((resolve) => setImmediate(resolve))
  expect(log.lines.map(({ message }) => message)).toEqual([
    'The incident ALT-2026-01-01-001 (P2) is open: Slow',
    'The incident ALT-2026-01-01-001 (P2) is acknowledged: Slow',
    'The incident ALT-2026-01-01-001 (P1) is acknowledged: Slow',
    'The incident ALT-2026-01-01-001 (P1) is open: Slow',
  ])
})
