import { randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { createLog } from '../log.ts'
import { createSwitchboard } from '../processes/switchboard.ts'
import { joinSwitchboard } from '../processes/testing.ts'
import { openRedis } from '../redis.ts'
import { describeWithRedis, redisUrl } from '../testing.ts'
import type { Bus } from './bus.ts'
import { createLinkedBus } from './linked.ts'
import { createMemoryBus } from './memory.ts'
import { createRedisBus } from './redis.ts'

function openLog() {
  const lines: string[] = []
  return { lines, log: createLog({ level: 'debug', format: 'json', stream: { write: (line) => lines.push(line) } }) }
}

async function openRedisBus({ log } = openLog()): Promise<Bus> {
  const redis = openRedis(redisUrl, log)
  const bus = createRedisBus({ redis, log })
  onTestFinished(async () => {
    await bus.close()
    redis.disconnect()
  })
  await bus.ready
  if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve))
  return bus
}

/** Other tests share the Redis, so what is heard is told apart by the name of the check. */
function hear(bus: Bus, check: string) {
  const heard: string[] = []
  const stop = bus.on('check.changed', (news) => {
    if (news.check === check) heard.push(`${news.from} → ${news.to}`)
  })
  return { heard, stop }
}

const changed = (check: string, to: string) => ({ check, from: 'ok', to, message: '' })

describe('a bus in memory', () => keepsThePromises(async () => createMemoryBus(openLog())))

describe('a bus between the processes of one node', () => {
  const open = (switchboard = createSwitchboard({ clock: systemClock })) =>
    createLinkedBus({ link: joinSwitchboard(switchboard).link, ...openLog() })
  keepsThePromises(async () => open())

  test('processes hear each other, and their own once only', async () => {
    const switchboard = createSwitchboard({ clock: systemClock })
    const [one, two] = [open(switchboard), open(switchboard)]
    const check = randomUUID()
    const [here, there] = [hear(one, check), hear(two, check)]
    one.announce('check.changed', changed(check, 'failed'))
    await vi.waitFor(() => expect(there.heard).toEqual(['ok → failed']))
    two.announce('check.changed', changed(check, 'ok'))
    await vi.waitFor(() => expect(here.heard).toEqual(['ok → failed', 'ok → ok']))
  })
})

describeWithRedis('a bus in Redis', () => {
  keepsThePromises(() => openRedisBus())

  test('nodes on one Redis hear each other, and their own once only', async () => {
    const [one, two] = [await openRedisBus(), await openRedisBus()]
    const check = randomUUID()
    const [here, there] = [hear(one, check), hear(two, check)]
    one.announce('check.changed', changed(check, 'failed'))
    await vi.waitFor(() => expect(there.heard).toEqual(['ok → failed']))
    // The answer comes after whatever the first announcement could still have echoed.
    two.announce('check.changed', changed(check, 'ok'))
    await vi.waitFor(() => expect(here.heard).toEqual(['ok → failed', 'ok → ok']))
  })

  test('what somebody else writes to the channel is ignored', async () => {
    const { lines, log } = openLog()
    const redis = openRedis(redisUrl, log)
    const bus = await openRedisBus({ lines, log })
    if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve))
    const check = randomUUID()
    const { heard } = hear(bus, check)
    for (const text of ['not JSON', 'null', '[]', '{"node":1,"name":"check.changed"}'])
      await redis.publish('gatehouse:bus', text)
    await redis.publish(
      'gatehouse:bus',
      JSON.stringify({ node: 'x', name: 'check.changed', news: changed(check, 'ok') }),
    )
    await vi.waitFor(() => expect(heard).toEqual(['ok → ok']))
    expect(lines.filter((line) => line.includes('failed'))).toEqual([])
    redis.disconnect()
  })
})

function keepsThePromises(open: () => Promise<Bus>) {
  test('an announcement is heard by every listener, once, after the announcer has gone on', async () => {
    const bus = await open()
    const check = randomUUID()
    const [first, second] = [hear(bus, check), hear(bus, check)]
    bus.announce('check.changed', changed(check, 'failed'))
    expect(first.heard).toEqual([])
    bus.announce('check.changed', changed(check, 'degraded'))
    await vi.waitFor(() => expect(first.heard).toEqual(['ok → failed', 'ok → degraded']))
    expect(second.heard).toEqual(first.heard)
  })

  test('a listener hears only what it asked for, and nothing after it has stopped', async () => {
    const bus = await open()
    const check = randomUUID()
    const [stopped, kept] = [hear(bus, check), hear(bus, check)]
    let configs = 0
    bus.on('config.changed', () => configs++)
    stopped.stop()
    bus.announce('check.changed', changed(check, 'failed'))
    await vi.waitFor(() => expect(kept.heard).toHaveLength(1))
    expect(stopped.heard).toEqual([])
    expect(configs).toBe(0)
  })
}

test('a listener that fails, at once or later, is logged and keeps nobody from hearing', async () => {
  const { lines, log } = openLog()
  const bus = createMemoryBus({ log })
  const check = randomUUID()
  bus.on('check.changed', () => {
    throw new Error('at once')
  })
  bus.on('check.changed', async () => {
    throw new Error('later')
  })
  const { heard } = hear(bus, check)
  bus.announce('check.changed', changed(check, 'failed'))
  await vi.waitFor(() => expect(lines).toHaveLength(2))
  expect(heard).toHaveLength(1)
  expect(lines.join()).toContain('at once')
  expect(lines.join()).toContain('later')
})

test('without Redis the rooms of one node still hear each other', async () => {
  const { lines, log } = openLog()
  const redis = openRedis('redis://127.0.0.1:1/0', log)
  const bus = createRedisBus({ redis, log })
  const check = randomUUID()
  const { heard } = hear(bus, check)
  bus.announce('check.changed', changed(check, 'failed'))
  await vi.waitFor(() => expect(heard).toEqual(['ok → failed']))
  await vi.waitFor(() => expect(lines.join()).toContain('Other nodes do not hear check.changed'))
  await bus.close()
  redis.disconnect()
})
