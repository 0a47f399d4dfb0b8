import { takeBefore } from '../backups/index.ts'
import type { Loaded } from '../config.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from '../platform/log.ts'
import { createSecrets, loadMasterKey, type Secrets } from '../platform/secrets.ts'
import { keptFiles } from './kept-files.ts'

/**
 * A full backup before a command changes or deletes what is stored; its id. Rejects when it cannot be taken: whoever asks for
 * `what` shall then decide.
 */
export async function keepBefore(
  loaded: Pick<Loaded, 'config'> & Partial<Pick<Loaded, 'file'>>,
  { secretKey, version, log, what }: { secretKey: string; version: string; log: Log; what: string },
): Promise<string> {
  const { config } = loaded
  const secrets = createSecrets(loadMasterKey({ secretKey, dataDir: config.data.dir }))
  const address = { url: config.database.url, dataDir: config.data.dir }
  try {
    return await takeBefore(
      'safety',
      { secrets, version, log, address, ...keptFiles(loaded, secretKey) },
      config.backups,
    )
  } catch (cause) {
    throw fail(
      'unavailable',
      `No backup could be taken before ${what}, so nothing was done: ${(cause as Error).message}. Mend that, name another folder in backups.folder, or add --no-backup.`,
      { cause },
    )
  }
}

type SnapshotParts = { secrets: Secrets; version: string; log: Log } & ReturnType<typeof keptFiles>

/**
 * A backup of a store that migrations are about to change. Rejects when it cannot be taken, and then nothing is changed:
 * what goes wrong in a migration can only be taken back from here.
 */
export function snapshotBefore(config: Loaded['config'], parts: SnapshotParts) {
  return async (names: readonly string[]): Promise<void> => {
    if (config.backups.before_migrations === 0) return
    parts.log.info('Taking a backup before the migrations', { count: names.length })
    const address = { url: config.database.url, dataDir: config.data.dir }
    try {
      const id = await takeBefore('migration', { ...parts, address }, config.backups)
      parts.log.info(`The store as it was is kept as ${id}`)
    } catch (cause) {
      throw fail(
        'unavailable',
        `No backup could be taken before the migrations, so none was run: ${(cause as Error).message}. Mend that, name another folder in backups.folder, or set backups.before_migrations = 0.`,
        { cause },
      )
    }
  }
}
