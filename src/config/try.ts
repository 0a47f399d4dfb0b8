import { checkRuleFiles } from '../alerts/index.ts'
import type { Loaded } from '../config.ts'
import type { Area } from '../doctor/index.ts'
import { createWorld, type Diagnosis, type DoctorParts, diagnose, findings } from '../doctor/index.ts'
import { HubError } from '../kernel/errors.ts'
import { askWeb } from '../platform/diagnose/web.ts'
import { checkFolder } from './preflight.ts'
import type { Finding } from './words.ts'

/** What the doctor looks at for settings of a section. */
const areasOf: Readonly<Record<string, readonly Area[]>> = {
  database: ['database'],
  redis: ['redis'],
  server: ['hub'],
  data: ['machine'],
}
/** Addresses of others that settings name: any answer will do. */
const addresses = ['tracing.otlp_url', 'prometheus.url', 'prometheus.remote_write_url', 'auth.oidc.issuer'] as const
const folders = ['log.dir', 'backups.folder'] as const
const patienceMs = 4000

/**
 * Really tries the settings that `changed` names: connects to the store, Redis and others, looks for the port, writes into
 * folders, reads rule files. `error`: the hub could not work so; `warning`: others do not answer now.
 */
export async function tryOut(
  loaded: Loaded,
  changed: readonly string[],
  parts: Omit<DoctorParts, 'isOffline'>,
): Promise<Finding[]> {
  const sections = new Set(changed.map((name) => name.split('.', 1)[0]!))
  const areas = [...sections].flatMap((section) => areasOf[section] ?? [])
  const names = new Set(changed)
  const whereOf = (name: string) => loaded.origins.get(name)?.where ?? name
  const told = await Promise.all([
    areas.length === 0 ? [] : askDoctor(areas, parts, whereOf),
    ...addresses.filter((name) => names.has(name)).map((name) => tryAddress(name, textAt(loaded, name), whereOf(name))),
  ])
  return [
    ...told.flat(),
    ...folders
      .filter((name) => names.has(name))
      .flatMap((name) => tryFolder(name, textAt(loaded, name), whereOf(name))),
    ...(names.has('alerts.rule_files') ? tryRules(loaded, whereOf('alerts.rule_files')) : []),
  ]
}

async function askDoctor(
  areas: readonly Area[],
  parts: Omit<DoctorParts, 'isOffline'>,
  whereOf: (name: string) => string,
): Promise<Finding[]> {
  const world = createWorld({ ...parts, isOffline: false })
  try {
    return (await diagnose(findings, world, areas)).flatMap((each) => toFinding(each, whereOf))
  } finally {
    await world.close()
  }
}

/** What is merely doubtful about the machine is the doctor's to tell. */
function toFinding({ area, status, evidence, cause, remedy, severity }: Diagnosis, whereOf: (name: string) => string) {
  if (status !== 'fail' || severity === 'minor') return []
  const setting =
    { database: 'database.url', redis: 'redis.url', hub: 'server.port', machine: 'data.dir' }[area as string] ?? ''
  const found: Finding = {
    ...{ level: 'error', where: whereOf(setting), setting },
    cause: { en: `${cause?.en ?? ''} (${evidence})`, zh: `${cause?.zh ?? ''}（${evidence}）` },
    remedy: remedy ?? { en: '', zh: '' },
  }
  return [found]
}

async function tryAddress(name: string, url: string, where: string): Promise<Finding[]> {
  if (url === '') return []
  const answer = await askWeb(url, { timeoutMs: patienceMs })
  if (answer.answered) return []
  return [
    {
      ...{ level: 'warning', where, setting: name },
      cause: {
        en: `Nobody answers at ${new URL(url).host}: ${answer.message} (${answer.code}).`,
        zh: `${new URL(url).host} 无应答：${answer.message}（${answer.code}）。`,
      },
      remedy: {
        en: 'Look at the address and whether that server runs; the hub works without it and tries again.',
        zh: '请检查地址以及对方是否在运行；在此期间系统照常工作并会重试。',
      },
    },
  ]
}

function tryFolder(name: string, path: string, where: string): Finding[] {
  if (path === '') return []
  return checkFolder(path, false, where).map((found) => ({ ...found, setting: name }))
}

function tryRules({ config }: Loaded, where: string): Finding[] {
  const told = (message: string): Finding => ({
    ...{ level: 'error', where, setting: 'alerts.rule_files' },
    cause: { en: `A rule file will not do: ${message}.`, zh: `规则文件无效：${message}。` },
    remedy: {
      en: 'gatehouse alerts check FILE says all of it.',
      zh: '执行 gatehouse alerts check 文件 查看全部问题。',
    },
  })
  try {
    return checkRuleFiles(config.alerts.rule_files).flatMap(({ file, faults }) =>
      faults.map(({ message, line }) => told(`${file}:${line}: ${message}`)),
    )
  } catch (error) {
    if (error instanceof HubError) return [told(error.message)]
    throw error
  }
}

function textAt({ config }: Loaded, name: string): string {
  return String(name.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config))
}
