import { readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cores } from '../machine.ts'
import { answers, freePort, start } from '../processes.ts'
import type { Bench, RunningSubject, Subject } from './subject.ts'

export const adminKey = 'bench-admin-key-of-no-value-0123456789'

/** The hub as `npm start` runs it, nothing switched off: keys, limits, ledger, metrics, breaker and logs are all on. */
export const gatehouse = createGatehouse('gatehouse', async () => ({}))

/** Without a line for each request and call: what the access log costs is the difference. */
export const gatehouseQuiet = createGatehouse('gatehouse-quiet', async () => ({ GATEHOUSE_LOG_ACCESS: 'false' }))

/** Every call's spans go to a collector. */
export const gatehouseTraced = createGatehouse('gatehouse-traced', async (bench) => {
  const port = await freePort()
  const logFile = `${bench.workFolder}/sink.log`
  const command = [process.execPath, fileURLToPath(new URL('../sink.ts', import.meta.url)), String(port)]
  const isReady = async () => readFileSync(logFile, 'utf8').includes('ready')
  bench.beside(await start('sink', { core: cores.load, command, logFile, isReady }))
  return { GATEHOUSE_TRACING_OTLP_URL: `http://127.0.0.1:${port}`, GATEHOUSE_TRACING_SAMPLE_RATIO: '1' }
})

function createGatehouse(name: string, settings: (bench: Bench) => Promise<Record<string, string>>): Subject {
  return { name, start: async (bench) => startGatehouse(name, await settings(bench), bench) }
}

async function startGatehouse(name: string, settings: Record<string, string>, bench: Bench): Promise<RunningSubject> {
  const port = await freePort()
  const data = `${bench.workFolder}/${name}-data`
  rmSync(data, { recursive: true, force: true })
  const profiling = bench.profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${bench.profileFolder}`] : []
  const started = await start(name, {
    core: cores.subject,
    command: [process.execPath, ...profiling, 'bin/gatehouse', 'serve', '--port', String(port), '--data', data],
    cwd: bench.repository,
    env: { NODE_ENV: 'production', ADMIN_KEY: adminKey, ...settings },
    logFile: `${bench.workFolder}/${name}.log`,
    isReady: () => answers(`http://127.0.0.1:${port}/readyz`),
  })
  const key = await configure(`http://127.0.0.1:${port}`, bench.upstreamPort)
  return { ...started, port, path: '/v1/chat/completions', headers: { authorization: `Bearer ${key}` } }
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
