import type { Migration } from './migration.ts'

/** `count` steps that each make one table; a step that ran twice, or before the one it builds on, fails. */
export function numberedMigrations(count: number): Migration[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `000${index + 1}-step`,
    async up(trx) {
      await trx.schema
        .createTable(`step_${index + 1}`)
        .addColumn('id', 'integer')
        .execute()
      await trx
        .insertInto(`step_${index + 1}`)
        .values({ id: index })
        .execute()
      if (index > 0) await trx.selectFrom(`step_${index}`).selectAll().executeTakeFirstOrThrow()
    },
    async down(trx) {
      await trx.schema.dropTable(`step_${index + 1}`).execute()
    },
  }))
}
