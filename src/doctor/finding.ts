import { scrub } from '../platform/scrub.ts'
import type { Words } from './words.ts'
import type { World } from './world.ts'

export type { Words } from './words.ts'

export const areas = [
  'configuration',
  'program',
  'machine',
  'network',
  'hub',
  'database',
  'redis',
  'secrets',
  'ledger',
  'providers',
  'services',
  'backups',
  'edge',
] as const
export type Area = (typeof areas)[number]

export const severities = ['critical', 'major', 'minor'] as const
export const statuses = ['ok', 'warn', 'fail', 'skip', 'inconclusive'] as const
export type Status = (typeof statuses)[number]

/** What brings back how it was. */
export type Undo = { kind: 'mode'; path: string; mode: number } | { kind: 'remove_folder'; path: string }

/** Something safe that `--fix` may do: it takes nothing away that anybody could miss. `undo` is null where nothing is. */
export type Fix = { what: Words; undo: Undo | null; apply(): void | Promise<void> }

/** What a check saw. `evidence` is facts; cause and remedy only where something is wrong or cannot be known. */
export type Seen = { status: Status; evidence: string; cause?: Words; remedy?: Words; fixes?: readonly Fix[] }

export type Finding = {
  /** snake_case; also its section in docs/runbook/doctor.md. */
  id: string
  area: Area
  /** How bad it is where it is found. */
  severity: (typeof severities)[number]
  /** Rejections are `inconclusive`: nobody knows then. */
  run(world: World): Promise<Seen> | Seen
}

/** `Finding` as it is, for inference and for reading. */
export function defineFinding(finding: Finding): Finding {
  return finding
}

export function ok(evidence: string): Seen {
  return { status: 'ok', evidence }
}

/** It does not concern this hub. */
export function skip(evidence: string): Seen {
  return { status: 'skip', evidence }
}

/** It concerns this hub, and nobody can tell. */
export function unknown(evidence: string, why: Words): Seen {
  return { status: 'inconclusive', evidence: scrub(evidence), cause: why }
}

export function warn(evidence: string, cause: Words, remedy: Words, fixes: readonly Fix[] = []): Seen {
  return { status: 'warn', evidence: scrub(evidence), cause, remedy, fixes }
}

export function bad(evidence: string, cause: Words, remedy: Words, fixes: readonly Fix[] = []): Seen {
  return { status: 'fail', evidence: scrub(evidence), cause, remedy, fixes }
}
