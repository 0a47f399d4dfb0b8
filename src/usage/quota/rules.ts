import type { Principal } from '../../kernel/principal.ts'
import type { LimitsConfig } from './config.ts'
import type { Budget, BudgetRow, LimitRow } from './store.ts'

/** Somebody or something that is limited: what every call of a key, from an address or to a provider counts for. */
export type Subject = {
  scope: 'key' | 'user' | 'tenant' | 'tag' | 'provider' | 'ip' | 'hub'
  id: string
  rpm: number | null
  tpm: number | null
  concurrency: number | null
  budgets: readonly Budget[]
}

/** All limits and budgets in memory, found by one look into a map each. */
export type Rules = {
  budgets: readonly Budget[]
  /** Null for callers whom nothing limits. */
  find(principal: Principal, clientIp: string): Subject[] | null
  /** The other arguments are its own settings: requests and tokens a minute, calls at one time. */
  findProvider(
    id: string,
    rateLimit: number | null,
    tokenLimit: number | null,
    concurrencyLimit: number | null,
  ): Subject | null
  /** What the hub may spend of its own accord on `purpose`; null where that is nothing. */
  findOwn(purpose: string): Subject | null
  /** The budgets that a call counts for. */
  budgetsOf(call: {
    keyId: string
    userId: string
    tenantId: string
    providerId: string
    /** The path it was sent to, or what the hub made it for. */
    endpoint: string
    tags: readonly string[]
  }): readonly Budget[]
}

type ByScope = Record<Subject['scope'], Map<string, Subject>>

const none: readonly Budget[] = []

export function createRules(
  rows: { limits: LimitRow[]; budgets: BudgetRow[] },
  config: LimitsConfig,
  own: readonly Budget[] = [],
): Rules {
  const budgets: readonly Budget[] = [...rows.budgets, ...own]
  const known: ByScope = {
    ...{ key: new Map(), user: new Map(), tenant: new Map() },
    ...{ tag: new Map(), provider: new Map(), ip: new Map(), hub: new Map() },
  }
  const subjectOf = (scope: Subject['scope'], id: string): Subject => {
    let subject = known[scope].get(id)
    if (subject === undefined) {
      subject = { scope, id, rpm: null, tpm: null, concurrency: null, budgets: none }
      known[scope].set(id, subject)
    }
    return subject
  }
  for (const { scope, scope_id, rpm, tpm, concurrency } of rows.limits) {
    Object.assign(subjectOf(scope, scope_id), { rpm, tpm, concurrency })
  }
  for (const budget of budgets) {
    const subject = subjectOf(budget.scope, budget.scope_id)
    subject.budgets = [...subject.budgets, budget]
  }

  function keySubject(principal: Principal): Subject | undefined {
    const { keyId, rateLimit, tokenLimit, concurrencyLimit } = principal
    const ruled = keyId === '' ? undefined : known.key.get(keyId)
    if (rateLimit === null && tokenLimit === null && concurrencyLimit === null) return ruled
    return {
      ...{ scope: 'key', id: keyId, budgets: ruled?.budgets ?? none },
      rpm: lower(rateLimit, ruled?.rpm),
      tpm: lower(tokenLimit, ruled?.tpm),
      concurrency: lower(concurrencyLimit, ruled?.concurrency),
    }
  }

  function ipSubject(clientIp: string): Subject | undefined {
    const ruled = known.ip.get(clientIp)
    if (ruled !== undefined || config.address_rpm === 0) return ruled
    return { scope: 'ip', id: clientIp, rpm: config.address_rpm, tpm: null, concurrency: null, budgets: none }
  }

  return {
    budgets,

    find(principal, clientIp) {
      const { userId, tenantId, tags } = principal
      const key = keySubject(principal)
      const user = userId === '' ? undefined : known.user.get(userId)
      const tenant = known.tenant.get(tenantId)
      const ip = ipSubject(clientIp)
      let found: Subject[] | null = null
      if (key) found = [key]
      if (user) found = [...(found ?? []), user]
      if (tenant) found = [...(found ?? []), tenant]
      for (const name of tags) {
        const tag = known.tag.get(name)
        if (tag) found = [...(found ?? []), tag]
      }
      if (ip) found = [...(found ?? []), ip]
      return found
    },

    findProvider(id, rateLimit, tokenLimit, concurrencyLimit) {
      const ruled = known.provider.get(id)
      if (rateLimit === null && tokenLimit === null && concurrencyLimit === null) return ruled ?? null
      return {
        scope: 'provider',
        id,
        rpm: lower(rateLimit, ruled?.rpm),
        tpm: lower(tokenLimit, ruled?.tpm),
        concurrency: lower(concurrencyLimit, ruled?.concurrency),
        budgets: ruled?.budgets ?? none,
      }
    },

    findOwn: (purpose) => known.hub.get(purpose) ?? null,

    budgetsOf({ keyId, userId, tenantId, providerId, endpoint, tags }) {
      if (budgets.length === 0) return none
      let found: readonly Budget[] = none
      const add = (subject: Subject | undefined) => {
        if (subject !== undefined && subject.budgets.length > 0) found = [...found, ...subject.budgets]
      }
      add(known.key.get(keyId))
      add(known.user.get(userId))
      add(known.tenant.get(tenantId))
      add(known.provider.get(providerId))
      add(known.hub.get(endpoint))
      for (const tag of tags) add(known.tag.get(tag))
      return found
    },
  }
}

function lower(one: number | null, other: number | null | undefined): number | null {
  if (one === null) return other ?? null
  return other === null || other === undefined ? one : Math.min(one, other)
}
