/**
 * `npm run bench -- checks`: what 500 configured checks cost a hub: CPU time as a share of one core, and resident memory. The
 * hub is a process of its own on SQLite with nothing else to do; the same hub without checks of ours is measured first.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { processAdminKey, startProcessHub } from '../../test/harness/process-hub.ts'

const { values } = parseArgs({
  options: {
    checks: { type: 'string', default: '500' },
    interval: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '60' },
  },
})
const [checks, interval, seconds] = [values.checks, values.interval, values.seconds].map(Number) as [
  number,
  number,
  number,
]

const server = createServer((_request, response) => response.end('fine'))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`
const hub = await startProcessHub()

/** CPU time in ms, resident memory in MB: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function look(): { cpuMs: number; residentMb: number } {
  const stat = readFileSync(`/proc/${hub.run().pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${hub.run().pid}/status`, 'utf8'))![1]
  return { cpuMs: (Number(stat[11]) + Number(stat[12])) * 10, residentMb: Number(resident) / 1024 }
}

async function measure(name: string): Promise<void> {
  const before = look()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const after = look()
  const percent = (after.cpuMs - before.cpuMs) / (seconds * 10)
  console.log(
    `${name.padEnd(28)} ${percent.toFixed(2).padStart(6)} % of a core ${after.residentMb.toFixed(0).padStart(6)} MB resident`,
  )
}

try {
  await new Promise((resolve) => setTimeout(resolve, 10_000))
  await measure('an idle hub')
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
  }
  await new Promise((resolve) => setTimeout(resolve, 30_000))
  await measure(`${checks} checks every ${interval} s`)
} finally {
  await hub.stop()
  await hub.destroy().catch(() => {})
  server.closeAllConnections()
  server.close()
}
