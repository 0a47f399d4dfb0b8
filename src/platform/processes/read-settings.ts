import type { Child } from './child.ts'
import type { SeatWords } from './seat.ts'
import { StartFailed } from './supervisor.ts'

/**
 * The node's settings, read by a process that ends then: their schemas would stay in the memory of whoever reads them
 * itself. Rejects with `StartFailed`, and the reason, when nobody could start with them; that process has told more.
 */
export async function readSettings<S>(start: (seat: SeatWords) => Child): Promise<S> {
  const nowhere = { socket: '', controlSocket: '', host: '', port: 0, url: '' }
  const child = start({ name: 'settings', kind: 'settings', processes: 1, ...nowhere })
  let told: { settings: S } | null = null
  let reason: string | undefined
  child.onReport((report) => {
    if (report.kind === 'settings') told = { settings: report.settings as S }
    if (report.kind === 'unfit') reason = report.reason
  })
  const ended = await child.ended
  if (told === null) throw new StartFailed('settings', ended, reason)
  return (told as { settings: S }).settings
}
