/** A process of its own that migrates the store at argv[2] when its parent says so, and tells what it applied. */
import { openDatabase } from './connect.ts'
import { numberedMigrations } from './migrate.fixture.ts'
import { migrate } from './migrate.ts'
import { silentLog } from './testing-log.ts'

const database = await openDatabase({ url: process.argv[2] ?? '', dataDir: '', log: silentLog })
process.once('message', () => void run())
process.send?.('ready')

async function run(): Promise<void> {
  const applied = await migrate(database, numberedMigrations(6), { log: silentLog })
  await database.close()
  process.send?.(applied, () => process.disconnect())
}
