/**
 * `npm run bench -- workers`: what `serve --workers 2` serves beside a hub in one process, in windows that take turns. Nobody
 * is pinned but the load and the mock, which have one of the cores for themselves only as far as the others leave it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  cores,
  describeMachine,
  processTree,
  readCpuTimes,
  requirePinnedCores,
  residentMb,
  stealSince,
} from '../gateway/machine.ts'
import { measureWindow, median, unitCostUs, type Window } from '../gateway/measure.ts'
import { answers, freePort, run, start } from '../gateway/processes.ts'
import { type Scenario, scenarios } from '../gateway/scenarios.ts'
import { adminKey, configure } from '../gateway/subjects/gatehouse.ts'
import type { RunningSubject } from '../gateway/subjects/subject.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const repository = fileURLToPath(new URL('../..', import.meta.url))
const workFolder = `${folder}.work`

const { values } = parseArgs({ options: { windows: { type: 'string', default: '6' } } })
const cycles = Number(values.windows)
if (!Number.isInteger(cycles) || cycles < 1) {
  console.error('npm run bench -- workers [-- --windows N]')
  process.exit(1)
}

/** The second key has a limit that nobody reaches: it is counted all the same, by the supervisor where there is one. */
const subjects = [
  { name: 'one process', workers: 0, limits: {} },
  { name: 'two workers', workers: 2, limits: {} },
  { name: 'one process, limits', workers: 0, limits: { rate_limit: 1_000_000, tpm_limit: 1_000_000_000 } },
  { name: 'two workers, limits', workers: 2, limits: { rate_limit: 1_000_000, tpm_limit: 1_000_000_000 } },
]

async function startMock(): Promise<{ port: number; stop(): Promise<void> }> {
  for (const name of ['mock', 'load']) {
    run('cc', ['-O2', '-o', `${workFolder}/${name}`, `${folder}../gateway/${name}.c`])
  }
  const port = await freePort()
  const logFile = `${workFolder}/mock.log`
  const isReady = async () => readFileSync(logFile, 'utf8').includes('ready')
  return {
    ...(await start('mock', { core: cores.load, command: [`${workFolder}/mock`, String(port)], logFile, isReady })),
    port,
  }
}

async function startHub(workers: number, upstreamPort: number) {
  const port = await freePort()
  const data = `${workFolder}/data-${workers}`
  rmSync(data, { recursive: true, force: true })
  const args = ['serve', '--port', String(port), '--data', data, '--workers', String(workers)]
  const started = await start(`gatehouse --workers ${workers}`, {
    ...{ core: `${cores.subject},${cores.load}`, command: [process.execPath, 'bin/gatehouse', ...args] },
    ...{ cwd: repository, env: { NODE_ENV: 'production', ADMIN_KEY: adminKey } },
    logFile: `${workFolder}/gatehouse-${workers}.log`,
    // Where there are workers, the last of them has begun by then.
    isReady: async () =>
      (await answers(`http://127.0.0.1:${port}/readyz`)) &&
      readFileSync(`${workFolder}/gatehouse-${workers}.log`, 'utf8').includes('Listening on'),
  })
  const url = `http://127.0.0.1:${port}`
  const idleMb = residentMb(processTree(started.pid))
  return { ...started, port, idleMb, keyOf: (limits: object) => configure(url, upstreamPort, limits) }
}

async function main(): Promise<void> {
  requirePinnedCores()
  mkdirSync(workFolder, { recursive: true })
  const before = readCpuTimes()
  const startedAt = new Date().toISOString()
  const mock = await startMock()
  const hubs = new Map([
    [0, await startHub(0, mock.port)],
    [2, await startHub(2, mock.port)],
  ])
  const running = new Map<string, RunningSubject>()
  const keys = new Map<string, string>()
  for (const { name, workers, limits } of subjects) {
    const hub = hubs.get(workers)!
    // Models and provider are made with the first key.
    const first = keys.get(String(workers))
    const key = first === undefined ? await hub.keyOf(limits) : await keyBeside(hub.port, limits)
    keys.set(String(workers), key)
    running.set(name, { ...hub, path: '/v1/chat/completions', headers: { authorization: `Bearer ${key}` } })
  }
  const options = { loadProgram: `${workFolder}/load`, workFolder, warmMs: 300, windowMs: 2000 }
  const chosen = scenarios.filter(({ connections, model }) => connections === 64 && model === 'mock')
  for (const [name, one] of running) for (const scenario of chosen) await measureWindow(name, one, scenario, options)
  const rows = []
  for (const scenario of chosen) rows.push(...(await measure(scenario, running, options)))
  for (const hub of [...hubs.values(), mock]) await hub.stop()

  const idle = [...hubs].map(([workers, { idleMb }]) => ({ workers, idleMb: Math.round(idleMb) }))
  const stealShare = Number(stealSince(before).toFixed(4))
  const results = { startedAt, machine: describeMachine(), stealShare, windows: cycles, idle, rows }
  console.table(rows)
  console.log(`idle, resident MB of all processes: ${JSON.stringify(idle)}; steal ${(stealShare * 100).toFixed(1)} %`)
  mkdirSync(`${folder}results`, { recursive: true })
  writeFileSync(`${folder}results/latest.json`, `${JSON.stringify(results, null, 2)}\n`)
  console.log('Written to bench/workers/results/latest.json')
}

async function keyBeside(port: number, limits: object): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/api/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench-limits', ...limits }),
  })
  if (!response.ok) throw new Error(`POST /api/keys answered ${response.status}: ${await response.text()}`)
  return ((await response.json()) as { key: string }).key
}

async function measure(
  scenario: Scenario,
  running: ReadonlyMap<string, RunningSubject>,
  options: Parameters<typeof measureWindow>[3],
) {
  const windows = new Map<string, Window[]>([...running.keys()].map((name) => [name, []]))
  for (let cycle = 0; cycle < cycles; cycle++) {
    const order = [...running].sort(() => Math.random() - 0.5)
    for (const [name, one] of order) windows.get(name)!.push(await measureWindow(name, one, scenario, options))
  }
  const cost = (each: Window) => unitCostUs(each, scenario)
  const perSecond = ({ answers: count, windowMs }: Window) => (count * 1000) / windowMs
  return [...windows].map(([subject, all]) => {
    const base = windows.get(subject.replace('two workers', 'one process'))!
    return {
      ...{ scenario: scenario.name, subject, answersPerSecond: Math.round(median(all.map(perSecond))) },
      ratio: Number(median(all.map((each, i) => perSecond(each) / perSecond(base[i]!))).toFixed(2)),
      cpuUs: Number(median(all.map((each) => unitCostUs(each, scenario))).toFixed(1)),
      // What the hand-over costs: with cores to spare it is what stands between two workers and twice as much.
      cpuRatio: Number(median(all.map((each, i) => cost(each) / cost(base[i]!))).toFixed(2)),
      coresUsed: Number(median(all.map(({ cpuMs, windowMs }) => cpuMs / windowMs)).toFixed(2)),
      p50Us: median(all.map(({ p50Us }) => p50Us)),
    }
  })
}

await main()
