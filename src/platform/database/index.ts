/**
 * The main store: SQLite in a file of the data folder, or PostgreSQL. One SQL for both (its rules stand in
 * `database.ts`), migrations under a lock, and one way to tell every failure of either.
 */
export { type DatabaseOptions, openDatabase } from './connect.ts'
export type { Database, Engine } from './database.ts'
export { isUniqueViolation } from './faults.ts'
export { addMany, type InsertManyOptions, insertMany, type ManyValues } from './insert-many.ts'
export { type MigrateOptions, type MigrationState, migrate, migrateDown, migrationStatus } from './migrate.ts'
export type { AnyDatabase, AnyTransaction, Migration } from './migration.ts'
export { bumpRevision, type RevisionTables, readRevision } from './revisions.ts'
export { type WaitOptions, waitForDatabase } from './wait.ts'
