import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { healthJsonType, toHealthJson } from './health-json.ts'
import { checkReply, healthReply, judge, liveReply, readyReply, type Verdict, versionReply } from './schema.ts'

export type HealthView = {
  verdicts(): readonly Verdict[]
  isReady(): boolean
  /** Workers without a turn for two intervals. */
  stalled(): readonly { worker: string; ageMs: number; allowedMs: number }[]
  clock: Clock
  version: string
  /** Shown by `/version` when it is not ''. */
  environment: string
}

const uncached = { 'cache-control': 'no-store' }

/** All of them answer from memory. Probes are public, and tell callers without credentials states only. */
export function healthRoutes(view: HealthView): Route[] {
  const tag = 'health'
  const open = { method: 'GET', access: 'public', tag } as const
  return [
    ...['/health', '/healthz', '/api/health'].map((path) =>
      defineRoute({
        ...open,
        path,
        summary: `How the hub is, check by check; 503 when unhealthy. Also as ${healthJsonType} when Accept asks for it.`,
        reply: healthReply,
        handle: ({ principal, accept }) => {
          const { status, body } = readHealth(view, principal !== null)
          const code = status === 'unhealthy' ? 503 : 200
          if (!accept.includes(healthJsonType)) return reply(code, body, uncached)
          const text = toHealthJson({ status, version: view.version, verdicts: view.verdicts() }, principal !== null)
          return reply(code, text, { ...uncached, 'content-type': healthJsonType })
        },
      }),
    ),
    ...['database', 'redis', 'ai_service'].map((name) =>
      defineRoute({
        ...open,
        path: `/health/${name}`,
        summary: `What the check ${name} came to; 503 when it failed or did not answer.`,
        reply: checkReply,
        handle: ({ principal }) => {
          const verdict = view.verdicts().find(({ check }) => check === name)!
          const isDown = verdict.state === 'failed' || verdict.state === 'inconclusive'
          return reply(isDown ? 503 : 200, describeCheck(verdict, principal !== null), uncached)
        },
      }),
    ),
    defineRoute({
      ...open,
      path: '/livez',
      summary:
        'Whether the workers of the process go on: 503 names those without a turn for two intervals. What they work with is not looked at: a restart mends no database.',
      reply: liveReply,
      handle: () => {
        const stalled = view.stalled().map(({ worker, ageMs, allowedMs }) => ({
          ...{ worker, age_seconds: Math.round(ageMs / 1000), allowed_seconds: Math.round(allowedMs / 1000) },
        }))
        return stalled.length === 0
          ? reply(200, { status: 'alive' }, uncached)
          : reply(503, { status: 'stalled', stalled }, uncached)
      },
    }),
    defineRoute({
      ...open,
      path: '/readyz',
      summary:
        'Whether to send calls here: not while starting or stopping. An outage of the database is no reason not to.',
      reply: readyReply,
      handle: () => {
        const isReady = view.isReady()
        const degraded = judge(view.verdicts()) !== 'healthy'
        return reply(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not_ready', degraded }, uncached)
      },
    }),
    defineRoute({
      ...open,
      path: '/version',
      summary: 'What runs here.',
      reply: versionReply,
      handle: () => ({
        version: view.version,
        api_version: 'v1' as const,
        node: process.versions.node,
        ...(view.environment === '' ? {} : { environment: view.environment }),
      }),
    }),
  ]
}

function readHealth({ verdicts, clock, version }: HealthView, isDetailed: boolean) {
  const all = verdicts()
  const status = judge(all)
  const body = {
    status,
    timestamp: new Date(clock.now()).toISOString(),
    service: 'gatehouse' as const,
    version,
    checks: Object.fromEntries(all.map(({ check, state }) => [check, state])),
    ...(isDetailed ? { details: Object.fromEntries(all.map((each) => [each.check, describeFully(each)])) } : {}),
  }
  return { status, body }
}

function describeFully({ state, message, remedy, observed, checkedAt, latencyMs }: Verdict) {
  return {
    state,
    message,
    remedy,
    observed,
    checked_at: new Date(checkedAt).toISOString(),
    latency_ms: Math.round(latencyMs),
  }
}

function describeCheck({ state, message, checkedAt, latencyMs }: Verdict, isDetailed: boolean) {
  return {
    status: state,
    timestamp: new Date(checkedAt).toISOString(),
    ...(isDetailed ? { message } : {}),
    latency_ms: Math.round(latencyMs),
  }
}
