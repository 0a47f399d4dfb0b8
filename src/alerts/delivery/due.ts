import type { ConfiguredChannel, Severity, Target, WorkingTime } from './schema.ts'

/** Why a channel of a receiver is not told of something; '' when it is. */
export function heldBackBy(
  target: Pick<Target, 'severities' | 'times'>,
  channel: Pick<ConfiguredChannel, 'enabled' | 'sendResolved'>,
  { severity, isOver, wasTold, at }: { severity: Severity; isOver: boolean; wasTold: boolean; at: number },
): '' | 'disabled' | 'severity' | 'working_time' | 'send_resolved' | 'not_told' {
  if (!channel.enabled) return 'disabled'
  // An end goes wherever its beginning went, at any hour, and nowhere else.
  if (isOver) return wasTold ? (channel.sendResolved ? '' : 'send_resolved') : 'not_told'
  if (target.severities.length > 0 && !target.severities.includes(severity)) return 'severity'
  if (target.times.length > 0 && !target.times.some((time) => isWithin(time, at))) return 'working_time'
  return ''
}

const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

/** By the clock on the wall of its zone: on the days that have 23 or 25 hours too. */
export function isWithin({ zone, days: own, from, to }: WorkingTime, at: number): boolean {
  const parts = new Intl.DateTimeFormat('en-GB', {
    ...{ timeZone: zone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  }).formatToParts(at)
  const part = (type: string) => parts.find((each) => each.type === type)!.value
  if (!own.includes(days.indexOf(part('weekday')) + 1)) return false
  const time = `${part('hour')}:${part('minute')}`
  return from <= time && time < to
}
