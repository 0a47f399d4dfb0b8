/**
 * The thread that reads foreign databases and adds their rows up, so that neither a large file nor a million rows hold
 * up the event loop that serves callers.
 */
import { systemClock } from '../kernel/clock.ts'
import { answerCalls } from '../platform/thread.ts'
import type { NameKind, Reader, ReaderOptions, ReadWish } from './reader.ts'
import { readers, type SourceKind } from './readers.ts'

/** A source as the thread knows it; another `version` of the same id is opened anew. */
export type Opened = ReaderOptions & { id: string; version: number; kind: SourceKind }

function createVerbs() {
  const open = new Map<string, { version: number; reader: Reader }>()

  function readerOf({ id, version, kind, ...options }: Opened): Reader {
    const known = open.get(id)
    if (known?.version === version) return known.reader
    void known?.reader.close()
    const reader = readers[kind](options, { now: () => performance.now(), sleep: systemClock.sleep })
    open.set(id, { version, reader })
    return reader
  }

  return {
    probe: (source: Opened) => readerOf(source).probe(),
    survey: ({ source, from, to }: { source: Opened; from: number; to: number }) => readerOf(source).survey(from, to),
    read: ({ source, ...wish }: ReadWish & { source: Opened }) => readerOf(source).read(wish),
    names: ({ source, kind, ids }: { source: Opened; kind: NameKind; ids: readonly string[] }) =>
      readerOf(source).names(kind, ids),
    /** What is known of it is forgotten, and its connections end. */
    async close(id: string): Promise<void> {
      const known = open.get(id)
      open.delete(id)
      await known?.reader.close()
    },
  }
}

export type SourceVerbs = ReturnType<typeof createVerbs>

answerCalls(createVerbs, { urgent: [] })
