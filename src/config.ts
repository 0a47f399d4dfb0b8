/**
 * How the hub is set up: every room's own section, filled from defaults, then `gatehouse.toml`, then variables, then
 * flags, each stronger than the one before. Every value knows where it came from.
 *
 * Settings keep one name all the way: `drain_seconds` in the file, `config.server.drain_seconds` in the code,
 * `GATEHOUSE_SERVER_DRAIN_SECONDS` in the environment. A section is a `z.strictObject` in its room's `config.ts`; each
 * member has a default, `.describe('One sentence.')` and, where they apply, `.meta({ zh, env, secret })`.
 */
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import { alertsConfig } from './alerts/config.ts'
import { backupsConfig } from './backups/config.ts'
import { type Environment, readEnvironment } from './config/environment.ts'
import { explainIssue } from './config/explain.ts'
import { checkFolder, checkSecrets, checkTogether } from './config/preflight.ts'
import { reloadConfig } from './config/reload-config.ts'
import { describe, listSettings, type Setting } from './config/settings.ts'
import { readToml } from './config/toml.ts'
import { ConfigError, type Finding, type Words } from './config/words.ts'
import { conversationsConfig } from './conversations/config.ts'
import { gatewayConfig } from './gateway/config.ts'
import { healthConfig } from './health/config.ts'
import { accessConfig } from './http/access/config.ts'
import { serverConfig } from './http/config.ts'
import { auditConfig, authConfig } from './identity/config.ts'
import { incidentsConfig } from './incidents/config.ts'
import { maintenanceConfig } from './maintenance/config.ts'
import { analyticsConfig } from './platform/clickhouse/config.ts'
import { databaseConfig, dataConfig, logConfig, mailConfig, networkConfig, redisConfig } from './platform/config.ts'
import { checkFolderUse } from './platform/data-folder.ts'
import { readTextIfPresent } from './platform/files.ts'
import { tracingConfig } from './platform/tracing/config.ts'
import { riskConfig } from './risk/config.ts'
import { serviceProxyConfig, servicesConfig } from './services/config.ts'
import { sourcesConfig } from './sources/config.ts'
import { collectorsConfig, prometheusConfig, telemetryConfig } from './telemetry/config.ts'
import { limitsConfig, usageConfig } from './usage/config.ts'

export { findSetting, mask, type Setting } from './config/settings.ts'
export { ConfigError, type Finding, type Words } from './config/words.ts'

/** The whole configuration. Sections in the order of the example file. */
export const configSchema = z.strictObject({
  server: serverConfig,
  reload: reloadConfig,
  access: accessConfig,
  data: dataConfig,
  database: databaseConfig,
  analytics: analyticsConfig,
  redis: redisConfig,
  log: logConfig,
  network: networkConfig,
  mail: mailConfig,
  tracing: tracingConfig,
  auth: authConfig,
  audit: auditConfig,
  gateway: gatewayConfig,
  usage: usageConfig,
  limits: limitsConfig,
  conversations: conversationsConfig,
  risk: riskConfig,
  services: servicesConfig,
  service_proxy: serviceProxyConfig,
  health: healthConfig,
  alerts: alertsConfig,
  incidents: incidentsConfig,
  telemetry: telemetryConfig,
  collectors: collectorsConfig,
  prometheus: prometheusConfig,
  sources: sourcesConfig,
  backups: backupsConfig,
  maintenance: maintenanceConfig,
})

export type Config = z.infer<typeof configSchema>

/** Where a value came from: `gatehouse.toml:12`, `DATABASE_URL`, `--port`, or `default`. */
export type Origin = { source: 'default' | 'file' | 'env' | 'flag'; where: string }

export type Loaded<C = Config> = {
  config: C
  /** By setting name, as in `server.port`. */
  origins: ReadonlyMap<string, Origin>
  warnings: readonly Finding[]
  /** The file that was read, null when there was none. */
  file: string | null
  /** The text of that file, '' without one. */
  text: string
  /** Reads everything again, with `text` in the place of the file's where it is given. Throws ConfigError. */
  again(text?: string): Loaded<C>
}

export type LoadOptions = {
  /** The file of `--config`; null reads none; undefined looks where the contract says. */
  file?: string | null | undefined
  env: Environment
  /** Values of flags by setting name, and the flag that gave each: `{ 'server.port': { value: 8001, flag: '--port' } }`. */
  flags?: Readonly<Record<string, { value: unknown; flag: string }>>
  /** What the file is to say, whatever it says now. */
  text?: string | undefined
}

/** Every setting there is, in the order of the example file. */
export const settings: readonly Setting[] = listSettings(configSchema)

/** The sections, each with its own settings, in the order of the example file. */
export function listSections(): { name: string; description: Words; settings: Setting[] }[] {
  return Object.entries(configSchema.shape).map(([name, schema]) => ({
    name,
    description: describe(schema),
    settings: settings.filter((setting) => setting.path[0] === name),
  }))
}

/** Reads and checks everything; throws ConfigError with all that is wrong at once. Touches nothing but the file. */
export function loadConfig(options: LoadOptions): Loaded {
  const file = readFile(findFile(options), options.text)
  const { env, flags = {} } = options
  const findings: Finding[] = [...file.findings]
  const origins = new Map<string, Origin>(
    settings.map((setting) => [setting.name, { source: 'default', where: 'default' }]),
  )

  const raw = withSections(file.values)
  for (const setting of settings) {
    const line = file.lines.get(setting.name)
    if (line !== undefined) origins.set(setting.name, { source: 'file', where: `${file.name}:${line}` })
  }
  const fromEnv = readEnvironment(settings, env)
  findings.push(...fromEnv.findings)
  for (const { setting, value, where } of fromEnv.values) {
    put(raw, setting.path, value)
    origins.set(setting.name, { source: 'env', where })
  }
  for (const [name, { value, flag }] of Object.entries(flags)) {
    put(raw, name.split('.'), value)
    origins.set(name, { source: 'flag', where: flag })
  }

  const whereOf = (path: string) => {
    const origin = origins.get(settingNameOf(path))
    if (origin !== undefined && (origin.source === 'env' || origin.source === 'flag')) return origin.where
    const line = nearestLine(file.lines, path)
    return line === undefined ? (origin?.where ?? file.name) : `${file.name}:${line}`
  }
  const parsed = configSchema.safeParse(raw, { reportInput: true })
  if (!parsed.success) findings.push(...parsed.error.issues.flatMap((issue) => explainIssue(issue, settings, whereOf)))
  else findings.push(...checkSecrets(parsed.data, env, whereOf), ...checkTogether(parsed.data, whereOf))

  if (!parsed.success || findings.some((finding) => finding.level === 'error')) throw new ConfigError(findings)
  return {
    ...{ config: parsed.data, origins, warnings: findings, file: file.path, text: file.text },
    again: (text) => loadConfig({ ...options, ...(file.path !== null && { file: file.path }), text }),
  }
}

/** Where settings are written to that nobody has a file for yet. */
export function newFileOf({ config }: Pick<Loaded, 'config'>): string {
  return join(config.data.dir, 'gatehouse.toml')
}

/** Checks what only this machine can tell. `make` creates a missing data folder. Throws ConfigError. */
export function checkMachine(loaded: Loaded, { make }: { make: boolean }): void {
  const findings = checkFolder(loaded.config.data.dir, make, loaded.origins.get('data.dir')?.where ?? 'data.dir')
  if (findings.length > 0) throw new ConfigError(findings)
}

type ConfigFile = {
  path: string | null
  name: string
  text: string
  values: Record<string, unknown>
  lines: ReadonlyMap<string, number>
  findings: Finding[]
}

/** A file that was asked for must exist; the usual places may be empty. */
function findFile({ file, env, flags }: LoadOptions): { path: string; askedBy: string | null }[] {
  if (file === null) return []
  if (file !== undefined) return [{ path: file, askedBy: '--config' }]
  if (env.GATEHOUSE_CONFIG) return [{ path: env.GATEHOUSE_CONFIG, askedBy: 'GATEHOUSE_CONFIG' }]
  const dataDir = flags?.['data.dir']?.value ?? (env.GATEHOUSE_DATA_DIR || 'data')
  return ['gatehouse.toml', join(String(dataDir), 'gatehouse.toml')].map((path) => ({ path, askedBy: null }))
}

function readFile(candidates: { path: string; askedBy: string | null }[], given: string | undefined): ConfigFile {
  const lines = new Map<string, number>()
  const nothing = { path: null, name: 'gatehouse.toml', text: '', values: {}, lines, findings: [] }
  const files = candidates.map((each) => ({ ...each, ...readText(each.path) }))
  if (given !== undefined) {
    const present = files.find(({ text, askedBy }) => text !== null || askedBy !== null)
    return parseFile(present?.path ?? null, given, nothing)
  }
  for (const { path, askedBy, text, reason } of files) {
    if (text === null && askedBy === null && (reason === '' || isBehindDoor(path))) continue
    if (text === null) {
      return { ...nothing, findings: [unreadable(path, askedBy ?? path, reason || 'there is no such file')] }
    }
    return parseFile(path, text, nothing)
  }
  return nothing
}

function parseFile(path: string | null, text: string, nothing: ConfigFile): ConfigFile {
  const local = path === null ? nothing.name : relative('', path)
  const name = local.startsWith('..') ? path! : local
  const document = readToml(text)
  if (document.kind === 'broken') return { ...nothing, path, name, text, findings: [notToml(name, document)] }
  return { path, name, text, values: document.values, lines: document.lines, findings: [] }
}

/** Nobody can tell what lies in a folder that cannot be entered; that the data folder is one, its own check says. */
function isBehindDoor(path: string): boolean {
  return path !== 'gatehouse.toml' && checkFolderUse(dirname(path), false) !== null
}

/** `reason` is '' when the file is merely absent. */
function readText(path: string): { text: string | null; reason: string } {
  try {
    // Editors on Windows put a byte order mark first.
    return { text: readTextIfPresent(path)?.replace(/^\uFEFF/, '') ?? null, reason: '' }
  } catch (error) {
    // A file where a folder was expected: there can be nothing in it.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return { text: null, reason: '' }
    return { text: null, reason: error instanceof Error ? error.message : String(error) }
  }
}

function unreadable(path: string, where: string, reason: string): Finding {
  return {
    level: 'error',
    where,
    setting: '',
    cause: {
      en: `The configuration file ${path} cannot be read: ${reason}.`,
      zh: `无法读取配置文件 ${path}：${reason}。`,
    },
    remedy: {
      en: 'Name an existing file that this user may read, or copy gatehouse.example.toml there.',
      zh: '请指定当前用户可读的现有文件，或将 gatehouse.example.toml 复制到该处。',
    },
  }
}

function notToml(name: string, broken: { line: number; reason: string }): Finding {
  return {
    level: 'error',
    where: `${name}:${broken.line}`,
    setting: '',
    cause: { en: `This is not TOML: ${broken.reason}.`, zh: `不是合法的 TOML：${broken.reason}。` },
    remedy: {
      en: 'Mend the line: text stands in double quotes, lists in [ ], and each key once.',
      zh: '请修正该行：文本用双引号，列表用 [ ]，同一个键只写一次。',
    },
  }
}

/** A copy in which each absent section is an empty table, so that its members' defaults apply. */
function withSections(values: Record<string, unknown>): Record<string, unknown> {
  const empty = Object.fromEntries(Object.keys(configSchema.shape).map((section) => [section, {}]))
  return { ...empty, ...structuredClone(values) }
}

/** Leaves alone what is not a table: validation says so. */
function put(raw: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let table = raw
  for (const key of path.slice(0, -1)) {
    table[key] ??= {}
    const next = table[key]
    if (typeof next !== 'object' || next === null || Array.isArray(next)) return
    table = next as Record<string, unknown>
  }
  table[path.at(-1)!] = value
}

function settingNameOf(path: string): string {
  return settings.find((setting) => path === setting.name || path.startsWith(`${setting.name}.`))?.name ?? path
}

function nearestLine(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  for (let parts = path.split('.'); parts.length > 0; parts = parts.slice(0, -1)) {
    const line = lines.get(parts.join('.'))
    if (line !== undefined) return line
  }
  return undefined
}
