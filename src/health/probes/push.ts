import { Cron } from 'croner'
import { z } from 'zod'
import { isCron } from '../../kernel/windows.ts'
import { zone } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const pushProbe = defineProbe({
  type: 'push',
  describe: { en: 'Something calls in on time.', zh: '任务按时上报（心跳）。' },
  parameters: z
    .strictObject({
      every_seconds: z.int().min(1).max(31_536_000).optional().describe('Longest silence between two calls.'),
      cron: z
        .string()
        .max(200)
        .refine(isCron, 'is a cron expression of five or six fields')
        .optional()
        .describe('When it should call, in place of every_seconds.'),
      zone,
      grace_seconds: z.int().min(0).max(604_800).default(60).describe('How much later is still on time.'),
    })
    .refine(({ every_seconds: every, cron }) => (every === undefined) !== (cron === undefined), {
      error: 'one of every_seconds and cron is needed',
      path: ['every_seconds'],
    }),
  secrets: [],
  target: () => null,
  run({ every_seconds: every, cron, zone, grace_seconds: grace }, { clock, lastPush, createdAt }) {
    const heardAt = lastPush?.at ?? createdAt
    const dueAt = every === undefined ? nextOf(cron!, zone, heardAt) : heardAt + every * 1000
    const lateMs = clock.now() - dueAt
    const observed = {
      dueAt: new Date(dueAt).toISOString(),
      ...(lastPush === null ? {} : { heardAt: new Date(lastPush.at).toISOString() }),
    }
    if (lateMs > grace * 1000) {
      const told = lastPush === null ? 'Never called in' : 'Has not called in'
      return failed('late', `${told}; it was due ${Math.round(lateMs / 1000)} s ago.`, observed)
    }
    if (lastPush === null)
      return { outcome: 'unknown', reason: 'absent', message: 'Has not called in yet, and is not late.', observed }
    if (lastPush.status === 'down') return failed('reported', lastPush.message || 'Reports that it is down.', observed)
    const finding = ok(lastPush.message || 'Called in on time.', observed)
    return lastPush.pingMs === null ? finding : { ...finding, latencyMs: lastPush.pingMs }
  },
})

function nextOf(cron: string, zone: string, afterMs: number): number {
  // A job that calls a moment early has done that turn: what is awaited is the turn after it.
  const next = new Cron(cron, { timezone: zone, paused: true }).nextRun(new Date(afterMs))
  return next?.getTime() ?? Number.POSITIVE_INFINITY
}
