import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import type { Log } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { type Journal, type JournalOptions, openJournal } from './journal.ts'

const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => silentLog }

/** A folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-journal-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A journal as the hub opens it, silent, with whatever a test wants otherwise. */
export function openTestJournal(folder: string, options: Partial<JournalOptions> = {}): Journal {
  return openJournal({ folder, clock: systemClock, log: silentLog, metrics: createMetrics(), ...options })
}
