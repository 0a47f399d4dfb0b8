import { sqliteFileOf } from '../connect.ts'
import type { Dump, StoreAddress } from './contract.ts'
import { openPostgresDump } from './postgres-dump.ts'
import { openSqliteDump } from './sqlite-dump.ts'

/** Rejects with the driver's error when the store cannot be read, and with `invalid_request` for a column it cannot copy. */
export function openDump({ url, dataDir }: StoreAddress): Promise<Dump> {
  const file = sqliteFileOf(url, dataDir)
  return file === null ? openPostgresDump(url) : openSqliteDump(file)
}
