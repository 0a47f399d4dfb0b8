import { createId } from '../../kernel/ids.ts'
import { type Change, forgetIfAlone, route, type State } from './held.ts'
import { type Active, mergeAlerts, type Posted, toActive } from './merge.ts'

/** Takes up what was posted: a new firing, more of a known one, or its end. */
export function takePosted(at: State, posted: Posted, now: number, change: Change): void {
  const next = inOurTime(toActive(posted), posted.postedAt, now)
  let before = at.actives.get(posted.fingerprint)
  if (before !== undefined && !before.isEnded && before.endsAt <= now) {
    end(at, before, now, change)
    before = at.actives.get(posted.fingerprint)
  }
  if (before === undefined) {
    // What is over and was never heard of concerns nobody.
    if (next.endsAt <= now) return
    at.actives.set(next.fingerprint, next)
    change.gone.delete(next.fingerprint)
    change.actives.add(next)
    change.news.push({ name: 'alert.fired', alert: next })
    for (const group of route(at, next, now, posted.isLate)) change.groups.add(group)
    return
  }
  const merged = mergeAlerts(before, next, now)
  if (merged === before) return
  const wasEnded = before.isEnded
  Object.assign(before, merged)
  change.actives.add(before)
  if (before.endsAt <= now) {
    if (!wasEnded) end(at, before, now, change)
    return
  }
  if (wasEnded) {
    before.isEnded = false
    change.news.push({ name: 'alert.fired', alert: before })
  }
  for (const group of route(at, before, now)) change.groups.add(group)
}

/**
 * What has begun or is over for whoever says so is so for everybody, also where our clock is behind theirs: the end of what nobody
 * had heard of fired until our clock had come as far.
 */
function inOurTime(said: Active, postedAt: number, now: number): Active {
  const moment = (at: number) => (at <= postedAt ? Math.min(at, now) : at)
  return { ...said, startsAt: moment(said.startsAt), endsAt: moment(said.endsAt) }
}

/** Its end was seen: it is kept as an ending, and announced. */
export function end(at: State, active: Active, now: number, change: Change): void {
  active.isEnded = true
  change.actives.add(active)
  const alert = { ...active }
  change.endings.push({ id: createId('alertEnding', now), alert, seenAt: now })
  change.news.push({ name: 'alert.resolved', alert })
  forgetIfAlone(at, active.fingerprint, change)
}
