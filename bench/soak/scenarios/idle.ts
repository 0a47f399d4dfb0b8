import { residentMb } from '../memory.ts'
import { finding, type Scenario } from './scenario.ts'

const settleMs = 20_000

/** What a hub takes that has nothing to do, from its second start on: the first one keeps what was compiled. */
export const idle: Scenario = {
  name: '150 MB at rest',
  async run({ hub, say }) {
    const rest = () => new Promise((resolve) => setTimeout(resolve, settleMs))
    await rest()
    const first = residentMb(hub.run().pid)
    await hub.kill('SIGTERM')
    await hub.restart()
    say(`restarted; ${settleMs / 1000} s of rest`)
    await rest()
    return [
      finding('resident memory after the first start', first, 'MB', null),
      // What it is to be is 150; it is told, and asked for once it can be had.
      finding('resident memory after the next start', residentMb(hub.run().pid), 'MB', null),
    ]
  },
}
