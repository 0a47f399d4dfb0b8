/**
 * `npm run bench -- backup [--gb N] [--engine sqlite|postgres] [--rows N] [--seconds N] [--only size|load|copy]`: what
 * backup, verification and restore of a large store take in time and memory, and whether every table is afterwards what it
 * was; what a backup takes from 200 writes a second; and a copy from SQLite to PostgreSQL while calls arrive, asked the
 * same before and after. Needs PostgreSQL for its half, and says so when there is none.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createRowSum } from '../../src/backups/archive/sum.ts'
import { createGauge } from '../../src/backups/index.ts'
import { createThreads } from '../../src/backups/runner.ts'
import { loadConfig } from '../../src/config.ts'
import { createDice } from '../../src/kernel/dice.ts'
import { migrations } from '../../src/migrations/index.ts'
import { openDump, type StoreAddress, writeRow } from '../../src/platform/database/copying/index.ts'
import { migrate, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import { startReadOnlyHub } from '../../src/read-only-hub/hub.ts'
import { auditLedger } from '../../test/harness/ledger-audit.ts'
import { type Load, startLoad } from '../../test/harness/load.ts'
import { startProcessHub } from '../../test/harness/process-hub.ts'
import { providePostgres } from '../../test/harness/services.ts'
import { fill } from '../analytics/fill.ts'
import { percentile } from '../soak/memory.ts'
import { startUpstream } from '../soak/upstream.ts'

const { values } = parseArgs({
  options: {
    gb: { type: 'string', default: '5' },
    engine: { type: 'string', default: 'sqlite' },
    rows: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '30' },
    only: { type: 'string', default: '' },
  },
})
const launcher = fileURLToPath(new URL('../../bin/gatehouse', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-backup-'))
const results = fileURLToPath(new URL('results/', import.meta.url))
const secretKey = 'ab'.repeat(32)

type Row = Record<string, unknown>
type Store = Awaited<ReturnType<typeof openDatabase<Record<string, Row>>>>

/** A run of the program, with the most memory that it was ever seen to have. */
async function gatehouse(args: string[], dataDir: string, env: Record<string, string> = {}) {
  const beganAt = performance.now()
  const child: ChildProcess = spawn(process.execPath, [launcher, ...args, '--json'], {
    env: {
      PATH: process.env.PATH!,
      GATEHOUSE_DATA_DIR: dataDir,
      GATEHOUSE_CONFIG: '',
      GATEHOUSE_SECRET_KEY: secretKey,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  let out = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    out += String(chunk)
  })
  let peakMb = 0
  const seen: number[] = []
  const watching = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024
      peakMb = Math.max(peakMb, megabytes('VmHWM'))
      seen.push(megabytes('VmRSS'))
    } catch {
      // It has ended.
    }
  }, 200)
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
  clearInterval(watching)
  const seconds = Number(((performance.now() - beganAt) / 1000).toFixed(1))
  return {
    ...{ exitCode, told: out === '' ? {} : (JSON.parse(out) as Row), seconds, peakMb: Math.round(peakMb) },
    peaksMb: peaksOf(seen, 8),
  }
}

/** The most in each of so many parts of a run: what grows with the work is seen to climb. */
function peaksOf(seen: readonly number[], parts: number): number[] {
  const part = Math.ceil(seen.length / parts) || 1
  return Array.from({ length: Math.ceil(seen.length / part) }, (_, at) =>
    Math.round(Math.max(...seen.slice(at * part, (at + 1) * part))),
  )
}

type Sums = Map<string, string>

/** Of every table, how many rows it has and their checksum, whatever the engine. */
async function sumsOf(address: StoreAddress): Promise<Sums> {
  const dump = await openDump(address)
  const sums: Sums = new Map()
  try {
    for (const shape of dump.tables) {
      const sum = createRowSum()
      let rows = 0
      for await (const batch of dump.rows(shape)) {
        for (const row of batch) sum.add(writeRow(row))
        rows += batch.length
      }
      sums.set(shape.table, `${rows} rows, ${sum.text()}`)
    }
    return sums
  } finally {
    await dump.close()
  }
}

/** Of the first million each brings its sums along; more of the same hardly add any (`fill.ts`). */
function requestsFor(gigabytes: number): number {
  return Math.round(gigabytes < 2 ? (gigabytes * 1e9) / 1800 : (gigabytes * 1e9 - 1.6e9) / 550)
}

/**
 * Backup, verification and restore of a store of so many bytes, each in a process of its own. What the store was before is
 * read here, not by what is measured; the record of the backup itself is in the backup, and was not there before it.
 */
async function measureSize(postgresUrl: string | null) {
  const dataDir = join(folder, 'size')
  mkdirSync(dataDir)
  const file = join(dataDir, 'gatehouse.db')
  const filled = await fill(file, requestsFor(Number(values.gb)), Date.now())
  const storeBytes = statSync(file).size
  const env: Record<string, string> = {}
  const address = { url: `sqlite:${file}`, dataDir }
  let copied: object = {}
  if (postgresUrl !== null) {
    const copy = await gatehouse(['store', 'copy', '--from', address.url, '--to', postgresUrl], dataDir)
    copied = { copy: show(copy) }
    rmSync(file)
    address.url = postgresUrl
    env.DATABASE_URL = postgresUrl
  }
  const before = await sumsOf(address)
  const take = await gatehouse(['backup', 'now'], dataDir, env)
  const id = String(take.told.id)
  const verify = await gatehouse(['backup', 'verify', id], dataDir, env)
  const increment = await gatehouse(['backup', 'now', '--increment'], dataDir, env)
  const restore = await gatehouse(['backup', 'restore', id, '--yes'], dataDir, env)
  const after = await sumsOf(address)
  rmSync(dataDir, { recursive: true })
  const isOwn = (table: string) => table === 'backup_runs'
  const differing = [...new Set([...before.keys(), ...after.keys()])].filter(
    (table) => !isOwn(table) && before.get(table) !== after.get(table),
  )
  const tables = Object.fromEntries([...after].filter(([table, told]) => !isOwn(table) && !told.startsWith('0 rows')))
  return {
    ...{ engine: postgresUrl === null ? 'sqlite' : 'postgres', storeBytes, requests: filled.rows },
    ...{ rows: take.told.rows, ...copied, take: show(take), verify: show(verify), increment: show(increment) },
    ...{ restore: show(restore), compared: after.size, differing, tables },
  }
}

function show({ exitCode, seconds, peakMb, peaksMb, told }: Awaited<ReturnType<typeof gatehouse>>) {
  return { exitCode, seconds, peakMb, peaksMb, bytes: told.bytes }
}

/** One row each; how long a write took, from when it was due, so that none hides behind the one before. */
async function writeAt(database: Store, perSecond: number, until: () => boolean, mark: string) {
  const took: number[] = []
  const kept: Promise<unknown>[] = []
  let failed = 0
  const beganAt = performance.now()
  for (let index = 0; !until(); index++) {
    const dueAt = beganAt + (index * 1000) / perSecond
    const leftMs = dueAt - performance.now()
    if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs))
    const row = {
      ...{
        id: `${mark}${String(index).padStart(8, '0')}`,
        kind: 'verify',
        outcome: 'ok',
        archive_id: '',
        details: '{}',
      },
      ...{ started_at: index, finished_at: 1, bytes: 0, rows_count: 0, message: mark },
    }
    const writing = database.kysely.insertInto('backup_runs').values(row).execute()
    kept.push(
      writing.then(
        () => took.push(performance.now() - dueAt),
        () => failed++,
      ),
    )
  }
  await Promise.all(kept)
  return { written: took.length, failed, p50Ms: round(percentile(took, 0.5)), p99Ms: round(percentile(took, 0.99)) }
}

const round = (value: number) => Number(value.toFixed(1))

/** Full backups one after the other in their thread, beside 200 writes a second, and the same writes without. */
async function measureLoad(url: string, name: string) {
  const address = { url, dataDir: folder }
  const database = await openDatabase<Record<string, Row>>({ ...address, poolSize: 4, log: silentLog })
  const windowMs = Number(values.seconds) * 1000
  const forWindow = () => {
    const endsAt = performance.now() + windowMs
    return () => performance.now() > endsAt
  }
  const before = await writeAt(database, 200, forWindow(), 'before')
  const place = { kind: 'folder', path: join(folder, `load-${name}`) } as const
  const runner = createThreads(silentLog)
  let isDone = false
  let backups = 0
  const taking = (async () => {
    while (!isDone) {
      await runner.take({
        ...{
          id: `bak_load${backups}`,
          kind: 'full',
          baseId: '',
          address,
          place,
          recoveryKey: '',
          version: '',
          files: [],
        },
        ...{ own: { keyId: 'feedbeef', wrap: Buffer.alloc(32, 1) }, sentinel: '', gauge: createGauge() },
      })
      backups++
    }
  })()
  const during = await writeAt(database, 200, forWindow(), 'during')
  isDone = true
  await taking
  const { count } = await database.kysely
    .selectFrom('backup_runs')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('message', 'in', ['before', 'during'])
    .executeTakeFirstOrThrow()
  await database.close()
  const lost = before.written + during.written - Number(count)
  return { engine: name, backups, before, during, lost, p99MovedMs: round(during.p99Ms - before.p99Ms) }
}

const questionsOf = (now: number) => [
  ...['/api/tenants', '/api/users', '/api/keys', '/api/providers', '/api/models', '/api/prices', '/api/logs?limit=200'],
  `/api/stats/kpi?start_ms=${now - 30 * 86_400_000}&end_ms=${now}`,
  `/api/stats/top?by=model&metric=tokens&start_ms=${now - 30 * 86_400_000}&end_ms=${now}`,
  `/api/stats/series?slot_sec=86400&start_ms=${now - 30 * 86_400_000}&end_ms=${now}`,
]

/** What a hub on that store answers to people, byte for byte. */
async function answersOf(url: string, now: number): Promise<Map<string, string>> {
  const { config } = loadConfig({ file: null, env: { GATEHOUSE_SECRET_KEY: secretKey } })
  const hub = await startReadOnlyHub(config, secretKey, { url, dataDir: folder })
  const answers = new Map<string, string>()
  for (const path of questionsOf(now)) {
    const answer = await fetch(hub.url + path, { headers: { authorization: `Bearer ${hub.token}` } })
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${text.slice(0, 300)}`)
    // When it was asked, and how far behind that the ledger was, is not what the store says.
    answers.set(path, text.replace(/"((?:data_)?as_of|lag_ms)":(\d+|"[^"]*")/g, '"$1":0'))
  }
  await hub.stop()
  return answers
}

/** A hub on the store, and callers that never rest; `stop` ends both and tells which calls were answered. */
async function startCalls(): Promise<{ stop(): Promise<Pick<Load, 'answered' | 'failed'>> }> {
  const upstream = await startUpstream()
  const hub = await startProcessHub({
    env: {
      GATEHOUSE_DATA_DIR: folder,
      GATEHOUSE_SECRET_KEY: secretKey,
      GATEHOUSE_NETWORK_ALLOW_PRIVATE: '127.0.0.0/8',
    },
  })
  const provider = { name: 'copied', type: 'openai-compatible', base_url: upstream.url, max_retries: 0 }
  await hub.admin('POST', '/api/providers', provider)
  await hub.admin('POST', '/api/models', { name: 'copied' })
  await hub.admin('POST', '/api/model-providers', {
    ...{ model_id: 'copied', provider_id: 'copied', provider_model: 'copied' },
  })
  const { key: apiKey } = await hub.createKey()
  const load = startLoad({
    ...{ url: hub.url, apiKey, model: 'copied', callers: 64, pauseMs: 100, random: createDice(1) },
  })
  return {
    async stop() {
      await load.stop()
      await hub.stop()
      await hub.destroy()
      upstream.stop()
      return load
    },
  }
}

/** Copies while a hub answers calls on the store, then the rest when it has stopped, and asks both stores the same. */
async function measureCopy(from: string, to: string) {
  const calls = await startCalls()
  const online = await gatehouse(['store', 'copy', '--from', from, '--to', to], folder)
  const { answered, failed } = await calls.stop()
  const rest = await gatehouse(['store', 'copy', '--from', from, '--to', to], folder)
  const audit = await auditLedger({ databaseUrl: to, dataDir: folder }, answered)
  // What is filled in quickly has sums that were made up: as many are to be wrong in the copy, and no more.
  const source = await auditLedger({ databaseUrl: from, dataDir: folder }, answered)
  // On a whole minute: answers that speak of now would differ by themselves.
  const now = Math.floor(Date.now() / 60_000) * 60_000
  const [before, after] = [await answersOf(from, now), await answersOf(to, now)]
  const differing = [...before].filter(([path, text]) => after.get(path) !== text).map(([path]) => path)
  for (const path of differing)
    console.error(
      `${path}\n  before ${cut(before.get(path)!, after.get(path)!)}\n  after  ${cut(after.get(path)!, before.get(path)!)}`,
    )
  const showCopy = ({ exitCode, seconds, peakMb, peaksMb, told }: typeof online) => ({
    ...{ exitCode, seconds, peakMb, peaksMb, rows: told.rows, rounds: told.rounds, isInPlace: told.isInPlace },
  })
  return {
    ...{ online: showCopy(online), rest: showCopy(rest) },
    calls: {
      ...{ answered: answered.length, failed: failed.length, missing: audit.missing.length },
      ...{ doubled: audit.doubled.length, unsettled: audit.unsettled },
      newlyWrongSums: audit.wrongSums.length - source.wrongSums.length,
    },
    ...{ questions: before.size, differing },
  }
}

/** Where one text first is not the other. */
function cut(text: string, other: string): string {
  let at = 0
  while (at < text.length && text[at] === other[at]) at++
  return text.slice(Math.max(0, at - 60), at + 120)
}

const machine = {
  machine: `${cpus()[0]?.model}, ${availableParallelism()} cores`,
  node: process.version,
  load: loadavg()[0]!.toFixed(1),
}
const isWanted = (part: string) => values.only === '' || values.only === part
mkdirSync(results, { recursive: true })
function keep(part: string, result: object) {
  const written = JSON.stringify({ ...machine, ...result }, null, 2)
  // As biome has it: lists of numbers are one line.
  const text = written.replace(/\[\s+([\d,\s]+?)\s+\]/g, (_, list: string) => `[${list.replace(/\s+/g, ' ')}]`)
  console.log(text)
  writeFileSync(join(results, `${part}.json`), `${text}\n`)
}

const isOnPostgres = values.engine === 'postgres'
const provided = isWanted('load') || isWanted('copy') || isOnPostgres ? await providePostgres() : null
const postgres = provided !== null && 'service' in provided ? provided.service : null
if (provided !== null && 'missing' in provided) console.error(provided.missing)
try {
  if (isWanted('size') && !isOnPostgres) keep(`size-${values.gb}-gb`, await measureSize(null))
  if (isWanted('size') && isOnPostgres && postgres !== null)
    keep(`size-${values.gb}-gb-postgres`, await measureSize(postgres.url))
  const file = join(folder, 'gatehouse.db')
  const sqlite = `sqlite:${file}`
  if (isWanted('load') || isWanted('copy')) await fill(file, Number(values.rows), Date.now())
  if (isWanted('copy') && postgres !== null) keep('copy', await measureCopy(sqlite, postgres.url))
  if (isWanted('load')) {
    const both = [await measureLoad(sqlite, 'sqlite')]
    if (postgres !== null)
      both.push(await measureLoad(isWanted('copy') ? postgres.url : await migrated(postgres.url), 'postgres'))
    keep('load', { engines: both })
  }
} finally {
  if (postgres !== null) await postgres.destroy()
  rmSync(folder, { recursive: true, force: true })
}

async function migrated(url: string): Promise<string> {
  const database = await openDatabase({ url, dataDir: folder, log: silentLog })
  await migrate(database, migrations, { log: silentLog })
  await database.close()
  return url
}
