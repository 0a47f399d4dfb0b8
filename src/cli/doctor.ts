import { join } from 'node:path'
import { ConfigError, type Loaded } from '../config.ts'
import {
  type Area,
  createWorld,
  type Diagnosis,
  type DoctorParts,
  diagnose,
  diagnoseQuickly,
  findings,
} from '../doctor/index.ts'
import { systemClock } from '../kernel/clock.ts'
import { packages, programFolder } from '../version.ts'
import { outsideParts } from '../wiring/doctor-parts.ts'
import { logFolder } from '../wiring/own-folder.ts'
import type { Call, Terminal } from './command.ts'
import { loadFor } from './settings.ts'

/** The doctor as a command line sees it: beside a hub or without one, also where the configuration cannot be read. */
export function openDoctor(call: Call) {
  const { env } = call.terminal
  const read = readConfiguration(call)
  const loaded = read instanceof ConfigError ? null : read
  const worldOf = () =>
    createWorld({
      ...(read instanceof ConfigError
        ? withoutConfiguration(read, env)
        : outsideParts({ loaded: read, env, secretKey: env.GATEHOUSE_SECRET_KEY ?? '', clock: systemClock })),
      isOffline: call.options.offline === true,
    })
  return {
    /** null where the configuration cannot be read. */
    loaded,
    async look(only: readonly Area[]): Promise<Diagnosis[]> {
      const world = worldOf()
      try {
        return await diagnose(findings, world, only)
      } finally {
        await world.close()
      }
    },
    /** Seed 003's quick diagnosis. */
    async quick(): Promise<{ isWell: boolean; lines: string[] }> {
      const world = worldOf()
      try {
        return await diagnoseQuickly(world, loaded === null ? '' : join(logFolder(loaded.config), 'api-error.log'))
      } finally {
        await world.close()
      }
    },
  }
}

function readConfiguration(call: Call): Loaded | ConfigError {
  try {
    return loadFor(call)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

/** What can be looked at without knowing where anything is. */
function withoutConfiguration(
  { findings: complaints }: ConfigError,
  env: Terminal['env'],
): Omit<DoctorParts, 'isOffline'> {
  const unreachable = () => Promise.reject(new Error('The configuration cannot be read'))
  return {
    ...{ settings: null, complaints, env, clock: systemClock, isHub: false, packages, programFolder },
    whereOf: () => '',
    ...{ openStore: unreachable, migrationStates: unreachable, verifyAudit: unreachable, masterKeyId: () => null },
    ...{
      listBackups: unreachable,
      findUnfinishedRestore: unreachable,
      openProviders: unreachable,
      reconcile: unreachable,
    },
  }
}
