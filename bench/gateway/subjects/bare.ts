import { fileURLToPath } from 'node:url'
import { cores } from '../machine.ts'
import { freePort, listens, start } from '../processes.ts'
import type { Subject } from './subject.ts'

/** Floors for what only passes through: a pure pipe for large bodies, a bare pool of undici for streams. */
export const [pipe, dispatch] = [createBare('pipe'), createBare('dispatch')]

function createBare(name: 'pipe' | 'dispatch'): Subject {
  return {
    name,
    async start(bench) {
      const port = await freePort()
      const program = fileURLToPath(new URL('../bare.ts', import.meta.url))
      const started = await start(name, {
        core: cores.subject,
        command: [process.execPath, program, name, String(port), String(bench.upstreamPort)],
        logFile: `${bench.workFolder}/${name}.log`,
        env: { NODE_ENV: 'production' },
        isReady: () => listens(port),
      })
      return { ...started, port, path: '/v1/chat/completions', headers: { authorization: 'Bearer sk-caller' } }
    },
  }
}
