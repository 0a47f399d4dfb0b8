import { sqliteFileOf } from '../connect.ts'
import type { Fill, StoreAddress } from './contract.ts'
import { openPostgresFill } from './postgres-fill.ts'
import { openSqliteFill } from './sqlite-fill.ts'

/**
 * Rejects with the driver's error when the store cannot be opened. With `goesOn` rows that are there stay, and what was put
 * off until `finish` is written down in the store itself, so that a run that was killed can be gone on with by the next.
 */
export function openFill({ url, dataDir }: StoreAddress, { goesOn = false } = {}): Promise<Fill> {
  const file = sqliteFileOf(url, dataDir)
  return file === null ? openPostgresFill(url, goesOn) : openSqliteFill(file, goesOn)
}
