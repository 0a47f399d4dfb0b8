import { sqliteFileOf } from '../connect.ts'
import type { Fill, StoreAddress } from './contract.ts'
import { openPostgresFill } from './postgres-fill.ts'
import { openSqliteFill } from './sqlite-fill.ts'

/** Rejects with the driver's error when the store cannot be opened. */
export function openFill({ url, dataDir }: StoreAddress): Promise<Fill> {
  const file = sqliteFileOf(url, dataDir)
  return file === null ? openPostgresFill(url) : openSqliteFill(file)
}
