/**
 * `npm run bench -- analytics`: what reports cost on a store of one and ten million requests, over HTTP, while calls pass
 * through the gateway, and what the calls notice of it; and in CPU, with nothing else going on. bench/README.md says how it
 * measures.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cores, describeMachine, requirePinnedCores } from '../gateway/machine.ts'
import { median } from '../gateway/measure.ts'
import { answers, freePort, run, start } from '../gateway/processes.ts'
import { type Calls, quantile, sendCalls } from './calls.ts'
import { type Filled, fill, migrateStore } from './fill.ts'
import { type Question, questionsFor } from './questions.ts'
import { measureCosts } from './reads.ts'
import { type Measured, renderCosts, renderTable, type Times } from './table.ts'
import { createTraffic } from './traffic.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const repository = fileURLToPath(new URL('../..', import.meta.url))
const workFolder = `${folder}.work`
const adminKey = 'bench-admin-key-of-no-value-0123456789'
const perSecond = 200

const { values: flags } = parseArgs({
  options: {
    millions: { type: 'string', default: '1,10' },
    tries: { type: 'string', default: '40' },
    windows: { type: 'string', default: '6' },
    only: { type: 'string', default: '' },
    fill: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    costs: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
})
const sizes = flags.millions.split(',').map(Number)
const [tries, windows] = [Number(flags.tries), Number(flags.windows)]
if (sizes.some((size) => !(size > 0)) || !(tries >= 1) || !(windows >= 0)) {
  console.error(
    'npm run bench -- analytics [--millions 1,10,50] [--tries N] [--windows N] [--only TEXT in the name of a question] [--keep: the filled stores stay, and are used again] [--fill: they are filled, and nothing is asked] [--costs: CPU and reads alone, on a machine that others use]',
  )
  process.exit(1)
}

async function ask(url: string, { ask: write }: Question, number: number): Promise<number> {
  const { method, path, body } = write(number)
  const startedAt = performance.now()
  const response = await fetch(url + path, {
    method,
    headers: { 'x-admin-key': adminKey, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`)
  return performance.now() - startedAt
}

/** Every question in turn, so that a busy minute falls on all of them alike. */
async function askAll(url: string, questions: readonly Question[]): Promise<Times[]> {
  const times = questions.map((): number[] => [])
  for (let number = -2; number < tries; number++) {
    for (const [index, question] of questions.entries()) {
      const ms = await ask(url, question, number + 2)
      if (number >= 0) times[index]!.push(ms)
    }
  }
  return questions.map(({ name, goalMs }, index) => ({
    ...{ name, goalMs },
    ...{ p50Ms: round(quantile(times[index]!, 0.5)), p95Ms: round(quantile(times[index]!, 0.95)) },
  }))
}

/** Windows of calls with reports and without them take turns; reports come one after another, ten a second at most. */
async function compareCalls(url: string, key: string, questions: readonly Question[]) {
  const [alone, beside]: [Calls[], Calls[]] = [[], []]
  for (let window = 0; window < windows; window++) {
    for (const isBeside of window % 2 === 0 ? [false, true] : [true, false]) {
      let isOver = false
      const read = async () => {
        for (let number = 0; isBeside && !isOver; number++) {
          const pause = new Promise((resolve) => setTimeout(resolve, 100))
          await ask(url, questions[number % questions.length]!, number)
          await pause
        }
      }
      const reading = read()
      const calls = await sendCalls(url, key, { perSecond, seconds: 5 })
      isOver = true
      await reading
      if (calls.wrong > 0) throw new Error(`${calls.wrong} of ${calls.sent} calls failed`)
      ;(isBeside ? beside : alone).push(calls)
    }
  }
  const middle = (all: Calls[]): Calls => ({
    ...{ sent: all.reduce((sum, { sent }) => sum + sent, 0), wrong: 0 },
    ...{ p50Ms: round(median(all.map(({ p50Ms }) => p50Ms))), p99Ms: round(median(all.map(({ p99Ms }) => p99Ms))) },
  })
  const movedMs = round(median(beside.map(({ p99Ms }, index) => p99Ms - alone[index]!.p99Ms)))
  return { alone: middle(alone), beside: middle(beside), movedMs }
}

async function startHub(data: string, upstreamPort: number) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const started = await start('gatehouse', {
    // On both cores, as anybody runs it.
    core: `${cores.subject},${cores.load}`,
    command: [process.execPath, 'bin/gatehouse', 'serve', '--port', String(port), '--data', data],
    cwd: repository,
    env: {
      ...{ NODE_ENV: 'production', ADMIN_KEY: adminKey },
      ...{ GATEHOUSE_USAGE_RETENTION_DAYS: '3650', GATEHOUSE_USAGE_MAX_ROWS: '1000000000' },
    },
    logFile: `${workFolder}/gatehouse.log`,
    isReady: () => answers(`${url}/readyz`),
  })
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { 'x-admin-key': adminKey, 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    if (!response.ok) throw new Error(`gatehouse answered ${response.status} to POST ${path}: ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }
  const headers = { 'x-admin-key': adminKey }
  // A store that was kept has those of its last run, whose address is gone.
  const known = (await (await fetch(`${url}/api/providers`, { headers })).json()) as { id: string }[]
  for (const { id } of known) await fetch(`${url}/api/providers/${id}`, { method: 'DELETE', headers })
  const name = `mock ${Date.now()}`
  const base_url = `http://127.0.0.1:${upstreamPort}/v1`
  const provider = await post('/api/providers', { name, type: 'openai', base_url, api_key: 'sk-upstream' })
  const models = await fetch(`${url}/api/models`, { headers })
  if (!(await models.text()).includes('"mock"')) await post('/api/models', { name: 'mock' })
  await post('/api/model-providers', { model_id: 'mock', provider_id: provider.id, provider_model: 'mock' })
  const { key } = await post('/api/keys', { name })
  return { ...started, url, key: String(key) }
}

async function fillOnce(millions: number): Promise<{ file: string; now: number; filled: Filled }> {
  const data = folderOf(millions)
  const file = `${data}/gatehouse.db`
  const noteFile = `${data}/filled.json`
  if (existsSync(noteFile)) {
    // It may have been filled by an earlier version.
    await migrateStore(file)
    return { file, ...(JSON.parse(readFileSync(noteFile, 'utf8')) as { now: number; filled: Filled }) }
  }
  const now = Date.now()
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { recursive: true, mode: 0o700 })
  console.log(`filling: ${millions} million requests`)
  const filled = await fill(file, millions * 1_000_000, now)
  writeFileSync(noteFile, JSON.stringify({ now, filled }))
  console.log(`filled: ${filled.rows} requests in ${filled.seconds} s, ${filled.megabytes} MB`)
  return { file, now, filled }
}

async function measure(millions: number, upstreamPort: number): Promise<Measured> {
  const { file, now, filled } = await fillOnce(millions)
  const startedAt = new Date().toISOString()
  const questions = questionsFor(now, createTraffic().keys[3]!).filter(({ name }) => name.includes(flags.only))
  const costs = await measureCosts(file, questions, now)
  if (flags.costs) {
    const asked = questions.map(({ name, goalMs }, index) => ({
      name,
      goalMs,
      p50Ms: 0,
      p95Ms: 0,
      cost: costs[index]!,
    }))
    return { millions, startedAt, filled, asked, calls: null }
  }
  const hub = await startHub(folderOf(millions), upstreamPort)
  try {
    await sendCalls(hub.url, hub.key, { perSecond, seconds: 3 })
    let isOver = false
    const passing = async () => {
      while (!isOver && !flags.quiet) await sendCalls(hub.url, hub.key, { perSecond, seconds: 1 })
    }
    const calls = passing()
    const asked = await askAll(hub.url, questions).finally(() => {
      isOver = true
    })
    await calls
    const compared = windows === 0 ? null : await compareCalls(hub.url, hub.key, questions)
    const all = asked.map((times, index) => ({ ...times, cost: costs[index]! }))
    return { millions, startedAt, filled, asked: all, calls: compared }
  } finally {
    await hub.stop()
    if (!flags.keep) rmSync(folderOf(millions), { recursive: true, force: true })
  }
}

function folderOf(millions: number): string {
  return `${workFolder}/data-${millions}m`
}

function round(ms: number): number {
  return Number(ms.toFixed(1))
}

/** What is written down already of other sizes stays: each may have its own quiet quarter of an hour. */
function withOthers(file: string, measured: readonly Measured[]): Measured[] {
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { measured: Measured[] }).measured : []
  const names = (of: Measured) => of.asked.map(({ name }) => name).join()
  const others = before.filter(
    (each) =>
      !measured.some(({ millions }) => millions === each.millions) &&
      // Of former questions, or from before costs were told: it cannot stand beside these.
      each.asked.every(({ cost }) => cost !== undefined) &&
      names(each) === names(measured[0]!),
  )
  return [...others, ...measured].sort((a, b) => a.millions - b.millions)
}

requirePinnedCores()
mkdirSync(workFolder, { recursive: true })
if (flags.fill) {
  for (const millions of sizes) await fillOnce(millions)
  process.exit()
}
run('cc', ['-O2', '-o', `${workFolder}/mock`, `${folder}../gateway/mock.c`])
const mockPort = await freePort()
const mockLog = `${workFolder}/mock.log`
const mock = await start('mock', {
  ...{ core: cores.load, command: [`${workFolder}/mock`, String(mockPort)], logFile: mockLog },
  isReady: async () => readFileSync(mockLog, 'utf8').includes('ready'),
})
const isWhole = flags.only === '' && (flags.costs || (windows > 0 && !flags.quiet))
const target = isWhole ? `${folder}results` : workFolder
mkdirSync(target, { recursive: true })
const file = `${target}/${flags.costs ? 'costs' : 'latest'}`
const measured: Measured[] = []
try {
  for (const millions of sizes) measured.push(await measure(millions, mockPort))
} finally {
  await mock.stop()
}
const settings = { tries, windows, perSecond }
const all = isWhole ? withOthers(`${file}.json`, measured) : measured
const table = flags.costs ? renderCosts(all) : renderTable(all, perSecond)
console.log(table)
const results = { machine: describeMachine(), settings, measured: all }
writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`)
writeFileSync(`${file}.md`, table)
console.log(`Written to ${file}.json and .md`)
