import { expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import type { Log } from '../platform/log.ts'
import type { PostedAlert } from './alert.ts'
import { alertsFromAnnouncements, type StandingVerdict } from './from-announcements.ts'

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => quiet }

function open() {
  const clock = createManualClock()
  const bus = createMemoryBus({ log: quiet })
  const posted: PostedAlert[] = []
  const direct: PostedAlert[] = []
  const behind: string[][] = []
  const unrecorded: [string, boolean, boolean][] = []
  bus.on('alert.unrecorded', ({ labels, endsAt, inhibitedBy }) =>
    unrecorded.push([labels.check ?? '', endsAt === null, inhibitedBy !== '']),
  )
  const world = { isAway: false, verdicts: [] as StandingVerdict[] }
  const listening = alertsFromAnnouncements({
    ...{ bus, clock, log: quiet, verdicts: () => world.verdicts },
    async post(alerts) {
      if (world.isAway) throw fail('unavailable', 'the store is away')
      posted.push(...alerts)
    },
    async tellDirectly(alert, hidden) {
      direct.push({ ...alert, expiresAt: null })
      behind.push(hidden.map(({ labels }) => labels.check ?? ''))
    },
    hidersOf(alerts) {
      const source = alerts.find(({ labels }) => labels.check === 'hub: database' && labels.check_id === undefined)
      const found = alerts.filter(({ labels }) => labels.check_id !== undefined)
      return new Map(source === undefined ? [] : found.map(({ fingerprint }) => [fingerprint, source.fingerprint]))
    },
  })
  const turn = async () => {
    await listening.turn()
    for (let i = 0; i < 10; i++) await Promise.resolve()
  }
  return { clock, bus, posted, direct, behind, unrecorded, world, turn, listening }
}

const changed = (check: string, from: string, to: string) => ({ check, from, to, message: `${check} is ${to}` })
const told = (alerts: readonly PostedAlert[]) =>
  alerts.map(({ labels, endsAt }) => [labels.check ?? labels.alertname, endsAt === null])

test('while the store is away announcements wait in their order and are told without it; none is lost, none twice', async () => {
  const { clock, bus, posted, direct, world, turn } = open()
  world.isAway = true
  bus.announce('check.changed', changed('database', 'ok', 'failed'))
  await turn()
  expect(direct).toEqual([])
  await clock.advance(5000)
  await turn()
  await turn()
  expect(told(direct)).toEqual([['hub: database', true]])
  bus.announce('check.changed', changed('database', 'failed', 'ok'))
  world.isAway = false
  await turn()
  await turn()
  expect(told(posted)).toEqual([
    ['hub: database', true],
    ['hub: database', false],
  ])
  // The pipeline says nothing of what was over when it heard of it: whoever was told hears of the end all the same.
  expect(told(direct)).toEqual(told(posted))
})

test('what is hidden behind another is named in its message and gets none; all that could not be written is announced', async () => {
  const { clock, bus, posted, direct, behind, unrecorded, world, turn, listening } = open()
  world.isAway = true
  const child = (to: string) => ({
    ...changed('shop', 'up', to),
    configured: { id: 'chk_1', tenantId: '', level: 'business', reason: '', durationMs: 0, suppressedBy: '' },
  })
  bus.announce('check.changed', changed('database', 'ok', 'failed'))
  bus.announce('check.changed', child('down'))
  await turn()
  await clock.advance(5000)
  await turn()
  expect([told(direct), behind]).toEqual([[['hub: database', true]], [['shop']]])
  expect(unrecorded).toEqual([
    ['hub: database', true, false],
    ['shop', true, true],
  ])
  // Whoever compares does not take them for over.
  expect(listening.waiting().map(({ labels }) => labels.check)).toEqual(['hub: database', 'shop'])
  bus.announce('check.changed', child('up'))
  bus.announce('check.changed', changed('database', 'failed', 'ok'))
  await turn()
  expect(listening.waiting()).toEqual([])
  await turn()
  expect(told(direct)).toEqual([
    ['hub: database', true],
    ['hub: database', false],
  ])
  expect(unrecorded.slice(2)).toEqual([
    ['shop', false, true],
    ['hub: database', false, false],
  ])
  world.isAway = false
  await turn()
  await turn()
  expect(posted).toHaveLength(4)
  // Those of which was told need no hurry: what was hidden may be over a moment later.
  expect(posted.map(({ isLate = false }) => isLate)).toEqual([true, true, false, false])
})

test('whoever was told without the store hears of the end without it as well', async () => {
  const { clock, bus, direct, world, turn } = open()
  world.isAway = true
  bus.announce('check.changed', changed('redis', 'ok', 'failed'))
  await turn()
  await clock.advance(5000)
  await turn()
  bus.announce('check.changed', changed('redis', 'failed', 'ok'))
  await turn()
  await clock.advance(5000)
  await turn()
  expect(told(direct)).toEqual([
    ['hub: redis', true],
    ['hub: redis', false],
  ])
})

test('what stands is said again: an announcement that was lost is an alert within half a minute, and it ends by itself', async () => {
  const { clock, posted, world, turn } = open()
  await turn()
  world.verdicts = [
    { check: 'disk', state: 'failed', message: 'full', remedy: 'Make room.' },
    { check: 'redis', state: 'ok', message: '', remedy: '' },
  ]
  await clock.advance(30_000)
  await turn()
  expect(told(posted)).toEqual([['hub: disk', true]])
  expect(posted[0]!.expiresAt).toBe(clock.now() + 300_000)
  await turn()
  expect(posted).toHaveLength(1)
})

test('a backup that failed and a channel that is broken are alerts; the channel’s ends when it is well', async () => {
  const { bus, posted, turn } = open()
  const channel = { channelId: 'chn_1', name: 'chat', type: 'slack', tenantId: '', message: 'said 410' }
  bus.announce('backup.failed', { runId: 'r', kind: 'drill', backupId: 'b', outcome: 'failed', reason: 'no space' })
  bus.announce('channel.changed', { ...channel, from: 'ok', to: 'broken' })
  bus.announce('channel.changed', { ...channel, from: 'broken', to: 'ok' })
  await turn()
  expect(told(posted)).toEqual([
    ['BackupFailed', true],
    ['ChannelBroken', true],
    ['ChannelBroken', false],
  ])
  expect(posted[1]!.labels).toEqual(posted[2]!.labels)
})
