import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { policySchema } from '../escalation/policy.ts'
import { severities } from '../schema.ts'
import { iso } from '../show.ts'
import { nextTurns, type OnCall, onCallAt, type Schedule, scheduleSchema } from './rotation.ts'
import type { OnCallSettings } from './settings.ts'

const turn = z.object({
  ...{ name: z.string(), channels: z.array(z.string()), from: z.string(), until: z.string() },
  is_override: z.boolean(),
})
const scheduleReply = z.object({
  ...{ name: z.string(), schedule: scheduleSchema, now: turn.nullable(), next: z.array(turn) },
})
const policyReply = z.object({
  ...{ severity: z.enum(severities), is_default: z.boolean(), policy: policySchema },
})
const nameParam = z.object({
  name: z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/, 'A name is of letters, digits, dot, dash and underscore'),
})
const severityParam = z.object({ severity: z.enum(severities) })

/** `/api/on-call`: who is called, when, and in which order. The hub's own: its operators come, not its tenants. */
export function onCallRoutes({ onCall, clock }: { onCall: OnCallSettings; clock: Clock }): Route[] {
  const shared = { access: 'super_admin', tag: 'on-call' } as const
  const showTurn = ({ member, from, until, isOverride }: OnCall) => ({
    ...{ name: member.name, channels: member.channels, from: iso(from), until: iso(until), is_override: isOverride },
  })
  const showSchedule = (name: string, schedule: Schedule) => {
    const now = onCallAt(schedule, clock.now())
    return { name, schedule, now: now && showTurn(now), next: nextTurns(schedule, clock.now(), 5).map(showTurn) }
  }
  const showPolicy = (severity: (typeof severities)[number]) => ({
    ...{ severity, is_default: onCall.isDefault(severity), policy: onCall.policyOf(severity) },
  })
  return [
    defineRoute({
      ...{ ...shared, method: 'GET', path: '/api/on-call', summary: 'Who is on call now, and who is told of what.' },
      reply: z.object({ schedules: z.array(scheduleReply), policies: z.array(policyReply) }),
      handle: () => ({
        schedules: [...onCall.schedules()].map(([name, schedule]) => showSchedule(name, schedule)),
        policies: severities.map(showPolicy),
      }),
    }),
    defineRoute({
      ...{ ...shared, method: 'GET', path: '/api/on-call/schedules/:name', params: nameParam, reply: scheduleReply },
      summary: 'One schedule, who is on call and the next turns.',
      handle: ({ params }) => showSchedule(params.name, onCall.schedule(params.name)),
    }),
    defineRoute({
      ...{ ...shared, method: 'PUT', path: '/api/on-call/schedules/:name', params: nameParam, reply: scheduleReply },
      summary: 'Makes or replaces a schedule, its overrides included. `primary` is the one that default policies call.',
      body: scheduleSchema,
      async handle({ params, body }) {
        await onCall.writeSchedule(params.name, body)
        return showSchedule(params.name, body)
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'DELETE', path: '/api/on-call/schedules/:name', params: nameParam },
      summary: 'Removes a schedule: policies that name it find nobody there.',
      handle: ({ params }) => onCall.deleteSchedule(params.name),
    }),
    defineRoute({
      ...{
        ...shared,
        method: 'GET',
        path: '/api/on-call/policies/:severity',
        params: severityParam,
        reply: policyReply,
      },
      summary: 'Who is told of incidents of a severity that nobody has acknowledged.',
      handle: ({ params }) => showPolicy(params.severity),
    }),
    defineRoute({
      ...{
        ...shared,
        method: 'PUT',
        path: '/api/on-call/policies/:severity',
        params: severityParam,
        reply: policyReply,
      },
      ...{ summary: 'Replaces it.', body: policySchema },
      async handle({ params, body }) {
        await onCall.writePolicy(params.severity, body)
        return showPolicy(params.severity)
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'DELETE', path: '/api/on-call/policies/:severity', params: severityParam },
      summary: 'Goes back to the default.',
      handle: ({ params }) => onCall.deletePolicy(params.severity),
    }),
  ]
}
