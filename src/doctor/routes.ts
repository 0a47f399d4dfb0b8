import { Readable } from 'node:stream'
import { z } from 'zod'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { areas } from './finding.ts'
import { findings } from './findings/index.ts'
import { diagnose, judge } from './run.ts'
import { doctorReply, showDiagnosis } from './schema.ts'
import { createWorld, type DoctorParts } from './world.ts'

/** `/api/doctor`: what `gatehouse doctor` says, seen from inside the hub. Mending is for the command line. */
export function doctorRoutes(parts: Omit<DoctorParts, 'isOffline'>): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/doctor',
      summary: 'Looks at the hub and all it stands on: what is wrong, why, and what to do. Takes up to a minute.',
      ...{ access: 'super_admin', tag: 'doctor', limit: { points: 12, seconds: 60 } },
      query: z.strictObject({
        area: z.enum(areas).optional().describe('Only this area.'),
        offline: z.stringbool().default(false).describe('Asks no provider and not the public address.'),
      }),
      reply: doctorReply,
      async handle({ query: { area, offline } }) {
        const world = createWorld({ ...parts, isOffline: offline })
        try {
          const found = await diagnose(findings, world, area === undefined ? areas : [area])
          return { ...judge(found), findings: found.map(showDiagnosis) }
        } finally {
          await world.close()
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/doctor/stream',
      summary: 'Four events, 400 ms apart: whether what is before the hub keeps streams back shows when they arrive.',
      ...{ access: 'super_admin', tag: 'doctor', limit: { points: 12, seconds: 60 } },
      handle: () =>
        reply(200, Readable.from(drops(parts.clock)), {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
        }),
    }),
  ]
}

/** Nothing says that it wants no buffering: that is what is tried. */
async function* drops(clock: DoctorParts['clock']): AsyncGenerator<string> {
  for (const drop of [1, 2, 3, 4]) {
    if (drop > 1) await clock.sleep(400)
    yield `event: drop\ndata: {"drop":${drop}}\n\n`
  }
}
