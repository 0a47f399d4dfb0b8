import type { Kysely } from 'kysely'
import { readValue } from '../../config/environment.ts'
import { valueAt } from '../../config/live.ts'
import { editAll, openRevision } from '../../config/reload.ts'
import { createRevisionsStore, type Revision, type RevisionTables } from '../../config/revisions-store.ts'
import { tryOut } from '../../config/try.ts'
import {
  ConfigError,
  checkMachine,
  findSetting,
  type Loaded,
  mask,
  newFileOf,
  type Setting,
  settings,
} from '../../config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { replaceFile } from '../../platform/files.ts'
import { createSecrets, findMasterKey } from '../../platform/secrets.ts'
import { outsideParts } from '../../wiring/doctor-parts.ts'
import { askHub, type HubAnswer } from '../ask-hub.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { exportPlane, importPlane } from '../config-transfer.ts'
import { printJson, printTable, reportFailure, reportFindings } from '../report.ts'
import { loadFor } from '../settings.ts'
import { withConfig, withStore } from '../store.ts'

const named = { name: '<setting>', summary: { en: 'As in server.port', zh: '例如 server.port' } }

/** What is set and where, what would stop a start, and how it changes: in the file, in a running hub, and back. */
export const config: Command = {
  name: 'config',
  summary: {
    en: 'Check, show, change, reload and roll back the configuration',
    zh: '检查、查看、修改、重载与回滚配置',
  },
  commands: [
    {
      name: 'validate',
      summary: {
        en: 'Check every setting without starting anything; 0 valid, 2 with warnings, 78 refused',
        zh: '检查全部配置但不启动服务；返回 0 有效、2 有警告、78 无效',
      },
      options: [
        ...configOptions,
        {
          flags: '--live',
          summary: {
            en: 'Also connect to the store, Redis and others, look for the port, write into folders, read rule files',
            zh: '同时实际连接存储、Redis 等，检查端口、目录与规则文件',
          },
        },
      ],
      run: validate,
    },
    {
      name: 'show',
      summary: {
        en: 'Show every setting and where its value comes from; secrets are masked',
        zh: '显示每项配置及其来源；密钥会被遮盖',
      },
      options: configOptions,
      run: show,
    },
    {
      name: 'get',
      summary: { en: 'Show one setting: its value alone, for scripts', zh: '输出单项配置的值，便于脚本使用' },
      args: [named],
      options: configOptions,
      run: get,
    },
    {
      name: 'set',
      summary: {
        en: 'Write a setting into the file, which keeps its comments; checked before it is written',
        zh: '将配置写入文件并保留注释；写入前先校验',
      },
      args: [
        named,
        {
          name: '<value>',
          summary: { en: 'As in a variable: lists with commas', zh: '与环境变量写法相同：列表用逗号' },
        },
      ],
      options: configOptions,
      run: (call) => change(call, (setting, [, text]) => readValue(setting, text!)),
    },
    {
      name: 'unset',
      summary: { en: 'Take a setting out of the file', zh: '从文件中删除一项配置' },
      args: [named],
      options: configOptions,
      run: (call) => change(call, () => null),
    },
    {
      name: 'diff',
      summary: {
        en: 'What differs from the settings a hub of this store ran with last',
        zh: '与使用同一存储的服务最近一次运行的配置相比有何不同',
      },
      options: configOptions,
      run: diff,
    },
    {
      name: 'reload',
      summary: {
        en: 'Let the running hub read its settings again; it takes back what makes it worse',
        zh: '让运行中的服务重新加载配置；若健康变差会自动回滚',
      },
      options: configOptions,
      run: (call) =>
        withConfig(call, async (loaded) =>
          tell(call, await askHub(loaded.config, 'POST', '/api/config/reload', undefined)),
        ),
    },
    {
      name: 'revisions',
      summary: {
        en: 'Settings that hubs of this store ran with, the newest first',
        zh: '使用该存储的服务运行过的配置版本，最新在前',
      },
      options: configOptions,
      run: listRevisions,
    },
    {
      name: 'rollback',
      summary: {
        en: 'Write the file as it was with a revision (else the one before the last) and reload it where a hub runs',
        zh: '将文件恢复到某个版本（默认上一个），若服务在运行则重新加载',
      },
      args: [{ name: '[revision]', summary: { en: 'rev_…', zh: 'rev_…' } }],
      options: configOptions,
      run: rollback,
    },
    exportPlane,
    importPlane,
  ],
}

async function validate(call: Call): Promise<ExitCode> {
  const loaded = loadFor(call)
  checkMachine(loaded, { make: false })
  const { file } = loaded
  const tried = call.options.live === true ? await tryAll(loaded, call) : []
  if (tried.some(({ level }) => level === 'error')) throw new ConfigError([...loaded.warnings, ...tried])
  const warnings = [...loaded.warnings, ...tried]
  if (call.json) printJson(call.terminal, { ok: true, file, findings: warnings })
  else {
    reportFindings(call.terminal, warnings)
    call.terminal.out(`The configuration is valid (${countOrigins(loaded)}) · 配置有效`)
  }
  return warnings.length === 0 ? exitCodes.ok : exitCodes.warnings
}

function tryAll(loaded: Loaded, { terminal: { env } }: Call) {
  const parts = outsideParts({ loaded, env, secretKey: env.GATEHOUSE_SECRET_KEY ?? '', clock: systemClock })
  return tryOut(
    loaded,
    settings.map(({ name }) => name),
    parts,
  )
}

function countOrigins({ origins, file }: Loaded): string {
  const count = (source: string) => [...origins.values()].filter((origin) => origin.source === source).length
  return [
    file === null ? 'no file' : `${count('file')} from ${file}`,
    `${count('env')} from variables`,
    `${count('flag')} from flags`,
    `${count('default')} defaults`,
  ].join(', ')
}

async function show(call: Call): Promise<ExitCode> {
  const { config: values, origins } = loadFor(call)
  const shown = settings.map((setting) => ({
    name: setting.name,
    value: mask(setting, valueAt(values, setting.path)),
    ...origins.get(setting.name)!,
  }))
  if (call.json) {
    const byName = Object.fromEntries(shown.map(({ name, value, source, where }) => [name, { value, source, where }]))
    printJson(call.terminal, byName)
  } else {
    const rows = shown.map(({ name, value, where }) => [name, JSON.stringify(value), where])
    printTable(call.terminal, rows)
  }
  return exitCodes.ok
}

function get(call: Call): Promise<ExitCode> {
  return withConfig(call, async ({ config: values, origins }) => {
    const setting = findSetting(call.args[0]!, settings)
    const value = mask(setting, valueAt(values, setting.path))
    if (call.json) printJson(call.terminal, { name: setting.name, value, ...origins.get(setting.name) })
    else call.terminal.out(typeof value === 'string' ? value : JSON.stringify(value))
    return exitCodes.ok
  })
}

/** The new text is read as a start would read it; only then it takes the place of the old one, whole or not at all. */
function change(call: Call, readAs: (setting: Setting, args: readonly string[]) => unknown): Promise<ExitCode> {
  return withConfig(call, async (loaded) => {
    const setting = findSetting(call.args[0]!, settings)
    const text = editAll(loaded.text, { [setting.name]: readAs(setting, call.args) }, settings)
    const next = loaded.again(text)
    const file = loaded.file ?? newFileOf(loaded)
    const isChanged = text !== loaded.text
    if (isChanged) replaceFile(file, text)
    const origin = next.origins.get(setting.name)!
    const isHidden = origin.source === 'env' || origin.source === 'flag'
    if (call.json) {
      const { isReloadable: reloadable, name } = setting
      printJson(call.terminal, {
        ok: true,
        name,
        file,
        changed: isChanged,
        reloadable,
        overridden_by: isHidden ? origin.where : null,
      })
    } else {
      call.terminal.out(
        isChanged ? `${setting.name} is written to ${file} · 已写入` : `${file} says so already · 无变化`,
      )
      if (isHidden)
        call.terminal.err(`! ${origin.where} is stronger and hides it · ${origin.where} 优先级更高，文件中的值不生效`)
      else if (isChanged)
        call.terminal.out(
          setting.isReloadable
            ? 'A running hub takes it over: gatehouse config reload · 执行 gatehouse config reload 即可生效'
            : 'It needs a restart of the hub · 需要重启服务后生效',
        )
    }
    return isHidden ? exitCodes.warnings : exitCodes.ok
  })
}

function diff(call: Call): Promise<ExitCode> {
  return withRevisions(call, async (store, loaded, open) => {
    const last = (await store.list({ limit: 50, before: '' })).find(({ outcome }) => outcome !== 'rolled_back')
    if (last === undefined)
      throw fail('not_found', 'No hub has run on this store yet: there is nothing to compare with')
    const { values } = open((await store.find(last.id))!)
    const changes = settings
      .map((setting) => ({
        name: setting.name,
        before: valueAt(values, setting.path),
        after: valueAt(loaded.config, setting.path),
        setting,
      }))
      .filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after))
      .map(({ name, before, after, setting }) => ({
        ...{ name, before: mask(setting, before) ?? null, after: mask(setting, after) ?? null },
        reloadable: setting.isReloadable,
      }))
    if (call.json) printJson(call.terminal, { revision: last.id, changes })
    else if (changes.length === 0) call.terminal.out(`Nothing differs from ${last.id} · 与最近版本一致`)
    else {
      const rows = changes.map(({ name, before, after, reloadable }) => [
        ...[name, JSON.stringify(before), '→', JSON.stringify(after)],
        reloadable ? 'reload' : 'restart · 需重启',
      ])
      printTable(call.terminal, rows)
    }
    return exitCodes.ok
  })
}

function listRevisions(call: Call): Promise<ExitCode> {
  return withRevisions(call, async (store) => {
    const all = await store.list({ limit: 50, before: '' })
    if (call.json)
      printJson(
        call.terminal,
        all.map(({ id, at, node, author, origin, outcome, reason, diff }) => ({
          id,
          at,
          node,
          author,
          origin,
          outcome,
          reason,
          diff,
        })),
      )
    else printTable(call.terminal, all.map(toRow))
    return exitCodes.ok
  })
}

function toRow({ id, at, node, author, origin, outcome, diff }: Revision): string[] {
  const names = diff.map(({ name }) => name)
  const told = names.length > 3 ? `${names.slice(0, 3).join(', ')} +${names.length - 3}` : names.join(', ')
  return [id, new Date(at).toISOString(), node, `${origin} ${author.name}`, outcome, told]
}

function rollback(call: Call): Promise<ExitCode> {
  return withRevisions(call, async (store, loaded, open) => {
    const id = call.args[0] ?? (await beforeLast(store))
    const found = await store.find(id)
    if (found === undefined)
      throw fail('not_found', `There is no revision ${id}: gatehouse config revisions lists them`)
    if (loaded.config.auth.admin_key !== '') {
      const answer = await askHub(loaded.config, 'POST', `/api/config/revisions/${id}/rollback`, undefined).catch(
        () => null,
      )
      if (answer !== null) return tell(call, answer)
    }
    const { text } = open(found)
    loaded.again(text)
    const file = loaded.file ?? newFileOf(loaded)
    replaceFile(file, text)
    if (call.json) printJson(call.terminal, { ok: true, revision: id, file, reloaded: false })
    else
      call.terminal.out(
        `${file} is as with ${id}; no hub was asked: it reads the file at its start or with SIGHUP · 文件已恢复，重启或发送 SIGHUP 后生效`,
      )
    return exitCodes.ok
  })
}

async function beforeLast(store: ReturnType<typeof createRevisionsStore>): Promise<string> {
  const kept = (await store.list({ limit: 100, before: '' })).filter(({ outcome }) => outcome !== 'rolled_back')
  if (kept[1] === undefined) throw fail('not_found', 'There is no revision before the last one')
  return kept[1].id
}

function withRevisions(
  call: Call,
  use: (
    store: ReturnType<typeof createRevisionsStore>,
    loaded: Loaded,
    open: (stored: { id: string; sealed: string }) => ReturnType<typeof openRevision>,
  ) => Promise<ExitCode>,
): Promise<ExitCode> {
  return withStore(call, async ({ loaded, database }) => {
    const secretKey = call.terminal.env.GATEHOUSE_SECRET_KEY ?? ''
    try {
      return await use(createRevisionsStore(database.kysely as Kysely<RevisionTables>), loaded, (stored) => {
        const masterKey = findMasterKey({ secretKey, dataDir: loaded.config.data.dir })
        if (masterKey === null) throw fail('unavailable', 'There is no master key, and revisions are sealed with it')
        return openRevision(stored, createSecrets(masterKey))
      })
    } catch (error) {
      return reportFailure(call.terminal, error, call.json, loaded.origins)
    }
  })
}

type Told = {
  revision: { id: string } | null
  applied: string[]
  waiting: string[]
  watched_until: string | null
}

/** What a hub answered to new settings. */
function tell(call: Call, { status, body }: HubAnswer): ExitCode {
  const { terminal, json } = call
  if (json) printJson(terminal, body)
  if (status >= 400) {
    if (!json) terminal.err(`✗ ${String((body as { detail?: unknown }).detail)}`)
    return status === 400 ? exitCodes.configuration : exitCodes.failed
  }
  const { revision, applied, waiting, watched_until: until } = body as Told
  if (json) return exitCodes.ok
  if (revision === null) terminal.out('Nothing differs from what runs · 与运行中的配置一致')
  else terminal.out(`${revision.id}: ${applied.join(', ') || '–'} in use · 已生效`)
  if (waiting.length > 0) terminal.out(`After the next start: ${waiting.join(', ')} · 重启后生效`)
  if (until !== null)
    terminal.out(`Health is watched until ${until}; it takes them back if that gets worse · 观察期内若变差将自动回滚`)
  return exitCodes.ok
}
