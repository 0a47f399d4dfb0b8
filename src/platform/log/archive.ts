import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

/** A file that was put aside: `api.log.2026-11-28.0001`, with `.gz` once it is packed. */
export type Archive = { name: string; base: string; day: string; number: number; isPacked: boolean }

export type LogLimits = {
  keepDays: number
  /** Of all files together, those that are written to included. */
  maxTotalBytes: number
}

const draft = '.draft'
const dayMs = 86_400_000

/** The day of a moment in UTC, as times on lines have it. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

export function readArchiveName(name: string): Archive | null {
  const found = /^([a-z-]+\.log)\.(\d{4}-\d\d-\d\d)\.(\d{4,9})(\.gz)?$/.exec(name)
  if (found === null) return null
  return { name, base: found[1]!, day: found[2]!, number: Number(found[3]), isPacked: found[4] !== undefined }
}

/** Oldest first. */
export function byAge(one: Archive, other: Archive): number {
  return one.day === other.day ? one.number - other.number : one.day < other.day ? -1 : 1
}

/** Where `path` goes when it is put aside: a name that nobody has, packed or not. */
export async function nextArchive(path: string, day: string): Promise<string> {
  const base = basename(path)
  const taken = (await readdir(dirname(path)))
    .map(readArchiveName)
    .flatMap((each) => (each?.base === base && each.day === day ? [each.number] : []))
  const number = Math.max(0, ...taken) + 1
  return `${path}.${day}.${String(number).padStart(4, '0')}`
}

/**
 * Deletes what is too old, or too much, oldest first; then packs what was put aside, but for the newest of each kind, which a
 * shipper may still read. Resolves with how many bytes all files have. What a kill left half done is cleared away.
 */
export async function tidyArchives(
  folder: string,
  { keepDays, maxTotalBytes }: LogLimits,
  now: number,
): Promise<number> {
  const names = await readdir(folder)
  for (const name of names) if (name.endsWith(`.gz${draft}`)) await rm(join(folder, name), { force: true })
  const archives = names.flatMap((name) => readArchiveName(name) ?? []).sort(byAge)
  const packed = new Set(archives.filter(({ isPacked }) => isPacked).map(({ name }) => name))
  const kept: (Archive & { bytes: number })[] = []
  const oldest = dayOf(now - keepDays * dayMs)
  for (const archive of archives) {
    const isTwice = packed.has(`${archive.name}.gz`)
    if (isTwice || archive.day < oldest) await rm(join(folder, archive.name), { force: true })
    else kept.push({ ...archive, bytes: await sizeOf(join(folder, archive.name)) })
  }
  let total = 0
  for (const name of names) if (name.endsWith('.log')) total += await sizeOf(join(folder, name))
  for (const { bytes } of kept) total += bytes
  while (total > maxTotalBytes && kept.length > 0) {
    const { name, bytes } = kept.shift()!
    await rm(join(folder, name), { force: true })
    total -= bytes
  }
  for (const [i, { name, base, isPacked, bytes }] of kept.entries()) {
    const isNewest = !kept.slice(i + 1).some((later) => later.base === base)
    if (isPacked || isNewest) continue
    total += (await pack(join(folder, name))) - bytes
  }
  return total
}

/** It keeps its time, which tells when its last line came. */
async function pack(path: string): Promise<number> {
  const half = `${path}.gz${draft}`
  try {
    const { atime, mtime, mode } = await stat(path)
    await pipeline(createReadStream(path), createGzip({ level: 4 }), createWriteStream(half, { mode, flush: true }))
    await utimes(half, atime, mtime)
    await rename(half, `${path}.gz`)
    await rm(path)
    return await sizeOf(`${path}.gz`)
  } catch (error) {
    await rm(half, { force: true }).catch(() => {})
    throw error
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0
}

/** What lies in a folder of logs: how many files, their bytes, and the day of the oldest that was put aside ('' for none). */
export async function measureArchives(folder: string): Promise<{ files: number; bytes: number; oldestDay: string }> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.log($|\.)/.test(name))
  let bytes = 0
  for (const name of names) bytes += await sizeOf(join(folder, name))
  const days = names.flatMap((name) => readArchiveName(name)?.day ?? []).sort()
  return { files: names.length, bytes, oldestDay: days[0] ?? '' }
}
