/**
 * `npm run bench -- services`: what a call of a plugin service through the hub costs in CPU time, beside a plain node:http
 * proxy, in windows that take turns within one run. bench/README.md says how it measures.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cores, describeMachine, requirePinnedCores } from '../gateway/machine.ts'
import { measureWindow, median, unitCostUs, type Window } from '../gateway/measure.ts'
import { freePort, listens, run, start } from '../gateway/processes.ts'
import { type Scenario, scenarios } from '../gateway/scenarios.ts'
import type { RunningSubject } from '../gateway/subjects/subject.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const workFolder = `${folder}.work`
const goal = 1.1

const { values } = parseArgs({
  options: {
    windows: { type: 'string', default: '8' },
    only: { type: 'string', default: '' },
    profile: { type: 'boolean', default: false },
  },
})
const cycles = Number(values.windows)
const chosen = scenarios.filter(({ name, connections }) => name.includes(values.only) && connections >= 16)
if (!Number.isInteger(cycles) || cycles < 1 || chosen.length === 0) {
  console.error('npm run bench -- services [-- --windows N] [--only TEXT in the name of a scenario] [--profile]')
  process.exit(1)
}

async function startMock(): Promise<{ port: number; stop(): Promise<void> }> {
  for (const name of ['mock', 'load'])
    run('cc', ['-O2', '-o', `${workFolder}/${name}`, `${folder}../gateway/${name}.c`])
  const port = await freePort()
  const logFile = `${workFolder}/mock.log`
  const isReady = async () => readFileSync(logFile, 'utf8').includes('ready')
  const command = [`${workFolder}/mock`, String(port)]
  return { ...(await start('mock', { core: cores.load, command, logFile, isReady })), port }
}

const programs = {
  proxy: fileURLToPath(new URL('./proxy.ts', import.meta.url)),
  baseline: fileURLToPath(new URL('./baseline.ts', import.meta.url)),
}

async function startSubject(
  name: keyof typeof programs,
  upstreamPort: number,
  flags: string[] = [],
): Promise<RunningSubject> {
  const port = await freePort()
  const command = [process.execPath, ...flags, programs[name], String(port), String(upstreamPort)]
  const started = await start(name, {
    ...{ core: cores.subject, command, logFile: `${workFolder}/${name}.log`, env: { NODE_ENV: 'production' } },
    isReady: () => listens(port),
  })
  return { ...started, port, path: '/api/bench/v1/chat/completions', headers: { authorization: 'Bearer sk-caller' } }
}

type Row = { scenario: string; proxyUs: number; baselineUs: number; ratio: number; lowest: number; highest: number }

async function measure(scenario: Scenario, subjects: Record<string, RunningSubject>): Promise<Row> {
  const options = { loadProgram: `${workFolder}/load`, workFolder, warmMs: 300, windowMs: 1500 }
  const windows: Record<string, Window[]> = { proxy: [], baseline: [] }
  for (let cycle = 0; cycle < cycles; cycle++) {
    const order = cycle % 2 === 0 ? ['proxy', 'baseline'] : ['baseline', 'proxy']
    for (const name of order) windows[name]!.push(await measureWindow(name, subjects[name]!, scenario, options))
  }
  const costs = (name: string) => windows[name]!.map((window) => unitCostUs(window, scenario))
  const [proxy, baseline] = [costs('proxy'), costs('baseline')]
  const ratios = proxy.map((cost, cycle) => cost / baseline[cycle]!)
  return {
    scenario: scenario.name,
    proxyUs: Number(median(proxy).toFixed(1)),
    baselineUs: Number(median(baseline).toFixed(1)),
    ratio: Number(median(ratios).toFixed(2)),
    lowest: Number(Math.min(...ratios).toFixed(2)),
    highest: Number(Math.max(...ratios).toFixed(2)),
  }
}

requirePinnedCores()
mkdirSync(workFolder, { recursive: true })
const profileFolder = `${workFolder}/profile`
if (values.profile) rmSync(profileFolder, { recursive: true, force: true })
const mock = await startMock()
const subjects = {
  proxy: await startSubject(
    'proxy',
    mock.port,
    values.profile ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : [],
  ),
  baseline: await startSubject('baseline', mock.port),
}
const rows: Row[] = []
try {
  for (const scenario of chosen) {
    // Compilers and caches of both get their warm-up outside the windows; on a busy machine it takes this long.
    for (const [name, subject] of Object.entries(subjects)) {
      await measureWindow(name, subject, scenario, {
        ...{ loadProgram: `${workFolder}/load`, workFolder, warmMs: 0, windowMs: 5000 },
      })
    }
    const row = await measure(scenario, subjects)
    rows.push(row)
    const verdict = row.ratio <= goal ? 'met' : 'missed'
    console.log(
      `${row.scenario.padEnd(36)} ${row.proxyUs} µs : ${row.baselineUs} µs a ${scenario.unit} = ${row.ratio} ` +
        `(${row.lowest}–${row.highest})  goal ≤ ${goal}: ${verdict}`,
    )
  }
} finally {
  for (const one of [...Object.values(subjects), mock]) await one.stop()
}
const isWhole = values.only === '' && !values.profile
const target = isWhole ? `${folder}results` : workFolder
mkdirSync(target, { recursive: true })
writeFileSync(
  `${target}/latest.json`,
  `${JSON.stringify({ machine: describeMachine(), cycles, goal, rows }, null, 2)}\n`,
)
console.log(`Written to ${target}/latest.json`)
