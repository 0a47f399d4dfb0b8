/** Set by the supervisor for the processes it starts. */
export const seatVariable = 'GATEHOUSE_SEAT'
/** Set for itself by a program that goes on as the supervisor of a node. */
const supervisorVariable = 'GATEHOUSE_SUPERVISOR'

/** What a process is started for: each loads what it does and no more. */
export type Entrance = 'command' | 'supervisor' | 'worker'

/** Takes what says so from `env`, so that processes started by this one are not taken for it. */
export function takeEntrance(env: NodeJS.ProcessEnv): Entrance {
  if (env[supervisorVariable] !== undefined) {
    delete env[supervisorVariable]
    return 'supervisor'
  }
  const seat = env[seatVariable]
  return seat !== undefined && (JSON.parse(seat) as { kind: string }).kind === 'worker' ? 'worker' : 'command'
}

/**
 * Goes on as the supervisor, under the same process id: what was loaded to read the settings would stay for as long as it
 * lives, twice as much as all that it needs. Returns where a process cannot be replaced, or somebody holds a channel to it.
 */
export function becomeSupervisor(): void {
  if (typeof process.execve !== 'function' || process.connected || process.platform === 'win32') return
  const env = { ...process.env, [supervisorVariable]: '1' }
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], env)
}
