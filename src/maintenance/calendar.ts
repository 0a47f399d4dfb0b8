import type { z } from 'zod'
import { fail } from '../kernel/errors.ts'
import type { calendarReply } from './schema.ts'
import type { MaintenanceStore } from './store.ts'
import { openings, turnsBetween } from './times.ts'
import type { Timings } from './timings.ts'

type Calendar = z.infer<typeof calendarReply>
type Entry = Calendar['data'][number]

const dayMs = 86_400_000
const longestDays = 100
const mostEntries = 1000

/** What was done, what is planned, and when checks are silent, in one list by time. */
export async function readCalendar(
  { store, timings, now }: { store: MaintenanceStore; timings: Timings; now: number },
  span: { from: number | undefined; to: number | undefined },
): Promise<Calendar> {
  const from = span.from ?? now - 7 * dayMs
  const to = span.to ?? from + 38 * dayMs
  if (to <= from) throw fail('invalid_request', 'The calendar ends before it begins: to is after from', { param: 'to' })
  if (to - from > longestDays * dayMs)
    throw fail('invalid_request', `Ask for at most ${longestDays} days at once`, { param: 'to' })

  const entries: Entry[] = []
  for (const run of await store.between(from, to, mostEntries + 1)) {
    entries.push({
      ...{ kind: 'run', from: run.begunAt || run.dueAt, to: run.finishedAt || null },
      ...{ name: run.job, state: run.state, run_id: run.id },
    })
  }
  for (const [name, { isEnabled, cron, zone, windowMinutes }] of await timings.all()) {
    if (!isEnabled) continue
    for (const at of turnsBetween(cron, zone, Math.max(from, now + 1), to, mostEntries))
      entries.push({
        ...{ kind: 'planned', from: at, to: at + windowMinutes * 60_000 },
        ...{ name, state: null, run_id: null },
      })
  }
  for (const { check, windows } of await store.windows()) {
    for (const opening of windows.flatMap((each) => openings(each, from, to, mostEntries)))
      entries.push({ kind: 'window', ...opening, name: check, state: null, run_id: null })
  }
  entries.sort((a, b) => a.from - b.from || a.name.localeCompare(b.name))
  return { from, to, data: entries.slice(0, mostEntries), is_cut: entries.length > mostEntries }
}
