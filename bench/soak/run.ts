/**
 * `npm run soak [-- --minutes N] [--only TEXT]`: what must hold over time and under weight, on the hub as operators run
 * it, each scenario on a fresh one. Ends with 1 when a figure is not what it is to be. bench/README.md tells the rest.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startProcessHub } from '../../test/harness/process-hub.ts'
import { describeMachine } from '../gateway/machine.ts'
import { run as runCluster } from './cluster/run.ts'
import { type Finding, type Scenario, scenarios } from './scenarios/index.ts'
import { startUpstream } from './upstream.ts'

type Result = { name: string; minutes: number; findings: Finding[] }

async function runScenario(scenario: Scenario, minutes: number): Promise<Result> {
  const upstream = await startUpstream()
  const hub = await startProcessHub()
  try {
    const provider = { name: 'upstream', type: 'openai-compatible', base_url: upstream.url, max_retries: 0 }
    await hub.admin('POST', '/api/providers', provider)
    await hub.admin('POST', '/api/models', { name: 'soak' })
    const link = { model_id: 'soak', provider_id: 'upstream', provider_model: 'soak', image: true }
    await hub.admin('POST', '/api/model-providers', link)
    const { key: apiKey } = await hub.createKey()
    const say = (line: string) => console.log(`  ${line}`)
    const findings = await scenario.run({ hub, upstream, apiKey, minutes, say })
    return { name: scenario.name, minutes, findings }
  } finally {
    await hub.destroy()
    upstream.stop()
  }
}

async function main(argv: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: argv,
    options: { minutes: { type: 'string', default: '10' }, only: { type: 'string', default: '' } },
  })
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error('--minutes wants a number above 0')
  const chosen = scenarios.filter(({ name }) => name.includes(values.only))
  if (chosen.length === 0) throw new Error(`No scenario's name holds "${values.only}"`)
  const startedAt = new Date().toISOString()
  const results: Result[] = []
  for (const scenario of chosen) {
    console.log(scenario.name)
    const result = await runScenario(scenario, minutes)
    results.push(result)
    for (const { what, measured, unit, atMost, isGood } of result.findings) {
      const mark = atMost === null ? '·' : isGood ? '✓' : '✗'
      console.log(`  ${mark} ${what}: ${measured} ${unit}${atMost === null ? '' : ` (at most ${atMost})`}`)
    }
  }
  if (chosen.length === scenarios.length) {
    const folder = fileURLToPath(new URL('results', import.meta.url))
    mkdirSync(folder, { recursive: true })
    writeFileSync(
      `${folder}/latest.json`,
      `${JSON.stringify({ startedAt, machine: describeMachine(), results }, null, 2)}\n`,
    )
    console.log('Written to bench/soak/results/latest.json')
  }
  return results.every(({ findings }) => findings.every(({ isGood }) => isGood))
}

try {
  const argv = process.argv.slice(2)
  const isGood = argv[0] === 'cluster' ? await runCluster(argv.slice(1)) : await main(argv)
  process.exitCode = isGood ? 0 : 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
