import type { Clock } from '../../kernel/clock.ts'

/**
 * When each instance was heard last. Beats stay in memory and are written together every few seconds; beats that other
 * nodes heard are found by a moved number in the store. Silence is measured by this node's monotonic clock from the
 * moment it learnt of a beat: no wall clock, of this or another machine, can make an instance late.
 */
export type Hearing = {
  note(instanceId: string): void
  /** How long it has been silent, and what its pace is. Time in which this hub could hear nothing does not count. */
  silenceOf(instanceId: string): { silentMs: number; paceMs: number }
  /** Epoch ms of the last beat known here; undefined for none. */
  lastAt(instanceId: string): number | undefined
  /** Beats that no other node knows of; `putBack` them when they could not be written. */
  take(): string[]
  putBack(ids: readonly string[]): void
  /** These were written with this time: finding them in the store is no news. */
  wrote(ids: readonly string[], at: number): void
  /** What the store says; moved numbers are beats that others heard. Ids that are in it no more are forgotten. */
  follow(rows: readonly { id: string; last_heard_at: number }[]): void
  /** The hub was deaf until now: everybody gets their whole time again. */
  restart(): void
  size(): number
}

type Heard = { at: number; mono: number; paceMs: number; stored: number }

/** Until an instance has shown its pace. Plugins of the first platform beat every 30 s, whatever they are told. */
const firstPaceMs = 30_000
/** Nobody makes itself safe from being found out by beating ever more slowly. */
const slowestPaceMs = 60_000

export function createHearing(clock: Clock): Hearing {
  const heard = new Map<string, Heard>()
  let unwritten = new Set<string>()
  let hearingSince = clock.monotonic()

  function beat(id: string, at: number, stored: number | undefined): void {
    const now = clock.monotonic()
    const known = heard.get(id)
    if (known === undefined) {
      heard.set(id, { at, mono: now, paceMs: firstPaceMs, stored: stored ?? 0 })
      return
    }
    // A gap across our own deafness says nothing of the instance.
    const gapMs = now - known.mono
    if (known.mono >= hearingSince && gapMs <= slowestPaceMs)
      known.paceMs = gapMs >= known.paceMs ? gapMs : (known.paceMs + gapMs) / 2
    known.at = at
    known.mono = now
    if (stored !== undefined) known.stored = stored
  }

  return {
    note(id) {
      beat(id, clock.now(), undefined)
      unwritten.add(id)
    },
    silenceOf(id) {
      const known = heard.get(id)
      const since = Math.max(known?.mono ?? hearingSince, hearingSince)
      return { silentMs: clock.monotonic() - since, paceMs: known?.paceMs ?? firstPaceMs }
    },
    lastAt: (id) => heard.get(id)?.at,
    take() {
      const taken = [...unwritten]
      unwritten = new Set()
      return taken
    },
    putBack(ids) {
      for (const id of ids) unwritten.add(id)
    },
    wrote(ids, at) {
      for (const id of ids) {
        const known = heard.get(id)
        if (known !== undefined) known.stored = at
      }
    },
    follow(rows) {
      const there = new Set<string>()
      for (const { id, last_heard_at } of rows) {
        there.add(id)
        if (heard.get(id)?.stored !== last_heard_at) beat(id, last_heard_at, last_heard_at)
      }
      for (const id of heard.keys()) if (!there.has(id)) heard.delete(id)
    },
    restart() {
      hearingSince = clock.monotonic()
    },
    size: () => heard.size,
  }
}
