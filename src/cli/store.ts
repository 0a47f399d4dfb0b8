import type { Config, Loaded } from '../config.ts'
import { systemClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { migrations } from '../migrations/index.ts'
import { type Database, migrationStatus, openDatabase, waitForDatabase } from '../platform/database/index.ts'
import { createLog, type Log, type LogControl } from '../platform/log.ts'
import { openPlatform, type Platform } from '../platform/open.ts'
import type { Call, ExitCode } from './command.ts'
import { reportFailure } from './report.ts'
import { loadFor } from './settings.ts'

/** What a command that works on the store itself is given; rooms type the tables they use. */
// biome-ignore lint/suspicious/noExplicitAny: each room has its own tables
export type OpenStore = { loaded: Loaded; database: Database<any>; log: Log }

/** Runs `use` with the configuration of this call; a failure that concerns a setting says where that was set. */
export async function withConfig(call: Call, use: (loaded: Loaded) => Promise<ExitCode>): Promise<ExitCode> {
  const loaded = loadFor(call)
  try {
    return await use(loaded)
  } catch (error) {
    return reportFailure(call.terminal, error, call.json, loaded.origins)
  }
}

/**
 * Runs `use` with the whole platform open, for commands that speak through a room. Rejects with `unavailable` when the
 * store lacks migrations: only `serve` and `migrate up` change its shape.
 */
export async function withPlatform<Tables>(
  call: Call,
  use: (platform: Platform<Tables>, config: Config) => Promise<ExitCode>,
): Promise<ExitCode> {
  return withConfig(call, async ({ config }) => {
    const platform = await openPlatform<Tables>(
      { ...config, database: { ...config.database, wait_tries: 1, pool_size: 2 } },
      {
        ...{ clock: systemClock, log: openErrorLog(call), version: call.version },
        secretKey: call.terminal.env.GATEHOUSE_SECRET_KEY ?? '',
      },
    )
    try {
      const pending = (await migrationStatus(platform.database, migrations)).filter(
        ({ appliedAt }) => appliedAt === null,
      )
      if (pending.length > 0) {
        throw fail(
          'unavailable',
          `The store lacks ${pending.length} migrations; run "gatehouse migrate up" or start the hub`,
        )
      }
      return await use(platform, config)
    } finally {
      await platform.close()
    }
  })
}

/** Runs `use` with the configured store open, and closes it whatever happens. One try: a person is waiting. */
export async function withStore(call: Call, use: (store: OpenStore) => Promise<ExitCode>): Promise<ExitCode> {
  return withConfig(call, async (loaded) => {
    const { config } = loaded
    const log = openErrorLog(call)
    const open = () =>
      openDatabase({
        url: config.database.url,
        dataDir: config.data.dir,
        poolSize: 2,
        statementTimeoutMs: config.database.statement_timeout_seconds * 1000,
        log,
      })
    const database = await waitForDatabase(open, { tries: 1, clock: systemClock, log })
    try {
      return await use({ loaded, database, log })
    } finally {
      await database.close()
    }
  })
}

// What goes wrong is told by the command itself; the log has only what nobody else tells.
function openErrorLog({ terminal }: Call): LogControl {
  return createLog({ level: 'error', format: 'text', stream: { write: (line) => terminal.err(line.trimEnd()) } })
}
