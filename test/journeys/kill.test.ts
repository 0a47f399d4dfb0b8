import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDice } from '../../src/kernel/dice.ts'
import { engines } from '../../src/platform/database/testing.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { auditLedger } from '../harness/ledger-audit.ts'
import { startLoad } from '../harness/load.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'

const kills = 10
const model = 'gpt-4o-mini'

let upstream: FakeProvider
let hub: ProcessHub | undefined
beforeEach(async () => {
  upstream = await startFakeProvider({ kind: 'openai', models: [model] })
})
afterEach(async () => {
  await hub?.destroy()
  hub = undefined
  await upstream.close()
})

describe.each(engines())('kill -9 under load, on $name', ({ address }) => {
  test('every answered request has exactly one row, and the sums are those of the rows', async () => {
    const seed = Number(process.env.GATEHOUSE_TEST_SEED ?? Date.now() % 1_000_000)
    console.log(`seed of the kills: GATEHOUSE_TEST_SEED=${seed}`)
    const random = createDice(seed)
    const databaseUrl = await address()
    hub = await startProcessHub({ env: { DATABASE_URL: databaseUrl } })
    // Slow enough that a kill finds streams half told.
    upstream.behave({ chunkDelayMs: 2 })
    await hub.serveModel(model, {
      type: 'openai',
      base_url: upstream.baseUrl,
      api_key: upstream.apiKey,
      max_retries: 0,
    })
    const { key: apiKey } = await hub.createKey()

    const load = startLoad({ url: hub.url, apiKey, model, callers: 12, random })
    const answeredBetween: number[] = []
    for (let kill = 0; kill < kills; kill++) {
      const before = load.answered.length
      await new Promise((resolve) => setTimeout(resolve, 300 + 700 * random()))
      answeredBetween.push(load.answered.length - before)
      expect(await hub.kill('SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
      await hub.restart()
    }
    await load.stop()
    await hub.settled()
    expect(await hub.stop()).toMatchObject({ exitCode: 0 })

    // Else nothing was shown: each kill found callers at work, of both sorts, and cut some of them off.
    expect(Math.min(...answeredBetween)).toBeGreaterThan(0)
    expect(load.answered.filter(({ stream }) => stream).length).toBeGreaterThan(kills)
    expect(load.answered.filter(({ stream }) => !stream).length).toBeGreaterThan(kills)
    expect(load.failed.length).toBeGreaterThanOrEqual(kills)

    const audit = await auditLedger({ databaseUrl, dataDir: hub.dataDir }, load.answered)
    expect(audit.rows).toBeGreaterThanOrEqual(load.answered.length)
    expect(audit).toMatchObject({ missing: [], doubled: [], wrongSums: [], unsettled: 0, rejected: 0 })
  }, 120_000)
})
