import { z } from 'zod'
import { follow } from '../http/following.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { toPage } from '../kernel/page.ts'
import { readCalendar } from './calendar.ts'
import type { Job } from './job.ts'
import type { Keeper } from './keeper.ts'
import { calendarReply, jobPatch, jobReply, runReply, showRun, states } from './schema.ts'
import { listJobs } from './show.ts'
import type { MaintenanceStore } from './store.ts'
import type { Timings } from './timings.ts'

const tag = 'maintenance'
const access = 'super_admin'
const byName = z.strictObject({ name: z.string().max(64) })

type Parts = {
  store: MaintenanceStore
  timings: Timings
  keeper: Keeper
  jobs: readonly Job[]
  clock: Clock
  isEnabled: boolean
}

/** `/api/maintenance`: for super_admins, because jobs look at everybody's data. */
export function maintenanceRoutes({ store, timings, keeper, jobs, clock, isEnabled }: Parts): Route[] {
  const listed = () => listJobs({ store, timings, jobs, now: clock.now() }, isEnabled)
  async function find(id: string) {
    const run = await store.find(id)
    if (run === undefined) throw fail('not_found', `There is no run ${id}`)
    return showRun(run)
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/maintenance',
      summary: 'Every job: when it runs, how it ended last, and since when nobody knows; and what waits or runs.',
      ...{ access, tag },
      reply: z.object({
        enabled: z.boolean().describe('maintenance.enabled: jobs run by themselves.'),
        data: z.array(jobReply),
        open: z.array(runReply).describe('What waits or runs.'),
      }),
      async handle() {
        return { enabled: isEnabled, data: await listed(), open: (await store.open()).map(showRun) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/maintenance/calendar',
      summary: 'What was done and what is planned, with the windows in which checks tell nobody; at most 100 days.',
      ...{ access, tag },
      query: z.strictObject({
        from: z.coerce.number().int().min(0).optional().describe('Epoch ms; a week ago unless said.'),
        to: z.coerce.number().int().min(0).optional().describe('Epoch ms; 38 days after from unless said.'),
      }),
      reply: calendarReply,
      handle: ({ query }) => readCalendar({ store, timings, now: clock.now() }, { from: query.from, to: query.to }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/maintenance/runs',
      summary: 'What was done and how it ended, the newest first.',
      ...{ access, tag },
      query: z.strictObject({
        job: z.string().max(64).default(''),
        state: z.enum(states).optional(),
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(64).default(''),
      }),
      reply: z.object({ data: z.array(runReply), next_cursor: z.string().nullable() }),
      async handle({ query: { job, state, limit, cursor } }) {
        const runs = await store.list({
          ...{ job, limit: limit + 1, before: cursor },
          ...(state === undefined ? {} : { states: [state] }),
        })
        const { data, ...rest } = toPage(runs, limit, ({ id }) => id)
        return { ...rest, data: data.map(showRun) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/maintenance/runs/:id',
      summary: 'One run, with its progress while it runs.',
      ...{ access, tag },
      params: z.strictObject({ id: z.string().max(64) }),
      reply: runReply,
      handle: ({ params }) => find(params.id),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/maintenance/runs/:id/events',
      summary:
        'Follows a run as server-sent events: `progress` each second until it is over, then `end`, with the run.',
      ...{ access, tag },
      params: z.strictObject({ id: z.string().max(64) }),
      async handle({ params: { id }, closed }) {
        await find(id)
        const read = async () => {
          const told = await find(id)
          return { isOver: told.state !== 'waiting' && told.state !== 'running', told }
        }
        return follow(read, { clock, closed })
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/maintenance/jobs/:name/run',
      summary:
        'Wants a run now; a process with the role worker begins it within seconds. Ask for the run to see it end.',
      ...{ access, tag, status: 202 },
      params: byName,
      reply: runReply,
      async handle({ params, principal }) {
        return showRun(await keeper.want(params.name, principal?.id ?? ''))
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/maintenance/jobs/:name',
      summary: 'Changes when a job runs: cron, zone, window, or not at all.',
      ...{ access, tag },
      params: byName,
      body: jobPatch,
      reply: jobReply,
      async handle({ params, body }) {
        await timings.change(params.name, body)
        return (await listed()).find(({ name }) => name === params.name)
      },
    }),
  ]
}
