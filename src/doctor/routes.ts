import { Readable } from 'node:stream'
import { z } from 'zod'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { type Area, areas } from './finding.ts'
import { findings } from './findings/index.ts'
import { listMendings, mend, undoMending } from './mend.ts'
import { type Diagnosis, diagnose, judge } from './run.ts'
import { doctorReply, fixReply, mendingsReply, showDiagnosis, undoReply } from './schema.ts'
import { createWorld, type DoctorParts } from './world.ts'

const limit = { points: 12, seconds: 60 }
const scope = { access: 'super_admin', tag: 'doctor' } as const

/** `/api/doctor`: what `gatehouse doctor` says and mends, seen from inside the hub. */
export function doctorRoutes(parts: Omit<DoctorParts, 'isOffline'>): Route[] {
  const dataDir = parts.settings?.data.dir ?? ''

  async function look(area: Area | undefined, isOffline: boolean, use?: (found: Diagnosis[]) => Promise<void>) {
    const world = createWorld({ ...parts, isOffline })
    try {
      const found = await diagnose(findings, world, area === undefined ? areas : [area])
      // What mends may need what is open.
      await use?.(found)
      return found
    } finally {
      await world.close()
    }
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/doctor',
      summary: 'Looks at the hub and all it stands on: what is wrong, why, and what to do. Takes up to a minute.',
      ...{ ...scope, limit },
      query: z.strictObject({
        area: z.enum(areas).optional().describe('Only this area.'),
        offline: z.stringbool().default(false).describe('Asks no provider and not the public address.'),
      }),
      reply: doctorReply,
      async handle({ query: { area, offline } }) {
        const found = await look(area, offline)
        return { ...judge(found), findings: found.map(showDiagnosis) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/doctor/fix',
      action: 'doctor.fix',
      summary: 'Mends what can be mended without risk, and looks again. A dry run unless said.',
      ...{ ...scope, limit },
      body: z.strictObject({
        area: z.enum(areas).optional().describe('Only this area.'),
        findings: z.array(z.string().max(100)).max(100).optional().describe('Only these; all of them unless said.'),
        dry_run: z.boolean().default(true).describe('Only tells what would be done.'),
      }),
      reply: fixReply,
      async handle({ body: { area, findings: wanted, dry_run }, audit }) {
        let mended: Awaited<ReturnType<typeof mend>> = { fixes: [], id: null, script: null }
        const found = await look(area, true, async (all) => {
          const chosen = wanted === undefined ? all : all.filter(({ id }) => wanted.includes(id))
          mended = await mend(chosen, { dataDir, clock: parts.clock, isDry: dry_run })
        })
        const { fixes, id } = mended
        audit?.({ target: dry_run ? 'dry run' : (id ?? ''), after: { fixes } })
        // Only a second look proves that it helped.
        const after = dry_run || fixes.length === 0 ? found : await look(area, true)
        const shown = { ...judge(after), findings: after.map(showDiagnosis) }
        return { ...shown, dry_run, fixes, undo_id: id }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/doctor/fixes',
      summary: 'What the doctor has mended here and can undo, the newest first; at most 100.',
      ...scope,
      reply: mendingsReply,
      handle: async () => listMendings(dataDir),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/doctor/undo',
      action: 'doctor.undo',
      summary: 'Brings back how things were before the doctor mended them.',
      ...scope,
      body: z.strictObject({ id: z.string().regex(/^doctor-undo-[0-9TZ-]{10,40}$/) }),
      reply: undoReply,
      async handle({ body: { id }, audit }) {
        const undone = undoMending(dataDir, id)
        audit?.({ target: id, after: { undone } })
        return { undone }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/doctor/stream',
      summary: 'Four events, 400 ms apart: whether what is before the hub keeps streams back shows when they arrive.',
      ...{ ...scope, limit },
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
