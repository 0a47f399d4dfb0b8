import type { Kysely, Selectable, Transaction } from 'kysely'
import { bumpRevision, type RevisionTables, readRevision } from '../platform/database/index.ts'
import type { ResponseTables } from './responses/store.ts'

export type GatewayTables = {
  providers: {
    id: string
    name: string
    type: string
    base_url: string
    api_key_cipher: string
    api_key_last_four: string
    enabled: number
    priority: number
    weight: number
    max_retries: number
    timeout: number
    rate_limit: number | null
    /** JSON of the type's own settings. */
    options: string
    is_synthetic: number
    /** Ids of the tenants it serves as a JSON list; [] for all. */
    tenants: string
    /** JSON list. */
    tags: string
    first_token_timeout: number | null
    idle_timeout: number | null
    /** JSON of a `Transform`. */
    transform: string
    /** Of its own key: '' or 'dead'. */
    key_state: string
    key_state_reason: string
    created_at: number
    updated_at: number
  }
  models: {
    id: string
    name: string
    remark: string
    max_retry: number | null
    timeout: number | null
    max_output_tokens: number | null
    enabled: number
    is_synthetic: number
    /** Id of the model that it is another name of; ''. */
    alias_of: string
    abort_policy: '' | 'cancel' | 'drain'
    /** JSON of `MirrorSettings`; {} for none. */
    mirror: string
    /** Name of a routing policy; '' for the one in the settings. */
    policy: string
    /** JSON list. */
    access_groups: string
    first_token_timeout: number | null
    idle_timeout: number | null
    /** JSON of a `Transform`. */
    transform: string
    created_at: number
    updated_at: number
  }
  model_providers: {
    id: string
    model_id: string
    provider_id: string
    provider_model: string
    priority: number | null
    weight: number
    tool_call: number
    structured_output: number
    image: number
    enabled: number
    tenants: string
    tags: string
    context_tokens: number | null
    timeout: number | null
    max_retries: number | null
    first_token_timeout: number | null
    idle_timeout: number | null
    /** JSON of a `Transform`. */
    transform: string
    created_at: number
    updated_at: number
  }
  /** Keys of a provider besides its own. */
  provider_keys: {
    id: string
    provider_id: string
    name: string
    /** Sealed like the provider's own key. */
    cipher: string
    last_four: string
    weight: number
    enabled: number
    /** A minute; null for no limit. */
    rate_limit: number | null
    token_limit: number | null
    concurrency_limit: number | null
    /** '' or 'dead'. */
    state: string
    state_reason: string
    created_at: number
    updated_at: number
  }
} & RevisionTables &
  ResponseTables

export type ProviderRow = Selectable<GatewayTables['providers']>
export type ModelRow = Selectable<GatewayTables['models']>
export type ModelProviderRow = Selectable<GatewayTables['model_providers']>
export type ProviderKeyRow = Selectable<GatewayTables['provider_keys']>
export type NamedModelProviderRow = ModelProviderRow & {
  model_name: string
  provider_name: string
  provider_type: string
}

type Table = 'providers' | 'models' | 'model_providers' | 'provider_keys'
type Connection = Kysely<GatewayTables> | Transaction<GatewayTables>

export type GatewayStore = ReturnType<typeof createGatewayStore>

/** Every query of this room. Each write moves the `routes` revision in its own transaction, so every node reloads. */
export function createGatewayStore(db: Kysely<GatewayTables>) {
  const write = <T>(work: (trx: Transaction<GatewayTables>) => Promise<T>): Promise<T> =>
    db.transaction().execute(async (trx) => {
      const result = await work(trx)
      await bumpRevision(trx, 'routes')
      return result
    })

  /** By id, or by name where the table has one. */
  const find = (table: 'providers' | 'models', idOrName: string, connection: Connection = db) =>
    connection
      .selectFrom(table)
      .selectAll()
      .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
      .executeTakeFirst()

  const named = (connection: Connection) =>
    connection
      .selectFrom('model_providers')
      .innerJoin('models', 'models.id', 'model_providers.model_id')
      .innerJoin('providers', 'providers.id', 'model_providers.provider_id')
      .selectAll('model_providers')
      .select(['models.name as model_name', 'providers.name as provider_name', 'providers.type as provider_type'])

  return {
    revision: () => readRevision(db, 'routes'),

    /** All of the routing configuration, read in one go for the snapshot. */
    readAll: () =>
      db.transaction().execute(async (trx) => ({
        providers: await trx.selectFrom('providers').selectAll().execute(),
        models: await trx.selectFrom('models').selectAll().orderBy('name').execute(),
        modelProviders: await trx.selectFrom('model_providers').selectAll().orderBy('id').execute(),
        keys: await trx.selectFrom('provider_keys').selectAll().orderBy('id').execute(),
      })),

    listProviders: (enabledOnly: boolean): Promise<ProviderRow[]> =>
      db
        .selectFrom('providers')
        .selectAll()
        .$if(enabledOnly, (query) => query.where('enabled', '=', 1))
        .orderBy('priority', 'desc')
        .orderBy('id')
        .execute(),
    listModels: (): Promise<ModelRow[]> => db.selectFrom('models').selectAll().orderBy('name').execute(),
    listModelProviders: (filter: { model_id?: string | undefined; provider_id?: string | undefined }) =>
      named(db)
        .$if(filter.model_id !== undefined, (query) =>
          query.where((eb) =>
            eb.or([eb('models.id', '=', filter.model_id!), eb('models.name', '=', filter.model_id!)]),
          ),
        )
        .$if(filter.provider_id !== undefined, (query) =>
          query.where((eb) =>
            eb.or([eb('providers.id', '=', filter.provider_id!), eb('providers.name', '=', filter.provider_id!)]),
          ),
        )
        .orderBy('models.name')
        .orderBy('providers.name')
        .orderBy('model_providers.id')
        .execute(),

    findProvider: (idOrName: string) => find('providers', idOrName) as Promise<ProviderRow | undefined>,
    findModel: (idOrName: string) => find('models', idOrName) as Promise<ModelRow | undefined>,
    findModelProvider: (id: string) =>
      named(db).where('model_providers.id', '=', id).executeTakeFirst() as Promise<NamedModelProviderRow | undefined>,

    listKeys: (providerId: string): Promise<ProviderKeyRow[]> =>
      db.selectFrom('provider_keys').selectAll().where('provider_id', '=', providerId).orderBy('id').execute(),
    /** By id, or by name among the keys of its provider. */
    findKey: (providerId: string, idOrName: string): Promise<ProviderKeyRow | undefined> =>
      db
        .selectFrom('provider_keys')
        .selectAll()
        .where('provider_id', '=', providerId)
        .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
        .executeTakeFirst(),
    insertKey: (row: ProviderKeyRow) => write((trx) => trx.insertInto('provider_keys').values(row).execute()),

    insertProvider: (row: ProviderRow) => write((trx) => trx.insertInto('providers').values(row).execute()),
    insertModel: (row: ModelRow) => write((trx) => trx.insertInto('models').values(row).execute()),
    insertModelProvider: (row: ModelProviderRow) =>
      write((trx) => trx.insertInto('model_providers').values(row).execute()),

    /** Models that are missing and their association with a provider, all or nothing; what exists stays as it is. */
    importModels: (models: ModelRow[], associate: (modelId: string, name: string) => ModelProviderRow) =>
      write(async (trx) => {
        let imported = 0
        for (const model of models) {
          await trx
            .insertInto('models')
            .values(model)
            .onConflict((conflict) => conflict.column('name').doNothing())
            .execute()
          const stored = (await find('models', model.name, trx))!
          const done = await trx
            .insertInto('model_providers')
            .values(associate(stored.id, model.name))
            .onConflict((conflict) => conflict.columns(['model_id', 'provider_id', 'provider_model']).doNothing())
            .returning('id')
            .execute()
          imported += done.length
        }
        return imported
      }),

    update: (table: Table, id: string, change: Record<string, unknown>) =>
      write((trx) => trx.updateTable(table).set(change).where('id', '=', id).execute()),
    remove: (table: Table, id: string) => write((trx) => trx.deleteFrom(table).where('id', '=', id).execute()),

    /** Everything `--demo` made. */
    removeSynthetic: () =>
      write(async (trx) => {
        await trx.deleteFrom('providers').where('is_synthetic', '=', 1).execute()
        await trx.deleteFrom('models').where('is_synthetic', '=', 1).execute()
      }),
  }
}
