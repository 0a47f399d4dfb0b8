import { z } from 'zod'
import { nearest } from './nearest.ts'
import type { Setting } from './settings.ts'
import type { Finding, Words } from './words.ts'

const english = z.locales.en().localeError
const chinese = z.locales.zhCN().localeError

/** What a failed validation means to whoever wrote the setting. `whereOf` knows who said what. */
export function explainIssue(
  issue: z.core.$ZodIssue,
  settings: readonly Setting[],
  whereOf: (path: string) => string,
): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => explainUnknown([...issue.path.map(String), key], settings, whereOf))
  }
  const name = issue.path.map(String).join('.')
  const setting = settings.find((one) => name === one.name || name.startsWith(`${one.name}.`))
  const cause = causeOf(issue)
  return [
    {
      level: 'error',
      where: whereOf(name),
      setting: name,
      cause: { en: `${cause.en}.`, zh: `${cause.zh}。` },
      remedy: setting === undefined ? writeTable(name) : writeAllowed(setting),
    },
  ]
}

function causeOf(issue: z.core.$ZodIssue): Words {
  if (issue.code === 'custom') {
    const zh: unknown = issue.params?.zh
    return { en: issue.message, zh: typeof zh === 'string' ? zh : issue.message }
  }
  // A finished issue is a raw one plus its message; only the types keep them apart.
  const raw = issue as z.core.$ZodRawIssue
  return { en: sentence(english(raw)), zh: sentence(chinese(raw)) }
}

function sentence(said: string | { message: string } | null | undefined): string {
  return typeof said === 'string' ? said : (said?.message ?? 'invalid')
}

function writeAllowed(setting: Setting): Words {
  const fallback = JSON.stringify(setting.default)
  const otherwise =
    setting.default === undefined || setting.isSecret
      ? { en: '', zh: '' }
      : { en: ` (default ${fallback})`, zh: `（默认 ${fallback}）` }
  return {
    en: `Write ${setting.allowed.en}${otherwise.en}. ${setting.description.en}`,
    zh: `应写为 ${setting.allowed.zh}${otherwise.zh}。${setting.description.zh}`,
  }
}

function writeTable(name: string): Words {
  return { en: `Write a table: [${name}]`, zh: `应写成表：[${name}]` }
}

function explainUnknown(
  path: readonly string[],
  settings: readonly Setting[],
  whereOf: (path: string) => string,
): Finding {
  const key = path.at(-1)!
  const parent = path.slice(0, -1)
  const siblings = settings
    .filter((setting) => parent.every((part, index) => setting.path[index] === part))
    .map((setting) => setting.path[parent.length]!)
  const namesake = settings.find((setting) => setting.path.at(-1) === key)
  const sibling = nearest(key, [...new Set(siblings)])
  const inSection =
    parent.length === 0
      ? { en: 'at the top level', zh: '顶层' }
      : { en: `in [${parent.join('.')}]`, zh: `[${parent.join('.')}] ` }
  const meant = sibling ?? (namesake === undefined ? null : `[${namesake.path.slice(0, -1).join('.')}] ${key}`)
  return {
    level: 'error',
    where: whereOf(path.join('.')),
    setting: path.join('.'),
    cause: { en: `There is no "${key}" ${inSection.en}.`, zh: `${inSection.zh}中没有 "${key}"。` },
    remedy:
      meant === null
        ? {
            en: 'Remove it; gatehouse.example.toml lists every setting.',
            zh: '请删除；全部设置见 gatehouse.example.toml。',
          }
        : { en: `Did you mean "${meant}"?`, zh: `是否想写 "${meant}"？` },
  }
}
