import type { Migration } from '../platform/database/index.ts'
import { identityMigration } from './0001-identity.ts'
import { gatewayMigration } from './0002-gateway.ts'
import { usageMigration } from './0003-usage.ts'
import { routingMigration } from './0004-routing.ts'

export type { Migration }

/** The store's history, oldest first. Entries are only ever appended, and a released one is never changed. */
export const migrations: readonly Migration[] = [identityMigration, gatewayMigration, usageMigration, routingMigration]
