import type { Config } from '../config.ts'
import { systemClock } from '../kernel/clock.ts'
import { openLog } from '../platform/open-log.ts'
import { startChild } from '../platform/processes/child.ts'
import { readSettings } from '../platform/processes/read-settings.ts'
import { createSupervisor, StartFailed } from '../platform/processes/supervisor.ts'
import { collectStartGarbage } from '../platform/start-garbage.ts'
import { type ExitCode, exitCodes } from './command.ts'
import { askedToStop, endOnFaults } from './until-signal.ts'

/** Keeps the processes of a node until a signal ends it. SIGHUP and SIGUSR2 replace them one after the other. */
export async function supervise(): Promise<ExitCode> {
  try {
    return await keepProcesses()
  } catch (error) {
    if (!(error instanceof StartFailed)) throw error
    // Whoever could not start has said why, unless it was ended.
    process.stderr.write(`✗ ${error.message}\n`)
    return error.exitCode as ExitCode
  }
}

async function keepProcesses(): Promise<ExitCode> {
  const read = () => readSettings<Config>(startChild)
  const config = await read()
  const log = openLog(config.log)
  endOnFaults(log)
  const asked = askedToStop(log)
  const supervisor = createSupervisor({
    ...{ workers: config.server.workers, host: config.server.host, port: config.server.port },
    ...{ dataDir: config.data.dir, start: startChild, clock: systemClock, log: log.child({ process: 'supervisor' }) },
    ...{ retireMs: config.gateway.deadline_seconds * 1000, settings: config, readSettings: read },
  })
  for (const signal of ['SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => void supervisor.restart())
  process.on('SIGUSR1', () => supervisor.signal('SIGUSR1'))
  asked.arm()
  const first = await Promise.race([supervisor.start(), asked.once])
  collectStartGarbage()
  if (first) log.info(`Listening on ${first.url}`, { address: first.url })
  await asked.once
  await supervisor.stop()
  return exitCodes.ok
}
