import { basename, dirname, join } from 'node:path'
import {
  type BackupTables,
  createBackups,
  createGauge,
  createRecoveryKey,
  direct,
  listBackups,
  ownKeyOf,
  placeOf,
  restore as putBack,
  restoringName,
} from '../../backups/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { migrations } from '../../migrations/index.ts'
import { readTextIfPresent } from '../../platform/files.ts'
import { openJournal } from '../../platform/journal/journal.ts'
import { noLeases } from '../../platform/lease/none.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { type ObjectPlace, openObjectStore } from '../../platform/object-store/index.ts'
import { createSecrets, findMasterKey } from '../../platform/secrets.ts'
import { createHubQuestions } from '../../read-only-hub/index.ts'
import { createQuestions } from '../../wiring/drill-questions.ts'
import { keptFiles } from '../../wiring/kept-files.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportUsage } from '../report.ts'
import { loadFor } from '../settings.ts'
import { withConfig, withPlatform } from '../store.ts'

const idArgument = [{ name: '<id>', summary: { en: 'Id of a backup, or newest', zh: '备份 ID，或 newest' } }]
const suffix = '.ghb'

/** Backups without a session: whoever may read the data folder owns the hub. Restoring is for here alone: it stops the hub. */
export const backup: Command = {
  name: 'backup',
  summary: { en: 'Take, check, restore and drill backups', zh: '备份、校验、恢复与演练' },
  commands: [
    {
      name: 'now',
      summary: { en: 'Take a backup and read it back', zh: '立即备份并回读校验' },
      options: [
        ...configOptions,
        {
          flags: '--increment',
          summary: { en: 'Only what has changed since the last one', zh: '只备份自上次以来的变化' },
        },
      ],
      run: now,
    },
    {
      name: 'list',
      summary: { en: 'List backups; works while the store is away', zh: '列出备份；数据库不可用时也可使用' },
      options: configOptions,
      run: list,
    },
    {
      name: 'verify',
      summary: {
        en: 'Read all of a backup back; 1 when it is not what was written',
        zh: '完整回读校验备份；不一致时返回 1',
      },
      args: idArgument,
      options: configOptions,
      run: verify,
    },
    {
      name: 'restore',
      summary: {
        en: 'Put a backup in the place of the store, which is kept; the hub must be stopped',
        zh: '用备份替换当前数据库（原库保留）；须先停止服务',
      },
      args: [{ name: '<id>', summary: { en: 'Id, newest, or a file', zh: '备份 ID、newest 或文件路径' } }],
      options: [
        ...configOptions,
        { flags: '--yes', summary: { en: 'Really do it', zh: '确认执行' } },
        {
          flags: '--migrate',
          summary: { en: 'Bring a backup of an earlier version forward', zh: '将旧版本备份升级到当前结构' },
        },
        {
          flags: '--recovery-key-file <file>',
          summary: { en: 'Open it with the secret half of a recovery key', zh: '用恢复私钥文件打开备份' },
        },
      ],
      run: restore,
    },
    {
      name: 'drill',
      summary: {
        en: 'Restore the newest and a random older backup beside the store and look at them; 1 failed, 2 inconclusive',
        zh: '在旁路恢复最新与随机一份旧备份并检查；1 失败，2 无法判定',
      },
      options: configOptions,
      run: drill,
    },
    {
      name: 'recovery-key',
      summary: { en: 'Make a recovery key; its secret half is shown once', zh: '生成恢复密钥；私钥仅显示一次' },
      run: recoveryKey,
    },
  ],
}

function withDesk(
  call: Call,
  use: (desk: ReturnType<typeof createBackups>['desk']) => Promise<ExitCode>,
): Promise<ExitCode> {
  return withPlatform<BackupTables>(call, async ({ database, secrets, bus, log, metrics }, config) => {
    const { file } = loadFor(call)
    const kept = keptFiles({ config, file }, call.terminal.env.GATEHOUSE_SECRET_KEY ?? '')
    const { desk } = createBackups(
      {
        ...{ db: database.kysely, secrets, bus, clock: systemClock, log, metrics, migrations, version: call.version },
        ...kept,
        address: { url: config.database.url, dataDir: config.data.dir },
        smoke: createQuestions({ secrets, log, askHub: createHubQuestions(config, { ...kept, log }) }),
        leases: noLeases,
        runner: direct,
      },
      config.backups,
    )
    return use(desk)
  })
}

async function now(call: Call): Promise<ExitCode> {
  return withDesk(call, async (desk) => {
    const run = await desk.take(call.options.increment === true ? 'increment' : 'full')
    const { id, kind, bytes, rows } = run
    if (call.json) printJson(call.terminal, { ok: true, id, kind, bytes, rows, where: desk.where })
    else call.terminal.out(`${id}  ${kind}  ${rows} rows, ${bytes} bytes, read back · 已回读校验  (${desk.where})`)
    return exitCodes.ok
  })
}

async function list(call: Call): Promise<ExitCode> {
  return withConfig(call, async ({ config }) => {
    const place = placeOf(config.backups, config.data.dir)
    const { where } = openObjectStore(place)
    const found = await listBackups(place)
    if (call.json) printJson(call.terminal, found)
    else if (found.length === 0) call.terminal.out(`There is none in ${where} · 暂无备份`)
    else {
      printTable(
        call.terminal,
        found.map((each) => [
          each.id,
          each.kind,
          each.fault === '' ? new Date(each.takenAt).toISOString() : each.fault,
          `${each.bytes}`,
          each.chain.length === 0 ? '' : `+ ${each.chain.length}`,
        ]),
      )
    }
    return found.some(({ fault }) => fault !== '') ? exitCodes.warnings : exitCodes.ok
  })
}

async function verify(call: Call): Promise<ExitCode> {
  return withConfig(call, async ({ config }) => {
    const place = placeOf(config.backups, config.data.dir)
    const id = await idOf(call.args[0]!, place)
    const own = ownKeyFor(call, config.data.dir)
    const keys = { own, recoverySecret: null }
    const done = await direct.verify({ id, place, keys, gauge: createGauge() })
    if (call.json) printJson(call.terminal, { ok: true, id, rows: done.rows, bytes: done.bytes })
    else call.terminal.out(`${id}  ${done.rows} rows as they were written · 内容完整`)
    return exitCodes.ok
  })
}

async function restore(call: Call): Promise<ExitCode> {
  if (call.options.yes !== true) {
    return reportUsage(
      call,
      'This puts a backup in the place of the store (which is kept); add --yes to do it',
      '此操作将用备份替换当前数据库（原库会保留）；确认请加 --yes',
    )
  }
  return withConfig(call, async ({ config }) => {
    const written = call.args[0]!
    const isFile = written.endsWith(suffix)
    const place: ObjectPlace = isFile
      ? { kind: 'folder', path: dirname(written) }
      : placeOf(config.backups, config.data.dir)
    const id = isFile ? basename(written, suffix) : await idOf(written, place)
    const log = createLog({
      level: 'error',
      format: 'text',
      stream: { write: (line) => call.terminal.err(line.trimEnd()) },
    })
    openJournal({
      ...{ folder: join(config.data.dir, 'journal'), clock: systemClock, log },
      metrics: createMetrics({ clock: systemClock }),
    }).close()
    const own = ownKeyFor(call, config.data.dir)
    const done = await putBack({
      ...{ address: { url: config.database.url, dataDir: config.data.dir }, place, id },
      keys: { own, recoverySecret: readRecoveryKey(call) },
      ...{ migrations, log, version: call.version, allowOlder: call.options.migrate === true, gauge: createGauge() },
      ...{ besideName: restoringName, load: direct.load, dataDir: config.data.dir, hubKeyId: own?.keyId ?? null },
      stamp: new Date().toISOString().slice(0, 19).replaceAll(':', '-'),
    })
    if (call.json) printJson(call.terminal, { ok: true, ...done })
    else {
      call.terminal.out(
        `Restored ${id} of ${new Date(done.takenAt).toISOString()}: ${done.rows} rows in ${done.tookMs} ms · 已恢复`,
      )
      if (done.kept !== '') call.terminal.out(`The store as it was is kept · 原库保留于: ${done.kept}`)
      for (const file of done.files) call.terminal.out(`Written · 已写入: ${file}`)
    }
    return exitCodes.ok
  })
}

async function drill(call: Call): Promise<ExitCode> {
  return withDesk(call, async (desk) => {
    const result = await desk.drill()
    if (call.json) printJson(call.terminal, result)
    else {
      for (const { id, outcome, rto_ms, steps } of result.backups) {
        call.terminal.out(`${id}  ${outcome}  ${rto_ms} ms`)
        printTable(
          call.terminal,
          steps.map(({ step, is_good, told }) => [`  ${is_good ? '✓' : '✗'}`, step, told]),
        )
      }
      call.terminal.out(`${result.outcome}${result.cause === '' ? '' : `: ${result.cause}`}`)
    }
    return { ok: exitCodes.ok, failed: exitCodes.failed, inconclusive: exitCodes.warnings }[result.outcome]
  })
}

async function recoveryKey(call: Call): Promise<ExitCode> {
  const { publicKey, secretKey } = createRecoveryKey()
  if (call.json) printJson(call.terminal, { public_key: publicKey, secret_key: secretKey })
  else {
    call.terminal.out(`[backups]\nrecovery_key = "${publicKey}"\n`)
    call.terminal.out(`${secretKey}`)
    call.terminal.err(
      'Put the first into gatehouse.toml, and the second on paper or into a safe: it is shown this once.',
    )
    call.terminal.err('前者写入 gatehouse.toml；后者请离线妥善保存，仅显示这一次。')
  }
  return exitCodes.ok
}

async function idOf(written: string, place: ObjectPlace): Promise<string> {
  if (written !== 'newest') return written
  const objects = openObjectStore(place)
  const newest = (await objects.list()).findLast(({ name }) => name.endsWith(suffix))
  if (newest === undefined) throw fail('not_found', `There is no backup in ${objects.where}`)
  return newest.name.slice(0, -suffix.length)
}

/** null where the hub has no master key yet, as on a new machine; none is made here. */
function ownKeyFor(call: Call, dataDir: string) {
  const masterKey = findMasterKey({ secretKey: call.terminal.env.GATEHOUSE_SECRET_KEY ?? '', dataDir })
  return masterKey === null ? null : ownKeyOf(createSecrets(masterKey))
}

function readRecoveryKey({ options }: Call): string | null {
  const path = options.recoveryKeyFile
  if (typeof path !== 'string') return null
  const text = readTextIfPresent(path)
  if (text !== null) return text
  throw fail('invalid_request', `There is no file ${path}`, { param: '--recovery-key-file' })
}
