import { nearest } from './nearest.ts'
import type { Setting } from './settings.ts'
import type { Finding } from './words.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Variables of ours that are not settings: where these are, the secret that never stands in a file, a process' place. */
const otherVariables = ['GATEHOUSE_CONFIG', 'GATEHOUSE_SECRET_KEY', 'GATEHOUSE_SEAT']

// Kubernetes writes such variables into every pod beside a Service named `gatehouse`
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
const writtenByKubernetes = /^GATEHOUSE_(?:PORT|(?:SERVICE|PORT)_[A-Z0-9_]+)$/

/** What the test and bench harnesses tell each other. */
const forTests = /^GATEHOUSE_(?:TEST|BENCH)_/

/** Settings given by variables. An empty variable counts as not set: compose files write `${X:-}` for absent values. */
export function readEnvironment(
  settings: readonly Setting[],
  env: Environment,
): { values: { setting: Setting; value: unknown; where: string }[]; findings: Finding[] } {
  const findings: Finding[] = []
  const values = settings.flatMap((setting) => {
    const given = setting.variables.filter((name) => env[name] !== undefined && env[name] !== '')
    const [name] = given
    if (name === undefined) return []
    const ignored = given.find((other) => env[other] !== env[name])
    if (ignored !== undefined) findings.push(twoVariables(setting, name, ignored))
    return [{ setting, value: readValue(setting, env[name]!), where: name }]
  })
  return { values, findings: [...findings, ...unknownVariables(settings, env)] }
}

/** The text of a variable as the setting's kind; what can't be read so is handed on for validation to refuse. */
export function readValue(setting: Setting, text: string): unknown {
  const trimmed = text.trim()
  switch (setting.kind) {
    case 'string':
      // LOG_LEVEL=INFO is how half the world writes it.
      return [text, text.trim().toLowerCase()].find((form) => setting.schema.safeParse(form).success) ?? text
    case 'number':
      return trimmed === '' || Number.isNaN(Number(trimmed)) ? text : Number(trimmed)
    case 'boolean':
      if (/^(?:true|1|yes|on)$/i.test(trimmed)) return true
      return /^(?:false|0|no|off)$/i.test(trimmed) ? false : text
    case 'list':
      return trimmed.startsWith('[')
        ? readJson(trimmed)
        : trimmed
            .split(',')
            .map((item) => item.trim())
            .filter(Boolean)
    case 'json':
      return readJson(trimmed)
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function twoVariables(setting: Setting, used: string, ignored: string): Finding {
  return {
    level: 'warning',
    where: ignored,
    setting: setting.name,
    cause: { en: `${used} is set as well and says something else.`, zh: `同时设置了 ${used}，且取值不同。` },
    remedy: { en: `${used} is used; remove one of the two.`, zh: `以 ${used} 为准；请删除其中之一。` },
  }
}

/** A near miss is refused, since somebody meant to set something; a name we can't place is only pointed out. */
function unknownVariables(settings: readonly Setting[], env: Environment): Finding[] {
  const known = [...settings.flatMap((setting) => setting.variables), ...otherVariables]
  return Object.keys(env)
    .filter(
      (name) =>
        name.startsWith('GATEHOUSE_') &&
        !known.includes(name) &&
        !writtenByKubernetes.test(name) &&
        !forTests.test(name),
    )
    .map((name): Finding => {
      const meant = nearest(name, known)
      return {
        level: meant === null ? 'warning' : 'error',
        where: name,
        setting: '',
        cause: { en: `There is no variable ${name}.`, zh: `不存在环境变量 ${name}。` },
        remedy:
          meant === null
            ? {
                en: 'It has no effect; see docs/reference/settings.md.',
                zh: '该变量不起作用；参见 docs/reference/settings.md。',
              }
            : { en: `Did you mean ${meant}? Otherwise remove it.`, zh: `是否想写 ${meant}？否则请删除。` },
      }
    })
}
