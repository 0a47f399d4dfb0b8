import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { scopeOf } from '../../kernel/scope.ts'
import type { Reports } from '../report/reports.ts'
import { severities } from '../schema.ts'
import { iso } from '../show.ts'
import type { Zone } from '../zone.ts'
import { type Calendars, calendarOf, slaClocks, targets, writeAmount } from './targets.ts'

const count = z.number().int()
const span = count.nullable()
const statistics = z.object({
  severity: z.enum(['all', ...severities]),
  opened: count,
  active: count,
  at_risk: count,
  reopened: count,
  mtta_ms: span.describe('Mean time until somebody had it, on the wall.'),
  mttr_ms: span.describe('Mean time until all was as it was, on the wall.'),
  clocks: z.array(
    z.object({
      ...{ clock: z.enum(slaClocks), met: count, breached: count, share: z.number().nullable() },
      ...{ mean_gross_ms: span, mean_net_ms: span, p50_gross_ms: span, p95_gross_ms: span },
    }),
  ),
})

const dayMs = 86_400_000

/** `/api/sla` */
export function slaRoutes(parts: { reports: Reports; calendars: Calendars; zone: Zone; clock: Clock }): Route[] {
  const { reports, calendars, zone, clock } = parts
  return [
    defineRoute({
      ...{ access: 'tenant_admin', tag: 'incidents', method: 'GET', path: '/api/sla' },
      summary: 'Targets, and how well incidents of a time met them: MTTA, MTTR, shares.',
      query: z.strictObject({
        from: z.iso.datetime({ offset: true }).optional().describe('30 days ago where it is not said.'),
        to: z.iso.datetime({ offset: true }).optional().describe('Exclusive; now where it is not said.'),
      }),
      reply: z.object({
        ...{ from: z.string(), to: z.string(), zone: z.string() },
        targets: z.array(
          z.object({
            ...{ severity: z.enum(severities), calendar: z.enum(['24x7', 'working']) },
            ...{ response: z.string(), handling: z.string(), recovery: z.string() },
          }),
        ),
        data: z.array(statistics),
      }),
      async handle({ principal, query }) {
        const to = query.to === undefined ? clock.now() : Date.parse(query.to)
        const from = query.from === undefined ? to - 30 * dayMs : Date.parse(query.from)
        if (from >= to) throw fail('invalid_request', 'from is not before to', { param: 'from' })
        const data = await reports.statistics(scopeOf(principal!), from, to)
        return {
          ...{ from: iso(from), to: iso(to), zone: zone.name },
          targets: severities.map((severity) => ({
            ...{ severity, calendar: calendarOf(severity, calendars).name },
            response: writeAmount(targets[severity].response, 'en'),
            handling: writeAmount(targets[severity].handling, 'en'),
            recovery: writeAmount(targets[severity].recovery, 'en'),
          })),
          data: data.map(({ atRisk, clocks, ...rest }) => ({
            ...rest,
            ...{ at_risk: atRisk, mtta_ms: clocks[0]!.meanGrossMs, mttr_ms: clocks[2]!.meanGrossMs },
            clocks: clocks.map(({ clock, met, breached, share, ...times }) => ({
              ...{ clock, met, breached, share, mean_gross_ms: times.meanGrossMs, mean_net_ms: times.meanNetMs },
              ...{ p50_gross_ms: times.p50GrossMs, p95_gross_ms: times.p95GrossMs },
            })),
          })),
        }
      },
    }),
  ]
}
