import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { listLeftovers, removeLeftover } from '../platform/diagnose/machine.ts'
import { findUnfinishedRestore } from './restore-note.ts'
import { contentsOfStore, createBench, ownKey, putRows } from './testing.ts'

const bench = createBench()
const fixture = new URL('./kill.fixture.ts', import.meta.url).pathname

type Ended = { isDone: boolean; steps: string[] }

/** Runs it; kills it that many ms after it began, or lets it kill itself before that step of its own. */
async function runAndKill(
  verb: 'take' | 'restore',
  { url, id, folder = bench.folder }: { url: string; id: string; folder?: string },
  { afterMs = Number.POSITIVE_INFINITY, atStep = '' }: { afterMs?: number; atStep?: string } = {},
): Promise<Ended> {
  const args = [fixture, verb, url, folder, id, ownKey.wrap.toString('hex'), join(bench.folder, 'backups')]
  const env = { ...process.env, ...(atStep !== '' && { KILL_AT: atStep }) }
  const child: ChildProcess = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    const isFirst = out === ''
    out += String(chunk)
    if (isFirst && Number.isFinite(afterMs)) setTimeout(() => child.kill('SIGKILL'), afterMs)
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  const told = /done (\[.*\])/.exec(out)
  if (told === null && signal !== 'SIGKILL') throw new Error(`${verb} ended with ${code}: ${out}`)
  return { isDone: told !== null, steps: told === null ? [] : (JSON.parse(told[1]!) as string[]) }
}

/** Two at a time, as there are processors. */
async function forEachOf<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...list]
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one)
  }
  await Promise.all([worker(), worker()])
}

describe.each(engines())('on $name, a process that is killed', { timeout: 180_000 }, ({ name, address }) => {
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
  })

  /** A store of its own as the first was before it was restored, in a folder of its own. */
  async function another(mark: string): Promise<{ url: string; id: string; folder: string }> {
    const folder = bench.path(`${name}-${mark}`)
    mkdirSync(folder)
    if (name === 'postgres') return { url, id, folder }
    copyFileSync(fileOf(url), join(folder, 'gatehouse.db'))
    return { url: `sqlite:${folder}/gatehouse.db`, id, folder }
  }

  const whichIs = (found: Record<string, string[]>) =>
    JSON.stringify(found) === JSON.stringify(before)
      ? 'before'
      : JSON.stringify(found) === JSON.stringify(backedUp)
        ? 'restored'
        : 'half'

  /** How a hub that starts on it finds it, having said which store it is; and what is left once it was cleared up. */
  async function lookAt(own: { url: string; folder: string }) {
    const store = { url: own.url, dataDir: own.folder }
    const unfinished = await findUnfinishedRestore(store)
    await (await bench.openStore(own.url)).close()
    const is = whichIs(await contentsOfStore(store))
    await unfinished?.clear()
    expect(whichIs(await contentsOfStore(store))).toBe(is)
    return { is, said: unfinished?.store ?? 'nothing', again: await findUnfinishedRestore(store) }
  }

  test('12: the ancestor wrote its dump under the final name: who is killed while it takes one leaves none that could be taken for it', async () => {
    const { steps } = await runAndKill('take', { url, id: `whole-${name}` }, { atStep: 'trace' })
    expect(steps).toEqual(expect.arrayContaining(['open', 'write', 'sync', 'renameSync', 'fsyncSync']))
    const renamed = steps.indexOf('renameSync')
    // What is read and written is the same for both engines.
    const at = name === 'sqlite' ? steps.map((_, index) => index) : [renamed, steps.length - 1]
    await forEachOf(at, async (step) => {
      const taken = `killed-${name}-${step}`
      expect((await runAndKill('take', { url, id: taken }, { atStep: String(step) })).isDone).toBe(false)
      expect(existsSync(bench.file(taken))).toBe(step > renamed)
      if (step > renamed) await bench.verify(taken)
    })
    expect(await contentsOfStore({ url, dataDir: bench.folder })).toEqual(before)
  })

  test('at each step of the exchange leaves one store whole, and what it has left says which', async () => {
    const first = await another('first')
    const beganAt = performance.now()
    const { steps } = await runAndKill('restore', first, { atStep: 'trace' })
    fullMs = performance.now() - beganAt
    expect(await lookAt(first)).toEqual({ is: 'restored', said: 'nothing', again: null })
    const seen = new Set<string>()
    const all = steps.map((_, index) => index)
    const last = steps.lastIndexOf('committed')
    // On PostgreSQL it is one transaction: before it, in its middle, at its end, and when it is over.
    const at = name === 'sqlite' ? all : [0, Math.round(last * 0.6), last - 1, last]
    const kill = async (step: number): Promise<void> => {
      const own = name === 'sqlite' ? await another(`step-${step}`) : await reset(`step-${step}`)
      expect((await runAndKill('restore', own, { atStep: String(step) })).isDone).toBe(false)
      const { is, said, again } = await lookAt(own)
      expect([step, steps[step], is]).toEqual([step, steps[step], said === 'nothing' ? is : said])
      expect(['before', 'restored']).toContain(is)
      expect(again).toBeNull()
      seen.add(`${is}, ${said}`)
      if (name !== 'sqlite') return
      // As the doctor does; it names them `leftovers`.
      for (const file of listLeftovers(own.folder)) removeLeftover(file)
      // The store has two names only as long as it is in the middle of being exchanged.
      const left = readdirSync(own.folder).filter((file) => !/-(wal|shm)$/.test(file))
      expect([step, left.map((file) => file.replace(/\d{6,}/, 'N'))]).toEqual([
        step,
        is === 'before' ? ['gatehouse.db'] : ['gatehouse.db', 'gatehouse.db.before-N'],
      ])
      rmSync(own.folder, { recursive: true })
    }
    if (name === 'sqlite') await forEachOf(at, kill)
    else for (const step of at) await kill(step)
    expect([...seen]).toEqual(expect.arrayContaining(['before, before', 'restored, restored']))
  })

  /** The same store of PostgreSQL, with the rows that it had before it was restored. */
  async function reset(mark: string) {
    const database = await bench.openStore(url)
    await database.kysely.deleteFrom('backup_runs').execute()
    const rows = rowsOf(before.backup_runs!)
    for (let at = 0; at < rows.length; at += 500)
      await database.kysely
        .insertInto('backup_runs')
        .values(rows.slice(at, at + 500))
        .execute()
    await database.close()
    expect(whichIs(await contentsOfStore({ url, dataDir: bench.folder }))).toBe('before')
    return another(mark)
  }

  test('at any moment while it restores leaves the store as it was, or as it was backed up, and the next try succeeds', async () => {
    const own = name === 'sqlite' ? await another('moments') : await reset('moments')
    for (const part of name === 'sqlite' ? [0.3, 0.5, 0.8] : [0.5, 0.85]) {
      await runAndKill('restore', own, { afterMs: fullMs * part })
      expect(['before', 'restored']).toContain(whichIs(await contentsOfStore({ url: own.url, dataDir: own.folder })))
    }
    await bench.restore(own.url, id, { dataDir: own.folder, address: { url: own.url, dataDir: own.folder } })
    expect(await lookAt(own)).toEqual({ is: 'restored', said: 'nothing', again: null })
    if (name === 'sqlite')
      expect(readdirSync(dirname(fileOf(own.url))).some((file) => file.includes('.before-'))).toBe(true)
  })
})

function fileOf(url: string): string {
  return url.slice('sqlite:'.length)
}

/** Rows of `backup_runs` from how they are compared: columns of the key first, the others by name. */
function rowsOf(lines: readonly string[]) {
  const names = [
    ...[
      'id',
      'archive_id',
      'bytes',
      'details',
      'finished_at',
      'kind',
      'message',
      'outcome',
      'rows_count',
      'started_at',
    ],
  ]
  return lines.map((line) =>
    Object.fromEntries((JSON.parse(line) as unknown[]).map((value, at) => [names[at]!, value])),
  )
}
