import type { InstanceState } from '../directory.ts'

/** What is known of one instance when it is judged. */
export type Suspect = {
  id: string
  state: InstanceState
  /** As stored. */
  silence: string
  poll: string
  isEphemeral: boolean
  isPolled: boolean
  silentMs: number
  /** The longest of the interval it was told and the one it keeps. */
  paceMs: number
  /** What asking it found: failed answers in a row, and the verdict that follows; '' for not asked yet. */
  failures: number
  found: '' | 'passing' | 'warning' | 'critical'
}

export type Judgement = {
  changes: { id: string; facts: { silence?: string; poll?: string }; reason: string }[]
  /** How many fell silent or failed together, of how many that were well; kept when `isProtected`. */
  silent: number
  total: number
  isProtected: boolean
}

export type JudgeRules = {
  missedHeartbeats: number
  /** 0 to 1; with 1 nothing is ever protected. */
  protectShare: number
}

/** Of two instances one may well be dead by itself; of three that fall silent together the hub is the likelier cause. */
export const fewestProtected = 3
/** Silent for longer than this many intervals, it is late; it gets calls still. */
const lateAfterBeats = 1.5

/**
 * Judges all instances together. Who is late is a `warning`, who missed `missedHeartbeats` intervals or failed too many
 * questions is `critical`: unless more than `protectShare` of all that were well are late or failing at the same time.
 * All who were cut off together are late long before the first of them would be critical, so none is lost on the way.
 */
export function judge(suspects: readonly Suspect[], rules: JudgeRules): Judgement {
  const wellOnes = suspects.filter(
    ({ state, isEphemeral, isPolled }) =>
      (isEphemeral || isPolled) && (state === 'passing' || state === 'warning' || state === 'starting'),
  )
  const silent = wellOnes.filter((each) => isLate(each) || (each.isPolled && each.failures > 0)).length
  const isTooMany = rules.protectShare < 1 && silent >= fewestProtected && silent > rules.protectShare * wellOnes.length
  let isProtected = false
  const changes: Judgement['changes'] = []
  for (const each of suspects) {
    if (each.state === 'gone') continue
    const isWell = each.state !== 'critical'
    const spare = (verdict: string) => {
      if (verdict !== 'critical' || !isTooMany || !isWell) return verdict
      isProtected = true
      return 'warning'
    }
    const silence = spare(silenceOf(each, rules))
    const poll = each.isPolled ? spare(each.found === '' ? each.poll : each.found) : ''
    if (silence !== each.silence) {
      changes.push({ id: each.id, facts: { silence }, reason: reasonOfSilence(silence, each.silentMs) })
    }
    if (poll !== each.poll) {
      changes.push({ id: each.id, facts: { poll }, reason: `its health path answered: ${poll || 'not asked'}` })
    }
  }
  return { changes, silent, total: wellOnes.length, isProtected }
}

function isLate({ isEphemeral, silentMs, paceMs }: Suspect): boolean {
  return isEphemeral && silentMs > lateAfterBeats * paceMs
}

function silenceOf(suspect: Suspect, { missedHeartbeats }: JudgeRules): '' | 'warning' | 'critical' {
  if (!suspect.isEphemeral) return ''
  if (suspect.silentMs > missedHeartbeats * suspect.paceMs) return 'critical'
  // What was stored stays until a beat lifts it, so that a new judge's patience does not bring the dead back.
  if (suspect.silence === 'critical' && suspect.silentMs > 0) return 'critical'
  return isLate(suspect) ? 'warning' : ''
}

function reasonOfSilence(silence: string, silentMs: number): string {
  return silence === '' ? 'it was heard again' : `no heartbeat for ${Math.round(silentMs / 1000)} s`
}
