import type { Clock } from '../../kernel/clock.ts'
import { HubError } from '../../kernel/errors.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import { type Finding, type ProbeContext, type Push, toFinding } from '../probes/probe.ts'
import { probeOf } from './records.ts'
import type { Monitor } from './schema.ts'

export type Asked = { finding: Finding; latencyMs: number }

/** What checks may look at beside the network. */
export type World = Pick<ProbeContext, 'provider' | 'askProvider' | 'own' | 'stalled'> & {
  service(tenantId: string, name: string): ReturnType<ProbeContext['service']>
  /** The guarded way out for checks of the hub, and for those of tenants. */
  wayOf(tenantId: string): Upstreams
}

/** Time beyond its own that a probe gets before it is given up: it must never hold the round. */
const graceMs = 5000

/** Asks once, and as often more at once as the check says while it fails. Never rejects. */
export async function askMonitor(
  monitor: Monitor,
  lastPush: Push | null,
  { world, clock, log }: { world: World; clock: Clock; log: Log },
): Promise<Asked> {
  const probe = probeOf(monitor.type)
  const { tenantId, timeoutMs, createdAt } = monitor
  const context: ProbeContext = {
    ...{ clock, timeoutMs, createdAt, lastPush, provider: world.provider, askProvider: world.askProvider },
    ...{ own: world.own, stalled: world.stalled, way: world.wayOf(tenantId) },
    service: (name) => world.service(tenantId, name),
  }
  for (let attempt = 0; ; attempt++) {
    const begun = clock.monotonic()
    const finding = await askOnce()
    const asked = { finding, latencyMs: Math.round(clock.monotonic() - begun) }
    if (finding.outcome !== 'failed' || attempt >= monitor.retries) return asked
  }

  async function askOnce(): Promise<Finding> {
    const done = new AbortController()
    const late = clock.sleep(timeoutMs + graceMs, done.signal).then(
      (): Finding => ({
        outcome: 'unknown',
        reason: 'broken',
        message: 'The check did not come to an end.',
        observed: {},
      }),
    )
    try {
      return await Promise.race([Promise.resolve(probe.run(monitor.parameters, context)), late])
    } catch (error) {
      if (!(error instanceof HubError)) log.error(`A check of type ${monitor.type} broke`, { error })
      return toFinding(error)
    } finally {
      done.abort()
    }
  }
}
