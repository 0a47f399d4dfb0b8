import { fileURLToPath } from 'node:url'
import { cores } from '../machine.ts'
import { freePort, listens, start } from '../processes.ts'
import type { Subject } from './subject.ts'

export const baseline: Subject = {
  name: 'baseline',
  async start(bench) {
    const port = await freePort()
    const program = fileURLToPath(new URL('../baseline.ts', import.meta.url))
    const started = await start('baseline', {
      core: cores.subject,
      command: [process.execPath, program, String(port), String(bench.upstreamPort)],
      logFile: `${bench.workFolder}/baseline.log`,
      env: { NODE_ENV: 'production' },

      isReady: () => listens(port),
    })
    return { ...started, port, path: '/v1/chat/completions', headers: { authorization: 'Bearer sk-caller' } }
  },
}
