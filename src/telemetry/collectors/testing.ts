import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { providePrometheus } from '../../../test/harness/services.ts'
import { systemClock } from '../../kernel/clock.ts'
import { createUpstreams } from '../../platform/fetch.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { silentLog } from '../../platform/testing.ts'
import { createCollecting } from '../collecting.ts'
import { collectorsConfig } from '../config.ts'
import type { Collector, CollectorParts } from './collector.ts'

type Settings = { parts?: Partial<CollectorParts>; config?: Record<string, unknown>; timeoutMs?: number }

/** A collector run as the hub runs it: `read` does a round and returns every sample as `name{labels}` → value. */
export function runCollectors(
  collectors: readonly Collector[],
  { parts, config = {}, timeoutMs = 5000 }: Settings = {},
) {
  const clock = parts?.clock ?? systemClock
  // Renderings are a second old; the tests want this one.
  let renderings = 0
  const metrics = createMetrics({ clock: { ...clock, monotonic: () => ++renderings * 1_000_000 } })
  const upstreams = createUpstreams({ allow: ['127.0.0.0/8'], connectTimeoutMs: 1000, log: silentLog })
  const collecting = createCollecting(
    collectors,
    {
      ...{ metrics, clock, upstreams, log: silentLog, readProc: () => null, sqlite: null },
      config: collectorsConfig.parse({ docker_socket: '', ...config }),
      diskSpace: () => ({ freeBytes: 30, totalBytes: 100 }),
      own: { postgres: '', redis: '' },
      guardSecret() {},
      ...parts,
    },
    { timeoutMs },
  )
  const render = async () => (await metrics.render()).text
  return {
    metrics,
    collecting,
    render,
    async read(): Promise<Record<string, number>> {
      await collecting.round()
      const lines = (await render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
      )
    },
    async stop() {
      await collecting.stop()
      await upstreams.close(0)
    },
  }
}

/** Throws what `promtool check metrics` complains of. Does nothing where there is no promtool and the tests may go without. */
export async function checkWithPromtool(text: string): Promise<void> {
  const provided = await providePrometheus()
  if ('service' in provided) {
    execFileSync(join(provided.service, '..', 'promtool'), ['check', 'metrics'], { input: text, encoding: 'utf8' })
  } else if (process.env.CI === 'true') throw new Error(provided.missing)
}
