/**
 * What rooms tell each other without knowing each other. An announcement carries no reply; where one is needed, the
 * verb is passed as an argument instead. `hub.ts` has the one block that says who hears what.
 */
export type Announcements = {
  /** Stored configuration of a kind changed; every node reloads its snapshot of it. */
  'config.changed': { kind: 'keys' | 'routes' | 'prices' | 'limits' | 'checks' | 'conversations' | 'channels' }
  /** A budget has spent this much of its limit; told once for each percent and period, whichever node found out. */
  'budget.threshold': {
    budgetId: string
    scope: string
    scopeId: string
    period: string
    /** Epoch ms at which the period began and ends. */
    startsAt: number
    endsAt: number
    percent: number
    spentNanoUsd: number
    limitNanoUsd: number
  }
  /** A health check changed its verdict. */
  'check.changed': {
    check: string
    from: string
    to: string
    message: string
    /** Of a check that somebody configured: absent for the hub's own. */
    configured?: {
      /** `chk_…` */
      id: string
      tenantId: string
      level: string
      /** For machines, such as `timeout`; '' when it is in order. */
      reason: string
      /** How long it was what it was, as told. */
      durationMs: number
      /** The check it depends on that is down, so that nobody need be woken for this one; '' for none. */
      suppressedBy: string
    }
  }
  /** Somebody called at the push address of a check; whoever runs checks looks at once. */
  'check.pushed': { id: string }
  /** The hub doubts its own network: what cannot be reached is not called down; or that is over. */
  'check.doubted': { isDoubting: boolean }
  /** A provider is not asked for a model with one of its keys for a while, because too many calls failed; on this node. */
  'breaker.opened': {
    provider: string
    keyId: string
    model: string
    reason: string
    openMs: number
    /** Of the call that showed it; '' where no one call did. */
    traceId: string
  }
  /** Probes succeeded: it is asked as before. */
  'breaker.closed': { provider: string; keyId: string; model: string }
  /** A provider was asked for one token, or should have been: `result` is ok, failed, says_nothing, spent or unasked. */
  'provider.canary': {
    provider: string
    keyId: string
    model: string
    result: string
    told: string
    /** Id of the ledger's row; '' where nobody was asked. */
    callId: string
    /** Epoch ms. */
    at: number
  }
  /** A provider no longer accepts one of its keys: nobody uses it until a person revives or replaces it. */
  'provider.key.died': {
    providerId: string
    provider: string
    keyId: string
    name: string
    reason: string
    /** Of the call that was refused; '' for none. */
    traceId: string
  }
  /** A plugin service came, was changed by registration or by hand, or was removed; every node reads it again. */
  'service.changed': { service: string; tenantId: string; change: 'registered' | 'changed' | 'removed' }
  /** An instance of a plugin service changed its state; told by the node that found out. */
  'service.instance.changed': { service: string; instanceId: string; from: string; to: string; reason: string }
  /** So many instances fell silent together that the hub doubts itself and keeps them all; or that is over. */
  'service.protected': { isProtected: boolean; silent: number; total: number }
  /** A risk rule found something: told once, whichever node found it. `tenantId` is `*` for what belongs to no one tenant. */
  'risk.found': RiskTold
  /** It has been silent for long enough, or a person closed it. */
  'risk.closed': RiskTold & { by: string }
  /** What is done about a finding was proposed, done, undone or expired. */
  'risk.action': { actionId: string; findingId: string; kind: string; tenantId: string; keyId: string; change: string }
  /**
   * A channel of alerts became `broken` after failures in a row, or `ok` again; or its proof against the sandbox did not
   * arrive (`unproven`). Told once for each change.
   */
  'channel.changed': {
    /** `chn_…` */
    channelId: string
    name: string
    type: string
    tenantId: string
    from: string
    to: 'ok' | 'broken' | 'unproven'
    /** For people; holds no secret. */
    message: string
  }
  /** A level of the log was changed, until then (epoch ms), or is as the settings say again (null): on every node. */
  'log.level.changed': { module: string; level: 'debug' | 'info' | 'warn' | 'error' | 'critical' | null; until: number }
  /** An alert began (or its labels' severity rose): told whether or not anybody is notified. */
  'alert.fired': AlertTold
  /** It ended: it was seen to be over. Nobody says this of missing data. */
  'alert.resolved': AlertTold
  /**
   * The same of one that cannot be written down, because the store is away: whoever needs to know cannot wait. It is said
   * again as `alert.fired` when the store is back.
   */
  'alert.unrecorded': AlertTold
  /** An incident was opened or changed. */
  'incident.changed': { id: string; state: string; severity: string; tenantId: string; title: string }
  /** A backup was taken and read back, verified, or restored in a drill that passed; `kind` says which. */
  'backup.finished': { runId: string; kind: string; backupId: string; bytes: number }
  /** It was not, or nobody can tell: `outcome` is failed or inconclusive. */
  'backup.failed': { runId: string; kind: string; backupId: string; outcome: string; reason: string }
  /** A node runs with other settings from now on; `applied` and `waiting` (for its next start) are names of settings. */
  'settings.applied': {
    revisionId: string
    node: string
    by: string
    applied: readonly string[]
    waiting: readonly string[]
  }
  /** What it runs with has lasted: it is not watched any more. */
  'settings.kept': { node: string }
  /** It took them back by itself, because its health got worse; or `isOver`: later settings have been kept. */
  'settings.rolled_back': { revisionId: string; node: string; reason: string; isOver: boolean }
  /** A run of maintenance ended, and what it looked at is in order (ok) or nearly (warn). */
  'maintenance.finished': { runId: string; job: string; outcome: string; message: string }
  /** A run of maintenance found a fault (fail), or nobody can tell (inconclusive). */
  'maintenance.failed': { runId: string; job: string; outcome: string; reason: string }
  /** A plugin's new OpenAPI document takes away or demands what its former one did not. */
  'service.openapi.broke': { service: string; tenantId: string; version: string; breaks: readonly string[] }
}

type AlertTold = {
  fingerprint: string
  labels: Record<string, string>
  annotations: Record<string, string>
  startsAt: number
  endsAt: number | null
  tenantId: string
  /** Fingerprint of the alert that explains this one; '' for none. */
  inhibitedBy: string
  /** Epoch ms. */
  at: number
}

type RiskTold = {
  findingId: string
  rule: string
  severity: string
  source: string
  tenantId: string
  /** Key, address, or person and model. */
  entity: string
}

export type AnnouncementName = keyof Announcements
