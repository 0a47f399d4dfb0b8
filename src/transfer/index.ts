/**
 * The control plane as a document: providers, models, prices, limits, checks, channels and rules, out of one hub and into
 * another, or into a spreadsheet and back. What it may read and write of other rooms' tables is data (`kinds.ts`). Not here:
 * people, sessions and what was counted, which are backups' affair, and the settings of the process, which are config's.
 */
import type { Route } from '../http/route.ts'
import { transferRoutes } from './routes.ts'
import { openTransfer, type Transfer, type TransferParts } from './transfer.ts'

export { formats } from './document.ts'
export { conflictModes } from './import.ts'
export { secretModes } from './seal.ts'
export type { Transfer } from './transfer.ts'

export function createTransfer(parts: TransferParts): Transfer & { routes: Route[] } {
  const transfer = openTransfer(parts)
  return { ...transfer, routes: transferRoutes(transfer, parts.clock) }
}
