/**
 * `npm run bench -- truth [-- --rows 1000000] [--engine sqlite|postgres|mysql] [--generation 2025-05|2026-08]`: whether
 * everything that is kept of a gateway's million rows is the truth, to the unit: as it is read first, when all of it is read
 * again, and when a hundredth of it came late. The truth is added up of what the generator made happen, never of rows.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { migrations } from '../../src/migrations/index.ts'
import { migrate, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import {
  createMysqlDatabase,
  createPostgresDatabase,
  createSqliteFile,
  type TestForeign,
} from '../../src/platform/foreign/owner.ts'
import {
  createTables,
  type GatewayRow,
  type Generation,
  makeGateway,
  type TrueCall,
  writeRows,
} from '../../src/sources/new-api/testing.ts'
import { openWorld, truthOf } from '../../src/sources/testing.ts'
import { type Provided, provideMariadb, providePostgres, type Service } from '../../test/harness/services.ts'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    engine: { type: 'string', default: '' },
    generation: { type: 'string', default: '' },
  },
})
const wanted = Number(flags.rows)
const engines = ['sqlite', 'postgres', 'mysql'].filter((name) => flags.engine === '' || flags.engine === name)
const generations = (['2025-05', '2026-08'] as const).filter(
  (name) => flags.generation === '' || flags.generation === name,
)
if (!(wanted >= 1000) || engines.length === 0 || generations.length === 0) {
  console.error(
    'npm run bench -- truth [--rows N, 1000 or more] [--engine sqlite|postgres|mysql] [--generation 2025-05|2026-08]',
  )
  process.exit(1)
}

const now = Date.UTC(2026, 10, 23)
const [from, to] = [now / 1000 - 4 * 86_400, now / 1000]
/** A million rows with all their words do not fit into memory together. */
const rowsOfPart = 50_000

type Step = { step: string; sums: number; isTruth: boolean; seconds: number }
type Proven = { engine: string; generation: Generation; at: string; rows: number; calls: number; steps: Step[] }

async function prove(gateway: TestForeign, generation: Generation): Promise<Proven> {
  await createTables(gateway, generation)
  const [calls, lateCalls]: [TrueCall[], TrueCall[]] = [[], []]
  const late: { made: ReturnType<typeof makeGateway>; rows: GatewayRow[] }[] = []
  let written = 0
  const parts = Math.max(1, Math.ceil(wanted / rowsOfPart))
  for (let part = 0; part < parts; part++) {
    const span = (to - from) / parts
    const made = makeGateway({
      ...{ seed: part + 1, events: Math.round(wanted / parts / 1.04), generation, users: 40 },
      ...{ from: Math.floor(from + span * part), to: Math.floor(from + span * (part + 1)) },
    })
    for (const row of made.rows) row.id = ++written
    await writeRows(gateway, made, made.rows)
    for (const call of made.calls) calls.push(call)
    for (const call of made.lateCalls) lateCalls.push(call)
    late.push({ made: { ...made, rows: [], calls: [] }, rows: made.late })
  }

  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-truth-'))
  const database = await openDatabase({ url: '', dataDir: folder, log: silentLog })
  await migrate(database, migrations, { log: silentLog })
  const world = await openWorld(database, now)
  const node = world.open()
  const steps: Step[] = []
  const check = async (step: string, truth: readonly TrueCall[]) => {
    const startedAt = performance.now()
    await node.round()
    const seconds = Number(((performance.now() - startedAt) / 1000).toFixed(1))
    const kept = await world.kept()
    steps.push({ step, sums: kept.length, isTruth: isDeepStrictEqual(kept, truthOf(truth)), seconds })
    console.log(`${gateway.engine} ${generation}: ${JSON.stringify(steps.at(-1))}`)
  }
  await world.add({ dsn: gateway.dsn })
  await check('read', calls)
  await world.clock.advance(60_000)
  await world.desk.backfill('prod', { from: null, to: null })
  await check('read again', calls)
  for (const { made, rows } of late) {
    for (const row of rows) row.id = ++written
    await writeRows(gateway, made, rows)
  }
  await world.desk.backfill('prod', { from: null, to: null })
  const all = [...calls, ...lateCalls]
  await check('late rows came', all)
  await world.close()
  await database.close()
  rmSync(folder, { recursive: true, force: true })
  const at = new Date().toISOString()
  return { engine: gateway.engine, generation, at, rows: written, calls: all.length, steps }
}

async function serverOf(name: string, provided: Promise<Provided<Service>>): Promise<Service> {
  const found = await provided
  if ('missing' in found) throw new Error(`${name} is missing: ${found.missing}`)
  return found.service
}

const proven: Proven[] = []
for (const engine of engines) {
  const server =
    engine === 'postgres'
      ? await serverOf('PostgreSQL', providePostgres())
      : engine === 'mysql'
        ? await serverOf('MariaDB', provideMariadb())
        : null
  try {
    for (const generation of generations) {
      const gateway =
        server === null
          ? await createSqliteFile()
          : await (engine === 'postgres' ? createPostgresDatabase : createMysqlDatabase)(server.url)
      proven.push(await prove(gateway, generation))
      await gateway.close()
    }
  } finally {
    await server?.destroy()
  }
}

const isTruth = proven.every(({ steps }) => steps.every((step) => step.isTruth))
if (wanted >= 1_000_000) {
  const file = fileURLToPath(new URL('results/latest.json', import.meta.url))
  mkdirSync(new URL('results/', import.meta.url), { recursive: true })
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Proven[]) : []
  const nameOf = ({ engine, generation }: Proven) => `${engine} ${generation}`
  const others = before.filter((each) => !proven.some((one) => nameOf(one) === nameOf(each)))
  const all = [...others, ...proven].sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`)
}
console.log(isTruth ? 'Everything is the truth.' : 'Something is not the truth.')
if (!isTruth) process.exitCode = 1
