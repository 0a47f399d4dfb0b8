import { join } from 'node:path'
import { mask, settings } from '../../config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { migrations } from '../../migrations/index.ts'
import { removeInside } from '../../platform/data-folder.ts'
import { countRows, eraseStore } from '../../platform/database/erase.ts'
import { openJournal } from '../../platform/journal/journal.ts'
import type { Log } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { keepBefore } from '../../wiring/migration-snapshot.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportUsage } from '../report.ts'
import { type OpenStore, withStore } from '../store.ts'

/** The ledger's journal in the data folder: rows there are not in the store yet. */
const journalFolder = 'journal'

/** What else a hub writes into its data folder; its master key, its settings and its backups stay. */
const alsoRemoved = [journalFolder, 'audit', 'telemetry', 'logs', 'spool', 'roles']

/** Everything the hub stored is deleted, after a backup of it; its settings, its secret key and its backups stay. */
export const reset: Command = {
  name: 'reset',
  summary: {
    en: 'Delete all data of the configured store, its logs and samples, after showing what and a backup',
    zh: '列出并在备份后删除当前数据库的全部数据、日志与采样',
  },
  options: [
    ...configOptions,
    { flags: '--yes', summary: { en: 'Really do it', zh: '确认执行' } },
    { flags: '--no-backup', summary: { en: 'Without a backup: nothing brings it back', zh: '不备份：删除后无法恢复' } },
  ],
  run: (call) => withStore(call, (store) => erase(call, store)),
}

async function erase(call: Call, { loaded, database, log }: OpenStore): Promise<ExitCode> {
  const { config } = loaded
  const url = settings.find((setting) => setting.name === 'database.url')!
  const where = config.database.url === '' ? `SQLite, ${config.data.dir}` : String(mask(url, config.database.url))
  const counts = await countRows(database)
  if (!call.json) {
    call.terminal.out(`${where}:`)
    printTable(
      call.terminal,
      counts.map(({ table, rows }) => [`  ${table}`, String(rows)]),
    )
  }
  if (call.options.yes !== true) {
    return reportUsage(
      call,
      'Nothing was deleted; add --yes to delete all of this for good',
      '尚未删除；确认永久删除请加 --yes',
    )
  }
  assertStopped(config.data.dir, log)
  const isEmpty = counts.every(({ rows }) => rows === 0)
  const kept = isEmpty || call.options.backup === false ? null : await keep(call, loaded, log)
  await eraseStore(database, migrations, { log })
  for (const folder of alsoRemoved) removeInside(config.data.dir, folder)
  if (call.json) printJson(call.terminal, { ok: true, store: where, deleted: counts, backup: kept })
  else {
    if (kept !== null) call.terminal.out(`Kept as ${kept}: gatehouse backup restore ${kept} --yes · 已备份为 ${kept}`)
    call.terminal.out('Deleted; the next start begins anew · 已删除；下次启动将重新初始化')
  }
  return exitCodes.ok
}

function keep(call: Call, loaded: OpenStore['loaded'], log: Log): Promise<string> {
  const secretKey = call.terminal.env.GATEHOUSE_SECRET_KEY ?? ''
  return keepBefore(loaded, { secretKey, version: call.version, log, what: 'the reset' })
}

/** A running hub has its journal to itself: throws `ledger_unavailable` when this one does. */
function assertStopped(dataDir: string, log: Log): void {
  const metrics = createMetrics({ clock: systemClock })
  const folder = join(dataDir, journalFolder)
  openJournal({ folder, clock: systemClock, log, metrics }).close()
}
