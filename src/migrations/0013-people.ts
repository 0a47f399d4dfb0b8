import type { Kysely } from 'kysely'
import type { Migration } from '../platform/database/index.ts'

/** Tenants as rows, how people are invited, reset their passwords, and prove themselves a second time. */
export const peopleMigration: Migration = {
  name: '0013-people',

  async up(db) {
    await db.schema
      .createTable('tenants')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('display_name', 'text', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('config', 'text', (c) => c.notNull())
      // '' for every service, else a JSON array of names.
      .addColumn('enabled_services', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()
    await adoptLabels(db)

    await db.schema.alterTable('users').addColumn('username', 'text').execute()
    await db.schema.createIndex('users_by_username').on('users').column('username').unique().execute()
    await db.schema.createIndex('users_by_tenant').on('users').column('tenant_id').execute()
    await db.schema
      .alterTable('users')
      .addColumn('language', 'text', (c) => c.notNull().defaultTo(''))
      .execute()
    // Failed tries are counted under this moment: an administrator unlocks by moving it.
    await db.schema
      .alterTable('users')
      .addColumn('unlocked_at', 'bigint', (c) => c.notNull().defaultTo(0))
      .execute()

    await db.schema
      .createTable('invitations')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('token_hash', 'text', (c) => c.notNull().unique())
      .addColumn('email', 'text', (c) => c.notNull())
      .addColumn('role', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('invited_by', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('invitations_by_tenant').on('invitations').column('tenant_id').execute()

    await db.schema
      .createTable('password_resets')
      .addColumn('token_hash', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('password_resets_by_user').on('password_resets').column('user_id').execute()

    // `last_step` is the newest code that was taken: none is taken twice.
    await db.schema
      .createTable('second_factors')
      .addColumn('user_id', 'text', (c) => c.primaryKey().references('users.id').onDelete('cascade'))
      .addColumn('secret', 'text', (c) => c.notNull())
      .addColumn('confirmed_at', 'bigint')
      .addColumn('last_step', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('recovery_codes')
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('code_hash', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('recovery_codes_key', ['user_id', 'code_hash'])
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('recovery_codes').execute()
    await db.schema.dropTable('second_factors').execute()
    await db.schema.dropTable('password_resets').execute()
    await db.schema.dropTable('invitations').execute()
    await db.schema.dropIndex('users_by_tenant').execute()
    await db.schema.dropIndex('users_by_username').execute()
    for (const column of ['unlocked_at', 'language', 'username']) {
      await db.schema.alterTable('users').dropColumn(column).execute()
    }
    await db.schema.dropTable('tenants').execute()
  },
}

type Labelled = Record<'users' | 'api_keys' | 'limits' | 'budgets', { tenant_id: string }> & {
  tenants: Record<'id' | 'name' | 'display_name' | 'config' | 'enabled_services', string> &
    Record<'enabled' | 'created_at' | 'updated_at', number>
}

/** Until now a tenant was a label on people and keys. Each becomes a row and keeps its label as its id. */
async function adoptLabels(db: Kysely<unknown>): Promise<void> {
  const labelled = db as Kysely<Labelled>
  const labels = new Set([''])
  for (const table of ['users', 'api_keys', 'limits', 'budgets'] as const) {
    const rows = await labelled.selectFrom(table).select('tenant_id').distinct().execute()
    for (const { tenant_id } of rows) labels.add(tenant_id)
  }
  const taken = new Set<string>()
  const now = Date.now()
  for (const label of [...labels].sort()) {
    const name = label === '' ? 'hub' : freeName(label, taken)
    taken.add(name)
    await labelled
      .insertInto('tenants')
      .values({
        ...{ id: label, name, display_name: label === '' ? 'Gatehouse' : label, enabled: 1 },
        ...{ config: '{}', enabled_services: '', created_at: now, updated_at: now },
      })
      .execute()
  }
}

function freeName(label: string, taken: ReadonlySet<string>): string {
  const slug = label.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const name = slug.slice(0, 50).replace(/^-+|-+$/g, '') || 'tenant'
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? name : `${name}-${i}`
    if (!taken.has(candidate)) return candidate
  }
}
