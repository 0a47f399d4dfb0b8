import type { Config } from '../config.ts'
import { createHub } from '../hub.ts'
import { openLog } from '../platform/open-log.ts'
import { takeSeat } from '../platform/processes/seat.ts'
import { collectStartGarbage } from '../platform/start-garbage.ts'
import { type ExitCode, exitCodes } from './command.ts'
import { partOf } from './node-part.ts'
import { endOnFaults, runUntilSignal } from './until-signal.ts'

/** A worker of a node: answers calls until its supervisor ends it. It reads no settings, it is given them. */
export async function work(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const seat = takeSeat(env)
  // Somebody has set the variable by hand.
  if (seat === null) return exitCodes.usage
  process.title = `gatehouse ${seat.name}`
  const config = partOf((await seat.settings) as Config, seat)
  const log = openLog(config.log, undefined, seat.name)
  endOnFaults(log)
  const hub = createHub(
    { config },
    {
      // One of them brings the demo, the others find it in the store.
      demo: argv.includes('--demo') && seat.name === 'worker-1',
      secretKey: env.GATEHOUSE_SECRET_KEY ?? '',
      ...{ log, seat },
      beforeListening: collectStartGarbage,
    },
  )
  try {
    return await runUntilSignal(hub, { log, seat })
  } catch (error) {
    log.critical('The worker ends', { error })
    log.flush()
    return exitCodes.failed
  }
}
