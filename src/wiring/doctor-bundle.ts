import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Loaded, mask, settings } from '../config.ts'
import {
  type CleanPart,
  cleanParts,
  type Diagnosis,
  judge,
  manifestOf,
  type Part,
  showDiagnosis,
} from '../doctor/index.ts'
import { listFolder, tellMachine } from '../platform/diagnose/machine.ts'
import { readTail, readTextIfPresent } from '../platform/files.ts'
import { masterKeyPath } from '../platform/secrets.ts'
import { version } from '../version.ts'
import { logFolder } from './own-folder.ts'

type Around = {
  /** null where the configuration cannot be read. */
  loaded: Loaded | null
  env: Readonly<Record<string, string | undefined>>
  found: readonly Diagnosis[]
  quick: string
  atMs: number
}

const mostLogBytes = 256 * 1024
/** Variables whose names alone tell something; their values stay here. */
const toldVariables =
  /^(GATEHOUSE_|DATABASE_URL|REDIS_URL|ADMIN_KEY|CORS_ORIGINS|LOG_LEVEL|NODE_|(https?|all|no)_proxy$|TZ$|LANG$)/i

/** Everything that may go out, and nothing else: what is not on this list is in no bundle. */
export function makeBundle({ loaded, env, found, quick, atMs }: Around): CleanPart[] {
  const parts: Part[] = [
    {
      ...{ name: 'doctor.json', what: 'What the doctor found' },
      text: toJson({ ...judge(found), findings: found.map(showDiagnosis) }),
    },
    { name: 'diagnose.txt', what: 'The quick diagnosis', text: `${quick}\n` },
    { name: 'machine.json', what: 'Program, runtime, system, memory', text: toJson({ version, ...tellMachine() }) },
    {
      ...{ name: 'variables.json', what: 'Names of variables that concern the hub, without values' },
      text: toJson(
        Object.keys(env)
          .filter((name) => env[name] && toldVariables.test(name))
          .sort(),
      ),
    },
  ]
  if (loaded !== null) {
    const { config, origins } = loaded
    parts.push(
      {
        ...{ name: 'settings.json', what: 'Settings that are not defaults, secrets masked, with their origin' },
        text: toJson(
          settings
            .filter(({ name }) => origins.get(name)?.source !== 'default')
            .map((setting) => ({
              setting: setting.name,
              value: mask(setting, valueAt(config, setting.path)),
              where: origins.get(setting.name)?.where,
            })),
        ),
      },
      {
        ...{ name: 'data-folder.txt', what: 'Names, sizes and modes of files in the data folder' },
        text: `${listFolder(config.data.dir, 500).join('\n')}\n`,
      },
      ...(['api-error.log', 'api.log'] as const).map((name) => ({
        ...{ name: `logs/${name}`, what: `The end of ${name}` },
        text: readTail(join(logFolder(config), name), name === 'api.log' ? mostLogBytes / 4 : mostLogBytes) ?? '',
      })),
    )
  }
  const clean = cleanParts(parts, { secrets: secretsOf(loaded, env), home: homedir() })
  return [manifestOf(clean, { version, atMs }), ...clean]
}

/** The text of everything that is secret here, by whatever way it came. */
function secretsOf(loaded: Loaded | null, env: Around['env']): string[] {
  const found = new Set<string>()
  const add = (text: unknown) => {
    if (typeof text !== 'string' || text === '') return
    found.add(text)
    if (!URL.canParse(text)) return
    const { username, password, searchParams } = new URL(text)
    for (const each of [password, username, ...searchParams.values()]) {
      found.add(each)
      found.add(decodeURIComponent(each))
    }
  }
  for (const [name, value] of Object.entries(env))
    if (/key|token|secret|password|passwd|_url$|authorization/i.test(name)) add(value)
  if (loaded !== null) {
    const { config } = loaded
    for (const setting of settings.filter(({ isSecret }) => isSecret)) {
      const value = valueAt(config, setting.path)
      for (const each of Array.isArray(value) ? value : [value]) add(each)
    }
    add(readTextIfPresent(masterKeyPath(config.data.dir))?.trim())
  }
  // Words that everybody uses are no secrets, and masking them would make the rest unreadable.
  return [...found].filter((each) => each.length >= 8)
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values)
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
