import { afterAll, describe, test } from 'vitest'
import type { ForeignEngine } from './foreign.ts'
import { createMysqlDatabase, createPostgresDatabase, createSqliteFile, type TestForeign } from './owner.ts'

export type TestForeignEngine = { engine: ForeignEngine; create(): Promise<TestForeign> }

/**
 * The engines that sources are read over: `describe.each(foreignEngines())('… on $engine', …)`. Call it at the top of
 * the test file. What has no server here is listed as skipped; with `CI=true` that is an error.
 */
export function foreignEngines(): TestForeignEngine[] {
  const made: TestForeign[] = []
  afterAll(async () => {
    for (const each of made) await each.close()
  })
  const keep = (create: () => Promise<TestForeign>) => async () => {
    const one = await create()
    made.push(one)
    return one
  }
  const engines: TestForeignEngine[] = [{ engine: 'sqlite', create: keep(createSqliteFile) }]
  const servers = [
    ['postgres', 'GATEHOUSE_TEST_POSTGRES_URL', createPostgresDatabase],
    ['mysql', 'GATEHOUSE_TEST_MARIADB_URL', createMysqlDatabase],
  ] as const
  for (const [engine, variable, create] of servers) {
    const url = process.env[variable]
    if (url) engines.push({ engine, create: keep(() => create(url)) })
    else if (process.env.CI === 'true') throw new Error(`No server for the tests: ${variable} is not set`)
    else describe.skip(`on ${engine}`, () => test(`needs a server: set ${variable}`, () => {}))
  }
  return engines
}
