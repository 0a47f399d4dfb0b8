/**
 * `npm run bench -- sources [-- --rows N] [--days N] [--users N] [--read-only]`: how fast a gateway's history is read from a SQLite file of
 * its own, added up, and stored, end to end, as the hub does it. Says too how long the event loop that serves callers was
 * held up meanwhile.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { migrations } from '../../src/migrations/index.ts'
import { migrate, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import { createSqliteFile } from '../../src/platform/foreign/owner.ts'
import { createTables, makeGateway, writeRows } from '../../src/sources/new-api/testing.ts'
import { openWorld } from '../../src/sources/testing.ts'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    days: { type: 'string', default: '1' },
    users: { type: 'string', default: '20' },
    'read-only': { type: 'boolean', default: false },
  },
})
const [wanted, days, users] = [Number(values.rows), Number(values.days), Number(values.users)]
const now = Date.UTC(2026, 10, 23)
const [from, to] = [now / 1000 - (days + 30) * 86_400, now / 1000 - 30 * 86_400]

const gateway = await createSqliteFile()
await createTables(gateway, '2026-08')
// A part at a time: a million rows with all their words do not fit into memory together.
let written = 0
for (let part = 0, parts = Math.max(1, Math.ceil(wanted / 50_000)); part < parts; part++) {
  const span = (to - from) / parts
  const made = makeGateway({
    ...{ seed: part + 1, events: Math.round(Math.min(50_000, wanted) / 1.2), generation: '2026-08', users, late: 0 },
    ...{ from: Math.floor(from + span * part), to: Math.floor(from + span * (part + 1)) },
  })
  for (const row of made.rows) row.id = ++written
  await writeRows(gateway, made, made.rows)
}

const folder = join(tmpdir(), `gatehouse-bench-${process.pid}`)
mkdirSync(folder)
const database = await openDatabase({ url: '', dataDir: folder, log: silentLog })
await migrate(database, migrations, { log: silentLog })
const world = await openWorld(database, now)
await world.add({ dsn: gateway.dsn })
// What reading and adding up cost alone, when nothing is stored.
const node = world.open(values['read-only'] ? { ingest: async () => [] } : {})
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const startedAt = performance.now()
const cpuBefore = process.cpuUsage()
const loadBefore = loadavg()[0]!
await node.round()
const seconds = (performance.now() - startedAt) / 1000
const cpu = process.cpuUsage(cpuBefore)
delay.disable()
const { backfill } = await world.desk.status('prod')
const cells = (await world.kept()).length
const result = {
  ...{ machine: `${cpus()[0]?.model}, ${availableParallelism()} cores`, node: process.version },
  ...{ rowsWritten: written, days, users, state: backfill.state, rowsRead: backfill.rows, cells },
  seconds: Number(seconds.toFixed(2)),
  rowsPerSecond: Math.round(backfill.rows / seconds),
  // Others on the machine lengthen the time, not this; reading and storing take turns on two cores.
  cpuSeconds: Number(((cpu.user + cpu.system) / 1e6).toFixed(2)),
  rowsPerCpuSecond: Math.round((backfill.rows * 1e6) / (cpu.user + cpu.system)),
  loadBefore: Number(loadBefore.toFixed(1)),
  eventLoopDelayMs: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
}
console.log(JSON.stringify(result, null, 2))
const file = `sources-${written}-rows-${days}-days-${users}-users${values['read-only'] ? '-read-only' : ''}.json`
writeFileSync(fileURLToPath(new URL(`results/${file}`, import.meta.url)), `${JSON.stringify(result, null, 2)}\n`)
await world.close()
await database.close()
await gateway.close()
rmSync(folder, { recursive: true, force: true })
