import { createNewApiReader, type ReaderParts } from './new-api/index.ts'
import type { Reader, ReaderOptions } from './reader.ts'

/** Gateways that can be read, by the kind that a source names. */
export const readers = {
  'new-api': createNewApiReader,
} as const satisfies Record<string, (options: ReaderOptions, parts: ReaderParts) => Reader>

export type SourceKind = keyof typeof readers
