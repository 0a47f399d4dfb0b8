/**
 * `npm run bench -- gate`: compares what the benches measured last with the report that was accepted last, writes the new
 * report with its charts, and ends with 1 when a figure is worse than then. `--accept` makes the new report the accepted one.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { drawChart } from './charts.ts'
import { compare, isMet, type Verdict } from './compare.ts'
import { type Figure, readFigures } from './figures.ts'

const results = fileURLToPath(new URL('./results/', import.meta.url))
const acceptedFile = `${results}accepted.json`
const { values } = parseArgs({ options: { accept: { type: 'boolean', default: false } } })

const signs = { held: '=', better: '+', worse: '✗', new: '*' } as const

function row(verdict: Verdict): string {
  const { state, name, value, goal, before, better } = verdict
  const met = isMet(verdict)
  const wanted = goal === undefined ? '' : `${better === 'more' ? '≥' : '≤'} ${goal}`
  return `| ${signs[state]} | ${name} | ${value} | ${before ?? ''} | ${wanted} | ${met === null ? '' : met ? 'met' : '**missed**'} |`
}

function writeReport(verdicts: readonly Verdict[]): void {
  mkdirSync(results, { recursive: true })
  const parts = [...new Set(verdicts.map(({ bench }) => bench))].map((bench) => {
    const own = verdicts.filter((verdict) => verdict.bench === bench)
    writeFileSync(`${results}${bench}.svg`, drawChart(bench, own))
    return [
      `## ${bench}`,
      `![${bench}](${bench}.svg)`,
      `| | figure | now | accepted | goal | |\n|---|---|---|---|---|---|\n${own.map(row).join('\n')}`,
    ].join('\n\n')
  })
  const head =
    '# What the benches measured last\n\nWritten by `npm run bench -- gate` from `bench/*/results/latest.json`. A bar is a figure as a share of its goal; for some more is better, as the table says.'
  writeFileSync(`${results}report.md`, `${[head, ...parts].join('\n\n')}\n`)
}

const now = readFigures()
const accepted = existsSync(acceptedFile) ? (JSON.parse(readFileSync(acceptedFile, 'utf8')) as Figure[]) : []
const { verdicts, lost } = compare(now, accepted)
writeReport(verdicts)
for (const verdict of verdicts) {
  const { state, bench, name, value, before } = verdict
  console.log(
    `${signs[state]} ${bench.padEnd(9)} ${name.padEnd(64)} ${value}${before === null ? '' : `, accepted ${before}`}`,
  )
}
for (const name of lost) console.log(`✗ ${name}: accepted, and not measured any more`)
const worse = verdicts.filter(({ state }) => state === 'worse')
if (values.accept) {
  writeFileSync(acceptedFile, `${JSON.stringify(now, null, 2)}\n`)
  console.log(`${now.length} figures accepted: bench/gate/results/accepted.json`)
} else if (worse.length + lost.length > 0) {
  console.log(`${worse.length + lost.length} of ${verdicts.length + lost.length} figures are worse than accepted`)
  process.exitCode = 1
} else {
  console.log('No figure is worse than accepted')
}
