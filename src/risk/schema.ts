/** One call as the rules see it, from our own ledger or from a foreign gateway. */
export type RiskRow = {
  /** Unique within its source. */
  id: string
  /** Epoch ms UTC. */
  at: number
  /** `gatehouse` for our own traffic, else the id of the source. */
  source: string
  tenantId: string
  userId: string
  userName?: string
  /** The key or token; '' when the caller could not be told. */
  keyId: string
  keyName?: string
  model: string
  /** Provider or channel. */
  provider: string
  /** '' where it is not recorded. */
  ip: string
  tokensIn: number
  tokensOut: number
  /** null when no price is known. */
  costNanoUsd: number | null
  /** What the caller got; 0 where the source does not tell. */
  status: number
  outcome: 'success' | 'failure' | 'truncated' | 'aborted' | 'refused'
}

export const ownSource = 'gatehouse'

export const severities = ['low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof severities)[number]

/** What a rule looks at apart: one key, one address, one person's use of one model, the calls that one budget pays for. */
export const entityKinds = ['key', 'ip', 'user_model', 'budget'] as const
export type EntityKind = (typeof entityKinds)[number]

/** A budget of own traffic, as it stood when it was asked for. */
export type WatchedBudget = {
  id: string
  of: 'key' | 'user' | 'tenant'
  ofId: string
  tenantId: string
  limitNanoUsd: number
  /** The days or months that it is of: the one that a moment lies in. */
  periodAt(at: number): { startsAt: number; endsAt: number }
  /** What the ledger had of the period of `readAt`; null where nobody asked it. */
  spentNanoUsd: number | null
  readAt: number
}

/** A budget in the period of one minute. `spentNanoUsd` is null where only the calls themselves can tell. */
export type BudgetNow = Pick<WatchedBudget, 'id' | 'of' | 'ofId' | 'limitNanoUsd' | 'spentNanoUsd'> & {
  startsAt: number
  endsAt: number
}

/** What can be done about a finding, mildest first. */
export const actionKinds = ['note', 'notify', 'throttle', 'downgrade', 'suspend'] as const
export type ActionKind = (typeof actionKinds)[number]

export type Numbers = Readonly<Record<string, number | string>>

/** A rule spoke: this thing, in this window, for these numbers. */
export type Detection = {
  rule: string
  severity: Severity
  source: string
  kind: EntityKind
  entity: string
  tenantId: string
  keyId: string
  userId: string
  ip: string
  /** Window of the calls it was seen in, epoch ms; `to` is exclusive. */
  from: number
  to: number
  numbers: Numbers
  evidence: Evidence
}

export type Evidence = {
  topIps: readonly Counted[]
  topModels: readonly Counted[]
  /** The latest, at most fifty. */
  lastCalls: readonly RiskRow[]
}

export type Counted = { value: string; count: number }
