import { basename, join } from 'node:path'
import type { Loaded } from '../config.ts'
import { createRoles, type Roles } from '../http/roles.ts'
import { listFiles } from '../platform/files.ts'
import type { Seat } from '../platform/processes/seat.ts'

/**
 * Beside a gateway on the same data folder, the others keep what is one process's own in folders of theirs. Of a node
 * with workers it is the control process that has the folder: it is there whatever their number.
 */
export function ownFolder(folder: string, roles: Roles, seat?: Seat): string {
  if (seat !== undefined) return seat.kind === 'control' ? folder : join(folder, 'workers', seat.name)
  return roles.has('gateway') ? folder : join(folder, 'roles', roles.name)
}

/** Folders of workers that are no more: rows may have been left in their journals. */
export function leftJournalsOf(folder: string, seat?: Seat): () => string[] {
  return () => {
    const living = new Set(seat?.link.family().map(({ name }) => name))
    return listFiles(join(folder, 'workers', '*')).filter((path) => !living.has(basename(path)))
  }
}

/** Where this process writes its log files. */
export function logFolder({ data, log, server }: Loaded['config'], seat?: Seat): string {
  const roles = createRoles(server.roles)
  return log.dir === '' ? join(ownFolder(data.dir, roles, seat), 'logs') : ownFolder(log.dir, roles, seat)
}
