import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { contentsOfStore, createBench, ownKey, putRows } from './testing.ts'

const bench = createBench()
const fixture = new URL('./kill.fixture.ts', import.meta.url).pathname

/** Runs it, and kills it that many ms after it began, unless it was quicker. */
async function runAndKill(
  verb: 'take' | 'restore',
  url: string,
  id: string,
  afterMs: number,
): Promise<'killed' | 'done'> {
  const args = [fixture, verb, url, bench.folder, id, ownKey.wrap.toString('hex')]
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    const isFirst = out === ''
    out += String(chunk)
    if (isFirst && Number.isFinite(afterMs)) setTimeout(() => child.kill('SIGKILL'), afterMs)
  })
  await once(child, 'close')
  return out.includes('done') ? 'done' : 'killed'
}

describe.each(engines())('on $name, a process that is killed', { timeout: 90_000 }, ({ name, address }) => {
  let url = ''
  let fullMs = 0
  let before: Record<string, string[]> = {}
  let backedUp: Record<string, string[]> = {}
  let id = ''

  beforeAll(async () => {
    url = await address()
    const database = await bench.openStore(url)
    await putRows(database.kysely, 2000, 'old')
    backedUp = await contentsOfStore({ url, dataDir: bench.folder })
    ;({ id } = await bench.take(url))
    await database.kysely.deleteFrom('backup_runs').execute()
    await putRows(database.kysely, 2000, 'new')
    await database.close()
    before = await contentsOfStore({ url, dataDir: bench.folder })
    const beganAt = performance.now()
    await runAndKill('restore', await address(), id, Number.POSITIVE_INFINITY)
    fullMs = performance.now() - beganAt
  })

  test('while it takes a backup leaves none that could be taken for one', async () => {
    for (const part of [0.2, 0.6]) {
      const taken = `killed-${name}-${part * 10}`
      const ended = await runAndKill('take', url, taken, fullMs * part * 0.5)
      if (existsSync(bench.file(taken))) await bench.verify(taken)
      else expect(ended).toBe('killed')
    }
    expect(await contentsOfStore({ url, dataDir: bench.folder })).toEqual(before)
  })

  test('while it restores leaves the store as it was, or as it was backed up, and the next try succeeds', async () => {
    const parts = name === 'sqlite' ? [0.2, 0.5, 0.7, 0.85, 0.95] : [0.5, 0.85]
    for (const part of parts) {
      await runAndKill('restore', url, id, fullMs * part)
      const found = await contentsOfStore({ url, dataDir: bench.folder })
      const isOld = JSON.stringify(found) === JSON.stringify(before)
      const isNew = JSON.stringify(found) === JSON.stringify(backedUp)
      expect(isOld || isNew).toBe(true)
    }
    await bench.restore(url, id)
    expect(await contentsOfStore({ url, dataDir: bench.folder })).toEqual(backedUp)
    if (name === 'sqlite')
      expect(
        readdirSync(url.slice('sqlite:'.length, -'/gatehouse.db'.length)).some((file) => file.includes('.before-')),
      ).toBe(true)
  })
})
