import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { createHub } from '../../src/hub.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { openLog } from '../../src/platform/open.ts'
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
  await until('every loop has come to its sleep and hangs', async () => (await ask()).names.length >= 7)
  const { status, body, names } = await ask()
  expect([status, body.status]).toEqual([503, 'stalled'])
  expect(names).toEqual(
    expect.arrayContaining(['checks', 'health', 'job:usage-retention', 'registry', 'sampler', 'settler']),
  )
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
})
