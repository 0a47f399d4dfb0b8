import type { Loaded } from '../config.ts'
import { serverRoles } from '../http/roles.ts'
import { systemClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { LogControl } from '../platform/log.ts'
import { startChild } from '../platform/processes/child.ts'
import type { Seat } from '../platform/processes/seat.ts'
import { createSupervisor, StartFailed } from '../platform/processes/supervisor.ts'
import { type ExitCode, exitCodes } from './command.ts'

/** The settings of a node as one of its processes has to read them: its part of the work and of the connections. */
export function settingsOf(loaded: Loaded, seat: Seat | null): Loaded {
  if (seat === null) return loaded
  const { server, database } = loaded.config
  const roles = serverRoles.filter(
    (role) => server.roles.includes(role) && (role === 'gateway') === (seat.kind === 'worker'),
  )
  const pool_size = Math.max(1, Math.floor(database.pool_size / seat.processes))
  return {
    ...loaded,
    // What is read again is to be compared with what this process was given, not with what the node was.
    again: (text) => settingsOf(loaded.again(text), seat),
    config: {
      ...loaded.config,
      server: { ...server, roles, host: seat.host, port: seat.port },
      database: { ...database, pool_size },
    },
  }
}

/** Keeps the processes of a node until `asked` to stop. SIGHUP and SIGUSR2 replace them one after the other. */
export async function superviseProcesses(
  loaded: Loaded,
  { log, asked }: { log: LogControl; asked: { once: Promise<void>; arm(): void } },
): Promise<ExitCode> {
  const { config } = loaded
  assertFit(config)
  const supervisor = createSupervisor({
    ...{ workers: config.server.workers, host: config.server.host, port: config.server.port },
    ...{ dataDir: config.data.dir, start: startChild, clock: systemClock, log: log.child({ process: 'supervisor' }) },
    retireMs: config.gateway.deadline_seconds * 1000,
  })
  const restart = () => {
    try {
      // With settings that nobody can start with, the processes that serve now would be replaced by none.
      assertFit(loaded.again().config)
    } catch (error) {
      return log.error('The processes are not replaced: nobody could start with the settings as they are', { error })
    }
    void supervisor.restart()
  }
  for (const signal of ['SIGHUP', 'SIGUSR2'] as const) process.on(signal, restart)
  process.on('SIGUSR1', () => supervisor.signal('SIGUSR1'))
  asked.arm()
  try {
    const first = await Promise.race([supervisor.start(), asked.once])
    if (first) log.info(`Listening on ${first.url}`, { address: first.url })
  } catch (error) {
    if (error instanceof StartFailed) return error.exitCode as ExitCode
    throw error
  }
  await asked.once
  await supervisor.stop()
  return exitCodes.ok
}

function assertFit({ server, database }: Loaded['config']): void {
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
