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
