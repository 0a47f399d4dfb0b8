import type { OverallState, Verdict } from './schema.ts'

/** https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06 */
export const healthJsonType = 'application/health+json'

const statusOf = {
  ok: 'pass',
  disabled: 'pass',
  degraded: 'warn',
  inconclusive: 'warn',
  failed: 'fail',
  healthy: 'pass',
  unhealthy: 'fail',
} as const

/** The body of `application/health+json`; what a check said is told only when `isDetailed`. */
export function toHealthJson(
  report: { status: OverallState; version: string; verdicts: readonly Verdict[] },
  isDetailed: boolean,
): string {
  const checks = report.verdicts.map(({ check, state, checkedAt, latencyMs, message }) => [
    `${check}:responseTime`,
    [
      {
        status: statusOf[state],
        time: new Date(checkedAt).toISOString(),
        observedValue: Math.round(latencyMs),
        observedUnit: 'ms',
        ...(isDetailed && state !== 'ok' ? { output: message } : {}),
      },
    ],
  ])
  return JSON.stringify({
    status: statusOf[report.status],
    version: 'v1',
    releaseId: report.version,
    serviceId: 'gatehouse',
    checks: Object.fromEntries(checks),
  })
}

/** A configured check, as far as `application/health+json` tells of it. */
type Told = {
  id: string
  name: string
  state: 'up' | 'down' | 'pending' | 'maintenance' | 'inconclusive' | 'paused'
  is_warning: boolean
  message: string
  latency_ms: number | null
  checked_at: string | null
}

const rank = { pass: 0, warn: 1, fail: 2 } as const

function statusOfCheck({ state, is_warning }: Told): keyof typeof rank {
  if (state === 'down') return 'fail'
  return (state === 'up' && !is_warning) || state === 'paused' ? 'pass' : 'warn'
}

/** Configured checks in the same format: as bad as the worst of them, with 503 where one fails, as the draft asks for. */
export function checksToHealthJson(checks: readonly Told[]): { status: 200 | 503; body: string } {
  const told = checks.map((check) => ({ check, status: statusOfCheck(check) }))
  const worst = told.reduce<keyof typeof rank>((a, { status }) => (rank[status] > rank[a] ? status : a), 'pass')
  const byName = Map.groupBy(told, ({ check }) => `${check.name}:responseTime`)
  const entries = [...byName].map(([name, same]) => [
    name,
    same.map(({ check, status }) => ({
      ...{ componentId: check.id, status },
      ...(check.checked_at === null ? {} : { time: check.checked_at }),
      ...(check.latency_ms === null ? {} : { observedValue: Math.round(check.latency_ms), observedUnit: 'ms' }),
      ...(status === 'pass' ? {} : { output: check.message }),
    })),
  ])
  const body = { status: worst, version: 'v1', serviceId: 'gatehouse', checks: Object.fromEntries(entries) }
  return { status: worst === 'fail' ? 503 : 200, body: JSON.stringify(body) }
}
