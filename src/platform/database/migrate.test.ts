import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { openDatabase } from './connect.ts'
import { numberedMigrations } from './migrate.fixture.ts'
import { migrate, migrateDown, migrationStatus } from './migrate.ts'
import { openSqlite } from './sqlite.ts'
import { engines } from './testing.ts'
import { createRecordingLog, silentLog } from './testing-log.ts'

const log = silentLog

describe.each(engines())('migrations on $name', ({ name, open, address }) => {
  const tables = async (db: Awaited<ReturnType<typeof open>>) =>
    (await db.kysely.introspection.getTables()).map((table) => table.name).sort()

  test('are applied in order, named in the log, recorded with the program, and not applied again', async () => {
    const database = await open()
    const recording = createRecordingLog()
    const clock = createManualClock()
    const options = { log: recording, clock, version: '1.2.3' }
    expect(await migrate(database, numberedMigrations(2), options)).toEqual(['0001-step', '0002-step'])
    expect(await migrate(database, numberedMigrations(3), options)).toEqual(['0003-step'])
    expect(recording.lines.map((line) => line.message)).toEqual([
      'Running upgrade  -> 0001-step',
      'Running upgrade 0001-step -> 0002-step',
      'Running upgrade 0002-step -> 0003-step',
    ])
    expect(await migrationStatus(database, numberedMigrations(4))).toMatchObject([
      { name: '0001-step', appliedAt: clock.now(), version: '1.2.3', isKnown: true },
      { name: '0002-step', appliedAt: clock.now() },
      { name: '0003-step', appliedAt: clock.now() },
      { name: '0004-step', appliedAt: null, version: '' },
    ])
  })

  test('are looked at without changing anything', async () => {
    const database = await openDatabase({ url: await address(), dataDir: '', log })
    expect(await migrationStatus(database, numberedMigrations(1))).toEqual([
      { name: '0001-step', appliedAt: null, version: '', isKnown: true },
    ])
    expect(await tables(database)).toEqual([])
    await database.close()
  })

  test('that fail leave nothing half done, keep the steps before, and go on from there when mended', async () => {
    const database = await open()
    const [first, second] = numberedMigrations(2)
    const broken = {
      ...second!,
      async up(...args: Parameters<NonNullable<typeof second>['up']>) {
        await second!.up(...args)
        await sql`insert into no_such_table values (1)`.execute(args[0])
      },
    }
    await expect(migrate(database, [first!, broken], { log })).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/^Migration 0002-step \(up\) failed: .*no_such_table.*Nothing of it was kept/),
    })
    expect(await tables(database)).toEqual(['revisions', 'schema_migrations', 'step_1'])
    expect(await migrate(database, [first!, second!], { log })).toEqual(['0002-step'])
  })

  test('of a newer program are refused with the version to start', async () => {
    const database = await open()
    await migrate(database, numberedMigrations(3), { log, version: '2.0.0' })
    for (const attempt of [migrate, migrateDown]) {
      await expect(attempt(database, numberedMigrations(2), { log, steps: 1 })).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(
          /newer than this program: it holds 0003-step.*Start version 2\.0\.0 or later, or restore/,
        ),
      })
    }
    expect(await migrationStatus(database, numberedMigrations(2))).toContainEqual(
      expect.objectContaining({ name: '0003-step', isKnown: false }),
    )
    expect(await tables(database)).toContain('step_3')
  })

  test('are taken back newest first', async () => {
    const database = await open(numberedMigrations(3))
    expect(await migrateDown(database, numberedMigrations(3), { log, steps: 2 })).toEqual(['0003-step', '0002-step'])
    expect(await tables(database)).toEqual(['revisions', 'schema_migrations', 'step_1'])
    expect(await migrateDown(database, numberedMigrations(3), { log, steps: 9 })).toEqual(['0001-step'])
    expect(await migrate(database, numberedMigrations(3), { log })).toHaveLength(3)
  })

  test('of processes that start at once are applied by exactly one each', async () => {
    const url = await address()
    const processes = await Promise.all([startProcess(url), startProcess(url), startProcess(url)])
    const results = await Promise.all(processes.map(migrateIn))
    expect(results.flat().sort()).toEqual(numberedMigrations(6).map((migration) => migration.name))
    const database = await openDatabase({ url, dataDir: '', log })
    expect((await tables(database)).filter((table) => table.startsWith('step_'))).toHaveLength(6)
    await database.close()
  })

  test('wait for another process, say so, and give up with a remedy', async () => {
    const url = await address()
    const openOwn = () =>
      name === 'sqlite'
        ? openSqlite({ file: url.replace('sqlite:', ''), busyTimeoutMs: 20, log })
        : openDatabase({ url, dataDir: '', log })
    const [holder, waiter] = [await openOwn(), await openOwn()]
    const recording = createRecordingLog()
    const release = Promise.withResolvers<void>()
    const inside = Promise.withResolvers<void>()
    const slow = {
      ...numberedMigrations(1)[0]!,
      async up() {
        inside.resolve()
        await release.promise
      },
    }
    const holding = migrate(holder, [slow], { log })
    await inside.promise
    await expect(migrate(waiter, [slow], { log: recording, lockWaitMs: 0 })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/Another process has been migrating .* Wait until it has finished/),
    })
    const waiting = migrate(waiter, [slow], { log: recording })
    release.resolve()
    expect(await holding).toEqual(['0001-step'])
    expect(await waiting).toEqual([])
    await Promise.all([holder.close(), waiter.close()])
  })
})

async function startProcess(url: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./migrate-process.fixture.ts', import.meta.url))
  const child = fork(script, [url], { execArgv: [] })
  await once(child, 'message')
  return child
}

async function migrateIn(child: ChildProcess): Promise<string[]> {
  child.send('go')
  const [applied] = await once(child, 'message')
  return applied as string[]
}
