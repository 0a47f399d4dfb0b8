import { lookUp } from '../kernel/derive.ts'
import { fail } from '../kernel/errors.ts'
import type { AuthConfig } from './config.ts'
import type { Key, KeyChange } from './keys.ts'

/** What people who administer nothing may do with API keys of their own. */
export type KeyPolicy = {
  isOpen: boolean
  mostKeys: number
  /** Longest life of a key; 0 for any. */
  mostDays: number
  /** The widest scopes a key of theirs may have; a list with `*` allows everything. */
  widest: Record<Scope, readonly string[]>
}

type Scope = 'allowedModels' | 'allowedServices' | 'allowedEndpoints'

const written: Record<Scope, string> = {
  allowedModels: 'allowed_models',
  allowedServices: 'allowed_services',
  allowedEndpoints: 'allowed_endpoints',
}
const scopes = Object.keys(written) as Scope[]
const limits = { rateLimit: 'rate_limit', tokenLimit: 'tpm_limit', concurrencyLimit: 'concurrency_limit' } as const
const dayMs = 86_400_000

/** As the settings say at the moment it is looked at. */
export function readKeyPolicy(config: Omit<AuthConfig, 'admin_key'>): KeyPolicy {
  return lookUp({
    isOpen: () => config.self_service_keys,
    mostKeys: () => config.self_service_max_keys,
    mostDays: () => config.self_service_max_days,
    widest: () => ({
      allowedModels: config.self_service_models,
      allowedServices: config.self_service_services,
      allowedEndpoints: config.self_service_endpoints,
    }),
  })
}

/** Throws `forbidden` when people make no keys of their own here. */
export function assertOpen({ isOpen }: KeyPolicy): void {
  if (!isOpen) {
    throw fail('forbidden', 'keys are made by administrators here (auth.self_service_keys); ask one of your tenant')
  }
}

/** What a person's new key will be: as wished, and as narrow as the policy wants it where nothing was wished. */
export function narrowNewKey(wish: KeyChange, policy: KeyPolicy, now: number): KeyChange {
  assertOpen(policy)
  if ((wish.tags ?? []).length > 0) throw byAdministrators('tags')
  const narrow = { ...wish }
  for (const scope of scopes) narrow[scope] = within(wish[scope] ?? null, policy.widest[scope], scope)
  if (policy.mostDays > 0) {
    const latest = now + policy.mostDays * dayMs
    if (narrow.expiresAt != null && narrow.expiresAt > latest) {
      throw fail('forbidden', `keys of one's own live for ${policy.mostDays} days at most`, { param: 'expires_at' })
    }
    narrow.expiresAt ??= latest
  }
  return narrow
}

/** What a person may change of its key: everything that takes from it, nothing that adds to it. */
export function narrowChange(change: KeyChange, key: Key, policy: KeyPolicy): KeyChange {
  assertOpen(policy)
  if (change.tags !== undefined) throw byAdministrators('tags')
  if (change.enabled === true && !key.enabled) throw byAdministrators('enabled')
  const narrow = { ...change }
  for (const scope of scopes) {
    const asked = change[scope]
    if (asked === undefined) continue
    narrow[scope] = within(within(asked, key[scope] ?? everything, scope), policy.widest[scope], scope)
  }
  const ips = change.allowedIps
  if (ips !== undefined && key.allowedIps !== null && !ips?.every((range) => key.allowedIps!.includes(range))) {
    throw byAdministrators('allowed_ips')
  }
  for (const [member, name] of Object.entries(limits) as [keyof typeof limits, string][]) {
    const [asked, has] = [change[member], key[member]]
    if (asked !== undefined && has !== null && (asked === null || asked > has)) throw byAdministrators(name)
  }
  const { expiresAt } = change
  if (expiresAt !== undefined && key.expiresAt !== null && (expiresAt === null || expiresAt > key.expiresAt)) {
    throw byAdministrators('expires_at')
  }
  return narrow
}

const everything: readonly string[] = ['*']

/** `asked`, when all of it lies within `widest`; nothing asked means as much as there may be. */
function within(asked: readonly string[] | null, widest: readonly string[], scope: Scope): string[] | null {
  if (widest.includes('*')) return asked === null ? null : [...asked]
  if (asked === null) return [...widest]
  const beyond = asked.find((entry) => !widest.some((wide) => covers(wide, entry)))
  if (beyond === undefined) return [...asked]
  throw fail('forbidden', `${beyond} is more than a key of yours may use (${widest.join(', ')})`, {
    param: written[scope],
  })
}

function covers(wide: string, entry: string): boolean {
  return wide.endsWith('*') ? entry.startsWith(wide.slice(0, -1)) : wide === entry
}

function byAdministrators(param: string) {
  return fail('forbidden', `you may take from a key of yours, not add to it: ${param} is changed by an administrator`, {
    param,
  })
}
