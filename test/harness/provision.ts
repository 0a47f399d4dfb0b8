import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardFolder } from './process.ts'
import { type Provided, provideMariadb, providePostgres, provideRedis, type Service } from './services.ts'

/**
 * Starts the services once for the whole run and leaves their addresses in the environment, which test processes
 * inherit. A service that cannot be had is told in one line; with `CI=true` it ends the run. Every temporary folder of
 * the run lies in one that goes with it, so a test that is cut off leaves nothing behind either.
 */
export async function setup(): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-run-'))
  // Services with an account of their own have folders in here.
  chmodSync(folder, 0o711)
  process.env.TMPDIR = folder
  // Ctrl-C ends the run without waiting for what is returned here.
  const guard = guardFolder(folder)

  const [postgres, redis, mariadb] = await Promise.all([providePostgres(), provideRedis(), provideMariadb()])
  announce(postgres, 'GATEHOUSE_TEST_POSTGRES_URL')
  announce(redis, 'GATEHOUSE_TEST_REDIS_URL')
  announce(mariadb, 'GATEHOUSE_TEST_MARIADB_URL')
  const provided = [postgres, redis, mariadb]

  const destroy = async () => {
    await Promise.all(provided.map((one) => ('service' in one ? one.service.destroy() : undefined)))
    await guard.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const missing = provided.flatMap((one) => ('missing' in one ? [one.missing] : []))
  if (missing.length > 0 && process.env.CI === 'true') {
    await destroy()
    throw new Error(`Nothing may be skipped when CI=true. ${missing.join(' ')}`)
  }

  return destroy
}

function announce(provided: Provided<Service>, variable: string) {
  if ('service' in provided) process.env[variable] = provided.service.url
  else console.warn(`${provided.missing} Its tests are skipped.`)
}
