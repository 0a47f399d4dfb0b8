import type { z } from 'zod'
import type { Job } from './job.ts'
import { type jobReply, showRun } from './schema.ts'
import type { MaintenanceStore } from './store.ts'
import { nextTurn } from './times.ts'
import type { Timings } from './timings.ts'

/** Jobs as they stand: when they run, how the last run ended, and since when nobody knows. */
export async function listJobs(
  { store, timings, jobs, now }: { store: MaintenanceStore; timings: Timings; jobs: readonly Job[]; now: number },
  isEnabled: boolean,
): Promise<z.infer<typeof jobReply>[]> {
  const [all, newest, marks] = [await timings.all(), await store.newest(), await store.marks()]
  return jobs.map(({ name, rhythm, summary }) => {
    const timing = all.get(name)!
    const isOn = isEnabled && timing.isEnabled
    const last = newest.get(name)
    const known = Math.max(marks.get(name)?.conclusiveAt ?? 0, timing.seenAt)
    // The first turn after the last of which somebody knows how it ended.
    const due = isOn ? nextTurn(timing.cron, timing.zone, known) : null
    return {
      ...{ name, rhythm, summary, enabled: timing.isEnabled, cron: timing.cron, zone: timing.zone },
      ...{ window_minutes: timing.windowMinutes, is_changed: timing.isChanged },
      next_at: isOn ? nextTurn(timing.cron, timing.zone, now) : null,
      late_seconds: due === null || due > now ? 0 : Math.floor((now - due) / 1000),
      last: last === undefined ? null : showRun(last),
    }
  })
}
