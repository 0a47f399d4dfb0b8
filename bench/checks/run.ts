/**
 * `npm run bench -- checks`: what 500 configured checks and 200 series that rules watch cost a hub: CPU time as a share of one
 * core, and resident memory. The hub is a process of its own on SQLite with nothing else to do; the same hub without checks
 * and rules of ours is measured first. Ends with 1 when a goal is missed.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { processAdminKey, startProcessHub } from '../../test/harness/process-hub.ts'

const { values } = parseArgs({
  options: {
    checks: { type: 'string', default: '500' },
    series: { type: 'string', default: '200' },
    interval: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '60' },
  },
})
const amounts = [values.checks, values.series, values.interval, values.seconds].map(Number)
const [checks, series, interval, seconds] = amounts as [number, number, number, number]
const goals = { residentMb: 150, percentOfCore: 5 }

const server = createServer((_request, response) => response.end('fine'))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-checks-'))
const rules = join(folder, 'watched.yml')
writeFileSync(rules, 'groups: []\n')
// One rule a series, as often as samples are taken.
const env = { GATEHOUSE_ALERTS_RULE_FILES: rules, GATEHOUSE_ALERTS_EVALUATION_INTERVAL_SECONDS: '15' }
const hub = await startProcessHub({ env })

type Look = { cpuMs: number; residentMb: number; anonymousMb: number }

/** CPU time in ms, memory in MB: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function look(): Look {
  const stat = readFileSync(`/proc/${hub.run().pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  const status = readFileSync(`/proc/${hub.run().pid}/status`, 'utf8')
  const mb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) / 1024
  return {
    cpuMs: (Number(stat[11]) + Number(stat[12])) * 10,
    residentMb: mb('VmRSS'),
    anonymousMb: mb('RssAnon'),
  }
}

async function measure(name: string) {
  const before = look()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const after = look()
  const percentOfCore = (after.cpuMs - before.cpuMs) / (seconds * 10)
  const { residentMb, anonymousMb } = after
  console.log(
    `${name.padEnd(40)} ${percentOfCore.toFixed(2).padStart(6)} % of a core ${residentMb.toFixed(0).padStart(5)} MB resident, ${anonymousMb.toFixed(0)} of them its own`,
  )
  return { name, percentOfCore, residentMb, anonymousMb }
}

async function addChecks(): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < checks; i++) {
    const answer = await fetch(`${hub.url()}/api/checks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${processAdminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        name: `check ${i}`,
        type: 'http',
        interval_seconds: interval,
        parameters: { url, body: 'fine' },
      }),
    })
    if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
    ids.push(((await answer.json()) as { id: string }).id)
  }
  return ids
}

function rulesOf(ids: readonly string[]): string {
  const each = ids.map(
    (id, i) => `      - {alert: Watched${i}, expr: 'gatehouse_check_state{check="${id}"} == 0', for: 1m}`,
  )
  return ['groups:', '  - name: watched', '    rules:', ...each, ''].join('\n')
}

try {
  await new Promise((resolve) => setTimeout(resolve, 10_000))
  const idle = await measure('an idle hub')
  const ids = await addChecks()
  writeFileSync(rules, rulesOf(ids.slice(0, series)))
  await hub.stop()
  await hub.restart()
  await new Promise((resolve) => setTimeout(resolve, 60_000))
  const busy = await measure(`${checks} checks every ${interval} s, ${series} series watched`)
  const isReached = busy.residentMb < goals.residentMb && busy.percentOfCore < goals.percentOfCore
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, load: loadavg(), node: process.version }
  const at = new Date().toISOString()
  writeFileSync(
    join(results, 'latest.json'),
    `${JSON.stringify({ at, machine, checks, series, interval, seconds, goals, isReached, measured: [idle, busy] }, null, 2)}\n`,
  )
  if (!isReached) process.exitCode = 1
} finally {
  await hub.stop()
  await hub.destroy().catch(() => {})
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
}
