import { rmSync } from 'node:fs'
import { cores } from '../machine.ts'
import { answers, freePort, start } from '../processes.ts'
import type { Subject } from './subject.ts'

export const adminKey = 'bench-admin-key-of-no-value-0123456789'

/** The hub as `npm start` runs it, nothing switched off: keys, limits, ledger, metrics, breaker and logs are all on. */
export const gatehouse: Subject = {
  name: 'gatehouse',
  async start(bench) {
    const port = await freePort()
    const data = `${bench.workFolder}/gatehouse-data`
    rmSync(data, { recursive: true, force: true })
    const profiling = bench.profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${bench.profileFolder}`] : []
    const started = await start('gatehouse', {
      core: cores.subject,
      command: [process.execPath, ...profiling, 'bin/gatehouse', 'serve', '--port', String(port), '--data', data],
      cwd: bench.repository,
      env: { NODE_ENV: 'production', ADMIN_KEY: adminKey },
      logFile: `${bench.workFolder}/gatehouse.log`,
      isReady: () => answers(`http://127.0.0.1:${port}/readyz`),
    })
    const key = await configure(`http://127.0.0.1:${port}`, bench.upstreamPort)
    return { ...started, port, path: '/v1/chat/completions', headers: { authorization: `Bearer ${key}` } }
  },
}

/** Sets the hub up as an operator would, over its API; returns a caller's key. */
export async function configure(url: string, upstreamPort: number, limits: object = {}): Promise<string> {
  async function post(path: string, body: object): Promise<Record<string, unknown>> {
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    if (!response.ok) throw new Error(`gatehouse answered ${response.status} to POST ${path}: ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }
  const base_url = `http://127.0.0.1:${upstreamPort}/v1`
  const provider = await post('/api/providers', { name: 'mock', type: 'openai', base_url, api_key: 'sk-upstream' })
  for (const name of ['mock', 'mock-paced']) {
    const model = await post('/api/models', { name })
    await post('/api/model-providers', { model_id: model.id, provider_id: provider.id, provider_model: name })
  }
  const { key } = await post('/api/keys', { name: 'bench', ...limits })
  if (typeof key !== 'string') throw new Error('gatehouse gave no key in its answer to POST /api/keys')
  return key
}
