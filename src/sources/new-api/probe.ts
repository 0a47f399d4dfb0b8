import { quoteName } from '../../platform/foreign/address.ts'
import { type ForeignDatabase, ForeignError } from '../../platform/foreign/foreign.ts'
import { nameKinds, type Probe } from '../reader.ts'
import { type Column, logColumns, nameTables, secretColumns } from './columns.ts'
import type { NewApiStore } from './store.ts'

type Verdict = 'readable' | 'missing' | 'denied'

/** Looks at what may be read, column by column, and reads no row but the times of the first and the last. */
export async function probe(
  store: NewApiStore,
  { main, logs }: { main: ForeignDatabase; logs: ForeignDatabase },
): Promise<Probe & { columns: string[] }> {
  const told: Probe = {
    ...{ where: [...new Set([main.where, logs.where])], version: await store.version(logs), columns: [] },
    ...{ degraded: [], grants: [], warnings: [], problem: null, firstRowAt: null, lastRowAt: null },
  }
  const verdicts = await tryEach(store, logs, 'logs', logColumns)
  told.columns = logColumns.filter(({ name }) => verdicts.get(name) === 'readable').map(({ name }) => name)
  for (const { name, isNeeded, effect } of logColumns) {
    const verdict = verdicts.get(name)!
    if (verdict === 'readable') continue
    told.degraded.push({ column: `logs.${name}`, why: whyOf(verdict, logs), effect })
    if (isNeeded) {
      told.problem ??= `logs.${name} cannot be read (${whyOf(verdict, logs)})`
    }
  }
  const isDenied = ({ name }: Column) => verdicts.get(name) === 'denied'
  const [needed, optional] = [true, false].map((isNeeded) =>
    logColumns.filter((column) => column.isNeeded === isNeeded && isDenied(column)).map(({ name }) => name),
  ) as [string[], string[]]
  told.grants.push(...(await grants(store, logs, 'logs', [needed])))
  // MySQL does not tell an account what there is beyond its rights, and refuses a statement that names too much.
  const groups = logs.engine === 'mysql' ? optional.map((name) => [name]) : [optional]
  told.grants.push(...(await grants(store, logs, 'logs', groups)))

  for (const kind of nameKinds) {
    const { table, column, effect } = nameTables[kind]
    const columns = ['id', column].map((name) => ({ name, isNeeded: false, effect }))
    const found = await tryEach(store, main, table, columns)
    const lacking = columns.filter(({ name }) => found.get(name) !== 'readable')
    for (const { name } of lacking) {
      told.degraded.push({ column: `${table}.${name}`, why: whyOf(found.get(name)!, main), effect })
    }
    const denied = lacking.filter(({ name }) => found.get(name) === 'denied').map(({ name }) => name)
    told.grants.push(...(await grants(store, main, table, [denied])))
  }
  told.warnings.push(...(await warnings(store, main, logs)))
  if (told.problem === null) {
    const { first, last } = await store.ends()
    told.firstRowAt = first
    told.lastRowAt = last
  }
  return told
}

function whyOf(verdict: Verdict, { engine }: ForeignDatabase): Probe['degraded'][number]['why'] {
  if (verdict === 'missing') return 'missing'
  return engine === 'mysql' ? 'missing or denied' : 'denied'
}

/** One question when all is well, else one for each column. */
async function tryEach(
  store: NewApiStore,
  db: ForeignDatabase,
  table: string,
  columns: readonly Column[],
): Promise<Map<string, Verdict>> {
  const names = columns.map(({ name }) => name)
  const all = await tryOne(store, db, table, names)
  if (all === 'readable') return new Map(names.map((name) => [name, all]))
  const found = new Map<string, Verdict>()
  for (const name of names) found.set(name, await tryOne(store, db, table, [name]))
  return found
}

async function tryOne(store: NewApiStore, db: ForeignDatabase, table: string, names: string[]): Promise<Verdict> {
  try {
    await store.tryColumns(db, table, names)
    return 'readable'
  } catch (error) {
    if (error instanceof ForeignError && (error.type === 'missing' || error.type === 'denied')) return error.type
    throw error
  }
}

async function grants(store: NewApiStore, db: ForeignDatabase, table: string, groups: readonly string[][]) {
  const some = groups.filter((columns) => columns.length > 0)
  if (db.engine === 'sqlite' || some.length === 0) return []
  const { grantee, schema } = await store.account(db)
  const quote = (name: string) => quoteName(db.engine, name)
  return some.map(
    (columns) => `GRANT SELECT (${columns.map(quote).join(', ')}) ON ${quote(schema)}.${quote(table)} TO ${grantee};`,
  )
}

/** What the account could do that reading usage does not need. */
async function warnings(store: NewApiStore, main: ForeignDatabase, logs: ForeignDatabase): Promise<string[]> {
  const found: string[] = []
  if (main.engine !== 'sqlite') {
    const readable: string[] = []
    for (const [table, column] of secretColumns) {
      if ((await tryOne(store, main, table, [column])) === 'readable') readable.push(`${table}.${column}`)
    }
    if (readable.length > 0) {
      found.push(`The account can read secrets: ${readable.join(', ')}. Give it the columns of the guide alone.`)
    }
  }
  for (const db of main === logs ? [main] : [main, logs]) {
    const rights = await store.writingRights(db).catch((error: unknown) => {
      // Without the table there are no rights to it; that is told elsewhere.
      if (error instanceof ForeignError && error.type !== 'away') return []
      throw error
    })
    if (rights.length > 0) {
      found.push(
        `The account may write (${rights.join(', ')}) at ${db.where}. Nothing is written; take the right away.`,
      )
    }
  }
  return found
}
