/**
 * `npm run bench`: what a call through the hub costs in CPU time, beside a plain proxy, nginx and another gateway, all
 * against the same mock in the same minutes. bench/README.md says how it measures and why so.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  cores,
  cpuMs,
  describeMachine,
  processTree,
  readCpuTimes,
  requirePinnedCores,
  residentMb,
  stealSince,
  threadCpuMs,
} from './machine.ts'
import { measureWindow, untilQuiet, type Window, type WindowOptions } from './measure.ts'
import { freePort, run, type Started, start } from './processes.ts'
import { renderTable, renderThreads, type Series, summarise } from './report.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { subjects, variants } from './subjects/index.ts'
import type { Bench, RunningSubject, Subject } from './subjects/subject.ts'

const usage = `npm run bench [-- flags]
  --quick            three scenarios, two windows of 1 s: two minutes less, twice the noise
  --subjects a,b     of ${[...subjects, ...variants].map((subject) => subject.name).join(', ')}
  --only TEXT        scenarios whose name holds this text
  --windows N        windows for each subject in each scenario (4)
  --threads          shows the CPU time of each thread: the serving one, the store's, the collector's
  --profile          leaves a CPU profile of gatehouse in bench/gateway/.work/profile (its numbers are then not comparable)
`

const folder = fileURLToPath(new URL('.', import.meta.url))
const workFolder = `${folder}.work`
const repository = fileURLToPath(new URL('../..', import.meta.url))

type Flags = {
  isQuick: boolean
  only: string | null
  windows: number
  isProfiled: boolean
  showsThreads: boolean
  chosen: Subject[]
}

function readFlags(argv: string[]): Flags {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      subjects: { type: 'string' },
      only: { type: 'string' },
      windows: { type: 'string' },
      profile: { type: 'boolean', default: false },
      threads: { type: 'boolean', default: false },
    },
  })
  const names = values.subjects?.split(',') ?? subjects.map((subject) => subject.name)
  const known = [...subjects, ...variants]
  const unknown = names.find((name) => !known.some((subject) => subject.name === name))
  if (unknown !== undefined) throw new Error(`There is no subject "${unknown}".\n\n${usage}`)
  const windows = Number(values.windows ?? (values.quick ? 2 : 4))
  if (!Number.isInteger(windows) || windows < 1) throw new Error(`--windows wants a whole number from 1.\n\n${usage}`)
  const chosen = known.filter((subject) => names.includes(subject.name))
  const { quick: isQuick, only = null, profile: isProfiled, threads: showsThreads } = values
  return { isQuick, only, windows, isProfiled, showsThreads, chosen }
}

async function startMock(): Promise<Started & { port: number }> {
  for (const name of ['mock', 'load']) run('cc', ['-O2', '-o', `${workFolder}/${name}`, `${folder}${name}.c`])
  const port = await freePort()
  const logFile = `${workFolder}/mock.log`
  const command = [`${workFolder}/mock`, String(port)]
  const isReady = async () => readFileSync(logFile, 'utf8').includes('ready')
  return { ...(await start('mock', { core: cores.load, command, logFile, isReady })), port }
}

type Measured = {
  name: string
  running: RunningSubject
  windows: Window[]
  cpuAtStartMs: number
  threadsAtStart: Map<string, number>
}

/** All subjects take turns, in another order every cycle, so that drift and neighbours fall on all of them alike. */
async function measureScenario(
  scenario: Scenario,
  running: Map<string, RunningSubject>,
  cycles: number,
  options: WindowOptions,
): Promise<Series[]> {
  const measured: Measured[] = [...running].map(([name, subject]) => ({
    name,
    running: subject,
    windows: [],
    cpuAtStartMs: cpuMs(processTree(subject.pid)),
    threadsAtStart: threadCpuMs(processTree(subject.pid)),
  }))
  for (let cycle = 0; cycle < cycles; cycle++) {
    for (const one of shuffle(measured)) one.windows.push(await measureWindow(one.name, one.running, scenario, options))
  }
  const series: Series[] = []
  for (const one of measured) {
    await untilQuiet(one.running)
    const spentMs = cpuMs(processTree(one.running.pid)) - one.cpuAtStartMs
    const answers = one.windows.reduce((sum, window) => sum + window.allAnswers, 0)
    const units = Math.max(1, answers * (scenario.unit === 'request' ? 1 : 100))
    const threads = [...threadCpuMs(processTree(one.running.pid))].map(([thread, ms]) => ({
      thread,
      us: ((ms - (one.threadsAtStart.get(thread) ?? 0)) * 1000) / units,
    }))
    const { name: subject, windows } = one
    series.push({ subject, scenario, windows, allInUs: (spentMs * 1000) / units, threads })
  }
  return series
}

function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** Compilers and caches of every subject get their warm-up outside the measured windows. */
async function warmUp(running: Map<string, RunningSubject>, options: WindowOptions): Promise<void> {
  for (const [name, subject] of running)
    for (const scenario of scenarios.filter((one) => one.connections === 16))
      await measureWindow(name, subject, scenario, { ...options, windowMs: 1500 })
}

function chooseScenarios({ isQuick, only }: Flags): Scenario[] {
  const chosen = scenarios.filter((one) => (one.isQuick || !isQuick) && one.name.includes(only ?? ''))
  if (chosen.length === 0) throw new Error(`No scenario's name holds "${only}".`)
  return chosen
}

async function measureAll(flags: Flags, running: Map<string, RunningSubject>): Promise<Series[]> {
  const windowMs = flags.isQuick ? 1000 : 2000
  const options = { loadProgram: `${workFolder}/load`, workFolder, warmMs: 300, windowMs }
  await warmUp(running, options)
  const series: Series[] = []
  for (const scenario of chooseScenarios(flags)) {
    console.log(`measuring: ${scenario.name}`)
    series.push(...(await measureScenario(scenario, running, flags.windows, options)))
  }
  return series
}

async function main(argv: string[]): Promise<void> {
  const flags = readFlags(argv)
  requirePinnedCores()
  mkdirSync(workFolder, { recursive: true })
  const profileFolder = flags.isProfiled ? `${workFolder}/profile` : null
  if (profileFolder) rmSync(profileFolder, { recursive: true, force: true })
  const startedAt = new Date()
  const cpuTimes = readCpuTimes()
  const mock = await startMock()
  const beside: Started[] = []
  const bench: Bench = {
    workFolder,
    repository,
    upstreamPort: mock.port,
    profileFolder,
    beside: (started) => void beside.push(started),
  }
  const running = new Map<string, RunningSubject>()
  for (const subject of flags.chosen) {
    console.log(`starting: ${subject.name}`)
    running.set(subject.name, await subject.start(bench))
  }
  const series = await measureAll(flags, running)
  const memory = [...running].map(([name, one]) => [name, Math.round(residentMb(processTree(one.pid)))] as const)
  for (const one of [...running.values(), ...beside, mock]) await one.stop()

  const { rows, goals } = summarise(series)
  const results = {
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    machine: describeMachine(),
    stealShare: Number(stealSince(cpuTimes).toFixed(4)),
    settings: { quick: flags.isQuick, windows: flags.windows, profiled: flags.isProfiled },
    residentMb: Object.fromEntries(memory),
    rows,
    goals,
  }
  const footer = `resident MB: ${memory.map(([name, mb]) => `${name} ${mb}`).join(', ')}; steal ${(results.stealShare * 100).toFixed(1)} %\n`
  const table = renderTable(rows, goals) + footer
  console.log(table)
  if (flags.showsThreads) console.log(renderThreads(series))
  // Only a whole run is worth keeping beside the code; the others are for whoever just ran them.
  const isWhole =
    !flags.isQuick &&
    flags.only === null &&
    !flags.isProfiled &&
    subjects.every((subject) => flags.chosen.includes(subject)) &&
    flags.chosen.length === subjects.length
  const isObserving = !flags.isProfiled && variants.every((variant) => flags.chosen.includes(variant))
  const target = isWhole || isObserving ? `${folder}results` : workFolder
  const file = isObserving ? 'observing' : 'latest'
  mkdirSync(target, { recursive: true })
  writeFileSync(`${target}/${file}.json`, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(`${target}/${file}.txt`, table)
  console.log(`Written to ${target}/${file}.json and ${file}.txt`)
  if (profileFolder) console.log(`The CPU profile is in ${profileFolder}`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
