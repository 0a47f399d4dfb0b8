import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { openDatabase } from './connect.ts'
import { createRecordingLog, silentLog } from './testing-log.ts'
import { waitForDatabase } from './wait.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-wait-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const open = (url: string, dataDir = folder) => openDatabase({ url, dataDir, log: silentLog })
/** Sleeps take no time, and are counted. */
function createInstantClock() {
  const slept: number[] = []
  return { ...createManualClock(), slept, sleep: async (ms: number) => void slept.push(ms) }
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a store that comes up late is waited for, with a reason for each failed try', async () => {
  const away = `postgres://someone:s3cret@127.0.0.1:${await closedPort()}/hub`
  const clock = createInstantClock()
  const log = createRecordingLog()
  let tries = 0
  const database = await waitForDatabase(() => open(++tries < 4 ? away : ''), { clock, log })
  expect(log.lines.map((line) => line.message)).toEqual([
    'Waiting for database',
    ...Array(3).fill('Waiting for database'),
    'Database is ready',
  ])
  expect(log.lines[2]?.fields).toMatchObject({ attempt: 2, count: 30, cause: expect.stringContaining('ECONNREFUSED') })
  expect(clock.slept).toEqual([2000, 2000, 2000])
  expect(JSON.stringify(log.lines)).not.toContain('s3cret')
  await database.close()
})

test('a store that stays away ends the wait with the last cause and a remedy, without the password', async () => {
  const port = await closedPort()
  const away = `postgres://someone:s3cret@127.0.0.1:${port}/hub`
  const clock = createInstantClock()
  const error = await waitForDatabase(() => open(away), { tries: 3, intervalMs: 5, clock, log: silentLog }).catch(
    (thrown: unknown) => thrown as Error,
  )
  expect(error).toMatchObject({ code: 'unavailable' })
  const { message } = error as Error
  expect(message).toMatch(/did not answer in 3 tries/)
  expect(message).toContain(`PostgreSQL at 127.0.0.1:${port}, role "someone", database "hub"`)
  expect(message).toContain('ECONNREFUSED')
  expect(message).toContain('Start it, or correct database.url')
  expect(message).not.toContain('s3cret')
  expect(clock.slept).toEqual([5, 5])
})

test.each([
  ['mysql://root@localhost/hub', /has the scheme "mysql:".*Use postgres:/],
  ['gatehouse.db', /has no scheme.*sqlite:<path/],
  ['sqlite::memory:', /names no file/],
  ['postgres://user:p@ss#word@host:5432/db', /cannot be read.*percent-encode/],
  ['postgres://user:p/ss@host:5432/db', /cannot be read.*percent-encode/],
])('an address that means nothing (%s) stops the start at once', async (url, message) => {
  const clock = createInstantClock()
  await expect(waitForDatabase(() => open(url), { clock, log: silentLog })).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringMatching(message),
  })
  expect(clock.slept).toEqual([])
})

test('a file that is no database stops the start at once, says so, and is left as it was', async () => {
  const file = join(folder, 'notes.db')
  writeFileSync(
    file,
    'These are my notes and not a database, and there are more than a hundred bytes of them. '.repeat(9),
  )
  await expect(
    waitForDatabase(() => open(`sqlite:${file}`), { clock: createInstantClock(), log: silentLog }),
  ).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringMatching(/notes\.db is not a SQLite database.*Move it away/),
  })
})

test('a new store is readable by its owner alone', async () => {
  const database = await open(`sqlite:${join(folder, 'private.db')}`)
  await database.ping()
  for (const name of ['private.db', 'private.db-wal']) expect(statSync(join(folder, name)).mode & 0o077).toBe(0)
  await database.close()
})

test('a data folder that cannot be used stops the start at once and names what is in the way', async () => {
  const file = join(folder, 'a-file')
  writeFileSync(file, '')
  await expect(
    waitForDatabase(() => open('', join(file, 'data')), { clock: createInstantClock(), log: silentLog }),
  ).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringMatching(/data folder .* cannot be used: .*a-file is a file.*Give the folder to that user/),
  })
})

describe.skipIf(!process.env.GATEHOUSE_TEST_POSTGRES_URL)(
  'settings that PostgreSQL refuses stop the start at once',
  () => {
    const address = (parts: { username?: string; password?: string; pathname?: string }) =>
      Object.assign(new URL(process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''), parts).href

    test.each([
      ['a wrong password', { password: 'wr0ng' }, /role ".+".*password.*Correct the password/],
      ['no password', { password: '' }, /role ".+".*Correct database\.url/],
      ['an unknown role', { username: 'nobody-here' }, /role "nobody-here"/],
      ['a missing database', { pathname: '/not-there' }, /database "not-there".*Create the database/],
    ])('%s', async (_, parts, message) => {
      const clock = createInstantClock()
      const error = await waitForDatabase(() => open(address(parts)), { clock, log: silentLog }).catch(
        (e: unknown) => e,
      )
      expect(error).toMatchObject({ code: 'invalid_request', message: expect.stringMatching(message) })
      expect((error as Error).message).not.toMatch(/wr0ng|:[^ ]+@/)
      expect(clock.slept).toEqual([])
    })
  },
)
