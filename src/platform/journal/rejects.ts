import { appendFileSync, closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { makePrivate, readTextIfPresent } from '../files.ts'
import type { JournalReject } from './entry.ts'

/** Rows that no store would take, a JSON object a line, for a person to look at. */
export type Rejects = {
  /** Returns once the row is on the disk: from then on nothing else holds it. */
  add(reject: JournalReject): void
  /** Oldest first. A line that was never finished is no row: its entry is still in the queue. */
  read(): JournalReject[]
  bytes(): number
}

export function openRejects(file: string): Rejects {
  makePrivate(file)
  let bytes = 0
  let endsInLine = true
  const look = () => {
    const fd = openSync(file, 'r')
    try {
      bytes = fstatSync(fd).size
      const last = Buffer.alloc(1)
      endsInLine = bytes === 0 || (readSync(fd, last, 0, 1, bytes - 1) === 1 && last[0] === 0x0a)
    } finally {
      closeSync(fd)
    }
  }
  look()
  return {
    add({ seq, at, reason, body }) {
      try {
        appendFileSync(file, `${endsInLine ? '' : '\n'}${JSON.stringify({ seq, at, reason, body })}\n`, { flush: true })
      } finally {
        look()
      }
    },
    read: () => (readTextIfPresent(file) ?? '').split('\n').flatMap(parseLine),
    bytes: () => bytes,
  }
}

function parseLine(line: string): JournalReject[] {
  try {
    const { seq, at, reason, body } = JSON.parse(line) as JournalReject
    return typeof seq === 'number' && typeof body === 'string' ? [{ seq, body, reason, at }] : []
  } catch {
    return []
  }
}
