import { expect, onTestFinished, test, vi } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { createRedisBus } from '../../platform/bus/redis.ts'
import { createLog } from '../../platform/log.ts'
import { openRedis } from '../../platform/redis.ts'
import { describeWithRedis, redisUrl, silentLog } from '../../platform/testing.ts'
import { createLevels } from './levels.ts'

const start = Date.UTC(2026, 2, 1)

/** A node with a log of its own, whose bus is the Redis that others share. */
async function openNode(module: string) {
  const lines: string[] = []
  const clock = createManualClock(start)
  const control = createLog({ level: 'info', format: 'json', stream: { write: (line) => void lines.push(line) } })
  const room = control.child({ room: module })
  const redis = openRedis(redisUrl, silentLog)
  const bus = createRedisBus({ redis, log: silentLog })
  await bus.ready
  if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve))
  const levels = createLevels({ control, bus, clock, log: control.child({ room: 'telemetry' }) })
  onTestFinished(async () => {
    levels.stop()
    await bus.close()
    redis.disconnect()
  })
  const levelHere = () => levels.list().find((each) => each.module === module)
  const said = () => lines.map((line) => JSON.parse(line)).filter((line) => line.module === module)
  return { clock, levels, room, levelHere, said }
}

describeWithRedis('levels of two nodes on one Redis', () => {
  test('a level that is changed on one is changed on the other, and each goes back by itself', async () => {
    const module = `gateway-${process.pid}`
    const [here, there] = [await openNode(module), await openNode(module)]
    there.room.debug('before')
    here.levels.change(module, 'debug', 60_000)
    await vi.waitFor(() => expect(there.levelHere()).toMatchObject({ level: 'debug', until: start + 60_000 }))
    expect(here.levelHere()).toMatchObject({ level: 'debug', until: start + 60_000 })
    there.room.debug('meanwhile')
    await there.clock.leap(61_000)
    await vi.waitFor(() => expect(there.levelHere()).toMatchObject({ level: 'info', until: null }))
    there.room.debug('after')
    expect(there.said().map(({ msg }) => msg)).toEqual(['meanwhile'])
    // By its own clock, also when nobody tells it.
    expect(here.levelHere()).toMatchObject({ level: 'debug' })
    await here.clock.leap(61_000)
    await vi.waitFor(() => expect(here.levelHere()).toMatchObject({ level: 'info', until: null }))
  })

  test('what is taken back on one before its time is taken back on the other', async () => {
    const module = `risk-${process.pid}`
    const [here, there] = [await openNode(module), await openNode(module)]
    here.levels.change(module, 'error', 3_600_000)
    await vi.waitFor(() => expect(there.levelHere()).toMatchObject({ level: 'error' }))
    there.levels.change(module, null, 0)
    await vi.waitFor(() => expect(here.levelHere()).toMatchObject({ level: 'info', until: null }))
    here.room.info('heard again')
    expect(here.said().map(({ msg }) => msg)).toEqual(['heard again'])
  })
})
