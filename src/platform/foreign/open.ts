import type { ForeignAddress } from './address.ts'
import type { ForeignDatabase } from './foreign.ts'
import { openForeignMysql } from './mysql.ts'
import { openForeignPostgres } from './postgres.ts'
import { openForeignSqlite } from './sqlite.ts'

/** Nothing is connected until the first question. */
export function openForeign(address: ForeignAddress): ForeignDatabase {
  switch (address.engine) {
    case 'sqlite':
      return openForeignSqlite(address)
    case 'postgres':
      return openForeignPostgres(address)
    case 'mysql':
      return openForeignMysql(address)
  }
}
