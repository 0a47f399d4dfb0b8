import { type Kysely, sql, type Transaction } from 'kysely'
import { bumpRevision, readRevision } from '../platform/database/index.ts'

export type ServiceRow = {
  id: string
  name: string
  tenant_id: string
  display_name: string
  description: string
  version: string
  base_path: string
  /** A path, '' for none. */
  health_check_url: string
  metadata: string
  tags: string
  requires_auth: number
  is_shared: number
  declared_only: number
  enabled: number
  endpoints: string
  /** What the manifest said of it, in its own spelling. */
  routing: string
  openapi_path: string
  deregister_after_ms: number | null
  created_at: number
  updated_at: number
}

export type InstanceRow = {
  id: string
  service_id: string
  /** The plugin's own name for it, or `host:port`. */
  instance_key: string
  host: string
  port: number
  weight: number
  version: string
  tags: string
  is_ephemeral: number
  /** What the instance said of itself last. */
  reported: string
  /** What its silence makes of it: '', 'warning' or 'critical'. */
  silence: string
  /** What asking its health path found: '' for not asked yet. */
  poll: string
  is_maintenance: number
  gone_at: number | null
  last_heard_at: number
  state_since: number
  registered_at: number
}

export type RegistrationTokenRow = {
  id: string
  token_hash: string
  last_four: string
  tenant_id: string
  service_name: string
  is_prefix: number
  uses_left: number
  max_uses: number
  /** JSON, '' for all. */
  allowed_models: string
  created_by: string
  expires_at: number
  created_at: number
  last_used_at: number | null
}

export type OpenapiRow = {
  service_id: string
  document: string
  digest: string
  version: string
  /** JSON: what it breaks of the one before. */
  breaks: string
  /** Why the last fetch failed, '' when it did not. */
  failure: string
  fetched_at: number
}

export type ServicesTables = {
  services: ServiceRow
  service_instances: InstanceRow
  registration_tokens: RegistrationTokenRow
  service_tokens: { key_id: string; service_id: string; created_at: number }
  service_openapi: OpenapiRow
}

export type InstanceFacts = Partial<
  Pick<InstanceRow, 'reported' | 'silence' | 'poll' | 'is_maintenance' | 'gone_at' | 'weight' | 'last_heard_at'>
>

export type ServicesStore = ReturnType<typeof createServicesStore>

const most = 500

/** Every query of the registry. What changes routes moves the `services` revision in the same transaction; beats do not. */
export function createServicesStore(db: Kysely<ServicesTables>) {
  const write = <T>(work: (trx: Transaction<ServicesTables>) => Promise<T>): Promise<T> =>
    db.transaction().execute(async (trx) => {
      const result = await work(trx)
      await bumpRevision(trx, 'services')
      return result
    })

  return {
    revision: () => readRevision(db, 'services'),

    async readAll() {
      const services = await db.selectFrom('services').selectAll().orderBy('name').execute()
      const instances = await db
        .selectFrom('service_instances')
        .selectAll()
        .orderBy('registered_at')
        .orderBy('id')
        .execute()
      const tokens = await db.selectFrom('service_tokens').select(['key_id', 'service_id']).execute()
      const openapi = await db.selectFrom('service_openapi').select(['service_id', 'breaks', 'failure']).execute()
      return { services, instances, tokens, openapi }
    },

    findService: (name: string): Promise<ServiceRow | undefined> =>
      db.selectFrom('services').selectAll().where('name', '=', name).executeTakeFirst(),
    listInstances: (serviceId: string): Promise<InstanceRow[]> =>
      db.selectFrom('service_instances').selectAll().where('service_id', '=', serviceId).orderBy('id').execute(),
    countServices: async (): Promise<number> =>
      (await db.selectFrom('services').select(sql<number>`count(*)`.as('count')).executeTakeFirstOrThrow()).count,

    /**
     * Writes a service and one of its instances, both as they are given, new or known. `spend` takes one use of a
     * registration token in the same transaction; false, and nothing is written, when it has none left.
     */
    register: (
      service: ServiceRow,
      instance: InstanceRow,
      spend: { tokenId: string; now: number } | null,
    ): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        if (spend !== null && !(await spendUse(trx, spend.tokenId, spend.now))) return false
        const { id: _id, created_at: _at, ...change } = service
        await trx
          .insertInto('services')
          .values(service)
          .onConflict((conflict) => conflict.column('id').doUpdateSet(change))
          .execute()
        // An address belongs to one instance: what stood there before under another name has moved out.
        await trx
          .deleteFrom('service_instances')
          .where('service_id', '=', service.id)
          .where('host', '=', instance.host)
          .where('port', '=', instance.port)
          .where('id', '!=', instance.id)
          .execute()
        const { id: _instance, registered_at: _since, ...facts } = instance
        await trx
          .insertInto('service_instances')
          .values(instance)
          .onConflict((conflict) => conflict.column('id').doUpdateSet(facts))
          .execute()
        await bumpRevision(trx, 'services')
        return true
      }),
    giveBackUse: (tokenId: string) =>
      db
        .updateTable('registration_tokens')
        .set({ uses_left: sql<number>`uses_left + 1` })
        .where('id', '=', tokenId)
        .execute(),

    updateService: (id: string, change: Partial<ServiceRow>) =>
      write((trx) => trx.updateTable('services').set(change).where('id', '=', id).execute()),
    /** Metadata that came with beats, all of it in one transaction. */
    updateMetadata: (changes: readonly { id: string; metadata: string }[]) =>
      write(async (trx) => {
        for (const { id, metadata } of changes)
          await trx.updateTable('services').set({ metadata }).where('id', '=', id).execute()
      }),
    deleteService: (id: string) =>
      write(async (trx) => {
        for (const table of ['service_openapi', 'service_tokens', 'service_instances'] as const)
          await trx.deleteFrom(table).where('service_id', '=', id).execute()
        await trx.deleteFrom('services').where('id', '=', id).execute()
      }),
    deleteInstances: (ids: readonly string[]) =>
      write((trx) =>
        trx
          .deleteFrom('service_instances')
          .where('id', 'in', [...ids])
          .execute(),
      ),

    /** Sets facts of instances, all in one transaction; `state_since` moves with them. */
    setFacts: (changes: readonly { ids: readonly string[]; facts: InstanceFacts }[], now: number) =>
      write(async (trx) => {
        for (const { ids, facts } of changes) {
          for (let i = 0; i < ids.length; i += most) {
            await trx
              .updateTable('service_instances')
              .set({ ...facts, state_since: now })
              .where('id', 'in', ids.slice(i, i + most))
              .execute()
          }
        }
      }),

    /** Notes that these were heard; one statement for each five hundred, and no revision. */
    async noteHeard(ids: readonly string[], at: number): Promise<void> {
      for (let i = 0; i < ids.length; i += most) {
        await db
          .updateTable('service_instances')
          .set({ last_heard_at: at })
          .where('id', 'in', ids.slice(i, i + most))
          .execute()
      }
    },
    readHeard: () => db.selectFrom('service_instances').select(['id', 'last_heard_at']).execute(),
    /** Forgets instances that went, and registration tokens that ended, before `before`. */
    async forgetOld(before: number): Promise<void> {
      await db.deleteFrom('registration_tokens').where('expires_at', '<', before).execute()
      const old = await db
        .selectFrom('service_instances')
        .select('id')
        .where('gone_at', '<', before)
        .limit(most)
        .execute()
      if (old.length === 0) return
      const ids = old.map(({ id }) => id)
      // Asked again: a late heartbeat may have brought one back meanwhile.
      await write((trx) =>
        trx.deleteFrom('service_instances').where('id', 'in', ids).where('gone_at', '<', before).execute(),
      )
    },

    insertServiceToken: (keyId: string, serviceId: string, now: number) =>
      write((trx) =>
        trx.insertInto('service_tokens').values({ key_id: keyId, service_id: serviceId, created_at: now }).execute(),
      ),
    listServiceTokens: async (serviceId: string): Promise<string[]> =>
      (await db.selectFrom('service_tokens').select('key_id').where('service_id', '=', serviceId).execute()).map(
        ({ key_id }) => key_id,
      ),
    deleteServiceTokens: (keyIds: readonly string[]) =>
      write((trx) =>
        trx
          .deleteFrom('service_tokens')
          .where('key_id', 'in', [...keyIds])
          .execute(),
      ),

    /** Services of a tenant, and its registration tokens that are still good for something. */
    async countOf(tenantId: string, now: number): Promise<{ services: number; registrationTokens: number }> {
      const services = await db
        .selectFrom('services')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('tenant_id', '=', tenantId)
        .executeTakeFirstOrThrow()
      const tokens = await db
        .selectFrom('registration_tokens')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('tenant_id', '=', tenantId)
        .where('expires_at', '>', now)
        .where('uses_left', '>', 0)
        .executeTakeFirstOrThrow()
      return { services: Number(services.count), registrationTokens: Number(tokens.count) }
    },

    insertToken: (row: RegistrationTokenRow) => db.insertInto('registration_tokens').values(row).execute(),
    findToken: (hash: string): Promise<RegistrationTokenRow | undefined> =>
      db.selectFrom('registration_tokens').selectAll().where('token_hash', '=', hash).executeTakeFirst(),
    listTokens: (tenantId: string | null, limit: number, before?: string): Promise<RegistrationTokenRow[]> =>
      db
        .selectFrom('registration_tokens')
        .selectAll()
        .$if(tenantId !== null, (query) => query.where('tenant_id', '=', tenantId!))
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    /** Whether there was one to revoke. */
    async deleteToken(id: string, tenantId: string | null): Promise<boolean> {
      const { numDeletedRows } = await db
        .deleteFrom('registration_tokens')
        .where('id', '=', id)
        .$if(tenantId !== null, (query) => query.where('tenant_id', '=', tenantId!))
        .executeTakeFirst()
      return numDeletedRows > 0n
    },

    findOpenapi: (serviceId: string): Promise<OpenapiRow | undefined> =>
      db.selectFrom('service_openapi').selectAll().where('service_id', '=', serviceId).executeTakeFirst(),
    saveOpenapi: (row: OpenapiRow) =>
      write((trx) => {
        const { service_id: _id, ...change } = row
        return trx
          .insertInto('service_openapi')
          .values(row)
          .onConflict((conflict) => conflict.column('service_id').doUpdateSet(change))
          .execute()
      }),
  }
}

async function spendUse(trx: Transaction<ServicesTables>, tokenId: string, now: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('registration_tokens')
    .set({ uses_left: sql<number>`uses_left - 1`, last_used_at: now })
    .where('id', '=', tokenId)
    .where('uses_left', '>', 0)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}
