import type { Config, Loaded } from '../config.ts'
import { serverRoles } from '../http/roles.ts'
import { fail } from '../kernel/errors.ts'
import type { Seat } from '../platform/processes/seat.ts'

/** The settings of a node as one of its processes has to read them: its part of the work and of the connections. */
export function partOf(config: Config, seat: Seat): Config {
  const { server, database } = config
  const roles = serverRoles.filter(
    (role) => server.roles.includes(role) && (role === 'gateway') === (seat.kind === 'worker'),
  )
  const pool_size = Math.max(1, Math.floor(database.pool_size / seat.processes))
  return {
    ...config,
    server: { ...server, roles, host: seat.host, port: seat.port },
    database: { ...database, pool_size },
  }
}

/** The same with where it came from: what is read again is compared with what this process was given. */
export function settingsOf(loaded: Loaded, seat: Seat | null): Loaded {
  if (seat === null) return loaded
  return { ...loaded, again: (text) => settingsOf(loaded.again(text), seat), config: partOf(loaded.config, seat) }
}

/** Throws when a node cannot be split as its settings say. */
export function assertFit({ server, database }: Config): void {
  if (!server.roles.includes('gateway') || server.roles.length === 1) {
    throw fail(
      'invalid_request',
      'Workers answer calls beside a process for everything else: server.workers wants server.roles to hold gateway and another role. Set server.workers to 0, or start the roles apart.',
      { param: 'server.workers' },
    )
  }
  if (database.url !== '' && database.pool_size < server.workers + 1) {
    throw fail(
      'invalid_request',
      `database.pool_size allows this node ${database.pool_size} connections, too few for ${server.workers + 1} processes; raise it, or lower server.workers.`,
      { param: 'database.pool_size' },
    )
  }
}
