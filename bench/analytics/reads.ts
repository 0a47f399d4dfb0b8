import { type Kysely, sql } from 'kysely'
import type { Route } from '../../src/http/route.ts'
import { openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import { createPieces, type Selection } from '../../src/usage/analytics/pieces-store.ts'
import { analyticsRoutes } from '../../src/usage/analytics/routes.ts'
import { type AnalyticsStore, createAnalyticsStore } from '../../src/usage/analytics/store.ts'
import type { UsageTables } from '../../src/usage/rows.ts'
import type { Question } from './questions.ts'

/**
 * What an answer took: CPU of the thread that answers and of SQLite's, and what was looked at, single requests and sums of
 * many. Noise on the machine changes the first little and the others not at all.
 */
export type Cost = { cpuMs: number; rows: number; sums: number }

const tries = 10

/**
 * What each question costs a store, asked as the routes ask it but in this process, where nothing else is going on. Days of
 * people and keys that are kept in memory cost nothing the second time, which is the one that counts. null: it is no report.
 */
export async function measureCosts(
  file: string,
  questions: readonly Question[],
  now: number,
): Promise<(Cost | null)[]> {
  const database = await openDatabase<UsageTables>({ url: `sqlite:${file}`, dataDir: '', log: silentLog })
  const db = database.kysely as Kysely<UsageTables>
  let read = { rows: 0, sums: 0 }
  const pieces = createPieces('sqlite')
  const count = async (selection: Selection, options: { kind?: string; isCounting?: boolean } = {}) => {
    const inner = pieces.union(
      { ...selection, dimensions: [] },
      ({ grain }) => sql`${sql.lit(grain === 'rows' ? 0 : 1)} as is_sum, count(*) as looked`,
      options,
    )
    if (inner === null) return
    const { rows } = await sql<{ is_sum: number; looked: number }>`
      select is_sum, sum(looked) as looked from (${inner}) as parts group by is_sum`.execute(db)
    for (const { is_sum, looked } of rows) read[is_sum === 1 ? 'sums' : 'rows'] += looked
  }
  const store = createAnalyticsStore(db)
  const counting: AnalyticsStore = {
    ...store,
    async sums(selection, wish) {
      await count(selection)
      return store.sums(selection, wish)
    },
    async distinct(selection, counted, limit) {
      await count(selection)
      return store.distinct(selection, counted, limit)
    },
    async durations(selection, kind, limit) {
      await count(selection, { kind })
      return store.durations(selection, kind, limit)
    },
  }
  const routesOver = (given: AnalyticsStore) =>
    analyticsRoutes({
      ...{ store: given, namesOf: async () => new Map(), clock: { now: () => now }, timeZone: 'UTC' },
      ledger: { pending: () => 0, dataAsOf: () => now },
    })
  const principal = { role: 'super_admin', kind: 'admin_key', tenantId: '', userId: '' }
  const asked = async (routes: readonly Route[], question: Question, number: number) => {
    const { method, path, body } = question.ask(number)
    const address = new URL(path, 'http://hub')
    const route = routes.find((each) => each.path === address.pathname && each.method === method)
    if (route === undefined) return false
    const given =
      body === undefined
        ? { query: route.query!.parse(Object.fromEntries(address.searchParams)) }
        : { body: route.body!.parse(body) }
    await route.handle({ principal, ...given } as never)
    return true
  }
  const [plain, counted] = [routesOver(store), routesOver(counting)]
  const costs: (Cost | null)[] = []
  for (const question of questions) {
    read = { rows: 0, sums: 0 }
    if (!(await asked(counted, question, 7))) {
      costs.push(null)
      continue
    }
    for (let number = 0; number < tries; number++) await asked(plain, question, number)
    const before = process.cpuUsage()
    for (let number = 0; number < tries; number++) await asked(plain, question, number)
    const { user, system } = process.cpuUsage(before)
    costs.push({ cpuMs: Number(((user + system) / 1000 / tries).toFixed(1)), ...read })
  }
  await database.close()
  return costs
}
