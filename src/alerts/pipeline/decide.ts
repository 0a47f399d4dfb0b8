import type { NotifyReason } from '../alert.ts'

/** What a receiver was last told of a group: fingerprints of what fired and of what was over. */
export type Told = { firing: readonly string[]; resolved: readonly string[]; at: number }

export type Verdict = Extract<NotifyReason, 'first' | 'new_alerts' | 'new_resolved' | 'all_resolved' | 'repeat'> | null

/**
 * Whether a receiver is told of a group now, and why: Alertmanager's de-duplication, with one difference. What was told as
 * firing and is hidden since then stays told, so that its end is told too.
 * https://github.com/prometheus/alertmanager/blob/main/notify/notify.go
 */
export function decide(
  told: Told | null,
  now: { firing: readonly string[]; resolved: readonly string[]; hiddenFiring: readonly string[]; at: number },
  options: { repeatMs: number; sendsResolved: boolean },
): Verdict {
  if (told === null) return now.firing.length > 0 ? 'first' : null
  const was = new Set(told.firing)
  if (!now.firing.every((each) => was.has(each))) return was.size === 0 ? 'first' : 'new_alerts'
  const ended = now.resolved.filter((each) => was.has(each))
  if (now.firing.length === 0) {
    if (ended.length === 0) return null
    return now.hiddenFiring.some((each) => was.has(each)) ? 'new_resolved' : 'all_resolved'
  }
  const wasResolved = new Set(told.resolved)
  if (options.sendsResolved && !now.resolved.every((each) => wasResolved.has(each))) return 'new_resolved'
  return told.at < now.at - options.repeatMs ? 'repeat' : null
}

/** What the receiver knows once it was told. */
export function afterTelling(
  told: Told | null,
  now: { firing: readonly string[]; resolved: readonly string[]; hiddenFiring: readonly string[]; at: number },
): Told {
  const was = new Set(told?.firing)
  return {
    firing: [...now.firing, ...now.hiddenFiring.filter((each) => was.has(each))],
    resolved: now.resolved,
    at: now.at,
  }
}
