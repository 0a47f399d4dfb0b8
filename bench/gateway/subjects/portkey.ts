import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cores } from '../machine.ts'
import { freePort, listens, run, start } from '../processes.ts'
import type { Subject } from './subject.ts'

const version = '1.15.2'

/**
 * Installed for the bench alone. Later versions of @hono/node-server than the pinned one make every stream of this
 * release answer 500.
 */
const manifest = {
  name: 'portkey-for-the-bench',
  private: true,
  dependencies: { '@portkey-ai/gateway': version },
  overrides: { '@hono/node-server': '1.12.0' },
}

export const portkey: Subject = {
  name: 'portkey',
  async start(bench) {
    const folder = `${bench.workFolder}/portkey`
    const program = `${folder}/node_modules/@portkey-ai/gateway/build/start-server.js`
    if (!existsSync(program)) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(`${folder}/package.json`, JSON.stringify(manifest, null, 2))
      run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder })
    }
    const port = await freePort()
    const started = await start('portkey', {
      core: cores.subject,
      command: [process.execPath, program, `--port=${port}`, '--headless'],
      cwd: `${folder}/node_modules/@portkey-ai/gateway`,
      env: { NODE_ENV: 'production' },
      logFile: `${bench.workFolder}/portkey.log`,
      isReady: () => listens(port),
    })
    const headers = {
      authorization: 'Bearer sk-upstream',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `http://127.0.0.1:${bench.upstreamPort}/v1`,
    }
    return { ...started, port, path: '/v1/chat/completions', headers }
  },
}
