import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { createHub } from '../../src/hub.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { createHeartbeats, type Heartbeats } from '../../src/kernel/heartbeats.ts'
import { openLog } from '../../src/platform/open-log.ts'
import { until } from '../harness/control.ts'

/** A clock that can be made to wake nobody any more: whoever sleeps then is wedged, until it is told to stop. */
function createWedgeableClock(): Clock & { wedge(aheadMs: number): void } {
  let aheadMs = 0
  let isWedged = false
  const sleep: Clock['sleep'] = async (ms, signal) => {
    await systemClock.sleep(ms, signal)
    if (!isWedged || signal?.aborted) return
    await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
  }
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() + aheadMs,
    sleep,
    wedge(ms) {
      isWedged = true
      aheadMs = ms
    },
  }
}

test('the ancestor’s worker died unseen: a hub whose workers hang is not alive, though its port answers, and each is named', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-livez-'))
  const flags = { 'server.port': 0, 'data.dir': dataDir, 'auth.admin_key': 'an-admin-key-for-the-tests-0123456789' }
  const loaded = loadConfig({
    ...{ file: null, env: {} },
    flags: Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, { value, flag: `--${name}` }])),
  })
  const clock = createWedgeableClock()
  const log = openLog({ ...loaded.config.log, level: 'error', format: 'json' }, { write: () => {} })
  const hub = createHub(loaded, { clock, log })
  const { url } = await hub.start()
  onTestFinished(async () => {
    await hub.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  const ask = async () => {
    const answer = await fetch(`${url}/livez`)
    const body = (await answer.json()) as { status: string; stalled?: { worker: string }[] }
    return { status: answer.status, body, names: (body.stalled ?? []).map(({ worker }) => worker).sort() }
  }
  expect(await ask()).toMatchObject({ status: 200, body: { status: 'alive' } })
  clock.wedge(2 * (3_600_000 + 1_800_000) + 60_000)
  const known = ['checks', 'health', 'job:usage-retention', 'registry', 'sampler', 'settler']
  await until('every loop has come to its sleep and hangs', async () => {
    const { names } = await ask()
    return known.every((name) => names.includes(name))
  })
  const { status, body, names } = await ask()
  expect([status, body.status]).toEqual([503, 'stalled'])
  expect(names).toEqual(expect.arrayContaining(known))
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
})

/** One worker after the other can be wedged: whoever registers as a worker is known by it where it sleeps. */
function createWorkerClock() {
  const asleep = new AsyncLocalStorage<string>()
  const intervals = new Map<string, number>()
  let aheadMs = 0
  let wedged = ''
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() + aheadMs,
    async sleep(ms, signal) {
      const worker = asleep.getStore()
      // A day of their turns in a moment, but for the one that hangs.
      const until = clock.monotonic() + ms
      while (!signal?.aborted && (clock.monotonic() < until || worker === wedged)) {
        await systemClock.sleep(Math.min(20, Math.max(1, until - clock.monotonic())), signal)
      }
    },
  }
  const real = createHeartbeats(clock)
  const heartbeats: Heartbeats = {
    ...real,
    watch(worker, everyMs) {
      asleep.enterWith(worker)
      intervals.set(worker, everyMs)
      return real.watch(worker, everyMs)
    },
  }
  return {
    ...{ clock, heartbeats, intervals },
    wedge(worker: string) {
      wedged = worker
    },
    async pass(ms: number) {
      aheadMs += ms
      await systemClock.sleep(60)
    },
  }
}

test('each worker that hangs is named by /livez after two of its intervals, and no other is', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-livez-'))
  const flags = { 'server.port': 0, 'data.dir': dataDir, 'auth.admin_key': 'an-admin-key-for-the-tests-0123456789' }
  const loaded = loadConfig({
    ...{ file: null, env: {} },
    flags: Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, { value, flag: `--${name}` }])),
  })
  const { clock, heartbeats, intervals, wedge, pass } = createWorkerClock()
  const log = openLog({ ...loaded.config.log, level: 'error', format: 'json' }, { write: () => {} })
  const hub = createHub(loaded, { clock, log, heartbeats })
  const { url } = await hub.start()
  onTestFinished(async () => {
    wedge('')
    await hub.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  const stalled = async () => {
    const body = (await (await fetch(`${url}/livez`)).json()) as { stalled?: { worker: string }[] }
    return (body.stalled ?? []).map(({ worker }) => worker)
  }
  expect([...intervals.keys()]).toEqual(
    expect.arrayContaining([
      ...['settler', 'health', 'sampler', 'registry', 'checks'],
      ...['job:usage-retention', 'job:sources', 'job:gateway-probe'],
    ]),
  )
  for (const [worker, everyMs] of intervals) {
    await until(`all go on before ${worker} hangs`, async () => (await stalled()).length === 0)
    wedge(worker)
    // In steps below the interval of whoever is quickest: the others have their turns meanwhile.
    const step = Math.min(everyMs / 4, ...[...intervals.values()].map((each) => each / 2))
    const steps = Math.ceil((everyMs * 2) / step) + 2
    if (steps > 200) {
      await pass(everyMs * 2 + 1)
    } else for (let i = 0; i < steps; i++) await pass(step)
    await until(`${worker} is named, alone`, async () => (await stalled()).join() === worker)
    wedge('')
  }
})
