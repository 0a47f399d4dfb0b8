import { z } from 'zod'
import { fail } from '../kernel/errors.ts'
import { createAddressList } from '../platform/address.ts'
import { rules } from './rules/index.ts'
import type { Rule } from './rules/rule.ts'
import { actionKinds, type Severity, severities } from './schema.ts'

const hourSeconds = 3600

/** One thing to do about a finding that stands for `after_seconds`. */
export const stepSchema = z.strictObject({
  kind: z.enum(actionKinds),
  after_seconds: z
    .number()
    .int()
    .min(0)
    .max(30 * 86_400)
    .default(0)
    .describe('How long the finding has stood open.'),
  ttl_seconds: z
    .number()
    .int()
    .min(60)
    .max(90 * 86_400)
    .default(hourSeconds)
    .describe('Undone by itself after this.'),
  approval: z.enum(['auto', 'ask']).default('ask').describe('auto does it; ask waits for a person.'),
  rpm: z.number().int().min(0).max(1_000_000).default(10).describe('For throttle: requests a minute.'),
  model: z.string().max(200).default('').describe('For downgrade: the model asked instead.'),
})
export type Step = z.infer<typeof stepSchema>

const steps = z.array(stepSchema).max(10)

export const ruleSettingsSchema = z.strictObject({
  enabled: z.boolean(),
  severity: z.enum(severities),
  quiet_seconds: z
    .number()
    .int()
    .min(60)
    .max(30 * 86_400),
  params: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  steps,
})
export type RuleSettings = {
  enabled: boolean
  severity: Severity
  quiet_seconds: number
  params: Record<string, unknown>
  steps: Step[]
}

const listed = z.array(z.string().trim().min(1).max(200)).max(10_000)
export const allowSchema = z.strictObject({
  ips: listed.describe('Addresses and CIDR blocks, for rules that look at addresses.'),
  users: listed.describe('Ids or names.'),
  tokens: listed.describe('Ids or names of keys.'),
})
export type Allow = z.infer<typeof allowSchema>

export type RiskSettings = { rules: Record<string, RuleSettings>; allow: Allow }
/** What is stored: only what somebody changed. */
export type SettingsChange = { rules?: Record<string, Partial<RuleSettings>>; allow?: Partial<Allow> }

export function findRule(name: string): Rule {
  const rule = rules.find((each) => each.name === name)
  if (rule === undefined) {
    throw fail(
      'not_found',
      `there is no risk rule ${name.slice(0, 100)}; there are ${rules.map((each) => each.name).join(', ')}`,
      {
        param: 'name',
      },
    )
  }
  return rule
}

/** As shipped: everything is told, and what touches a caller waits for a person. */
function defaultsOf(rule: Rule): RuleSettings {
  const asked: Step['kind'][] =
    rule.severity === 'high' ? ['throttle', 'suspend'] : rule.severity === 'medium' ? ['throttle'] : []
  return {
    enabled: true,
    severity: rule.severity,
    quiet_seconds: rule.quietSeconds,
    params: rule.params.parse({}) as Record<string, unknown>,
    steps: [
      stepSchema.parse({ kind: 'note', approval: 'auto' }),
      ...(rule.severity === 'low' ? [] : [stepSchema.parse({ kind: 'notify', approval: 'auto' })]),
      ...(rule.on === 'key' ? asked.map((kind) => stepSchema.parse({ kind })) : []),
    ],
  }
}

/** The defaults with `change` over them, checked: throws `invalid_request` that names the field. */
export function readSettings(change: SettingsChange): RiskSettings {
  const found: RiskSettings = {
    rules: Object.fromEntries(rules.map((rule) => [rule.name, defaultsOf(rule)])),
    // Loopback and private networks, as in the rules.yaml that seed 000 ships.
    allow: { ips: ['127.0.0.1', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], users: [], tokens: [] },
  }
  for (const [name, some] of Object.entries(change.rules ?? {})) {
    const rule = findRule(name)
    const before = found.rules[name]!
    const params = rule.params.safeParse({ ...before.params, ...some.params })
    if (!params.success) throw unfit(`rules.${name}`, params.error)
    found.rules[name] = { ...before, ...some, params: params.data as Record<string, unknown> }
    for (const step of found.rules[name].steps) checkStep(rule, step)
  }
  const allow = allowSchema.safeParse({ ...found.allow, ...change.allow })
  if (!allow.success) throw unfit('allow', allow.error)
  // Throws when one of them is neither an address nor a block.
  createAddressList(allow.data.ips)
  return { ...found, allow: allow.data }
}

function checkStep(rule: Rule, { kind, model }: Step): void {
  if (kind === 'downgrade' && model === '') {
    throw fail('invalid_request', `rules.${rule.name}: the step downgrade names no model to ask instead`, {
      param: 'steps',
    })
  }
  if (rule.on === 'ip' && kind !== 'note' && kind !== 'notify') {
    throw fail(
      'invalid_request',
      `rules.${rule.name} looks at addresses, which have no key: only note and notify apply`,
      {
        param: 'steps',
      },
    )
  }
}

function unfit(where: string, error: z.ZodError): Error {
  const [issue] = error.issues
  const path = [where, ...(issue?.path ?? []).map(String)].join('.')
  return fail('invalid_request', `${path}: ${issue?.message ?? 'is not valid'}`, { param: path })
}
