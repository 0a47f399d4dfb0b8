import { duplexPair } from 'node:stream'
import { createLink, type Link } from './link.ts'
import type { Member } from './messages.ts'
import type { Switchboard } from './switchboard.ts'

let joined = 0

/** A process of a test: connected as a real one is, but for the process. `leave` is its end. */
export function joinSwitchboard(
  switchboard: Switchboard,
  kind: Member['kind'] = 'worker',
): { link: Link; name: string; leave(): void } {
  const [ours, theirs] = duplexPair()
  const name = `worker-${++joined}`
  const leave = switchboard.join(name, kind, theirs)
  return { link: createLink(ours), name, leave }
}
