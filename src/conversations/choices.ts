import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { ConversationsConfig } from './config.ts'
import { createRedact, type Redact } from './redaction/index.ts'
import type { ConversationSetting, SettingScope } from './schema.ts'
import type { ConversationStore, SettingRow } from './store.ts'

/** How what is said is kept, where it is. */
export type Keeping = { redact: Redact; retentionDays: number }

/** Who has chosen that what is said is kept, held in memory: every call asks. */
export type Choices = {
  /** null where nothing is kept. What a key says wins over its tenant, and both over the hub, unless that says never. */
  of(principal: Pick<Principal, 'tenantId' | 'keyId'>): Keeping | null
  ready(): Promise<void>
  refresh(): Promise<void>
  stop(): void
}

export function createChoices(
  { store, bus, clock, log }: { store: ConversationStore; bus: Bus; clock: Clock; log: Log },
  config: ConversationsConfig,
): Choices {
  const read = (setting: ConversationSetting | null): Keeping | null => {
    const isStored = setting?.isStored ?? config.messages === 'always'
    if (!isStored) return null
    return {
      redact: createRedact({
        packs: setting?.redact ?? config.redact,
        words: setting?.words ?? [],
        patterns: config.redact_patterns,
      }),
      retentionDays: Math.min(
        setting?.retentionDays ?? config.message_retention_days,
        // What a session holds is never kept longer than the session.
        config.session_retention_days,
      ),
    }
  }
  const unsaid = read(null)
  const snapshot = createSnapshot<ReadonlyMap<string, Keeping | null>>({
    name: 'conversations',
    load: async () =>
      new Map((await store.allSettings()).map((row) => [`${row.scope} ${row.scope_id}`, read(toSetting(row))])),
    revision: store.revision,
    ...{ clock, log },
  })
  bus.on('config.changed', ({ kind }) => {
    if (kind === 'conversations') void snapshot.refresh()
  })

  return {
    of({ tenantId, keyId }) {
      if (config.messages === 'never') return null
      const chosen = snapshot.get()
      const ofKey = chosen.get(`key ${keyId}`)
      if (ofKey !== undefined) return ofKey
      const ofTenant = chosen.get(`tenant ${tenantId}`)
      return ofTenant === undefined ? unsaid : ofTenant
    },
    ready: () => snapshot.ready(),
    refresh: () => snapshot.refresh(),
    stop: () => snapshot.stop(),
  }
}

export function toSetting(row: SettingRow): ConversationSetting {
  return {
    scope: row.scope as SettingScope,
    scopeId: row.scope_id,
    tenantId: row.tenant_id,
    isStored: row.is_stored === 1,
    redact: row.redact === '' ? null : (JSON.parse(row.redact) as string[]),
    words: JSON.parse(row.words) as string[],
    retentionDays: row.retention_days,
  }
}
