import type { FamilyReading } from '../metrics.ts'

/** How one process of this node is, as its supervisor sees it. */
export type Member = {
  /** `control`, `worker-1` … */
  name: string
  kind: 'control' | 'worker'
  /** `waiting`: it ended, and is started again when its pause is over. `retiring`: another does its work already. */
  state: 'starting' | 'running' | 'retiring' | 'waiting'
  pid: number
  /** How often it was started again after it had ended by itself. */
  restarts: number
}

/** All families, or the values of their samples in the same order when nothing else has changed. */
export type Metered = { families: FamilyReading[] } | { values: number[] }

/** What a process says on its wire to the supervisor. */
export type Said =
  | ['ask', id: number, verb: Verb, args: unknown[]]
  | ['announce', name: string, news: unknown]
  | ['metrics', told: Metered]

/** What the supervisor says to a process. */
export type Told =
  | ['answer', id: number, value: unknown]
  | ['refuse', id: number, reason: string]
  | ['announced', name: string, news: unknown]
  | ['metrics', from: string, told: Metered]
  | ['family', members: Member[]]

/** What the supervisor counts and grants for all of them. */
export const verbs = ['admit', 'settle', 'renew', 'raise', 'read', 'acquire', 'release'] as const
export type Verb = (typeof verbs)[number]

/** Over the channel that can carry connections. */
export type Order =
  | { kind: 'settings'; settings: unknown }
  | { kind: 'connection'; id: number }
  | { kind: 'retire'; limitMs: number }
  | { kind: 'ping' }
export type Report =
  | { kind: 'settings'; settings: unknown }
  | { kind: 'unfit'; reason: string }
  | { kind: 'ready' }
  | { kind: 'took'; id: number }
  | { kind: 'pong' }
  | { kind: 'replace-workers' }
