import { closeSync, openSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { makePrivate, readTextIfPresent } from '../files.ts'

/** A number in a file of its own, changed in place. It may be older than the last one written, never another. */
export type Mark = { write(value: number): void; close(): void }

const withSum = (digits: string) => `${digits} ${crc32(digits).toString(16).padStart(8, '0')}\n`

/** Opens the mark and reads it: 0 when nothing was written, or what was written cannot be trusted. */
export function openMark(file: string): Mark & { found: number } {
  const text = readTextIfPresent(file) ?? ''
  const digits = text.slice(0, 16)
  const found = /^\d{16}$/.test(digits) && withSum(digits) === text ? Number(digits) : 0
  makePrivate(file)
  const fd = openSync(file, 'r+')
  return {
    found,
    write: (value) => void writeSync(fd, withSum(String(value).padStart(16, '0')), 0),
    close: () => closeSync(fd),
  }
}
