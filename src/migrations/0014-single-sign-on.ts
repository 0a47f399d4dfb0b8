import type { Migration } from '../platform/database/index.ts'

/** Which person of ours somebody is whom an OpenID provider knows. */
export const singleSignOnMigration: Migration = {
  name: '0014-single-sign-on',

  async up(db) {
    await db.schema
      .createTable('user_identities')
      .addColumn('issuer', 'text', (c) => c.notNull())
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('user_identities_key', ['issuer', 'subject'])
      .execute()
    await db.schema.createIndex('user_identities_by_user').on('user_identities').column('user_id').execute()
  },

  async down(db) {
    await db.schema.dropTable('user_identities').execute()
  },
}
