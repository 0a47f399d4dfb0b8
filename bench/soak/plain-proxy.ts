import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { freePort, listens } from '../gateway/processes.ts'

/** The proxy that `npm run bench` measures everything against, before an upstream on this machine. */
export async function startPlainProxy(upstreamPort: string): Promise<{ url: string; stop(): void }> {
  const program = fileURLToPath(new URL('../gateway/baseline.ts', import.meta.url))
  const port = await freePort()
  const child = spawn(process.execPath, [program, String(port), upstreamPort], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const deadline = performance.now() + 10_000
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill()
      throw new Error('the plain proxy does not serve')
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { url: `http://127.0.0.1:${port}`, stop: () => void child.kill() }
}
