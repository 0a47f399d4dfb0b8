import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { HubError } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import { openTestJournal, temporaryFolder } from './testing.ts'

const bodies = ['one', 'zwei', '三', '{"four":"\u{1f4be}"}', '', 'six'.repeat(40)]

/** Turns of one, two and three rows, as they stand on the disk after the process ended where it stood. */
async function written(folder: string): Promise<{ bytes: Buffer; ends: number[] }> {
  const journal = openTestJournal(folder)
  const ends: number[] = []
  for (const turn of [bodies.slice(0, 1), bodies.slice(1, 3), bodies.slice(3)]) {
    await Promise.all(turn.map((body) => journal.append(body)))
    ends.push(statSync(rowFile(folder)).size)
  }
  journal.close()
  return { bytes: readFileSync(rowFile(folder)), ends }
}

const rowFiles = (folder: string) => readdirSync(folder).filter((name) => /^rows-\d+\.log$/.test(name))
const rowFile = (folder: string) => join(folder, rowFiles(folder)[0]!)
const damagedFiles = (folder: string) => readdirSync(folder).filter((name) => name.includes('.damaged-'))

/** A folder whose only file of rows holds `bytes`. */
function folderWith(bytes: Buffer): string {
  const folder = join(temporaryFolder(), 'journal')
  mkdirSync(folder)
  writeFileSync(join(folder, 'rows-0000000000000001.log'), bytes)
  return folder
}

function readAll(folder: string): string[] {
  const journal = openTestJournal(folder)
  const found = journal.read(10_000).map(({ body }) => body)
  expect(journal.size()).toBe(found.length)
  journal.close()
  return found
}

describe('whatever a crash leaves of the last turn', () => {
  test('a file cut at any byte has every whole turn before the cut, and is no damage', async () => {
    const { bytes, ends } = await written(join(temporaryFolder(), 'journal'))
    const [first, second] = ends as [number, number, number]
    for (let cut = 0; cut < bytes.length; cut++) {
      const folder = folderWith(bytes.subarray(0, cut))
      const whole = bodies.slice(0, cut < first ? 0 : cut < second ? 1 : 3)
      expect(readAll(folder), `cut at ${cut}`).toEqual(whole)
      expect(damagedFiles(folder)).toEqual([])
    }
  })

  test('rows written after it are found with those before it', async () => {
    const { bytes } = await written(join(temporaryFolder(), 'journal'))
    const folder = folderWith(bytes.subarray(0, -1))
    const journal = openTestJournal(folder)
    await journal.append('seven')
    journal.close()
    expect(readAll(folder)).toEqual([...bodies.slice(0, 3), 'seven'])
  })
})

describe('damage', () => {
  test('one flipped bit costs its own turn at most, and the file is kept as it was found', async () => {
    const { bytes, ends } = await written(join(temporaryFolder(), 'journal'))
    const [first, second] = ends as [number, number, number]
    const head = 'gatehouse journal 1\n'.length
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << (at % 8)
      const folder = folderWith(flipped)
      const lost = at < head ? [0, 0] : at < first ? [0, 1] : at < second ? [1, 3] : [3, 6]
      expect(readAll(folder), `bit flipped at ${at}`).toEqual(bodies.filter((_, i) => i < lost[0]! || i >= lost[1]!))
      const [aside, ...others] = damagedFiles(folder)
      expect(others).toEqual([])
      expect(readFileSync(join(folder, aside!))).toEqual(flipped)
      // Once is enough: what goes on is sound.
      expect(damagedFiles(folder)).toHaveLength(1)
    }
  })

  test('any bytes at all are survived, and rows appended after them are kept', async () => {
    const { bytes } = await written(join(temporaryFolder(), 'journal'))
    const splice = fc.record({
      at: fc.nat(bytes.length),
      removed: fc.nat(bytes.length),
      inserted: fc.uint8Array({ maxLength: 200 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(splice, { maxLength: 3 }), async (splices) => {
        let found = bytes
        for (const { at, removed, inserted } of splices) {
          found = Buffer.concat([found.subarray(0, at), inserted, found.subarray(at + removed)])
        }
        const folder = folderWith(found)
        const before = readAll(folder)
        expect(bodies).toEqual(expect.arrayContaining(before))
        const journal = openTestJournal(folder)
        await journal.append('fresh')
        journal.close()
        expect(readAll(folder)).toEqual([...before, 'fresh'])
      }),
      { numRuns: 30 },
    )
  })

  test('met while running it is put aside too: sound rows go on and new ones are taken', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const lines: string[] = []
    const log: Log = {
      debug() {},
      info() {},
      warn() {},
      error: (line) => void lines.push(line),
      critical() {},
      child: () => log,
    }
    const journal = openTestJournal(folder, { log })
    // More than is kept in memory, so that rows are read from the file.
    const appended = Array.from({ length: 60 }, (_, i) => Array.from({ length: 100 }, (_, k) => `row ${i * 100 + k}`))
    for (const turn of appended) await Promise.all(turn.map((body) => journal.append(body)))
    const bytes = readFileSync(rowFile(folder))
    bytes[bytes.indexOf('row 250')]! ^= 1
    writeFileSync(rowFile(folder), bytes)

    const sound = appended.flat().filter((_, i) => i < 200 || i >= 300)
    expect(journal.read(10_000).map(({ body }) => body)).toEqual(sound)
    expect(journal.size()).toBe(5900)
    expect(lines).toEqual(['The journal is damaged; the damaged file was kept aside and its sound rows go on'])
    await journal.append('after')
    const all = journal.read(10_000)
    expect(all.at(-1)!.body).toBe('after')
    expect(all.at(-1)!.seq).toBe(6001)
    expect(journal.isWritable()).toBe(true)
    journal.close()
    expect(readAll(folder).slice(0, 3)).toEqual(sound.slice(0, 3))
  })

  test('a mark that cannot be trusted means that rows are settled once more, never that they are skipped', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder)
    for (const body of ['one', 'two']) await journal.append(body)
    journal.remove(journal.read(1)[0]!.seq)
    journal.close()
    expect(readAll(folder)).toEqual(['two'])
    const mark = readFileSync(join(folder, 'settled'), 'utf8')
    writeFileSync(join(folder, 'settled'), mark.replace('1 ', '2 '))
    expect(readAll(folder)).toEqual(['one', 'two'])
  })
})

describe('files of rows', () => {
  const row = (i: number) => `${String(i).padStart(5, '0')} ${'x'.repeat(4000)}`

  test('go once all their rows are settled, while those after them stay', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder, { maxBytes: 1024 ** 2 })
    for (let i = 1; i <= 150; i++) await journal.append(row(i))
    const before = rowFiles(folder).length
    expect(before).toBeGreaterThan(3)
    journal.remove(100)
    expect(rowFiles(folder).length).toBeLessThan(before - 1)
    expect(journal.read(1)).toMatchObject([{ seq: 101, body: row(101) }])
    journal.close()
    const again = openTestJournal(folder)
    expect(again.read(1000).map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => row(i + 101)))
    again.remove(150)
    again.close()
    expect(rowFiles(folder)).toEqual([])
  })

  test('that grow are given back to the disk when nothing of them is wanted, and grow on', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder)
    for (let i = 1; i <= 150; i++) await journal.append(row(i))
    expect(statSync(rowFile(folder)).size).toBeGreaterThan(600_000)
    journal.remove(150)
    expect(statSync(rowFile(folder)).size).toBeLessThan(100)
    await journal.append('next')
    const copy = folderWith(readFileSync(rowFile(folder)))
    expect(readAll(copy)).toEqual(['next'])
    journal.close()
  })

  test('a crash between the write and the removal only asks for the rows once more', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder)
    for (const body of bodies) await journal.append(body)
    const asWritten = readFileSync(rowFile(folder))
    journal.remove(6)
    journal.close()
    expect(readAll(folderWith(asWritten))).toEqual(bodies)
  })

  test('numbers go on where they were, though every file of rows is gone', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder)
    for (const body of bodies) await journal.append(body)
    journal.remove(6)
    journal.close()
    const again = openTestJournal(folder)
    await again.append('next')
    expect(again.read(1)).toMatchObject([{ seq: 7 }])
    again.close()
  })

  test('any order of appending, settling, setting aside and restarting keeps the queue', async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ append: fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }) }),
      },
      { weight: 2, arbitrary: fc.record({ remove: fc.nat(6) }) },
      fc.record({ setAside: fc.nat(6) }),
      fc.record({ restart: fc.constant(true) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const folder = join(temporaryFolder(), 'journal')
        let journal = openTestJournal(folder)
        let queue: string[] = []
        const aside: string[] = []
        for (const each of steps) {
          if ('append' in each) {
            await Promise.all(each.append.map((body) => journal.append(body.toWellFormed())))
            queue.push(...each.append.map((body) => body.toWellFormed()))
          } else if ('remove' in each) {
            const entry = journal.read(each.remove).at(-1)
            if (entry !== undefined) journal.remove(entry.seq)
            queue = queue.slice(each.remove)
          } else if ('setAside' in each) {
            const entry = journal.read(each.setAside + 1)[each.setAside]
            if (entry !== undefined) journal.setAside(entry, 'no reason')
            aside.unshift(...queue.splice(each.setAside, 1))
          } else {
            journal.close()
            journal = openTestJournal(folder)
          }
          expect(journal.size()).toBe(queue.length)
          expect(journal.read(1000).map(({ body }) => body)).toEqual(queue)
        }
        expect(journal.rejects(1000).map(({ body }) => body)).toEqual(aside)
        journal.close()
      }),
      { numRuns: 30 },
    )
  })

  test('nobody else may read them', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder)
    await journal.append('private')
    journal.setAside(journal.read(1)[0]!, 'private too')
    await journal.append('private')
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600)
    journal.close()
  })

  test('a line of the rejects that was never finished hides none after it', async () => {
    const folder = join(temporaryFolder(), 'journal')
    const journal = openTestJournal(folder)
    for (const body of bodies) await journal.append(body)
    journal.setAside(journal.read(1)[0]!, 'first')
    journal.close()
    appendFileSync(join(folder, 'rejects.jsonl'), '{"seq":2,"at":1,"rea')
    const again = openTestJournal(folder)
    expect(again.size()).toBe(5)
    again.setAside(again.read(1)[0]!, 'second')
    expect(again.rejects(10).map(({ reason }) => reason)).toEqual(['second', 'first'])
    again.close()
  })
})

test("with 'power-loss' every commit is synced, and what was written is there", async () => {
  const folder = join(temporaryFolder(), 'journal')
  const journal = openTestJournal(folder, { durability: 'power-loss' })
  for (const body of bodies) await journal.append(body)
  journal.close()
  expect(readAll(folder)).toEqual(bodies)
})

describe('the SQLite file of earlier versions', () => {
  function earlier(file: string, count: number): Database.Database {
    const db = new Database(file)
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.exec(`
      create table entries (seq integer primary key, body text not null);
      create table ledger_rejects (seq integer not null, body text not null, reason text not null, at integer not null);
    `)
    const insert = db.prepare('insert into entries values (?, ?)')
    db.transaction(() => {
      for (let i = 0; i < count; i++) insert.run(10 + i, `row ${i}`)
    })()
    db.prepare('insert into ledger_rejects values (3, ?, ?, 5000)').run('garbled', 'not an array')
    return db
  }

  test('is carried over whole, behind what is there, and removed', async () => {
    const dir = temporaryFolder()
    const folder = join(dir, 'journal')
    const first = openTestJournal(folder)
    await first.append('of this version')
    first.close()
    earlier(join(dir, 'journal.db'), 2500).close()
    const journal = openTestJournal(folder)
    const rows = Array.from({ length: 2500 }, (_, i) => `row ${i}`)
    expect(journal.read(10_000).map(({ body }) => body)).toEqual(['of this version', ...rows])
    expect(journal.rejects(10)).toMatchObject([{ body: 'garbled', reason: 'not an array', at: 5000 }])
    await journal.append('next')
    journal.close()
    expect(readdirSync(dir)).toEqual(['journal'])
    expect(readAll(folder).slice(0, 2)).toEqual(['of this version', 'row 0'])
    const again = openTestJournal(folder)
    expect(again.size()).toBe(2502)
    expect(again.rejects(10)).toHaveLength(1)
    again.close()
  })

  test('is left alone while a hub of that version runs on it', () => {
    const dir = temporaryFolder()
    const running = earlier(join(dir, 'journal.db'), 1)
    try {
      openTestJournal(join(dir, 'journal'))
      expect.unreachable()
    } catch (error) {
      expect((error as HubError).detail).toContain('another process has it open')
    }
    running.close()
    expect(readAll(join(dir, 'journal'))).toEqual(['row 0'])
  })

  test('that is no database, or has damaged pages, is moved aside and never deleted', () => {
    const dir = temporaryFolder()
    const file = join(dir, 'journal.db')
    const clock = createManualClock(Date.UTC(2026, 10, 23))
    writeFileSync(file, 'this was never a database, but somebody may want it'.repeat(100))
    openTestJournal(join(dir, 'journal'), { clock }).close()
    expect(readFileSync(`${file}.damaged-2026-11-23T00-00-00-000Z`, 'utf8')).toContain('somebody may want it')

    earlier(file, 2000).close()
    const bytes = readFileSync(file)
    bytes.fill(0xff, 8192)
    writeFileSync(file, bytes)
    openTestJournal(join(dir, 'journal')).close()
    expect(existsSync(file)).toBe(false)
    expect(readdirSync(dir).filter((name) => name.includes('.damaged-')).length).toBeGreaterThan(1)
  })
})
