/**
 * Simulated days of faults over the embedded store: `npm run bench -- simulation [--days 1000] [--seed N]`. Prints the seed
 * first; whatever fails, fails again with it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { simulateDays } from '../../src/incidents/testing-days.ts'
import { incidentsMigration } from '../../src/migrations/0026-incidents.ts'
import { incidentActionsMigration } from '../../src/migrations/0031-incident-actions.ts'
import { migrate, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/testing.ts'

const { values } = parseArgs({ options: { days: { type: 'string' }, seed: { type: 'string' } } })
const days = Number(values.days ?? 1000)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6))
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-simulation-'))
// biome-ignore lint/suspicious/noExplicitAny: the migration makes the tables
const database = await openDatabase<any>({
  ...{ url: `sqlite:${join(folder, 'gatehouse.db')}`, dataDir: folder, poolSize: 4, log: silentLog },
})
try {
  await migrate(database, [incidentsMigration, incidentActionsMigration], { log: silentLog })
  console.log(`seed ${seed}, ${days} days: again with npm run bench -- simulation --seed ${seed} --days ${days}`)
  const began = performance.now()
  const { faults, lost, crashes, incidents } = await simulateDays(database.kysely, seed, days)
  const seconds = (performance.now() - began) / 1000
  console.log(`${faults} faults, ${lost} announcements lost, ${crashes} crashes, ${incidents} incidents: all agree`)
  console.log(`${seconds.toFixed(1)} s, ${Math.round((days / seconds) * 60)} days a minute`)
} finally {
  await database.close()
  rmSync(folder, { recursive: true, force: true })
}
