import { z } from 'zod'
import { follow, type Standing } from '../http/following.ts'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { toPage } from '../kernel/page.ts'
import type { Begun, Desk } from './desk.ts'
import { quarterOf, readQuarter, toMarkdown, writeReport } from './report.ts'
import { backupReply, runKinds, runReply, showRun } from './schema.ts'
import type { BackupsStore } from './store.ts'

const tag = 'backups'
const access = 'super_admin'
const byId = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) })
const page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).default(''),
})
const waiting = z.strictObject({
  wait: z.stringbool().default(true).describe('false: answers 202 when it has begun; follow it by its events.'),
})
const step = z.object({ step: z.string(), zh: z.string(), told: z.array(z.string()) })

/** `/api/backups`: for super_admins, because a backup is of everybody's data. Restoring is for the command line: it stops the hub. */
export function backupRoutes({ desk, store, clock }: { desk: Desk; store: BackupsStore; clock: Clock }): Route[] {
  async function find(id: string) {
    const found = (await desk.list()).find((each) => each.id === id)
    if (found === undefined) throw fail('not_found', `There is no backup ${id} in ${desk.where}`)
    return found
  }

  /** What this node does tells how far it is; of another's work only the end is known here. */
  async function standingOf(id: string): Promise<Standing> {
    const now = desk.progress()
    if (now?.id === id) return { isOver: false, told: showProgress(now) }
    const run = await store.find(id)
    if (run?.outcome === 'running') return { isOver: false, told: null }
    return { isOver: true, told: run === undefined ? null : showRun(run) }
  }

  /** The run as it is when it has ended, or, for who does not wait, when it has begun: then with 202. */
  async function answer(isWaiting: boolean, start: (onBegun: Begun) => Promise<unknown>) {
    const begun = Promise.withResolvers<string>()
    const done = start(begun.resolve)
    // Before it has begun a failure is the answer; afterwards the run tells it.
    done.catch(begun.reject)
    const id = await begun.promise
    if (isWaiting) await done
    const run = showRun((await store.find(id))!)
    return isWaiting ? run : reply(202, run)
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/backups',
      summary: 'Backups that are there, the newest first, and what is under way on this node.',
      ...{ access, tag },
      reply: z.object({
        data: z.array(backupReply),
        where: z.string(),
        running: z
          .object({
            id: z.string(),
            kind: z.string(),
            step: z.string().describe('begin, write, read back, fill, compare or ask.'),
            rows: z.int(),
            bytes: z.int().describe('Read so far.'),
            written_bytes: z.int(),
          })
          .nullable(),
      }),
      async handle() {
        const now = desk.progress()
        return { data: await desk.list(), where: desk.where, running: now && showProgress(now) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/backups',
      summary:
        'Takes a backup now and answers when it was read back. An increment becomes a full one where it can build on none.',
      ...{ access, tag },
      query: waiting,
      body: z.strictObject({ kind: z.enum(['full', 'increment']).default('full') }),
      reply: runReply,
      status: 201,
      handle: ({ body, query }) => answer(query.wait, (onBegun) => desk.take(body.kind, onBegun)),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/backups/runs',
      summary: 'What was done about backups, and how it ended; the newest first.',
      ...{ access, tag },
      query: page,
      reply: z.object({ data: z.array(runReply), next_cursor: z.string().nullable() }),
      async handle({ query }) {
        const runs = await store.list({ kinds: runKinds, limit: query.limit + 1, before: query.cursor })
        const { data, ...rest } = toPage(runs, query.limit, ({ id }) => id)
        return { ...rest, data: data.map(showRun) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/backups/drills',
      summary: 'Drills, the newest first.',
      ...{ access, tag },
      query: page,
      reply: z.object({ data: z.array(runReply), next_cursor: z.string().nullable() }),
      async handle({ query }) {
        const runs = await store.list({ kinds: ['drill'], limit: query.limit + 1, before: query.cursor })
        const { data, ...rest } = toPage(runs, query.limit, ({ id }) => id)
        return { ...rest, data: data.map(showRun) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/backups/drills',
      summary:
        'Restores the newest backup and a random older one beside the store, compares and asks them, and answers what it found.',
      ...{ access, tag },
      query: waiting,
      reply: runReply,
      status: 201,
      handle: ({ query }) => answer(query.wait, desk.drill),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/backups/drills/report',
      summary:
        'What the drills of a quarter showed, in the five steps of a recovery; as Markdown with Accept: text/markdown.',
      ...{ access, tag },
      query: z.strictObject({
        quarter: z.string().max(10).default('').describe('Such as 2026-Q4; empty for this one.'),
      }),
      reply: z.object({
        quarter: z.string(),
        drills: z.int(),
        passed: z.int(),
        failed: z.int(),
        inconclusive: z.int(),
        steps: z.array(step),
      }),
      async handle({ query, accept }) {
        const quarter = query.quarter || quarterOf(clock.now())
        const span = readQuarter(quarter)
        if (span === null) throw fail('invalid_request', 'A quarter is written 2026-Q4', { param: 'quarter' })
        const runs = await store.list({ kinds: ['drill'], limit: 1000, since: span.from })
        const report = writeReport(
          quarter,
          runs.filter(({ startedAt }) => startedAt < span.to),
        )
        if (!accept.includes('text/markdown')) return report
        return reply(200, toMarkdown(report), { 'content-type': 'text/markdown; charset=utf-8' })
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/backups/:id',
      summary: 'One backup.',
      ...{ access, tag },
      params: byId,
      reply: backupReply,
      handle: ({ params }) => find(params.id),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/backups/:id/events',
      summary:
        'Follows a run as server-sent events: `progress` each second while it is under way on this node, then `end` with the run.',
      ...{ access, tag },
      params: byId,
      async handle({ params: { id }, closed }) {
        if ((await store.find(id)) === undefined) throw fail('not_found', `There is no run ${id}`)
        return follow(() => standingOf(id), { clock, closed })
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/backups/:id/verify',
      summary:
        'Reads all of a backup and of what it builds on back; answers 409 with the cause when it is not what was written.',
      ...{ access, tag },
      params: byId,
      reply: backupReply,
      async handle({ params }) {
        await find(params.id)
        await desk.verify(params.id)
        return find(params.id)
      },
    }),
  ]
}

function showProgress(now: NonNullable<ReturnType<Desk['progress']>>) {
  const { id, kind, step, rows, bytes, writtenBytes } = now
  return { id, kind, step, rows, bytes, written_bytes: writtenBytes }
}
