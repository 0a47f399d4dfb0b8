/**
 * `npm run test:clickhouse [-- vitest arguments]`: the suite of reports on SQLite, PostgreSQL and ClickHouse, whose engine
 * comes from npm (chDB, 540 MB, which is why `npm test` does without) and is installed in this folder. Without arguments
 * the outcome is written to `result.md`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Counts, countsFileVariable } from '../harness/reporter.ts'

const here = import.meta.dirname
const repository = join(here, '../..')
const files = ['analytics', 'partitions', 'aged-days', 'agentchat', 'clickhouse/'].map(
  (name) => `src/usage/analytics/${name}`,
)

function install(): string {
  const given = process.env.GATEHOUSE_TEST_CHDB
  if (given !== undefined) return given
  if (!existsSync(join(here, 'node_modules/chdb'))) {
    const args = ['install', '--prefix', here, '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund']
    execFileSync('npm', args, { stdio: 'inherit' })
  }
  return here
}

async function startServer(folder: string): Promise<{ child: ChildProcess; version: string; url: string }> {
  const child = spawn(process.execPath, [join(here, 'server.ts'), folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise<never>((_, reject) => {
    child.on('exit', (code) => reject(new Error(`The server of ClickHouse's engine ended with ${code}`)))
  })
  const first = (async () => {
    for await (const line of createInterface({ input: child.stdout! })) return line
    throw new Error('The server of ClickHouse said nothing')
  })()
  const [version = '', url = ''] = (await Promise.race([first, ended])).split(' ')
  ended.catch(() => {})
  return { child, version, url }
}

async function runVitest(argv: string[], env: Record<string, string>): Promise<number> {
  const vitest = join(import.meta.resolve('vitest/package.json').slice('file://'.length), '../vitest.mjs')
  const reporters = ['--reporter=default', `--reporter=${join(repository, 'test/harness/reporter.ts')}`]
  // One question at a time is all that the engine in its process answers.
  const args = [vitest, 'run', ...argv, '--testTimeout=300000', '--hookTimeout=300000', ...reporters]
  const child = spawn(process.execPath, args, { cwd: repository, stdio: 'inherit', env: { ...process.env, ...env } })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
}

const argv = process.argv.slice(2)
const { child, version, url } = await startServer(install())
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-clickhouse-'))
const countsFile = join(folder, 'counts.json')
const begunAt = Date.now()
const code = await runVitest(argv.length > 0 ? argv : files, {
  ...{ GATEHOUSE_TEST_CLICKHOUSE_URL: url, [countsFileVariable]: countsFile },
})
child.stdin!.end()
const counts = existsSync(countsFile) ? (JSON.parse(readFileSync(countsFile, 'utf8')) as Counts) : null
rmSync(folder, { recursive: true, force: true })
const isGreen = code === 0 && counts !== null && counts.failed === 0 && counts.passed > 0
const line =
  counts === null
    ? 'nothing was counted'
    : `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
if (argv.length === 0) {
  const minutes = ((Date.now() - begunAt) / 60_000).toFixed(1)
  const text = `# Reports on three engines

The last run of \`npm run test:clickhouse\`: the same questions to SQLite, PostgreSQL and ClickHouse, each answer compared
with the events themselves, to the unit.

| | |
|---|---|
| outcome | ${line} |
| when | ${new Date().toISOString().slice(0, 10)}, ${minutes} minutes, ${cpus().length} cores |
| ClickHouse | ${version}, of the npm package chdb ${JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')).dependencies.chdb} |
| PostgreSQL | of this machine |
| files | ${files.map((file) => `\`${file.slice('src/usage/analytics/'.length)}\``).join(' ')} of \`src/usage/analytics/\` |
`
  writeFileSync(join(here, 'result.md'), text)
}
console.log(line)
process.exitCode = isGreen ? 0 : 1
