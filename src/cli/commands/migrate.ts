import { migrations } from '../../migrations/index.ts'
import { migrate as apply, migrateDown, migrationStatus } from '../../platform/database/index.ts'
import { createSecrets, loadMasterKey } from '../../platform/secrets.ts'
import { keptFiles } from '../../wiring/kept-files.ts'
import { snapshotBefore } from '../../wiring/migration-snapshot.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportUsage } from '../report.ts'
import { withStore } from '../store.ts'

/** Steps of the store's shape: `serve` applies them by itself, these are for doing it apart. */
export const migrate: Command = {
  name: 'migrate',
  summary: { en: 'Show, apply or take back database migrations', zh: '查看、执行或回退数据库迁移' },
  commands: [
    {
      name: 'status',
      summary: {
        en: 'List migrations; 0 when the store is up to date, 2 when not',
        zh: '列出迁移；已是最新返回 0，否则返回 2',
      },
      options: configOptions,
      run: status,
    },
    {
      name: 'up',
      summary: { en: 'Apply what is missing, after a backup of what is there', zh: '备份后执行尚未应用的迁移' },
      options: configOptions,
      run: up,
    },
    {
      name: 'down',
      summary: {
        en: 'Take back the latest migrations; what only they hold is lost',
        zh: '回退最近的迁移；仅存在于其中的数据会丢失',
      },
      options: [
        ...configOptions,
        { flags: '--steps <n>', summary: { en: 'How many (default 1)', zh: '回退的数量（默认 1）' } },
        { flags: '--yes', summary: { en: 'Really do it', zh: '确认执行' } },
      ],
      run: down,
    },
  ],
}

async function status(call: Call): Promise<ExitCode> {
  return withStore(call, async ({ database }) => {
    const states = await migrationStatus(database, migrations)
    if (call.json) printJson(call.terminal, states)
    else {
      const rows = states.map(({ name, appliedAt, version, isKnown }) => [
        name,
        appliedAt === null ? 'pending · 待执行' : new Date(appliedAt).toISOString(),
        version,
        isKnown ? '' : 'unknown to this program · 本程序不认识',
      ])
      printTable(call.terminal, rows)
    }
    const isCurrent = states.every(({ appliedAt, isKnown }) => appliedAt !== null && isKnown)
    return isCurrent ? exitCodes.ok : exitCodes.warnings
  })
}

async function up(call: Call): Promise<ExitCode> {
  return withStore(call, async ({ loaded, database, log }) => {
    const secretKey = call.terminal.env.GATEHOUSE_SECRET_KEY ?? ''
    const { version } = call
    const beforeFirst = async (names: readonly string[]) => {
      // Only now: a store that holds nothing needs no key yet.
      const secrets = createSecrets(loadMasterKey({ secretKey, dataDir: loaded.config.data.dir }))
      await snapshotBefore(loaded.config, { secrets, version, log, ...keptFiles(loaded, secretKey) })(names)
    }
    const applied = await apply(database, migrations, { log, version, beforeFirst })
    tell(call, applied, { done: 'applied · 已执行', none: 'Nothing to apply · 无需执行' })
    return exitCodes.ok
  })
}

async function down(call: Call): Promise<ExitCode> {
  const steps = Number(call.options.steps ?? 1)
  if (!Number.isInteger(steps) || steps < 1)
    return reportUsage(call, '--steps takes a whole number from 1', '--steps 应为正整数')
  if (call.options.yes !== true) {
    return reportUsage(call, 'This deletes data; add --yes to do it', '此操作会删除数据；确认请加 --yes')
  }
  return withStore(call, async ({ database, log }) => {
    const undone = await migrateDown(database, migrations, { log, steps })
    tell(call, undone, { done: 'taken back · 已回退', none: 'Nothing to take back · 无可回退' })
    return exitCodes.ok
  })
}

function tell(call: Call, names: readonly string[], words: { done: string; none: string }): void {
  if (call.json) printJson(call.terminal, { migrations: names })
  else if (names.length === 0) call.terminal.out(words.none)
  else for (const name of names) call.terminal.out(`${name}  ${words.done}`)
}
