import type { Metrics } from '../platform/metrics.ts'
import type { ReloadConfig } from './reload-config.ts'

/** How the hub is at one moment; counts are of everything since it started. */
export type Look = {
  /** State by name of check. */
  checks: ReadonlyMap<string, string>
  answered: number
  failed: number
  /** Requests that the access lists and limits of the server turned away. */
  turnedAway: number
}

export type Looker = () => Look

/** Reads what is counted anyway: calls to models by how they ended, and requests that were turned away. */
export function createLooker(parts: {
  metrics: Pick<Metrics, 'samplesOf'>
  verdicts(): readonly { check: string; state: string }[]
}): Looker {
  return () => {
    const look = { answered: 0, failed: 0, turnedAway: 0 }
    for (const { value } of parts.metrics.samplesOf('gatehouse_http_refused_total')) look.turnedAway += value
    for (const { labels, value } of parts.metrics.samplesOf('gatehouse_gateway_requests_total')) {
      if (labels.outcome === 'success') look.answered += value
      if (labels.outcome === 'failure' || labels.outcome === 'truncated') look.failed += value
    }
    return { ...look, checks: new Map(parts.verdicts().map(({ check, state }) => [check, state])) }
  }
}

/**
 * Why the hub is worse off now than it was, or null. `earlier` is how it was some time before `begun`, when the settings
 * changed. A list that keeps somebody out on purpose is no fault: only when nobody is answered any more, it is.
 */
export function findWorse(
  { earlier, begun, now }: { earlier: Look; begun: Look; now: Look },
  { failure_percent, min_calls }: Pick<ReloadConfig, 'failure_percent' | 'min_calls'>,
): string | null {
  for (const [check, state] of now.checks) {
    const before = begun.checks.get(check)
    if (state === 'failed' && before !== undefined && before !== 'failed') {
      return `the health check ${check} was ${before} and is failed`
    }
  }
  const before = between(earlier, begun)
  const since = between(begun, now)
  const calls = since.answered + since.failed
  const share = percent(since.failed, calls)
  const shareBefore = percent(before.failed, before.answered + before.failed)
  if (calls >= min_calls && share - shareBefore >= failure_percent) {
    return `${Math.round(share)} % of ${calls} calls failed, against ${Math.round(shareBefore)} % before`
  }
  if (before.answered > 0 && since.answered === 0 && since.turnedAway >= min_calls && before.turnedAway === 0) {
    return `nobody was answered any more: ${since.turnedAway} requests were turned away by [access]`
  }
  return null
}

function between(from: Look, to: Look) {
  return {
    answered: to.answered - from.answered,
    failed: to.failed - from.failed,
    turnedAway: to.turnedAway - from.turnedAway,
  }
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (100 * part) / whole
}
