import { type Kysely, sql } from 'kysely'

/** As far as the doctor reads: it never writes. */
export type DoctorTables = {
  providers: {
    id: string
    name: string
    enabled: number
    api_key_cipher: string
    key_state: string
    key_state_reason: string
    is_synthetic: number
  }
  models: { id: string; name: string; enabled: number; alias_of: string }
  model_providers: { model_id: string; provider_id: string; provider_model: string; enabled: number }
  services: { id: string; name: string; enabled: number; declared_only: number }
  service_instances: {
    id: string
    service_id: string
    host: string
    port: number
    gone_at: number | null
    is_maintenance: number
  }
  backup_runs: { kind: string; outcome: string; started_at: number; message: string }
  schema_migrations: { applied_at: number }
  maintenance_runs: { outcome: string; finished_at: number }
  deliveries: {
    id: string
    channel_id: string
    channel_name: string
    state: string
    reason: string
    message: string
    created_at: number
  }
  request_logs: {
    started_at: number
    provider_name: string
    model_served: string
    outcome: string
    status: number
    error_code: string
    error_message: string
    cost_nano_usd: number | null
    tokens_in: number
    tokens_out: number
    is_synthetic: number
  }
}

export type DoctorStore = ReturnType<typeof createDoctorStore>

/** Every question to the store; each is bounded. */
export function createDoctorStore(db: Kysely<DoctorTables>) {
  return {
    providers: () => db.selectFrom('providers').selectAll().where('enabled', '=', 1).limit(1000).execute(),
    models: () => db.selectFrom('models').select(['id', 'name', 'enabled', 'alias_of']).limit(10_000).execute(),
    /** What is asked of providers, by their own names for it. */
    async links() {
      return db
        .selectFrom('model_providers')
        .innerJoin('models', 'models.id', 'model_providers.model_id')
        .innerJoin('providers', 'providers.id', 'model_providers.provider_id')
        .select(['models.name as model', 'providers.name as provider', 'model_providers.provider_model'])
        .where('model_providers.enabled', '=', 1)
        .where('models.enabled', '=', 1)
        .where('providers.enabled', '=', 1)
        .limit(10_000)
        .execute()
    },
    services: () => db.selectFrom('services').selectAll().where('enabled', '=', 1).limit(1000).execute(),
    instances: () => db.selectFrom('service_instances').selectAll().where('gone_at', 'is', null).limit(2000).execute(),
    /** The last that went well of each kind; epoch ms. */
    async lastRuns(): Promise<Map<string, number>> {
      const rows = await db
        .selectFrom('backup_runs')
        .select(['kind', ({ fn }) => fn.max('started_at').as('at')])
        .where('outcome', '=', 'ok')
        .groupBy('kind')
        .execute()
      return new Map(rows.map(({ kind, at }) => [kind, Number(at)]))
    },
    /** When the store was made; null before its first migration. */
    async madeAt(): Promise<number | null> {
      const row = await db
        .selectFrom('schema_migrations')
        .select(({ fn }) => fn.min('applied_at').as('at'))
        .executeTakeFirst()
      return row?.at == null ? null : Number(row.at)
    },
    /** When a job of maintenance last came to a result; null when none ever did. */
    async lastMaintenance(): Promise<number | null> {
      const row = await db
        .selectFrom('maintenance_runs')
        .select(({ fn }) => fn.max('finished_at').as('at'))
        .where('outcome', 'in', ['ok', 'warn', 'fail'])
        .executeTakeFirst()
      return row?.at == null ? null : Number(row.at)
    },
    /** The last message of each channel since `from`, as it ended. */
    async lastDeliveries(from: number) {
      const rows = await db
        .selectFrom('deliveries')
        .select(['channel_id', 'channel_name', 'state', 'reason', 'message'])
        .where('created_at', '>', from)
        .where('channel_id', '!=', '')
        .where('state', 'in', ['delivered', 'failed'])
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(2000)
        .execute()
      return [...new Map(rows.reverse().map((row) => [row.channel_id, row])).values()]
    },
    /** Models that answered since `from`, used tokens, and have no price. */
    async unpriced(from: number): Promise<{ model: string; provider: string; calls: number }[]> {
      const rows = await db
        .selectFrom('request_logs')
        .select(['model_served as model', 'provider_name as provider', sql<number>`count(*)`.as('calls')])
        .where('started_at', '>=', from)
        .where('outcome', '=', 'success')
        .where('cost_nano_usd', 'is', null)
        .where('is_synthetic', '=', 0)
        .where(({ eb }) => eb(eb('tokens_in', '+', eb.ref('tokens_out')), '>', 0))
        .groupBy(['model_served', 'provider_name'])
        .limit(20)
        .execute()
      return rows.map((row) => ({ ...row, calls: Number(row.calls) }))
    },
    /** The last call of a provider since `from`, as it ended; undefined when there was none. */
    lastCall: (provider: string, from: number) =>
      db
        .selectFrom('request_logs')
        .select(['started_at', 'outcome', 'status', 'error_code', 'error_message', 'model_served'])
        .where('provider_name', '=', provider)
        .where('started_at', '>=', from)
        .where('outcome', 'in', ['success', 'failure'])
        .orderBy('started_at', 'desc')
        .limit(1)
        .executeTakeFirst(),
  }
}
