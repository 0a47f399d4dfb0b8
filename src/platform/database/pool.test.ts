import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { openDatabase } from './connect.ts'
import { engines } from './testing.ts'
import { silentLog } from './testing-log.ts'

const postgres = engines().find(({ name }) => name === 'postgres')

test.skipIf(postgres === undefined)(
  '4.3.8 however much is asked at once, no more connections are opened than allowed',
  async () => {
    const url = await postgres!.address()
    const poolSize = 3
    const [store, watcher] = await Promise.all(
      [poolSize, 1].map((size) => openDatabase({ url, dataDir: '.', poolSize: size, log: silentLog })),
    )
    const counts: number[] = []
    let isDone = false
    const watching = (async () => {
      while (!isDone) {
        const { rows } = await sql<{ n: number }>`
        select count(*)::int as n from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(watcher!.kysely)
        counts.push(rows[0]!.n)
      }
    })()
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        sql<{ i: number }>`select ${i}::int as i, pg_sleep(0.02)`.execute(store!.kysely),
      ),
    )
    isDone = true
    await watching
    expect(answers.map(({ rows }) => rows[0]!.i)).toEqual(Array.from({ length: 40 }, (_, i) => i))
    // The watcher saw the pool at work, and never more of it than it may have.
    expect(Math.max(...counts)).toBe(poolSize)
    await Promise.all([store!.close(), watcher!.close()])
  },
)
