import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { removeEmptyFolder, setMode } from '../platform/diagnose/machine.ts'
import { isFolder, listFiles, readTextIfPresent, removeFile, writePrivateFile } from '../platform/files.ts'
import type { Undo, Words } from './finding.ts'
import type { Diagnosis } from './run.ts'

export type Mended = { finding: string; what: Words; undo: string; error: string | null }

/** What was mended at once, as it is written down: `id` is its name in the data folder. */
export type Mending = { id: string; at: number; fixes: { finding: string; what: Words; undo: Undo | null }[] }

const undoShape = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('mode'), path: z.string().min(1), mode: z.int().min(0).max(0o7777) }),
  z.strictObject({ kind: z.literal('remove_folder'), path: z.string().min(1) }),
])
const words = z.object({ en: z.string(), zh: z.string() })
const mendingShape = z.strictObject({
  ...{ id: z.string(), at: z.number() },
  fixes: z.array(z.strictObject({ finding: z.string(), what: words, undo: undoShape.nullable() })),
})

const prefix = 'doctor-undo-'
const mostKept = 100

/**
 * Does what findings offer, one by one; what fails does not keep the rest from being mended. How each is undone is written
 * down before the first is done: `<id>.sh` for a shell, `<id>.json` for `undoMending`. A dry run only tells.
 */
export async function mend(
  found: readonly Diagnosis[],
  { dataDir, clock, isDry }: { dataDir: string; clock: Pick<Clock, 'now'>; isDry: boolean },
): Promise<{ fixes: Mended[]; id: string | null; script: string | null }> {
  const wanted = found.flatMap(({ id, fixes }) => fixes.map((fix) => ({ finding: id, ...fix })))
  const kept = isDry ? null : writeDown(wanted, dataDir, clock.now())
  const fixes: Mended[] = []
  for (const { finding, what, undo, apply } of wanted) {
    const told = { finding, what, undo: undo === null ? '' : lineOf(undo), error: null }
    try {
      if (!isDry) await apply()
      fixes.push(told)
    } catch (error) {
      fixes.push({ ...told, error: (error as Error).message })
    }
  }
  return { fixes, id: kept?.id ?? null, script: kept?.script ?? null }
}

/** What was mended here and can be undone, the newest first. */
export function listMendings(dataDir: string): Mending[] {
  return listFiles(`${prefix}*.json`, dataDir)
    .reverse()
    .slice(0, mostKept)
    .flatMap((path) => {
      try {
        return [mendingShape.parse(JSON.parse(readTextIfPresent(path) ?? ''))]
      } catch {
        // Somebody else's.
        return []
      }
    })
}

/** Brings back how things were before, last changed first. Rejects with `not_found` for what was not mended here. */
export function undoMending(dataDir: string, id: string): { finding: string; undo: string; error: string | null }[] {
  const mending = listMendings(dataDir).find((each) => each.id === id)
  if (mending === undefined) throw fail('not_found', `There is nothing mended called ${id}`, { param: 'id' })
  const told = mending.fixes
    .flatMap(({ finding, undo }) => (undo === null ? [] : [{ finding, undo }]))
    .reverse()
    .map(({ finding, undo }) => {
      try {
        bringBack(undo)
        return { finding, undo: lineOf(undo), error: null }
      } catch (error) {
        return { finding, undo: lineOf(undo), error: (error as Error).message }
      }
    })
  if (told.every(({ error }) => error === null)) {
    for (const ending of ['json', 'sh']) removeFile(join(dataDir, `${id}.${ending}`))
  }
  return told
}

function writeDown(
  wanted: readonly { finding: string; what: Words; undo: Undo | null }[],
  dataDir: string,
  now: number,
): { id: string; script: string } | null {
  const lines = wanted
    .flatMap(({ what, undo }) => (undo === null ? [] : [`${lineOf(undo)}  # was: ${what.en}`]))
    .reverse()
  // The folder may be what is missing: what is written into it would be in the way of taking it away again.
  if (lines.length === 0 || dataDir === '' || !isFolder(dataDir)) return null
  const id = prefix + new Date(now).toISOString().replace(/[:.]/g, '-')
  const script = join(dataDir, `${id}.sh`)
  const fixes = wanted.map(({ finding, what, undo }) => ({ finding, what, undo }))
  writePrivateFile(join(dataDir, `${id}.json`), `${JSON.stringify({ id, at: now, fixes } satisfies Mending)}\n`)
  writePrivateFile(script, `#!/bin/sh\n${lines.join('\n')}\n`)
  return { id, script }
}

function bringBack(undo: Undo): void {
  if (undo.kind === 'mode') setMode(undo.path, undo.mode)
  else removeEmptyFolder(undo.path)
}

/** For a shell. */
function lineOf(undo: Undo): string {
  const path = `'${undo.path.replaceAll("'", "'\\''")}'`
  return undo.kind === 'mode' ? `chmod ${undo.mode.toString(8).padStart(4, '0')} ${path}` : `rmdir ${path}`
}
