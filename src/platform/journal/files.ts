import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../log.ts'
import type { JournalEntry, JournalReject } from './entry.ts'
import { createLive } from './live.ts'
import { openMark } from './mark.ts'
import { carryOver } from './predecessor.ts'
import { openRejects } from './rejects.ts'
import { openSegments } from './segments.ts'

export type FilesOptions = {
  /** A SQLite file of this name with `.db` behind it, the journal of earlier versions, is taken over and removed. */
  folder: string
  clock: Clock
  log: Log
  /**
   * 'crash' survives the end of this process in any manner; 'power-loss' also the end of the machine, for one sync of
   * the disk per commit.
   */
  durability?: 'crash' | 'power-loss'
  /** The files stop growing here and appends fail, so that a store that is away for days can't fill the disk. */
  maxBytes?: number
}

/** The journal has reached the size it may have. */
export class JournalFull extends Error {}

/** The queue on the disk: files of rows, up to where they are settled, and what was set aside. */
export type JournalFiles = ReturnType<typeof openFiles>

/** As much as a busy commit writes: a disk with room for one small row only is still full. */
const probeBytes = 64 * 1024

/** Opens a folder that this process owns. Rows appended from now on have numbers above `aboveSeq`. */
export function openFiles(options: FilesOptions, aboveSeq = 0) {
  const { folder, clock, log, durability = 'crash', maxBytes = 4 * 1024 ** 3 } = options
  const stamp = () => new Date(clock.now()).toISOString().replaceAll(/[:.]/g, '-')
  const segments = openSegments({
    folder,
    isSynced: durability === 'power-loss',
    segmentBytes: Math.min(16 * 1024 ** 2, Math.max(64 * 1024, maxBytes / 8)),
    stamp,
    onDamage: (aside) =>
      log.error('The journal is damaged; the damaged file was kept aside and its sound rows go on', {
        file: aside,
        remedy: `rows that were not settled yet may be read in that file: strings "${aside}"`,
      }),
  })
  const rejects = openRejects(join(folder, 'rejects.jsonl'))
  const settled = openMark(join(folder, 'settled'))
  const live = createLive()
  for (const { firstSeq, count } of segments.found) live.add(firstSeq, count)
  const last = segments.found.at(-1)
  let lastSeq = Math.max(aboveSeq, settled.found, last === undefined ? 0 : last.firstSeq + last.count - 1)
  live.removeThrough(settled.found)
  for (const { seq } of rejects.read()) {
    live.removeOne(seq)
    // Numbers are never given twice: a new row with this one would be taken for set aside.
    lastSeq = Math.max(lastSeq, seq)
  }
  segments.dropThrough(settled.found)

  function append(bodies: readonly string[]): number {
    segments.append(bodies, lastSeq + 1)
    live.add(lastSeq + 1, bodies.length)
    lastSeq += bodies.length
    return lastSeq
  }

  function assertRoom(bytes: number): void {
    const held = segments.bytes() + rejects.bytes()
    if (held + bytes > maxBytes) throw new JournalFull(`the journal holds ${held} bytes of at most ${maxBytes}`)
  }

  const files = {
    /** Returns the number of the last one; those before it have the numbers before it. */
    append(bodies: readonly string[]): number {
      let bytes = 0
      for (const body of bodies) bytes += body.length
      assertRoom(bytes)
      return append(bodies)
    },
    read: (limit: number): JournalEntry[] => segments.read(live.first() ?? lastSeq + 1, limit, live.has),
    /** The store has these rows: that the mark or a file lags behind, if the disk refuses, does no harm. */
    remove(upToSeq: number): void {
      if (live.removeThrough(upToSeq) === 0) return
      settled.write(upToSeq)
      segments.dropThrough(upToSeq)
    },
    setAside(entry: JournalEntry, reason: string): void {
      if (!live.has(entry.seq)) return
      rejects.add({ seq: entry.seq, at: clock.now(), reason, body: entry.body })
      live.removeOne(entry.seq)
    },
    rejects: (limit: number): JournalReject[] => rejects.read().reverse().slice(0, limit),
    size: live.size,
    lastSeq: () => lastSeq,
    probe(): void {
      segments.mend()
      assertRoom(probeBytes)
      const file = join(folder, 'probe')
      try {
        writeFileSync(file, Buffer.alloc(probeBytes), { mode: 0o600, flush: durability === 'power-loss' })
      } finally {
        rmSync(file, { force: true })
      }
    },
    /** Leaves no rows behind that nobody wants. */
    close(): void {
      segments.close()
      settled.close()
      if (live.size() === 0) segments.dropThrough(lastSeq)
    },
  }

  const firstCarried = lastSeq + 1
  try {
    carryOver(`${folder}.db`, {
      takeEntries: (bodies) => void append(bodies),
      takeReject: ({ body, reason, at }) => rejects.add({ seq: ++lastSeq, body, reason, at }),
      keep: segments.sync,
      stamp,
      onDamage: (aside, error) =>
        log.error('The journal of an earlier version is damaged; it was moved aside', {
          file: aside,
          error,
          remedy: `rows that were not settled yet are in that file; try: sqlite3 "${aside}" .recover`,
        }),
    })
  } catch (error) {
    // The next start takes them over again.
    segments.dropFrom(firstCarried)
    segments.close()
    settled.close()
    throw error
  }
  return files
}
