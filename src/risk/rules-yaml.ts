import { parseDocument } from 'yaml'
import { z } from 'zod'
import { fail } from '../kernel/errors.ts'
import type { SettingsChange } from './settings.ts'

const onOff = { enabled: z.boolean().optional(), description: z.string().optional() }
const words = z
  .array(z.union([z.string(), z.number()]).transform(String))
  .nullish()
  .transform((list) => list ?? [])

/** The file of seed 000's ancestor, by its own names; what is missing is as shipped. */
const rulesYaml = z.looseObject({
  rules: z
    .strictObject({
      burst: z
        .strictObject({ ...onOff, window_sec: z.number().optional(), limit_per_token: z.number().optional() })
        .optional(),
      multi_user_token: z.strictObject({ ...onOff, users_threshold: z.number().optional() }).optional(),
      ip_many_users: z.strictObject({ ...onOff, users_threshold: z.number().optional() }).optional(),
      big_request: z.strictObject({ ...onOff, sigma: z.number().optional() }).optional(),
    })
    .nullish(),
  whitelist: z.strictObject({ ips: words, users: words, tokens: words }).partial().nullish(),
  alerts: z.looseObject({ cooldown_seconds: z.number().int().min(60).max(2_592_000).optional() }).nullish(),
})

/**
 * Reads a `rules.yaml` as newapi-monitor wrote it. Throws `invalid_request` with the line, or the name, of what is wrong.
 * Templates and batch sizes of its messages are passed over: alerts have their own.
 */
export function readRulesYaml(text: string): { change: SettingsChange; ignored: string[] } {
  // Aliases can make a small file a huge one.
  const document = parseDocument(text, { prettyErrors: true, maxAliasCount: 10 } as never)
  const [broken] = document.errors
  if (broken !== undefined) {
    const line = broken.linePos?.[0].line
    throw fail(
      'invalid_request',
      `rules.yaml${line === undefined ? '' : ` line ${line}`}: ${broken.message.split('\n')[0]}`,
      {
        param: 'yaml',
      },
    )
  }
  const read = rulesYaml.safeParse(document.toJS({ maxAliasCount: 10 }) ?? {})
  if (!read.success) {
    const [issue] = read.error.issues
    throw fail('invalid_request', `rules.yaml ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`, {
      param: 'yaml',
    })
  }
  const { rules, whitelist, alerts } = read.data
  const quiet = alerts?.cooldown_seconds
  const change: SettingsChange = { rules: {} }
  for (const [name, given] of Object.entries(rules ?? {})) {
    if (given === undefined) continue
    const { enabled, description: _, ...params } = given
    change.rules![name] = {
      ...(enabled === undefined ? {} : { enabled }),
      params,
      ...(quiet === undefined ? {} : { quiet_seconds: quiet }),
    }
  }
  if (whitelist) change.allow = Object.fromEntries(Object.entries(whitelist).filter(([, list]) => list !== undefined))
  const known = new Set(['cooldown_seconds'])
  const ignored = Object.keys(alerts ?? {})
    .filter((name) => !known.has(name))
    .map((name) => `alerts.${name}`)
  for (const name of Object.keys(read.data)) if (!['rules', 'whitelist', 'alerts'].includes(name)) ignored.push(name)
  return { change, ignored }
}
