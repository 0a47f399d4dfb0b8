import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { createRecordingLog } from './database/testing-log.ts'
import { createSnapshot } from './snapshot.ts'

/** A store with one value, able to be away and to answer only when told. */
function createStore() {
  const store = {
    value: 'first',
    number: 1,
    loads: 0,
    isAway: false,
    /** When set, loads wait here after they have read. */
    gate: null as Promise<void> | null,
    change(value: string) {
      store.value = value
      store.number++
    },
    async revision() {
      if (store.isAway) throw new Error('away')
      return store.number
    },
    async load() {
      if (store.isAway) throw new Error('away')
      store.loads++
      const read = store.value
      if (store.gate) await store.gate
      return read
    },
  }
  return store
}

function setUp() {
  const store = createStore()
  const clock = createManualClock()
  const log = createRecordingLog()
  const snapshot = createSnapshot({
    name: 'keys',
    load: store.load,
    revision: store.revision,
    intervalMs: 1000,
    clock,
    log,
  })
  return { store, clock, log, snapshot }
}

describe('a snapshot', () => {
  test('has no value before the first load, and tells why that failed', async () => {
    const { store, snapshot } = setUp()
    expect(() => snapshot.get()).toThrow('has not read its keys yet')
    expect(snapshot.isStale()).toBe(true)
    store.isAway = true
    await expect(snapshot.ready()).rejects.toThrow('away')
    store.isAway = false
    await snapshot.ready()
    expect(snapshot.get()).toBe('first')
    expect(snapshot.isStale()).toBe(false)
    snapshot.stop()
  })

  test('follows a change within a poll, and loads only when the revision moved', async () => {
    const { store, clock, snapshot } = setUp()
    await snapshot.ready()
    await clock.advance(5000)
    expect(store.loads).toBe(1)
    store.change('second')
    await clock.advance(1000)
    expect(snapshot.get()).toBe('second')
    expect(store.loads).toBe(2)
    snapshot.stop()
  })

  test('keeps its value while the store is away, says so once, and is current within a poll of its return', async () => {
    const { store, clock, log, snapshot } = setUp()
    await snapshot.ready()
    store.isAway = true
    await clock.advance(5000)
    expect(snapshot.get()).toBe('first')
    expect(snapshot.isStale()).toBe(true)
    expect(snapshot.ageMs()).toBe(5000)
    expect(log.lines.filter((line) => line.level === 'warn')).toHaveLength(1)
    await snapshot.refresh()
    expect(snapshot.get()).toBe('first')
    store.isAway = false
    store.change('after the outage')
    await clock.advance(1000)
    expect(snapshot.get()).toBe('after the outage')
    expect(snapshot.isStale()).toBe(false)
    expect(log.lines.at(-1)?.message).toContain('current again')
    snapshot.stop()
  })

  test('a refresh asked for during a load sees what was committed before it was asked', async () => {
    const { store, snapshot } = setUp()
    await snapshot.ready()
    const gate = Promise.withResolvers<void>()
    store.gate = gate.promise
    const early = snapshot.refresh()
    await Promise.resolve()
    await Promise.resolve()
    expect(store.loads).toBe(2)
    store.change('committed meanwhile')
    const late = [snapshot.refresh(), snapshot.refresh(), snapshot.refresh()]
    gate.resolve()
    await early
    await Promise.all(late)
    expect(snapshot.get()).toBe('committed meanwhile')
    expect(store.loads).toBe(3)
    snapshot.stop()
  })

  test('a change between reading the number and the value is not missed', async () => {
    const { store, clock, snapshot } = setUp()
    await snapshot.ready()
    store.change('second')
    const gate = Promise.withResolvers<void>()
    store.gate = gate.promise
    await clock.advance(1000)
    expect(store.loads).toBe(2)
    store.change('third')
    store.gate = null
    gate.resolve()
    // The poll that waited goes back to sleep before time moves on.
    await new Promise((resolve) => setImmediate(resolve))
    expect(snapshot.get()).toBe('second')
    await clock.advance(1000)
    expect(snapshot.get()).toBe('third')
    snapshot.stop()
  })

  test('is stale when the store does not answer at all', async () => {
    const { store, clock, snapshot } = setUp()
    await snapshot.ready()
    store.change('second')
    store.gate = new Promise(() => {})
    await clock.advance(10_000)
    expect(snapshot.isStale()).toBe(false)
    await clock.advance(1000)
    expect(snapshot.isStale()).toBe(true)
    expect(snapshot.get()).toBe('first')
    snapshot.stop()
  })

  test('asks the store nothing more once it is stopped', async () => {
    const { store, clock, snapshot } = setUp()
    await snapshot.ready()
    snapshot.stop()
    store.change('second')
    await clock.advance(10_000)
    expect(snapshot.get()).toBe('first')
  })
})
